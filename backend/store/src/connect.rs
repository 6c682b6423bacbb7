//! Where the store is, and connections to it: few, bounded, durable before they answer.

use crate::error::{has_code, is_absence, is_held};
use crate::{Error, encryption};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AssertSqlSafe, ConnectOptions, Connection, Pool};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a caller waits for a connection, and a connection for the writer lock.
pub(crate) const ACQUIRE_SECONDS_MAX: u64 = 10;
/// How long the first connection may take, the wait for a predecessor's lock included.
const FIRST_SECONDS_MAX: u64 = 10;
/// Reads beside one another. Each SQLite connection is a thread and a page cache.
const READERS_MAX: u32 = 3;
/// How long a file that another program holds is waited for.
const HELD_SECONDS_MAX: u64 = 5;
/// How long a server may take to answer: longer than it lets any statement last.
const ANSWER_SECONDS_MAX: u64 = 40;
/// An idle connection gives its memory back after this.
const IDLE_SECONDS_MAX: u64 = 60;

/// Pages are kept within 1 MB a connection, the log is cut back to 16 MB after a burst; a commit
/// is on disk before it answers.
const SQLITE_SESSION: &str = "PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA cache_size = -1000; PRAGMA journal_size_limit = 16777216;";
/// Readers are several, and what they read again is kept as rows.
const SQLITE_READER: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -250;";
const SQLITE_FILE: &str = "PRAGMA journal_mode = WAL;";
/// Statements are bounded; a server configured to answer before it has synced is overruled. A
/// session whose berthd fell silent ends within half a minute, and with it the writer's lock.
const POSTGRES_SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
     SET idle_in_transaction_session_timeout = '60s'; \
     SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; \
     SET tcp_keepalives_count = 3; SET tcp_user_timeout = '30s'; \
     SELECT set_config('synchronous_commit', 'on', false) \
      WHERE current_setting('synchronous_commit') = 'off';";
/// Any number will do, as long as every berthd takes the same: "berth" in ASCII.
const POSTGRES_WRITER_LOCK: &str =
    "SET lock_timeout = '3s'; SELECT pg_advisory_lock(422928282728); SET lock_timeout = '10s';";
/// What PostgreSQL answers when `lock_timeout` has passed.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Which database the rows are in.
pub(crate) enum Location {
    Sqlite {
        path: PathBuf,
        url: String,
        /// How long it is waited for when another program holds it.
        held_max: Duration,
    },
    Postgres {
        url: String,
        /// Nothing was said of encryption, so the server is verified.
        is_decided: bool,
        /// How long it may be silent.
        patience_max: Duration,
    },
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Writer,
    Reader,
}

impl Location {
    /// Reads a URL that begins with `sqlite:` or `postgres:` (or `postgresql:`).
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        if let Some(rest) = url.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            // Every connection would be a store of its own.
            if path.is_empty() || path.contains('?') || path.contains(":memory:") {
                return Err(Error::UnknownUrl);
            }
            return Ok(Self::file(Path::new(path)));
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let (url, is_decided) = encryption::decided(url)?;
            return Ok(Self::Postgres {
                url,
                is_decided,
                patience_max: Duration::from_secs(ANSWER_SECONDS_MAX),
            });
        }
        Err(Error::UnknownUrl)
    }

    /// A SQLite file.
    fn file(path: &Path) -> Self {
        let mut url = String::from("sqlite://");
        for byte in path.as_os_str().as_encoded_bytes() {
            if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
                url.push(char::from(*byte));
            } else {
                // Writing into a String cannot fail.
                let _ = write!(url, "%{byte:02X}");
            }
        }
        Self::Sqlite {
            path: path.to_owned(),
            url,
            held_max: Duration::from_secs(HELD_SECONDS_MAX),
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// How long it may take to answer; a file is bounded by nothing but itself.
    pub(crate) fn patience_max(&self) -> Option<Duration> {
        match self {
            Self::Sqlite { .. } => None,
            Self::Postgres { patience_max, .. } => Some(*patience_max),
        }
    }

    /// The statement that begins a transaction which writes.
    pub(crate) fn begin_write(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "BEGIN IMMEDIATE",
            Self::Postgres { .. } => "BEGIN",
        }
    }

    /// The statement that begins a transaction whose reads all see one version.
    pub(crate) fn begin_read(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "BEGIN",
            Self::Postgres { .. } => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        }
    }

    fn url(&self) -> &str {
        match self {
            Self::Sqlite { url, .. } | Self::Postgres { url, .. } => url,
        }
    }

    /// What the store is called in an error; a server's URL holds a password.
    fn shown(&self) -> String {
        match self {
            Self::Sqlite { path, .. } => format!("sqlite {}", path.display()),
            Self::Postgres { .. } => "postgresql".to_owned(),
        }
    }

    fn refused(&self, source: sqlx::Error) -> Error {
        let place = self.shown();
        match self {
            Self::Postgres { url, .. } if is_absence(&source) || is_no_socket(url, &source) => {
                Error::Away { place, source }
            }
            Self::Postgres {
                is_decided: true, ..
            } => Error::OpenVerified { place, source },
            Self::Sqlite { .. } | Self::Postgres { .. } => Error::Open { place, source },
        }
    }

    fn options(&self) -> Result<AnyConnectOptions, Error> {
        AnyConnectOptions::from_str(self.url())
            // Statements are named and counted by the database; arguments must not reach a log.
            .map(ConnectOptions::disable_statement_logging)
            .map_err(|source| self.refused(source))
    }

    /// Makes the file of a store when there is none, and locks it against every other process
    /// for as long as the answer lives; a server's lock is its writer connection's.
    ///
    /// The lock is on a file beside it: closing a second descriptor of the file itself would end
    /// the locks that SQLite has on it.
    pub(crate) fn lock_file(&self) -> Result<Option<File>, Error> {
        let Self::Sqlite { path, .. } = self else {
            return Ok(None);
        };
        create_file(path)?;
        let failed = |source| Error::LockFile {
            path: path.clone(),
            source,
        };
        // One file is one store, whatever links lead to it.
        let mut beside = path.canonicalize().map_err(failed)?.into_os_string();
        beside.push(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(beside)
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Err(Error::AnotherWriter),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// A connection that only reads, without any lock; none when there is no file.
    pub(crate) async fn look(&self) -> Result<Option<AnyConnection>, Error> {
        if let Self::Sqlite { path, .. } = self {
            let there = path.try_exists().map_err(sqlx::Error::Io);
            if !there.map_err(|source| self.refused(source))? {
                return Ok(None);
            }
        }
        self.connect(Role::Reader).await.map(Some)
    }

    /// The connection over which tables and keys are checked before anything else is done. It
    /// holds the writer's lock, so two processes cannot migrate at once.
    ///
    /// # Assumptions
    /// A file is there and locked.
    pub(crate) async fn first(&self) -> Result<AnyConnection, Error> {
        self.connect(Role::Writer).await
    }

    /// One connection, within a bound.
    async fn connect(&self, role: Role) -> Result<AnyConnection, Error> {
        let options = self.options()?;
        let connected = async {
            let mut conn = AnyConnection::connect_with(&options).await?;
            if !self.is_postgres() && role == Role::Writer {
                sqlx::raw_sql(SQLITE_FILE).execute(&mut conn).await?;
            }
            self.prepare(&mut conn, role).await?;
            Ok(conn)
        };
        match tokio::time::timeout(Duration::from_secs(FIRST_SECONDS_MAX), connected).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(source)) if is_locked(&source) => Err(Error::AnotherWriter),
            Ok(Err(source)) if is_held(&source) => Err(Error::Held {
                act: "open",
                source,
            }),
            Ok(Err(source)) => Err(self.refused(source)),
            Err(_) => Err(Error::Busy {
                seconds: FIRST_SECONDS_MAX,
            }),
        }
    }

    async fn prepare(&self, conn: &mut AnyConnection, role: Role) -> Result<(), sqlx::Error> {
        let (session, restriction) = match (self, role) {
            (Self::Sqlite { .. }, Role::Writer) => (SQLITE_SESSION, ""),
            (Self::Sqlite { .. }, Role::Reader) => (SQLITE_SESSION, SQLITE_READER),
            (Self::Postgres { .. }, Role::Writer) => (POSTGRES_SESSION, POSTGRES_WRITER_LOCK),
            (Self::Postgres { .. }, Role::Reader) => {
                (POSTGRES_SESSION, "SET default_transaction_read_only = on;")
            }
        };
        if let Self::Sqlite { held_max, .. } = self {
            let held_max = format!("PRAGMA busy_timeout = {}", held_max.as_millis());
            sqlx::raw_sql(AssertSqlSafe(held_max))
                .execute(&mut *conn)
                .await?;
        }
        sqlx::raw_sql(session).execute(&mut *conn).await?;
        if !restriction.is_empty() {
            sqlx::raw_sql(restriction).execute(conn).await?;
        }
        Ok(())
    }

    /// The one connection that writes. On PostgreSQL it holds the writer's lock for as long as it
    /// lives, so a write cannot happen without the lock.
    pub(crate) fn writer(
        self: &Arc<Self>,
        locked_out: Arc<AtomicBool>,
    ) -> Result<Pool<Any>, Error> {
        self.pool(Role::Writer, 1, locked_out)
    }

    /// The connections that read.
    pub(crate) fn readers(self: &Arc<Self>) -> Result<Pool<Any>, Error> {
        self.pool(Role::Reader, READERS_MAX, Arc::default())
    }

    fn pool(
        self: &Arc<Self>,
        role: Role,
        connections_max: u32,
        locked_out: Arc<AtomicBool>,
    ) -> Result<Pool<Any>, Error> {
        let location = Arc::clone(self);
        // The writer stays connected: its lock is what keeps a second berthd out.
        let idle = (role == Role::Reader).then(|| Duration::from_secs(IDLE_SECONDS_MAX));
        let pool = AnyPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(Duration::from_secs(ACQUIRE_SECONDS_MAX))
            .idle_timeout(idle)
            .max_lifetime(None)
            // A file does not hang up; a server may, and is asked before each use.
            .test_before_acquire(self.is_postgres())
            .after_connect(move |conn, _| {
                let location = Arc::clone(&location);
                let locked_out = Arc::clone(&locked_out);
                Box::pin(async move {
                    let prepared = location.prepare(conn, role).await;
                    let locked = prepared.as_ref().is_err_and(is_locked);
                    locked_out.store(locked, Ordering::Relaxed);
                    prepared
                })
            })
            .connect_lazy_with(self.options()?);
        Ok(pool)
    }
}

/// Whether a server's socket is not there: the server makes it when it starts.
fn is_no_socket(url: &str, error: &sqlx::Error) -> bool {
    let is_missing = matches!(error, sqlx::Error::Io(e) if e.kind() == ErrorKind::NotFound);
    is_missing && encryption::is_socket(url)
}

fn is_locked(error: &sqlx::Error) -> bool {
    has_code(error, &[LOCK_NOT_AVAILABLE])
}

/// Makes the file for its owner alone, before SQLite would make it for everybody. What SQLite
/// puts beside it gets the same mode.
fn create_file(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::CreateFile {
        path: path.to_owned(),
        source,
    };
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(source) => return Err(failed(source)),
    }
    // A power cut must not take the file's name away from rows that were answered for.
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))
        .and_then(|directory| directory.sync_all())
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_or_a_server() {
        for good in ["sqlite:/a/b.db", "sqlite:///a/b.db", "sqlite:b.db"] {
            assert!(Location::parse(good).is_ok(), "{good}");
        }
        assert!(Location::parse("postgres://h/db").unwrap().is_postgres());
        for bad in ["", "mysql://h", "sqlite:", "sqlite::memory:", "/a/b.db"] {
            assert!(
                matches!(Location::parse(bad), Err(Error::UnknownUrl)),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_path_with_odd_characters_is_one_file() {
        let Location::Sqlite { path, url, .. } = Location::parse("sqlite:/a b%/c#.db").unwrap()
        else {
            panic!("not a file");
        };
        assert_eq!(path, Path::new("/a b%/c#.db"));
        assert_eq!(url, "sqlite:///a%20b%25/c%23.db");
    }

    async fn setting(location: &str, change: &'static str, question: &'static str) -> String {
        use sqlx::Row;
        sqlx::any::install_default_drivers();
        let location = Arc::new(Location::parse(location).unwrap());
        let _lock = location.lock_file().unwrap();
        let mut conn = location.first().await.unwrap();
        if !change.is_empty() {
            sqlx::raw_sql(change).execute(&mut conn).await.unwrap();
        }
        conn.close().await.unwrap();
        let writer = location.writer(Arc::default()).unwrap();
        let row = sqlx::query(question).fetch_one(&writer).await.unwrap();
        let answer = row.get(0);
        writer.close().await;
        answer
    }

    #[tokio::test]
    async fn a_commit_to_a_file_is_synced() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("berth.db").display());
        let question = "SELECT synchronous || ' ' || journal_mode \
                        FROM pragma_synchronous, pragma_journal_mode";
        // 2 is FULL: the log is synced with each commit.
        assert_eq!(setting(&url, "", question).await, "2 wal");
    }

    #[tokio::test]
    async fn a_server_told_to_answer_early_is_overruled() {
        let Some(cluster) = crate::cluster::Cluster::shared() else {
            return;
        };
        let early = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', \
                     current_database()); END $$";
        let question = "SELECT current_setting('synchronous_commit')";
        assert_eq!(
            setting(&cluster.new_database(), early, question).await,
            "on"
        );
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_from_one_that_refuses() {
        sqlx::any::install_default_drivers();
        let refused = async |url: &str| match Location::parse(url).unwrap().look().await {
            Ok(_) => panic!("{url} was opened"),
            Err(refused) => refused,
        };
        for away in [
            "postgres://berth@127.0.0.1:1/berth",
            "postgres://berth@no-such-host.invalid/berth",
            "postgres://berth@localhost/berth?host=/no/such/directory",
        ] {
            let refused = refused(away).await;
            assert!(
                matches!(refused, Error::Away { .. }) && refused.is_away(),
                "{refused:?}"
            );
        }
        let Some(cluster) = crate::cluster::Cluster::shared() else {
            return;
        };
        let no_database = cluster.new_database().replace("store_", "no_such_store_");
        let refused = refused(&no_database).await;
        assert!(!refused.is_away(), "{refused:?}");
    }

    #[tokio::test]
    async fn a_session_ends_soon_after_its_berthd_fell_silent() {
        // On a Unix socket they always read as none.
        let Some((_cluster, port)) = crate::cluster::Cluster::on_loopback(|_| Vec::new()) else {
            return;
        };
        let url = format!("postgres://berth@127.0.0.1:{port}/postgres?sslmode=disable");
        for (question, told) in [
            ("SHOW tcp_keepalives_idle", "10"),
            ("SHOW tcp_keepalives_interval", "5"),
            ("SHOW tcp_keepalives_count", "3"),
            ("SHOW tcp_user_timeout", "30000"),
        ] {
            assert_eq!(setting(&url, "", question).await, told, "{question}");
        }
    }
}
