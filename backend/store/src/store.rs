//! The store as a whole: opening, reading, beginning to write.

use crate::connect::Location;
use crate::events::last_event;
use crate::follow::{Endings, Followers};
use crate::kept::{Kept, Touched};
use crate::lent::{Lent, Patience};
use crate::sealing::Keys;
use crate::snapshot::Answers;
use crate::sql::{Fields, Link};
use crate::told::Packer;
use crate::{Error, Tx, ownership, schema};
use berth_domain::InstallationId;
use sqlx::{Any, Connection, Pool};
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The installation's rows, in one SQLite file or one PostgreSQL database. Cheap to clone; all
/// clones are one store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    location: Arc<Location>,
    keys: Keys,
    writer: Pool<Any>,
    readers: Pool<Any>,
    /// Whether the last attempt to get the writer's lock failed.
    locked_out: Arc<AtomicBool>,
    version: watch::Sender<i64>,
    journal: watch::Sender<Journal>,
    pub(crate) kept: Kept,
    pub(crate) packer: Packer,
    pub(crate) followers: Followers,
    pub(crate) endings: Endings,
    pub(crate) answers: Mutex<Answers>,
    /// Keeps a second berthd off a file; a server has a lock of its own.
    file_lock: Mutex<Option<File>>,
}

/// How far the journal goes, as far as commits tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journal {
    /// The number of the last event that was committed for certain.
    pub last: i64,
    /// That of the last event in a commit of which nobody knows whether it happened.
    pub doubted: i64,
}

impl Journal {
    fn at(last: i64) -> Self {
        Self { last, doubted: 0 }
    }

    /// Whether only the store itself knows its last event.
    pub fn is_in_doubt(self) -> bool {
        self.doubted > self.last
    }
}

/// A connection that reads.
pub(crate) struct Reader<'s> {
    conn: Lent,
    keys: &'s Keys,
}

impl Reader<'_> {
    pub(crate) fn link(&mut self) -> Link<'_> {
        self.conn.link(self.keys)
    }
}

impl Store {
    /// Opens the store at `url` (`sqlite:/path/berth.db`, `postgres://user@host/database`), makes
    /// it when it is new, and brings its tables up to date.
    ///
    /// # Guarantees
    /// The store of another installation, a root key other than the one the store was made with,
    /// a store written by a newer berthd and a second writer are refused with an error of their
    /// own, before any row is changed.
    pub async fn open(url: &str, installation: &InstallationId, keys: Keys) -> Result<Self, Error> {
        Self::open_at(Location::parse(url)?, installation, keys).await
    }

    pub(crate) async fn open_at(
        location: Location,
        installation: &InstallationId,
        keys: Keys,
    ) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let location = Arc::new(location);
        let file_lock = location.lock_file()?;
        let mut first = location.first().await?;
        let mut patience = Patience::of(location.patience_max());
        let mut link = Link {
            conn: &mut first,
            keys: &keys,
            patience: &mut patience,
        };
        ownership::refuse_other(&location, &mut link, installation).await?;
        schema::migrate(&location, &mut first).await?;
        ownership::claim(&location, &mut first, &keys, installation).await?;
        let mut link = Link {
            conn: &mut first,
            keys: &keys,
            patience: &mut patience,
        };
        let version = version(&mut link).await?;
        let last = last_event(&mut link).await?;
        // Its lock goes with it; the writer's connection takes the lock anew.
        first.close().await.map_err(|source| Error::Query {
            act: "open",
            source,
        })?;
        let locked_out = Arc::new(AtomicBool::new(false));
        let store = Self {
            inner: Arc::new(Inner {
                writer: location.writer(Arc::clone(&locked_out))?,
                readers: location.readers()?,
                kept: if location.is_postgres() {
                    Kept::never()
                } else {
                    Kept::at(version)
                },
                packer: Packer::default(),
                followers: Followers::default(),
                endings: Endings::default(),
                location,
                keys,
                locked_out,
                version: watch::Sender::new(version),
                journal: watch::Sender::new(Journal::at(last)),
                answers: Mutex::default(),
                file_lock: Mutex::new(file_lock),
            }),
        };
        // The writer's connection, and with it the lock, is taken before anybody is served.
        store.begin().await?.rollback().await?;
        Ok(store)
    }

    /// Begins the one transaction that may write; others wait for it, at most ten seconds.
    pub async fn begin(&self) -> Result<Tx, Error> {
        let inner = &self.inner;
        match inner.begin_write().await {
            Ok(transaction) => Ok(Tx::new(transaction, Arc::clone(inner))),
            Err(Error::Busy { .. }) if inner.locked_out.load(Ordering::Relaxed) => {
                Err(Error::AnotherWriter)
            }
            Err(refused) => Err(refused),
        }
    }

    /// Tells of each commit, also of one in doubt: the value is the highest version that one has
    /// made for certain.
    pub fn watch_version(&self) -> watch::Receiver<i64> {
        self.inner.version.subscribe()
    }

    /// Tells of each commit that wrote events, also of one in doubt. Whoever reads the journal
    /// afterwards finds the last event of the value, and all before it.
    pub fn watch_journal(&self) -> watch::Receiver<Journal> {
        self.inner.journal.subscribe()
    }

    /// Waits for what is under way and closes all connections. Nothing can be done afterwards.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
        let lock = &self.inner.file_lock;
        drop(lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Whether the store answers; for readiness.
    pub async fn ping(&self) -> Result<(), Error> {
        self.version().await.map(drop)
    }

    /// Reads several things as they are at one version, and tells which that is.
    pub(crate) async fn at_one_version<T>(
        &self,
        act: &'static str,
        read: impl AsyncFnOnce(&mut Link<'_>, i64) -> Result<T, Error>,
    ) -> Result<(i64, T), Error> {
        let mut transaction = self.inner.begin_read().await?;
        let mut link = transaction.link(&self.inner.keys);
        let version = version(&mut link).await?;
        let found = read(&mut link, version).await?;
        transaction.commit(act).await?;
        Ok((version, found))
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) async fn reader(&self) -> Result<Reader<'_>, Error> {
        Ok(Reader {
            conn: self.inner.lent(&self.inner.readers, "reader").await?,
            keys: &self.inner.keys,
        })
    }
}

impl Inner {
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn told(&self, version: i64, touched: &Touched) {
        self.kept.committed(version, touched);
        self.followers.tell(touched.named());
        self.endings.tell(touched.ended());
        if let Some(last) = touched.last_event() {
            self.journal.send_if_modified(|own| {
                let has_grown = last > own.last;
                own.last = last.max(own.last);
                has_grown
            });
        }
        // Two commits may arrive here in the other order. What the late one touched is news all
        // the same, but the store does not go back.
        self.version.send_modify(|own| *own = version.max(*own));
    }

    /// Takes note of a commit of which nobody knows whether it made that version.
    pub(crate) fn doubt(&self, version: i64, touched: &Touched) {
        self.kept.doubt(version);
        self.followers.tell(None);
        self.endings.tell(None);
        // Whoever follows the version looks again, at a version that is as it was.
        self.version.send_modify(|_| {});
        if let Some(last) = touched.last_event() {
            self.journal
                .send_modify(|own| own.doubted = last.max(own.doubted));
        }
    }

    /// Begins a transaction that writes.
    async fn begin_write(&self) -> Result<Lent, Error> {
        let mut lent = self.lent(&self.writer, "begin").await?;
        lent.begin("begin", self.location.begin_write()).await?;
        Ok(lent)
    }

    /// Begins a transaction whose reads all see one version of the store.
    async fn begin_read(&self) -> Result<Lent, Error> {
        let mut lent = self.lent(&self.readers, "begin_read").await?;
        lent.begin("begin_read", self.location.begin_read()).await?;
        Ok(lent)
    }

    /// A connection of one of the pools.
    async fn lent(&self, pool: &Pool<Any>, act: &'static str) -> Result<Lent, Error> {
        Lent::from(pool, self.location.patience_max())
            .await
            .map_err(|source| Error::of_statement(act, source))
    }
}

reads! {
    /// The number of commits that this store has seen.
    fn version() -> i64;
}

async fn version(link: &mut Link<'_>) -> Result<i64, Error> {
    let row = sql!(
        "version",
        "SELECT value FROM counters WHERE name = 'version'"
    )
    .one(link)
    .await?;
    Fields::of("counters", &row).integer("value")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(directory: &tempfile::TempDir) -> Store {
        let url = format!("sqlite:{}", directory.path().join("berth.db").display());
        let installation = InstallationId::from_entropy([7; 4]);
        let keys = Keys::from_root([7; 32]);
        Store::open(&url, &installation, keys).await.unwrap()
    }

    #[tokio::test]
    async fn a_file_that_another_program_holds_is_said_to_be_held() {
        let directory = tempfile::tempdir().unwrap();
        open(&directory).await.close().await;
        let url = format!("sqlite:{}", directory.path().join("berth.db").display());
        let impatient = async || {
            let mut location = Location::parse(&url).unwrap();
            if let Location::Sqlite { held_max, .. } = &mut location {
                *held_max = std::time::Duration::from_millis(1);
            }
            let installation = InstallationId::from_entropy([7; 4]);
            Store::open_at(location, &installation, Keys::from_root([7; 32])).await
        };
        let store = impatient().await.unwrap();
        let mut other = sqlx::AnyConnection::connect(&url).await.unwrap();
        let hold = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other);
        hold.await.unwrap();
        assert!(matches!(store.begin().await, Err(Error::Held { .. })));
        store.ping().await.unwrap();
        store.close().await;
        let refused = impatient().await.err();
        assert!(matches!(refused, Some(Error::Held { .. })), "{refused:?}");
        other.close().await.unwrap();
        let store = impatient().await.unwrap();
        store.begin().await.unwrap().rollback().await.unwrap();
    }

    async fn say(tx: &mut Tx, statement: &'static str) -> Result<(), sqlx::Error> {
        let said = sqlx::raw_sql(statement).execute(&mut *tx.link().conn);
        said.await.map(drop)
    }

    #[tokio::test]
    async fn a_transaction_that_ended_by_itself_blocks_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory).await;
        let mut tx = store.begin().await.unwrap();
        // What a full disk does, behind the driver's back.
        say(&mut tx, "ROLLBACK").await.unwrap();
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        tx.touch(crate::kept::Touches::Nothing);
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_commit_that_is_told_late_is_told_and_takes_nothing_back() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory).await;
        let mut versions = store.watch_version();
        let first = *versions.borrow_and_update() + 1;
        store.inner.told(first + 1, &Touched::default());
        assert_eq!(*versions.borrow_and_update(), first + 1);
        store.inner.told(first, &Touched::default());
        assert!(versions.has_changed().unwrap());
        assert_eq!(*versions.borrow_and_update(), first + 1);
    }

    #[tokio::test]
    async fn a_commit_in_doubt_is_told_to_those_who_follow_the_version() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory).await;
        let mut versions = store.watch_version();
        let version = *versions.borrow_and_update();
        store.inner.doubt(version + 1, &Touched::default());
        assert!(versions.has_changed().unwrap());
        assert_eq!(*versions.borrow_and_update(), version);
    }

    #[tokio::test]
    async fn a_commit_in_doubt_is_told_to_those_who_follow_the_journal() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory).await;
        let mut journal = store.watch_journal();
        let last = journal.borrow_and_update().last;
        let writes = |event| {
            let mut touched = Touched::default();
            touched.add(crate::kept::Touches::Event(event));
            touched
        };
        store.inner.doubt(2, &Touched::default());
        assert!(!journal.has_changed().unwrap(), "it wrote no event");
        store.inner.doubt(3, &writes(last + 2));
        assert!(journal.has_changed().unwrap());
        assert!(journal.borrow_and_update().is_in_doubt());
        // One from before that is told late settles nothing.
        store.inner.told(2, &writes(last + 1));
        assert!(journal.borrow_and_update().is_in_doubt());
        store.inner.told(4, &writes(last + 2));
        assert!(!journal.borrow_and_update().is_in_doubt());
    }
}
