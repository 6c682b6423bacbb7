//! Mutual TLS that lets exactly one peer in: the host that started the provider.
//!
//! Owns: the provider's own certificate, made at each start, and the check of the host's.
//! Refuses: certificate chains and authorities. The host's certificate calls itself an authority,
//! which the usual verification rejects; it arrived through the environment of this very process,
//! so comparing it byte for byte proves more than any chain could.

use std::sync::Arc;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256,
    date_time_ymd,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
};

/// The name the host expects the provider to prove.
const SERVER_NAME: &str = "localhost";

/// Why the provider could not prepare to prove who it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The provider's own certificate could not be made.
    #[error("could not make the provider's certificate")]
    Certificate {
        /// What the certificate library says.
        source: rcgen::Error,
    },
    /// Key, certificate and protocol do not fit together.
    #[error("could not set up transport security")]
    Configuration {
        /// What the TLS library says.
        source: rustls::Error,
    },
}

/// The provider's side of every connection.
#[derive(Debug, Clone)]
pub struct Identity {
    /// What the host must trust, and nothing besides.
    pub certificate: CertificateDer<'static>,
    /// Settings for the acceptor.
    pub config: Arc<ServerConfig>,
}

impl Identity {
    /// Makes a new key and certificate, and admits only a peer that shows `client` and holds its
    /// key.
    pub fn for_client(client: CertificateDer<'static>) -> Result<Self, Error> {
        let (certificate, key) = own_certificate()?;
        let crypto = Arc::new(crypto_provider());
        let verifier = Arc::new(PinnedClient {
            client,
            crypto: Arc::clone(&crypto),
        });
        let mut config = ServerConfig::builder_with_provider(crypto)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|source| Error::Configuration { source })?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.clone()], key)
            .map_err(|source| Error::Configuration { source })?;
        // Hosts from grpc-go 1.67 on hang up when no protocol was agreed on.
        config.alpn_protocols = vec![b"h2".to_vec()];
        // The host connects once; there is no session to resume.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            certificate,
            config: Arc::new(config),
        })
    }
}

fn own_certificate() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), Error> {
    let make = || {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
        params
            .distinguished_name
            .push(DnType::CommonName, SERVER_NAME);
        // Fixed, so that a clock that is behind cannot make the certificate "not valid yet". It
        // proves nothing beyond this process, whose end is its real end of validity.
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2049, 12, 31);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.self_signed(&key)?;
        Ok((
            certificate.der().clone(),
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        ))
    };
    make().map_err(|source| Error::Certificate { source })
}

/// One suite and one group: every host that speaks protocol 6 knows them.
fn crypto_provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![kx_group::X25519],
        ..aws_lc_rs::default_provider()
    }
}

/// Accepts one certificate, and only from whoever holds its key.
#[derive(Debug)]
struct PinnedClient {
    client: CertificateDer<'static>,
    crypto: Arc<CryptoProvider>,
}

impl ClientCertVerifier for PinnedClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if *end_entity == self.client {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        // Hosts show a P-521 key; the others cost nothing and spare a host with another taste.
        self.crypto
            .signature_verification_algorithms
            .supported_schemes()
    }
}
