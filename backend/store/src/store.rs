//! The store as a whole: opening, reading, beginning to write.

use crate::connect::Location;
use crate::sealing::{Keys, Place};
use crate::snapshot::Answers;
use crate::sql::{Fields, Link};
use crate::{Error, Tx, schema};
use berth_domain::Secret;
use sqlx::pool::PoolConnection;
use sqlx::{Any, Connection, Pool};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// What the key check seals; its content does not matter, only that it opens.
const KEY_CHECK: &str = "this text opens with the right root key";
const KEY_CHECK_TABLE: &str = "key_check";
const KEY_CHECK_ROW: &str = "root";

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
    pub(crate) answers: Mutex<Answers>,
}

/// A connection that reads.
pub(crate) struct Reader<'s> {
    conn: PoolConnection<Any>,
    keys: &'s Keys,
}

impl Reader<'_> {
    pub(crate) fn link(&mut self) -> Link<'_> {
        Link {
            conn: &mut self.conn,
            keys: self.keys,
        }
    }
}

impl Store {
    /// Opens the store at `url` (`sqlite:/path/berth.db`, `postgres://user@host/database`), makes
    /// it when it is new, and brings its tables up to date.
    ///
    /// # Guarantees
    /// A root key other than the one the store was made with, a store written by a newer berthd
    /// and (on PostgreSQL) a second writer are refused with an error of their own, before any
    /// row is changed.
    /// # Assumptions
    /// On SQLite, the caller holds a lock on the data root: a file knows no second writer from
    /// a first.
    pub async fn open(url: &str, keys: Keys) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let location = Arc::new(Location::parse(url)?);
        let mut first = location.first().await?;
        schema::migrate(&location, &mut first).await?;
        check_keys(&mut Link {
            conn: &mut first,
            keys: &keys,
        })
        .await?;
        let version = version(&mut Link {
            conn: &mut first,
            keys: &keys,
        })
        .await?;
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
                location,
                keys,
                locked_out,
                version: watch::Sender::new(version),
                answers: Mutex::default(),
            }),
        };
        // The writer's connection, and with it the lock, is taken before anybody is served.
        store.begin().await?.rollback().await?;
        Ok(store)
    }

    /// Begins the one transaction that may write; others wait for it, at most ten seconds.
    pub async fn begin(&self) -> Result<Tx, Error> {
        let inner = &self.inner;
        let begun = inner.writer.begin_with(inner.location.begin_write()).await;
        match begun {
            Ok(transaction) => Ok(Tx::new(transaction, Arc::clone(inner))),
            Err(sqlx::Error::PoolTimedOut) if inner.locked_out.load(Ordering::Relaxed) => {
                Err(Error::AnotherWriter)
            }
            Err(source) => Err(Error::of_statement("begin", source)),
        }
    }

    /// Tells of each commit: the value is the version that it made.
    pub fn watch_version(&self) -> watch::Receiver<i64> {
        self.inner.version.subscribe()
    }

    /// Waits for what is under way and closes all connections. Nothing can be done afterwards.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }

    /// Whether the store answers; for readiness.
    pub async fn ping(&self) -> Result<(), Error> {
        self.version().await.map(drop)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) async fn reader(&self) -> Result<Reader<'_>, Error> {
        let conn = self
            .inner
            .readers
            .acquire()
            .await
            .map_err(|source| Error::of_statement("reader", source))?;
        Ok(Reader {
            conn,
            keys: &self.inner.keys,
        })
    }
}

impl Inner {
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn told(&self, version: i64) {
        self.version.send_replace(version);
    }

    /// Begins a transaction whose reads all see one version of the store.
    pub(crate) async fn begin_read(&self) -> Result<sqlx::Transaction<'static, Any>, Error> {
        self.readers
            .begin_with(self.location.begin_read())
            .await
            .map_err(|source| Error::of_statement("begin_read", source))
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

/// Opens the known text, or seals it when the store is new.
async fn check_keys(link: &mut Link<'_>) -> Result<(), Error> {
    let place = Place {
        table: KEY_CHECK_TABLE,
        row: KEY_CHECK_ROW,
        column: "sealed",
    };
    let found = sql!(
        "check_keys",
        "SELECT data_key, sealed FROM key_check WHERE id = $1"
    )
    .bind(KEY_CHECK_ROW)
    .optional(link)
    .await?;
    let Some(row) = found else {
        let key = link.keys.new_row_key(KEY_CHECK_TABLE, KEY_CHECK_ROW)?;
        let sealed = key.seal(place, &Secret::new(KEY_CHECK))?;
        sql!(
            "check_keys_first",
            "INSERT INTO key_check (id, data_key, sealed) VALUES ($1, $2, $3)"
        )
        .bind(KEY_CHECK_ROW)
        .bind(key.stored())
        .bind(sealed)
        .execute(link)
        .await?;
        return Ok(());
    };
    let fields = Fields::of(KEY_CHECK_TABLE, &row);
    let (stored, sealed) = (fields.text("data_key")?, fields.text("sealed")?);
    let opened = link
        .keys
        .row_key(KEY_CHECK_TABLE, KEY_CHECK_ROW, &stored)
        .and_then(|key| key.open(place, &sealed));
    match opened {
        Ok(text) if text.reveal() == KEY_CHECK => Ok(()),
        Ok(_) | Err(Error::Unseal { .. }) => Err(Error::WrongRootKey),
        Err(other) => Err(other),
    }
}
