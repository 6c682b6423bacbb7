//! Server certificates: issued once for an instance, kept sealed, renewed before they end.

use berth_domain::{Secret, Timestamp};
use berth_platform::Cause;

/// Days before its end at which a certificate is replaced.
const RENEW_BEFORE_DAYS: i64 = 60;

/// A certificate for an instance, with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCertificate {
    /// The certificate and what leads to the authority, in PEM.
    pub chain: String,
    /// Its private key, in PEM.
    pub key: Secret,
    /// When it ends.
    pub valid_until: Timestamp,
}

/// Signs certificates; `berthd` wires its authority.
pub trait Certificates: Send + Sync {
    /// The authority's own certificate, in PEM: what clients trust.
    fn authority(&self) -> String;

    /// Makes a key and signs a server certificate for `names`, DNS names and IP addresses,
    /// valid from `now` on.
    fn issue(
        &self,
        names: &[String],
        serial: [u8; 16],
        now: Timestamp,
    ) -> Result<ServerCertificate, Cause>;
}

/// The store's name for the certificate of an instance.
pub(crate) fn place(instance: &berth_domain::InstanceId) -> String {
    format!("certificate/{instance}")
}

/// What is sealed: the certificate with the names it was issued for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) names: Vec<String>,
    pub(crate) certificate: ServerCertificate,
}

/// Separates the chain from the key; no line of a PEM file looks like it.
const KEY_FOLLOWS: &str = "-- key --\n";

impl Kept {
    /// Whether it still serves an instance of these names.
    pub(crate) fn serves(&self, names: &[String], now: Timestamp) -> bool {
        self.names == names && now.plus_days(RENEW_BEFORE_DAYS) < self.certificate.valid_until
    }

    /// The text to seal: names, end, chain, key.
    pub(crate) fn to_text(&self) -> Secret {
        Secret::new(format!(
            "{}\n{}\n{}{KEY_FOLLOWS}{}",
            self.names.join(" "),
            self.certificate.valid_until.as_millis(),
            self.certificate.chain,
            self.certificate.key.reveal(),
        ))
    }

    /// Reads what `to_text` wrote; none when it is something else, and then a new one is due.
    pub(crate) fn from_text(text: &Secret) -> Option<Self> {
        let (names, rest) = text.reveal().split_once('\n')?;
        let (until, rest) = rest.split_once('\n')?;
        let (chain, key) = rest.split_once(KEY_FOLLOWS)?;
        Some(Self {
            names: names.split(' ').map(str::to_owned).collect(),
            certificate: ServerCertificate {
                chain: chain.to_owned(),
                key: Secret::new(key),
                valid_until: Timestamp::from_millis(until.parse().ok()?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        Kept {
            names: vec!["berth-db-orders".to_owned(), "127.0.0.1".to_owned()],
            certificate: ServerCertificate {
                chain: "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n".to_owned(),
                key: Secret::new("-----BEGIN PRIVATE KEY-----\nBB\n-----END PRIVATE KEY-----\n"),
                valid_until: Timestamp::from_millis(0).plus_days(100),
            },
        }
    }

    #[test]
    fn what_is_kept_is_read_back() {
        assert_eq!(Kept::from_text(&kept().to_text()), Some(kept()));
        assert_eq!(Kept::from_text(&Secret::new("something else")), None);
    }

    #[test]
    fn it_serves_its_own_names_until_shortly_before_its_end() {
        let kept = kept();
        let day = |n| Timestamp::from_millis(0).plus_days(n);
        assert!(kept.serves(&kept.names, day(39)));
        assert!(!kept.serves(&kept.names, day(40)));
        assert!(!kept.serves(&["berth-db-bills".to_owned()], day(0)));
    }
}
