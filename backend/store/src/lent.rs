//! Connections that are out of their pool, and how long a server may be silent on them.
//!
//! A server that loses its power, or a path on which nothing arrives any more, ends no connection.
//! Without a bound of ours a statement would wait for ever, and the writer's place with it.

use crate::{Error, Keys, sql::Link};
use futures_util::TryFutureExt;
use sqlx::pool::PoolConnection;
use sqlx::{Any, Pool};
use std::time::Duration;

/// How long a database may take to answer.
pub(crate) struct Patience {
    /// None for a file: it answers or fails.
    max: Option<Duration>,
    is_over: bool,
}

impl Patience {
    pub(crate) fn of(max: Option<Duration>) -> Self {
        Self {
            max,
            is_over: false,
        }
    }

    /// An answer, or that there was none. Nothing more is asked of a connection that fell silent.
    pub(crate) async fn bound<T>(
        &mut self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some(max) = self.max else {
            return answer.await;
        };
        let silent = Error::Busy {
            seconds: max.as_secs(),
        };
        if self.is_over {
            return Err(silent);
        }
        let answered = tokio::time::timeout(max, answer).await;
        self.is_over = answered.is_err();
        answered.unwrap_or(Err(silent))
    }
}

/// A connection that goes back to its pool when it is dropped. One that fell silent is closed.
///
/// Transactions are begun and ended by their SQL: the driver's own would go back to the pool
/// without a bound.
pub(crate) struct Lent {
    /// There until it is dropped.
    conn: Option<PoolConnection<Any>>,
    patience: Patience,
    is_in_transaction: bool,
}

impl Lent {
    /// A connection of the pool; the pool itself bounds how long that takes.
    pub(crate) async fn from(
        pool: &Pool<Any>,
        patience_max: Option<Duration>,
    ) -> Result<Self, sqlx::Error> {
        Ok(Self {
            conn: Some(pool.acquire().await?),
            patience: Patience::of(patience_max),
            is_in_transaction: false,
        })
    }

    #[expect(clippy::expect_used, reason = "only `drop` takes it")]
    pub(crate) fn link<'a>(&'a mut self, keys: &'a Keys) -> Link<'a> {
        Link {
            conn: self
                .conn
                .as_mut()
                .expect("a connection until it is dropped"),
            keys,
            patience: &mut self.patience,
        }
    }

    /// Begins a transaction; dropped without a commit, it leaves nothing.
    pub(crate) async fn begin(
        &mut self,
        act: &'static str,
        begin: &'static str,
    ) -> Result<(), Error> {
        // Also one of which nobody heard that it began is rolled back.
        self.is_in_transaction = true;
        self.say(act, begin).await
    }

    pub(crate) async fn commit(mut self, act: &'static str) -> Result<(), Error> {
        self.say(act, "COMMIT").await?;
        self.is_in_transaction = false;
        Ok(())
    }

    pub(crate) async fn rollback(mut self, act: &'static str) -> Result<(), Error> {
        self.say(act, "ROLLBACK").await?;
        self.is_in_transaction = false;
        Ok(())
    }

    async fn say(&mut self, act: &'static str, text: &'static str) -> Result<(), Error> {
        let Some(conn) = &mut self.conn else {
            return Ok(());
        };
        let said = sqlx::raw_sql(text).execute(&mut **conn);
        let said = said.map_err(|source| Error::of_statement(act, source));
        self.patience.bound(said).await.map(drop)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else {
            return;
        };
        if self.patience.is_over {
            // Its socket is closed, and nothing more is said to it.
            drop(conn.detach());
            return;
        }
        let given_back = give_back(conn, self.is_in_transaction);
        match self.patience.max {
            Some(max) => drop(tokio::spawn(tokio::time::timeout(max, given_back))),
            None => drop(tokio::spawn(given_back)),
        }
    }
}

/// Gives a connection back. Where that fails or is cut off, it is closed and its place is free.
async fn give_back(mut conn: PoolConnection<Any>, is_in_transaction: bool) {
    if is_in_transaction {
        conn.close_on_drop();
        if sqlx::raw_sql("ROLLBACK").execute(&mut *conn).await.is_err() {
            return;
        }
    }
    conn.return_to_pool().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::cluster::Cluster;
    use crate::connect::Location;
    use crate::kept::Touches;
    use berth_domain::InstallationId;
    use std::path::PathBuf;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream, UnixStream};
    use tokio::sync::watch;

    /// Longer than a loaded machine takes to answer, shorter than the pool's own bound.
    const PATIENCE: Duration = Duration::from_secs(7);

    /// A path to a server on which at some point nothing arrives any more.
    struct Path {
        port: u16,
        state: watch::Sender<State>,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum State {
        /// All that is connected is carried.
        Open,
        /// What is connected is carried until a client says this.
        Until(&'static str),
        /// Nothing of what is connected is carried, and nobody hears that.
        Cut,
        /// What was cut has ended, as the server ends it by itself after half a minute.
        Ended,
    }

    impl Path {
        async fn to(server: PathBuf) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let state = watch::Sender::new(State::Open);
            let told = state.clone();
            tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    let server = UnixStream::connect(&server).await.unwrap();
                    tokio::spawn(carry(client, server, told.subscribe()));
                }
            });
            Self { port, state }
        }
    }

    async fn carry(
        mut client: TcpStream,
        mut server: UnixStream,
        mut state: watch::Receiver<State>,
    ) {
        let (mut said, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            let (bytes, from_client) = tokio::select! {
                biased;
                _ = state.wait_for(|state| *state == State::Cut) => break,
                read = client.read(&mut said) => (&said[..read.unwrap_or(0)], true),
                read = server.read(&mut answered) => (&answered[..read.unwrap_or(0)], false),
            };
            if bytes.is_empty() {
                return;
            }
            if !from_client {
                client.write_all(bytes).await.unwrap();
                continue;
            }
            if let State::Until(word) = *state.borrow()
                && bytes
                    .windows(word.len())
                    .any(|part| part == word.as_bytes())
            {
                break;
            }
            server.write_all(bytes).await.unwrap();
        }
        let _ended = state.wait_for(|state| *state == State::Ended).await;
    }

    async fn far_away() -> Option<(Store, Path)> {
        let cluster = Cluster::shared()?;
        let url = cluster.new_database();
        let name = url.split(['/', '?']).nth(3).unwrap();
        let path = Path::to(cluster.directory().join(".s.PGSQL.5432")).await;
        let url = format!(
            "postgres://berth@127.0.0.1:{}/{name}?sslmode=disable",
            path.port
        );
        let mut location = Location::parse(&url).unwrap();
        let Location::Postgres { patience_max, .. } = &mut location else {
            panic!("no server");
        };
        *patience_max = PATIENCE;
        let installation = InstallationId::from_entropy([7; 4]);
        let keys = Keys::from_root([7; 32]);
        let store = Store::open_at(location, &installation, keys).await;
        Some((store.unwrap(), path))
    }

    fn is_silence<T>(answered: &Result<T, Error>) -> bool {
        matches!(answered, Err(Error::Busy { seconds }) if *seconds == PATIENCE.as_secs())
    }

    #[tokio::test]
    async fn a_commit_that_nobody_answers_is_in_doubt_and_frees_the_writers_place() {
        let Some((store, path)) = far_away().await else {
            return;
        };
        let journal = store.watch_journal();
        let mut tx = store.begin().await.unwrap();
        tx.touch(Touches::Event(1));
        path.state.send_replace(State::Until("COMMIT"));
        assert!(is_silence(&tx.commit().await));
        assert!(journal.borrow().is_in_doubt());
        path.state.send_replace(State::Ended);
        let mut tx = store.begin().await.unwrap();
        tx.touch(Touches::Event(1));
        tx.commit().await.unwrap();
        assert!(!journal.borrow().is_in_doubt());
    }

    #[tokio::test]
    async fn readers_that_nobody_answers_free_their_places() {
        let Some((store, path)) = far_away().await else {
            return;
        };
        let mut readers = Vec::new();
        for _ in 0..3 {
            readers.push(store.reader().await.unwrap());
        }
        path.state.send_replace(State::Cut);
        let mut asked = readers.pop().unwrap();
        let question = || sql!("question", "SELECT 1");
        assert!(is_silence(
            &question().one(&mut asked.link()).await.map(drop)
        ));
        // Nothing more is asked of it, and the others are not asked whether they are well for ever.
        assert!(is_silence(&question().execute(&mut asked.link()).await));
        drop(asked);
        readers.clear();
        path.state.send_replace(State::Open);
        for _ in 0..3 {
            readers.push(store.reader().await.unwrap());
        }
    }
}
