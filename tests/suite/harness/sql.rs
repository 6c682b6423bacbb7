//! An application's connection: over TLS, with the authority that the database names.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::{Config, Error, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long connecting may take.
const CONNECT_SECONDS_MAX: u64 = 5;

/// Runs statements over one connection and gives the first column of all rows. Where the server
/// offers TLS its certificate has to be signed by `authority` (PEM) for the host of the URI.
pub fn query(uri: &str, authority: &str, statements: &str) -> Result<Vec<String>, Error> {
    let mut config: Config = uri.parse()?;
    config.connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, connection) = config.connect(trusting(authority)).await?;
        let driver = tokio::spawn(connection);
        let messages = client.simple_query(statements).await;
        drop(client);
        driver.abort();
        let rows = messages?.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("null").to_owned()),
            _ => None,
        });
        Ok(rows.collect())
    })
}

fn trusting(authority: &str) -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth())
}
