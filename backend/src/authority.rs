//! berthd's own certificate authority: one a data root, its key sealed in the store.

use berth_domain::{Secret, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};

/// Years for which the authority itself is valid.
const AUTHORITY_YEARS: i64 = 20;
/// Days for which a server's certificate is valid.
const SERVER_DAYS: i64 = 825;
/// Seconds that certificates are backdated, for clients whose clock is behind.
const BACKDATED_SECONDS: i64 = 3600;

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("could not {act}")]
pub struct Error {
    act: &'static str,
    source: rcgen::Error,
}

fn failed(act: &'static str) -> impl FnOnce(rcgen::Error) -> Error {
    move |source| Error { act, source }
}

/// A certificate and its key, both as PEM.
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: Secret,
}

/// Signs the certificates of this installation's engines and poolers.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// Makes a new authority for an installation; the caller keeps the pair.
    pub fn create(installation: &str, now: Timestamp) -> Result<Pair, Error> {
        let key = KeyPair::generate().map_err(failed("make the authority's key"))?;
        let mut params = params(
            &format!("berth authority {installation}"),
            now,
            now.plus_days(AUTHORITY_YEARS * 365),
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params
            .self_signed(&key)
            .map_err(failed("sign the authority's certificate"))?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: Secret::new(key.serialize_pem()),
        })
    }

    /// The authority of a pair that `create` made.
    pub fn open(pair: &Pair) -> Result<Self, Error> {
        let key =
            KeyPair::from_pem(pair.key.reveal()).map_err(failed("read the authority's key"))?;
        let issuer = Issuer::from_ca_cert_pem(&pair.certificate, key)
            .map_err(failed("read the authority's certificate"))?;
        Ok(Self {
            issuer,
            certificate: pair.certificate.clone(),
        })
    }

    /// The authority's own certificate, as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Makes a key and signs a server certificate for `names`: DNS names and IP addresses.
    /// Also says when the certificate ends.
    pub fn issue(
        &self,
        names: &[String],
        mut serial: [u8; 16],
        now: Timestamp,
    ) -> Result<(Pair, Timestamp), Error> {
        let end = now.plus_days(SERVER_DAYS);
        let key = KeyPair::generate().map_err(failed("make a server's key"))?;
        let common_name = names.first().map_or("berth", String::as_str);
        // A common name holds at most 64 characters; clients look at the alternative names.
        let mut params = params(&common_name.chars().take(64).collect::<String>(), now, end);
        for name in names {
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => rcgen::SanType::IpAddress(address),
                Err(_) => rcgen::SanType::DnsName(
                    name.clone()
                        .try_into()
                        .map_err(failed("write a server's name"))?,
                ),
            });
        }
        // The highest bit of a serial number is its sign, and it must be positive.
        serial[0] &= 0x7f;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(failed("sign a server's certificate"))?;
        Ok((
            Pair {
                certificate: certificate.pem(),
                key: Secret::new(key.serialize_pem()),
            },
            end,
        ))
    }
}

fn params(common_name: &str, now: Timestamp, end: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    params.not_before = offset(now.plus_seconds(-BACKDATED_SECONDS));
    params.not_after = offset(end);
    params
}

/// The moment as the certificate library counts, to the second; days before 1970 do not occur.
fn offset(at: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(at.as_millis())
}
