//! `berthd check-login`: proves that a connection URI works, by writing and reading a row.

use crate::cli::CheckLogin;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

/// Milliseconds between two tries while the server does not answer.
const RETRY_MILLIS: u64 = 100;
/// The least number of seconds that one try may take, however short the wait.
const TRY_SECONDS_MIN: u64 = 1;
/// Seconds for which the row is waited for after the login.
const ROW_SECONDS_MAX: u64 = 30;

/// Why a login could not be proven. No text holds the URI: it has a password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The variable is not set.
    #[error("{0} is not set; put the connection URI there")]
    NoUri(String),
    /// The variable does not hold such a URI.
    #[error("{0} does not hold a connection URI such as postgresql://user:…@host:5432/database")]
    NotAUri(String),
    /// The `sslmode` is none that is known.
    #[error("sslmode={0} is not known here; use disable, require, verify-ca or verify-full")]
    SslMode(String),
    /// A certificate is asked to be proven and nothing says against what.
    #[error("the URI asks for a proven certificate; name the authority with --ca FILE")]
    NoAuthority,
    /// The authority's file cannot be used.
    #[error("could not read the authority {}", path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// TLS could not be set up.
    #[error("could not prepare TLS")]
    Tls(#[from] rustls::Error),
    /// The server did not let us in.
    #[error("could not log in to {host} as {user}")]
    Login {
        /// The server.
        host: String,
        /// The login.
        user: String,
        /// Why.
        source: tokio_postgres::Error,
    },
    /// The server took the connection, or nothing did, and no answer came.
    #[error("{host} did not answer the login of {user} within {seconds} seconds")]
    Silent {
        /// The server.
        host: String,
        /// The login.
        user: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The server fell silent after the login.
    #[error("logged in, but the server did not write and read a row within {seconds} seconds")]
    SilentRow {
        /// How long was waited.
        seconds: u64,
    },
    /// The login works and the database does not.
    #[error("logged in, but could not write and read a row")]
    Row(#[source] tokio_postgres::Error),
    /// The row came back changed.
    #[error("logged in, but the row that was read is not the row that was written")]
    OtherRow,
}

/// How far the server's certificate is looked at.
enum Proof {
    Plain,
    Encrypted,
    Authority(PathBuf),
}

/// Logs in with the URI of the environment, writes and reads a row, and says so on stdout.
pub async fn run(args: CheckLogin) -> Result<(), Error> {
    let text = std::env::var(&args.uri_env).map_err(|_| Error::NoUri(args.uri_env.clone()))?;
    let (config, proof) = target(&text, args.ca, &args.uri_env)?;
    let tls = match &proof {
        Proof::Plain => None,
        Proof::Encrypted => Some(trusting()?),
        Proof::Authority(path) => Some(trusting_only(path)?),
    };
    let client = connect(&config, tls, args.wait_seconds).await?;
    let version = row_within(&client, ROW_SECONDS_MAX).await?;
    let how = match proof {
        Proof::Plain => "in plain text",
        Proof::Encrypted => "over TLS",
        Proof::Authority(_) => "over TLS, certificate and name proven",
    };
    crate::say(format_args!(
        "{}@{}: logged in {how}, wrote and read a row (PostgreSQL {version})",
        user(&config),
        describe(&config)
    ));
    Ok(())
}

fn target(text: &str, ca: Option<PathBuf>, variable: &str) -> Result<(Config, Proof), Error> {
    let not_a_uri = || Error::NotAUri(variable.to_owned());
    let mut url = Url::parse(text).map_err(|_| not_a_uri())?;
    let mut mode = "prefer".to_owned();
    let mut root = ca;
    let mut rest = Vec::new();
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "sslmode" => mode = value.into_owned(),
            "sslrootcert" => root = root.or_else(|| Some(PathBuf::from(value.as_ref()))),
            _ => rest.push((key.into_owned(), value.into_owned())),
        }
    }
    let proof = match (mode.as_str(), root) {
        ("disable", _) => Proof::Plain,
        ("allow" | "prefer" | "require" | "verify-ca" | "verify-full", Some(path)) => {
            Proof::Authority(path)
        }
        ("allow" | "prefer" | "require", None) => Proof::Encrypted,
        ("verify-ca" | "verify-full", None) => return Err(Error::NoAuthority),
        (other, _) => return Err(Error::SslMode(other.to_owned())),
    };
    let ssl_mode = if matches!(proof, Proof::Plain) {
        "disable"
    } else {
        "require"
    };
    url.query_pairs_mut()
        .clear()
        .extend_pairs(rest)
        .append_pair("sslmode", ssl_mode);
    let config = url.as_str().parse().map_err(|_| not_a_uri())?;
    Ok((config, proof))
}

fn user(config: &Config) -> String {
    config.get_user().unwrap_or("?").to_owned()
}

fn describe(config: &Config) -> String {
    let host = config.get_hosts().iter().find_map(|host| match host {
        tokio_postgres::config::Host::Tcp(name) => Some(name.as_str()),
        tokio_postgres::config::Host::Unix(_) => None,
    });
    format!(
        "{}:{}",
        host.unwrap_or("localhost"),
        config.get_ports().first().unwrap_or(&5432)
    )
}

async fn connect(
    config: &Config,
    tls: Option<MakeRustlsConnect>,
    wait_seconds: u64,
) -> Result<Client, Error> {
    let begun = tokio::time::Instant::now();
    let give_up = begun + Duration::from_secs(wait_seconds);
    let seconds = wait_seconds.max(TRY_SECONDS_MIN);
    let deadline = begun + Duration::from_secs(seconds);
    loop {
        let tried = tokio::time::timeout_at(deadline, connect_once(config, tls.clone())).await;
        match tried {
            Ok(Ok(client)) => return Ok(client),
            // Only silence is worth waiting for; a refusal is an answer.
            Ok(Err(e)) if e.as_db_error().is_none() && tokio::time::Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(RETRY_MILLIS)).await;
            }
            Ok(Err(source)) => {
                return Err(Error::Login {
                    host: describe(config),
                    user: user(config),
                    source,
                });
            }
            Err(_) => {
                return Err(Error::Silent {
                    host: describe(config),
                    user: user(config),
                    seconds,
                });
            }
        }
    }
}

async fn row_within(client: &Client, seconds: u64) -> Result<String, Error> {
    tokio::time::timeout(Duration::from_secs(seconds), write_and_read(client))
        .await
        .map_err(|_| Error::SilentRow { seconds })?
}

async fn connect_once(
    config: &Config,
    tls: Option<MakeRustlsConnect>,
) -> Result<Client, tokio_postgres::Error> {
    match tls {
        None => {
            let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
        Some(tls) => {
            let (client, connection) = config.connect(tls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
    }
}

/// Through a pooler each statement may meet another server connection, so everything happens in
/// one transaction, and the table is gone when it ends.
async fn write_and_read(client: &Client) -> Result<String, Error> {
    const WRITTEN: &str = "berth was here";
    let statements = "BEGIN; \
        CREATE TABLE berth_check_login (line text NOT NULL); \
        INSERT INTO berth_check_login VALUES ('berth was here')";
    client.batch_execute(statements).await.map_err(Error::Row)?;
    let rows = client
        .simple_query("SELECT line, current_setting('server_version') FROM berth_check_login")
        .await
        .map_err(Error::Row)?;
    client
        .batch_execute("DROP TABLE berth_check_login; COMMIT")
        .await
        .map_err(Error::Row)?;
    rows.iter()
        .find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) if row.get(0) == Some(WRITTEN) => Some(
                row.get(1)
                    .unwrap_or("?")
                    .split(' ')
                    .next()
                    .unwrap_or("?")
                    .to_owned(),
            ),
            _ => None,
        })
        .ok_or(Error::OtherRow)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// TLS that looks at no certificate, as `sslmode=require` has it.
fn trusting() -> Result<MakeRustlsConnect, Error> {
    let provider = provider();
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn trusting_only(path: &Path) -> Result<MakeRustlsConnect, Error> {
    let unreadable = |source| Error::Authority {
        path: path.to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?)?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ssl_mode_decides_what_is_proven() {
        let uri = |mode: &str| format!("postgresql://app:pw@127.0.0.1:15000/orders?sslmode={mode}");
        assert!(matches!(
            target(&uri("disable"), None, "X"),
            Ok((_, Proof::Plain))
        ));
        assert!(matches!(
            target(&uri("require"), None, "X"),
            Ok((_, Proof::Encrypted))
        ));
        assert!(matches!(
            target(&uri("verify-full"), Some("ca.pem".into()), "X"),
            Ok((_, Proof::Authority(_)))
        ));
        assert!(matches!(
            target(&uri("verify-full"), None, "X"),
            Err(Error::NoAuthority)
        ));
        assert!(matches!(
            target(&uri("perhaps"), None, "X"),
            Err(Error::SslMode(_))
        ));
    }

    async fn plain(listener: &tokio::net::TcpListener) -> Config {
        let port = listener.local_addr().unwrap().port();
        let uri = format!("postgresql://app:hunter2@127.0.0.1:{port}/orders?sslmode=disable");
        target(&uri, None, "X").unwrap().0
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = plain(&listener).await;
        // Nobody accepts: the kernel does.
        let error = connect(&config, None, 0).await.err().unwrap();
        let text = error.to_string();
        assert!(
            text.ends_with("did not answer the login of app within 1 seconds"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[tokio::test]
    async fn a_server_that_falls_silent_after_the_login_is_given_up() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = plain(&listener).await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            assert!(stream.read(&mut asked).await.unwrap() > 0);
            // The login is fine, and the server is ready for a query that it never answers.
            let welcome = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
            stream.write_all(welcome).await.unwrap();
            while stream.read(&mut asked).await.unwrap_or(0) > 0 {}
        });
        let client = connect(&config, None, 30).await.unwrap();
        let error = row_within(&client, 1).await.unwrap_err();
        assert!(matches!(error, Error::SilentRow { seconds: 1 }), "{error}");
        server.abort();
    }

    #[test]
    fn no_error_repeats_the_uri() {
        let Err(error) = target("postgresql://app:hunter2@[", None, "BERTH_URI") else {
            panic!("accepted")
        };
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
