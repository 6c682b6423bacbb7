//! How a PostgreSQL server may be reached: what crosses a network is encrypted, and whoever
//! answers is who was meant, unless its operator says otherwise in so many words.

use crate::Error;
use sqlx::any::AnyConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::net::IpAddr;
use std::str::FromStr;

const UNENCRYPTED: &str = "whoever is on the way could have everything sent in plain text";
const ANYBODY: &str = "without sslrootcert, every certificate for any name would be believed";

/// A setting, by its keys in a URL and the driver's variable where the URL does not say it.
struct Setting(&'static [&'static str], &'static str);

const MODE: Setting = Setting(&["sslmode", "ssl-mode"], "PGSSLMODE");
const AUTHORITY: Setting = Setting(&["sslrootcert", "ssl-root-cert", "ssl-ca"], "PGSSLROOTCERT");

impl Setting {
    fn is_given(&self, url: &AnyConnectOptions) -> bool {
        let mut pairs = url.database_url.query_pairs();
        pairs.any(|(key, _)| self.0.contains(&&*key)) || std::env::var_os(self.1).is_some()
    }
}

/// The URL of a server with the mode that it means, and whether that was decided here. A server on
/// this host is reached as the URL says.
pub(crate) fn decided(url: &str) -> Result<(String, bool), Error> {
    let refused = |source| Error::Open {
        place: "postgresql".to_owned(),
        source,
    };
    let options = PgConnectOptions::from_str(url).map_err(refused)?;
    if is_on_this_host(&options) {
        return Ok((url.to_owned(), false));
    }
    let mut given = AnyConnectOptions::from_str(url).map_err(refused)?;
    let says_nothing = !MODE.is_given(&given);
    let is_verified = match options.get_ssl_mode() {
        PgSslMode::Disable => false,
        // The driver does not look at the authority, or not at the name.
        PgSslMode::Require | PgSslMode::VerifyCa if AUTHORITY.is_given(&given) => true,
        PgSslMode::Require => false,
        PgSslMode::VerifyCa => return Err(mode_refused("verify-ca", ANYBODY)),
        PgSslMode::VerifyFull => true,
        PgSslMode::Prefer if says_nothing => true,
        PgSslMode::Prefer => return Err(mode_refused("prefer", UNENCRYPTED)),
        PgSslMode::Allow => return Err(mode_refused("allow", UNENCRYPTED)),
    };
    if is_verified {
        // The last one counts.
        let mut pairs = given.database_url.query_pairs_mut();
        pairs.append_pair("sslmode", "verify-full");
    }
    Ok((given.database_url.into(), is_verified && says_nothing))
}

fn mode_refused(mode: &'static str, reason: &'static str) -> Error {
    Error::SslMode { mode, reason }
}

/// Whether the URL leads to a Unix socket.
pub(crate) fn is_socket(url: &str) -> bool {
    PgConnectOptions::from_str(url).is_ok_and(|options| is_on_socket(&options))
}

fn is_on_socket(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some() || options.get_host().starts_with('/')
}

fn is_on_this_host(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    is_on_socket(options)
        || host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_is_verified_unless_the_url_says_otherwise() {
        for host in ["db.example.com", "10.0.0.5", "[2001:db8::1]:5433"] {
            let url = format!("postgres://berth:p%40ss@{host}/berth");
            let verified = |said: &str| {
                let (decided, here) = decided(&format!("{url}{said}")).unwrap();
                assert_eq!(here, !said.contains("mode="), "{said}");
                PgConnectOptions::from_str(&decided).unwrap().get_ssl_mode()
            };
            for said in [
                "",
                "?sslrootcert=/ca.pem",
                "?sslrootcert=/ca.pem&sslmode=require",
                "?ssl-mode=verify-ca&ssl-ca=/ca.pem",
                "?sslmode=verify-full",
            ] {
                let mode = verified(said);
                assert!(matches!(mode, PgSslMode::VerifyFull), "{said}: {mode:?}");
            }
            for said in ["?sslmode=disable", "?sslmode=require"] {
                let as_said = format!("{url}{said}");
                assert_eq!(decided(&as_said).unwrap(), (as_said, false));
            }
            for mode in ["prefer", "allow", "verify-ca"] {
                let refused = decided(&format!("{url}?sslmode={mode}"));
                let told = refused.unwrap_err().to_string();
                assert!(told.contains(&format!("sslmode={mode}")), "{told}");
                assert!(!told.contains("p%40ss") && !told.contains("p@ss"));
            }
        }
        let elsewhere = "postgres://localhost/berth?hostaddr=192.0.2.1";
        assert!(
            decided(elsewhere)
                .unwrap()
                .0
                .ends_with("sslmode=verify-full")
        );
    }

    #[test]
    fn a_server_on_this_host_is_reached_as_the_url_says() {
        for url in [
            "postgres://berth@localhost/berth",
            "postgres://127.0.0.1:5433/berth?sslmode=prefer",
            "postgres://[::1]/berth?sslmode=verify-ca",
            "postgres://berth@db.example.com/berth?host=/run/postgresql",
            "postgres://%2Frun%2Fpostgresql/berth",
        ] {
            assert_eq!(decided(url).unwrap(), (url.to_owned(), false));
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_refused() {
        for url in ["postgres://h:p:q/", "postgres://h/?sslmode=maybe"] {
            assert!(matches!(decided(url), Err(Error::Open { .. })), "{url}");
        }
    }
}
