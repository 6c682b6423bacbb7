//! Which version of its API an engine is spoken to in.

use berth_containers::{Older, RuntimeError};
use bollard::{API_DEFAULT_VERSION, BollardRequest};
use std::fmt;

/// A version of the Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: usize,
    minor: usize,
}

/// Docker 20.10's: what every test here speaks.
const OLDEST: Version = Version {
    major: 1,
    minor: 41,
};
/// The one whose bodies bollard has.
const NEWEST: Version = Version {
    major: API_DEFAULT_VERSION.major_version,
    minor: API_DEFAULT_VERSION.minor_version,
};

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The oldest version that an engine and this program both speak: it differs least from what
/// was tested. Engines of before 1.24 say nothing of their oldest.
pub(crate) fn choose(oldest: Option<&str>, newest: Option<&str>) -> Result<Version, RuntimeError> {
    let newest = newest
        .and_then(Version::parse)
        .ok_or_else(|| unreadable("newest", newest))?;
    let oldest = match oldest {
        None | Some("") => OLDEST.min(newest),
        Some(text) => Version::parse(text).ok_or_else(|| unreadable("oldest", Some(text)))?,
    };
    let chosen = OLDEST.max(oldest);
    if chosen <= newest && chosen <= NEWEST {
        return Ok(chosen);
    }
    Err(RuntimeError::NoCommonApi {
        engine: format!("{oldest} to {newest}"),
        berthd: format!("{OLDEST} to {NEWEST}"),
        older: if chosen > newest {
            Older::Engine
        } else {
            Older::Berthd
        },
    })
}

fn unreadable(which: &str, told: Option<&str>) -> RuntimeError {
    let told = told.unwrap_or_default();
    RuntimeError::Failed {
        act: "ask Docker which versions of its API it speaks",
        source: format!("it says that its {which} is \"{told}\"").into(),
    }
}

/// Has a request made in a version. bollard 0.21 drops the one that a client is made with from
/// every path, and what bears none is answered in the engine's newest, whatever that is.
pub(crate) fn in_version(
    version: Version,
) -> impl Fn(BollardRequest) -> BollardRequest + Send + Sync + 'static {
    move |mut request| {
        let uri = request.uri();
        let (Some(scheme), Some(authority), Some(path)) =
            (uri.scheme_str(), uri.authority(), uri.path_and_query())
        else {
            return request;
        };
        let prefixed = format!("{scheme}://{authority}/v{version}{path}");
        match prefixed.parse() {
            Ok(prefixed) => *request.uri_mut() = prefixed,
            // Numbers before a path that was one: there is nothing to refuse.
            Err(error) => tracing::debug!(%error, prefixed, "a request bears no version"),
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(oldest: &str, newest: &str) -> String {
        match choose(Some(oldest), Some(newest)) {
            Ok(version) => version.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_oldest_common_version_is_chosen() {
        assert_eq!(chosen("1.12", "1.41"), "1.41");
        assert_eq!(chosen("1.24", "1.50"), "1.41");
        assert_eq!(chosen("1.44", "1.52"), "1.44");
        assert_eq!(chosen("1.53", "1.60"), "1.53");
        assert_eq!(choose(None, Some("1.41")).unwrap(), OLDEST);
        assert_eq!(
            chosen("1.12", "1.40"),
            "the container engine speaks versions 1.12 to 1.40 of its API and berthd 1.41 to 1.53: upgrade the container engine"
        );
        assert_eq!(
            chosen("1.54", "1.60"),
            "the container engine speaks versions 1.54 to 1.60 of its API and berthd 1.41 to 1.53: upgrade berthd"
        );
    }

    #[test]
    fn what_is_no_version_is_told_and_not_guessed() {
        for (oldest, newest) in [
            (None, None),
            (Some("1.24"), Some("one")),
            (Some("x"), Some("1.41")),
        ] {
            let error = choose(oldest, newest).unwrap_err();
            assert!(matches!(error, RuntimeError::Failed { .. }), "{error:?}");
        }
    }
}
