//! How a provider and the host that started it find each other.
//!
//! Owns: what the host says through the environment, and the single line that answers it.
//! Refuses: sockets and keys; it is told where the provider listens and what its certificate is.

use std::ffi::OsString;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

/// The variable by which a host says that it, and not a person, started the provider.
pub const COOKIE_VARIABLE: &str = "TF_PLUGIN_MAGIC_COOKIE";
/// What [`COOKIE_VARIABLE`] holds when a host started the provider. No secret: it is the same for
/// every provider there is.
pub const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
/// The variable with the certificate, as PEM, that the host will show.
pub const CLIENT_CERTIFICATE_VARIABLE: &str = "PLUGIN_CLIENT_CERT";

/// The one protocol version spoken here. A host that does not offer it is answered with it all
/// the same, because it then tells its user which versions would have fitted.
pub const PROTOCOL_VERSION: u32 = 6;

const VERSIONS_VARIABLE: &str = "PLUGIN_PROTOCOL_VERSIONS";
const SOCKET_DIRECTORY_VARIABLE: &str = "PLUGIN_UNIX_SOCKET_DIR";
const MULTIPLEX_VARIABLE: &str = "PLUGIN_MULTIPLEX_GRPC";
/// Version of the launcher's own protocol, the first field of the line.
const LAUNCHER_VERSION: u32 = 1;

/// Why the environment is not one to serve in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody who could speak the protocol started this process.
    #[error(
        "this program is a provider plugin: Terraform or OpenTofu starts it, it does nothing by itself"
    )]
    NoHost,
    /// The host's certificate cannot be read, so nobody could be let in.
    #[error("could not read the host's certificate from {CLIENT_CERTIFICATE_VARIABLE}")]
    ClientCertificate {
        /// What is wrong with the text.
        source: pem::Error,
    },
}

/// What the host asked for when it started the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The only certificate that may open a connection. `None` when the host's user has switched
    /// transport security off.
    pub client_certificate: Option<CertificateDer<'static>>,
    /// Where the host wants the socket, if it cares.
    pub socket_directory: Option<PathBuf>,
    /// Whether the line must say if connections to the broker can be multiplexed. Hosts that do
    /// not ask would stumble over the additional field.
    pub asks_about_multiplexing: bool,
    /// Whether the host offered [`PROTOCOL_VERSION`].
    pub version_offered: bool,
}

impl Invitation {
    /// Reads the invitation out of the environment that `variable` gives.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        if variable(COOKIE_VARIABLE).is_none_or(|cookie| cookie != COOKIE) {
            return Err(Error::NoHost);
        }
        let present = |name: &str| variable(name).filter(|value| !value.is_empty());
        let client_certificate = present(CLIENT_CERTIFICATE_VARIABLE)
            .map(|text| CertificateDer::from_pem_slice(text.as_encoded_bytes()))
            .transpose()
            .map_err(|source| Error::ClientCertificate { source })?;
        let version_offered = present(VERSIONS_VARIABLE).is_none_or(|versions| {
            let versions = versions.to_string_lossy();
            versions
                .split(',')
                .any(|version| version.trim().parse() == Ok(PROTOCOL_VERSION))
        });
        Ok(Self {
            client_certificate,
            socket_directory: present(SOCKET_DIRECTORY_VARIABLE).map(PathBuf::from),
            asks_about_multiplexing: present(MULTIPLEX_VARIABLE).is_some(),
            version_offered,
        })
    }

    /// The line, without its end, that tells the host where the provider listens. It has to be
    /// the first thing on standard output.
    pub fn answer(&self, socket: &str, certificate: Option<&CertificateDer<'_>>) -> String {
        // Padding is refused by the host, and ends the start with it.
        let certificate = certificate.map_or_else(String::new, |der| STANDARD_NO_PAD.encode(der));
        let mut line =
            format!("{LAUNCHER_VERSION}|{PROTOCOL_VERSION}|unix|{socket}|grpc|{certificate}");
        if self.asks_about_multiplexing {
            line.push_str("|false");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(
        variables: &'a [(&'a str, &'a str)],
    ) -> impl Fn(&str) -> Option<OsString> + 'a {
        move |name| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(OsString::from(found.1))
        }
    }

    #[test]
    fn a_missing_or_different_cookie_is_no_host() {
        let missing = Invitation::read(environment(&[]));
        assert!(matches!(missing, Err(Error::NoHost)));
        let different = Invitation::read(environment(&[(COOKIE_VARIABLE, "yes")]));
        assert!(matches!(different, Err(Error::NoHost)));
    }

    #[test]
    fn a_bare_cookie_is_an_invitation_without_transport_security() {
        let invitation = Invitation::read(environment(&[
            (COOKIE_VARIABLE, COOKIE),
            (CLIENT_CERTIFICATE_VARIABLE, ""),
        ]))
        .unwrap();
        assert_eq!(invitation.client_certificate, None);
        assert!(invitation.version_offered);
        assert_eq!(invitation.answer("/s", None), "1|6|unix|/s|grpc|");
    }

    #[test]
    fn an_unreadable_certificate_is_an_error_and_not_an_open_door() {
        let read = Invitation::read(environment(&[
            (COOKIE_VARIABLE, COOKIE),
            (CLIENT_CERTIFICATE_VARIABLE, "-----BEGIN nonsense"),
        ]));
        assert!(matches!(read, Err(Error::ClientCertificate { .. })));
    }

    #[test]
    fn the_version_is_found_in_any_order() {
        for (versions, offered) in [("5,6", true), ("6,5", true), ("6", true), ("5", false)] {
            let invitation = Invitation::read(environment(&[
                (COOKIE_VARIABLE, COOKIE),
                (VERSIONS_VARIABLE, versions),
            ]))
            .unwrap();
            assert_eq!(invitation.version_offered, offered, "{versions}");
            assert!(invitation.answer("/s", None).starts_with("1|6|"));
        }
    }

    #[test]
    fn the_certificate_is_written_without_padding_and_the_seventh_field_only_when_asked_for() {
        let invitation = Invitation::read(environment(&[
            (COOKIE_VARIABLE, COOKIE),
            (MULTIPLEX_VARIABLE, "true"),
        ]))
        .unwrap();
        let certificate = CertificateDer::from(vec![0xfb]);
        assert_eq!(
            invitation.answer("/s", Some(&certificate)),
            "1|6|unix|/s|grpc|+w|false"
        );
    }
}
