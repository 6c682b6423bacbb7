//! TLS of the API: a certificate of files that are looked at again, or one that berthd's own
//! authority signs.

use crate::authority::{self, Authority};
use crate::connections::stopped;
use crate::wiring::random;
use berth_domain::{Clock, Secret, Timestamp};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// Seconds between two looks at the files.
const LOOK_SECONDS: u64 = 10;
/// Days after which a certificate of berthd's own is made anew; it is valid far longer.
const OWN_DAYS: i64 = 30;

/// Where the API's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// There is none: plain HTTP.
    Plain,
    /// Two PEM files: the certificate with its chain, and its key.
    Files {
        /// The certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// Signed by berthd's own authority, for these names and addresses.
    Own {
        /// DNS names and IP addresses.
        names: Vec<String>,
    },
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("could not read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What was read is no certificate or no key.
    #[error("there is no {what} in PEM in {origin}")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// Where.
        origin: String,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key cannot serve.
    #[error("the certificate of {origin} and its key cannot be used")]
    Unusable {
        /// Where they come from.
        origin: String,
        /// Why.
        source: rustls::Error,
    },
    /// berthd's own could not be made.
    #[error("could not make the API's certificate")]
    Own(#[from] authority::Error),
    /// The signal cannot be received.
    #[error("could not listen for the signal to look at the certificate again")]
    Signal(#[source] std::io::Error),
}

/// A certificate with its key, as text.
#[derive(PartialEq, Eq)]
struct Texts {
    chain: String,
    key: String,
}

/// The certificate that handshakes are answered with, and where a next one comes from.
pub struct Keeper {
    choice: Choice,
    authority: Arc<Authority>,
    clock: Arc<dyn Clock>,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    /// What was loaded last, or could not be, so that a mistake is told once.
    seen: Option<Texts>,
    loaded_at: Timestamp,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

impl Keeper {
    /// Loads the certificate of `choice`; none where it is plain HTTP.
    pub fn open(
        choice: &Choice,
        authority: Arc<Authority>,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, Error> {
        if *choice == Choice::Plain {
            return Ok(None);
        }
        let now = clock.now();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let texts = texts(choice, &authority, now)?;
        let first = certified(&texts, choice, &provider)?;
        Ok(Some(Self {
            choice: choice.clone(),
            authority,
            clock,
            provider,
            current: Arc::new(Current(RwLock::new(Arc::new(first)))),
            seen: Some(texts),
            loaded_at: now,
        }))
    }

    /// Answers handshakes with whatever certificate is the current one.
    pub fn acceptor(&self) -> Result<TlsAcceptor, Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|source| unusable(&self.choice, source))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Takes over files that have changed, at SIGHUP at once and else within seconds, and makes
    /// berthd's own anew long before it ends. One that cannot be used is told, and the one
    /// before it stays.
    pub async fn keep(mut self, stopping: watch::Receiver<bool>) -> Result<(), Error> {
        let mut hang_up = signal(SignalKind::hangup()).map_err(Error::Signal)?;
        let mut tick = tokio::time::interval(Duration::from_secs(LOOK_SECONDS));
        let mut end = std::pin::pin!(stopped(stopping));
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                _ = hang_up.recv() => self.look(true),
                _ = tick.tick() => self.look(false),
            }
        }
    }

    fn look(&mut self, asked: bool) {
        let now = self.clock.now();
        let fresh = now < self.loaded_at.plus_days(OWN_DAYS);
        if matches!(self.choice, Choice::Own { .. }) && fresh && !asked {
            return;
        }
        match self.renew(now) {
            Ok(true) => tracing::info!("the API has a new certificate"),
            Ok(false) => {}
            Err(error) => tracing::error!(
                error = crate::chain(&error),
                "the API's new certificate cannot be used: the one before stays"
            ),
        }
    }

    /// Whether there was something new.
    fn renew(&mut self, now: Timestamp) -> Result<bool, Error> {
        let found = match texts(&self.choice, &self.authority, now) {
            Ok(found) => found,
            // Told once, and again after it could be read in between.
            Err(_) if self.seen.is_none() => return Ok(false),
            Err(error) => {
                self.seen = None;
                return Err(error);
            }
        };
        if self.seen.as_ref() == Some(&found) {
            return Ok(false);
        }
        let next = certified(&found, &self.choice, &self.provider);
        self.seen = Some(found);
        let next = Arc::new(next?);
        *self
            .current
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner) = next;
        self.loaded_at = now;
        Ok(true)
    }
}

fn texts(choice: &Choice, authority: &Authority, now: Timestamp) -> Result<Texts, Error> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })
    };
    match choice {
        Choice::Files { certificate, key } => Ok(Texts {
            chain: read(certificate)?,
            key: read(key)?,
        }),
        Choice::Own { names } => {
            let (pair, _) = authority.issue(names, random(), now)?;
            Ok(Texts {
                chain: pair.certificate,
                key: Secret::reveal(&pair.key).to_owned(),
            })
        }
        Choice::Plain => Ok(Texts {
            chain: String::new(),
            key: String::new(),
        }),
    }
}

fn certified(
    texts: &Texts,
    choice: &Choice,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Error> {
    let pem = |what| {
        move |source| Error::Pem {
            what,
            origin: origin(choice, what),
            source,
        }
    };
    let chain = CertificateDer::pem_slice_iter(texts.chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(pem("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(texts.key.as_bytes()).map_err(pem("key"))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| unusable(choice, source))
}

fn unusable(choice: &Choice, source: rustls::Error) -> Error {
    Error::Unusable {
        origin: origin(choice, "certificate"),
        source,
    }
}

fn origin(choice: &Choice, what: &str) -> String {
    match choice {
        Choice::Files { key, .. } if what == "key" => key.display().to_string(),
        Choice::Files { certificate, .. } => certificate.display().to_string(),
        Choice::Own { .. } | Choice::Plain => "berthd's own authority".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn authority() -> Authority {
        let now = SystemClock.now();
        Authority::open(&Authority::create("0123abcd", now).unwrap()).unwrap()
    }

    fn written(folder: &std::path::Path, authority: &Authority) -> String {
        let names = ["localhost".to_owned()];
        let (pair, _) = authority
            .issue(&names, random(), SystemClock.now())
            .unwrap();
        std::fs::write(folder.join("cert.pem"), &pair.certificate).unwrap();
        std::fs::write(folder.join("key.pem"), pair.key.reveal()).unwrap();
        pair.certificate
    }

    fn serves(keeper: &Keeper, certificate: &str) -> bool {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        keeper.current.0.read().unwrap().cert[0] == der
    }

    #[test]
    fn changed_files_are_taken_over_and_useless_ones_are_not() {
        let folder = Folder::new();
        let authority = Arc::new(authority());
        let first = written(&folder.0, &authority);
        let choice = Choice::Files {
            certificate: folder.0.join("cert.pem"),
            key: folder.0.join("key.pem"),
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut keeper = Keeper::open(&choice, Arc::clone(&authority), clock)
            .unwrap()
            .unwrap();
        let now = SystemClock.now();
        assert!(serves(&keeper, &first) && !keeper.renew(now).unwrap());
        let second = written(&folder.0, &authority);
        assert!(keeper.renew(now).unwrap() && serves(&keeper, &second));

        // A key that is not the certificate's: told once, and nothing changes.
        let other = rcgen::KeyPair::generate().unwrap();
        std::fs::write(folder.0.join("key.pem"), other.serialize_pem()).unwrap();
        assert!(keeper.renew(now).is_err() && !keeper.renew(now).unwrap());
        std::fs::remove_file(folder.0.join("key.pem")).unwrap();
        assert!(keeper.renew(now).is_err() && !keeper.renew(now).unwrap());
        assert!(serves(&keeper, &second));
        let third = written(&folder.0, &authority);
        assert!(keeper.renew(now).unwrap() && serves(&keeper, &third));
    }

    #[test]
    fn what_cannot_serve_is_told_at_the_start() {
        let choice = Choice::Files {
            certificate: "/nowhere/cert.pem".into(),
            key: "/nowhere/key.pem".into(),
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let error = Keeper::open(&choice, Arc::new(authority()), clock).err();
        assert_eq!(
            error.unwrap().to_string(),
            "could not read /nowhere/cert.pem"
        );
    }

    /// A folder of its own, gone with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("berth-tls-{}", hex::encode(random::<8>()));
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = std::fs::remove_dir_all(&self.0);
        }
    }
}
