//! Opening the store: with the key that it was made with, and also when its server comes up later
//! than berthd.

use crate::config::Config;
use crate::data_root::{self, DataRoot};
use crate::wiring::{Error, ROOT_KEY_VARIABLE, random};
use berth_domain::Secret;
use berth_store::{Keys, Store};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a server that is not there is waited for.
const AWAY_SECONDS_MAX: u64 = 120;
/// Seconds between two attempts.
const PAUSE_SECONDS: u64 = 1;

/// The store, once it is there. Until then a signal ends berthd at once: nothing has begun.
pub async fn open(config: &Config, root: &DataRoot) -> Result<Store, Error> {
    let longest = Duration::from_secs(AWAY_SECONDS_MAX);
    let pause = Duration::from_secs(PAUSE_SECONDS);
    when_there(longest, pause, async || open_store(config, root).await).await
}

/// What is opened, also when that takes several attempts since its server is not there yet.
/// Everything else that goes wrong is told at once.
async fn when_there<T>(
    longest: Duration,
    pause: Duration,
    open: impl AsyncFn() -> Result<T, Error>,
) -> Result<T, Error> {
    let begun = Instant::now();
    let mut is_told = false;
    loop {
        match open().await {
            Err(Error::Store(away)) if away.is_away() && begun.elapsed() < longest => {
                if !is_told {
                    tracing::warn!(
                        error = crate::chain(&away),
                        seconds_max = longest.as_secs(),
                        "berthd waits for its store"
                    );
                    is_told = true;
                }
                tokio::time::sleep(pause).await;
            }
            opened => return opened,
        }
    }
}

/// The store, with the root key of the environment or of its file.
async fn open_store(config: &Config, root: &DataRoot) -> Result<Store, Error> {
    let key = match std::env::var(ROOT_KEY_VARIABLE) {
        Ok(text) => data_root::key_bytes(&Secret::new(text), Path::new(ROOT_KEY_VARIABLE))?,
        Err(_) => {
            // A store knows whether it was made with a key, whatever is left of the data root.
            let store_exists = Store::has_key_check(&config.store).await?;
            let text = data_root::root_key(&config.root_key_file, store_exists, random())?;
            if let Some(mode) = data_root::readable_by_others(&config.root_key_file) {
                // No refusal: whoever reads it has read it, and databases should come up.
                tracing::warn!(
                    file = %config.root_key_file.display(),
                    mode = format!("{mode:04o}"),
                    "others than its owner can read the root key: chmod 0600"
                );
            }
            data_root::key_bytes(&text, &config.root_key_file)?
        }
    };
    Ok(Store::open(&config.store, root.installation(), Keys::from_root(key)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    const PAUSE: Duration = Duration::from_millis(10);

    /// Where nobody listens yet.
    async fn nobody() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    async fn ask(address: SocketAddr) -> Result<bool, Error> {
        let url = format!("postgres://berth@{address}/berth?sslmode=disable");
        Ok(Store::has_key_check(&url).await?)
    }

    /// A server that comes up there, and refuses those who come with one code after the other.
    async fn come_up(address: SocketAddr, codes: [&'static str; 2]) {
        let listener = TcpListener::bind(address).await.unwrap();
        tokio::spawn(async move {
            for code in codes {
                let (mut client, _) = listener.accept().await.unwrap();
                assert!(client.read(&mut [0; 1024]).await.unwrap() > 0);
                let fields = format!("SFATAL\0VFATAL\0C{code}\0Mrefused\0\0");
                let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
                let answer = [b"E", &length[..], fields.as_bytes()].concat();
                client.write_all(&answer).await.unwrap();
            }
        });
    }

    #[tokio::test]
    async fn a_server_that_comes_up_later_is_waited_for_until_it_has_started() {
        let address = nobody().await;
        let tries = AtomicU32::new(0);
        let refused = when_there(Duration::MAX, PAUSE, async || {
            // It is starting, and then knows no such password.
            if tries.fetch_add(1, Ordering::Relaxed) == 2 {
                come_up(address, ["57P03", "28P01"]).await;
            }
            ask(address).await
        });
        let refused = refused.await.unwrap_err();
        assert!(
            matches!(&refused, Error::Store(wrong) if !wrong.is_away()),
            "{refused:?}"
        );
        assert_eq!(tries.into_inner(), 4);
    }

    #[tokio::test]
    async fn one_that_never_comes_is_waited_for_within_a_bound() {
        let address = nobody().await;
        let refused = when_there(Duration::ZERO, PAUSE, async || ask(address).await).await;
        let refused = refused.unwrap_err();
        assert!(
            matches!(&refused, Error::Store(away) if away.is_away()),
            "{refused:?}"
        );
    }
}
