//! The registry that an operator names, from which images are pulled.

use std::fmt;

/// What the names of berthd's own images begin with.
const OWN: &str = "berth/";

/// A registry's host and the namespace of the images in it, such as
/// `registry.example.com/berth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRegistry(String);

impl ImageRegistry {
    /// What `parse` takes.
    pub const EXPECTED: &str = "a registry's host and a namespace in it, such as registry.example.com/berth or localhost:5000/berth";

    /// Reads `HOST/NAMESPACE`. A first part with neither dot nor port is no host: an engine takes
    /// it for a namespace of Docker Hub, which whoever comes first may own.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, namespace) = text.split_once('/')?;
        let fits = is_host(host) && namespace.split('/').all(is_component);
        fits.then(|| Self(text.to_owned()))
    }

    /// Where the image lies that is called `name` here: `berth/postgresql:17` is
    /// `postgresql:17` there.
    pub fn place_of(&self, name: &str) -> String {
        format!("{self}/{}", name.strip_prefix(OWN).unwrap_or(name))
    }
}

impl fmt::Display for ImageRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name or an address, with a port where it is not the usual one.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let is_label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && label.chars().all(plain) && !label.starts_with('-')
    };
    let says_that_it_is_one = port.is_some() || name.contains('.') || name == "localhost";
    says_that_it_is_one && port_fits && name.split('.').all(is_label)
}

/// A part of an image's name: small letters and digits, with separators between them.
fn is_component(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = |c: char| plain(c) || "._-".contains(c);
    text.starts_with(plain) && text.ends_with(plain) && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_lies_in_the_namespace_under_its_own_name() {
        for text in [
            "registry.example.com/berth",
            "localhost/berth",
            "localhost:5000/berth",
            "mirror:5000/team/berth_images-2",
            "10.0.0.7:5000/berth",
            "docker.io/our-company",
        ] {
            let registry = ImageRegistry::parse(text).unwrap();
            let place = registry.place_of("berth/postgresql:17");
            assert_eq!(place, format!("{text}/postgresql:17"));
        }
    }

    #[test]
    fn what_an_engine_would_look_for_elsewhere_is_no_registry() {
        for text in [
            "",
            "berth",
            // A namespace of Docker Hub, each of them.
            "berth/images",
            "registry/berth",
            "registry.example.com",
            "registry.example.com/",
            "registry.example.com/berth/",
            "/berth",
            "https://registry.example.com/berth",
            "user:secret@registry.example.com/berth",
            "registry.example.com:0/berth",
            "registry.example.com:port/berth",
            "registry.example.com/Berth",
            "registry.example.com/berth:17",
            "registry.example.com/berth@sha256:0",
            "registry..example.com/berth",
            "registry.example.com/be rth",
        ] {
            assert_eq!(ImageRegistry::parse(text), None, "{text}");
        }
    }
}
