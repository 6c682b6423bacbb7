//! The one transaction that writes.

use crate::Error;
use crate::kept::{Touched, Touches};
use crate::lent::Lent;
use crate::sql::{Fields, Link};
use crate::store::Inner;
use std::sync::Arc;

/// A transaction that reads and writes. Dropped without a commit, it leaves nothing.
///
/// There is one at a time in an installation, so what it reads cannot change under it.
#[must_use = "a transaction that is not committed leaves nothing"]
pub struct Tx {
    transaction: Lent,
    inner: Arc<Inner>,
    changed: bool,
    touched: Box<Touched>,
}

impl Tx {
    pub(crate) fn new(transaction: Lent, inner: Arc<Inner>) -> Self {
        Self {
            transaction,
            inner,
            changed: false,
            touched: Box::default(),
        }
    }

    /// The connection, for a statement that reads.
    pub(crate) fn link(&mut self) -> Link<'_> {
        self.transaction.link(self.inner.keys())
    }

    /// The connection, for a statement that writes, and what that touches of what is kept.
    pub(crate) fn write(&mut self, touches: Touches<'_>) -> Link<'_> {
        self.touch(touches);
        self.link()
    }

    /// Makes the commit count; for a statement that is known to have written only afterwards.
    pub(crate) fn touch(&mut self, touches: Touches<'_>) {
        self.changed = true;
        self.touched.add(touches);
    }

    /// The next value of a counter.
    pub(crate) async fn next(&mut self, counter: &'static str) -> Result<i64, Error> {
        let row = sql!(
            "next",
            "UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value"
        )
        .bind(counter)
        .one(&mut self.write(Touches::Nothing))
        .await?;
        Fields::of("counters", &row).integer("value")
    }

    /// Makes what was written durable and tells the store's version, which rose by one when
    /// anything was written.
    ///
    /// # Guarantees
    /// When it answers `Ok`, a power cut loses nothing of it. When it answers `Err`, the commit
    /// may or may not have happened: read before doing it again.
    ///
    /// Once begun it goes on also when nobody waits for it any more: a client that hangs up in
    /// the middle must not leave a commit that those who watch the version never hear of.
    pub async fn commit(self) -> Result<i64, Error> {
        match tokio::spawn(self.committed()).await {
            Ok(committed) => committed,
            Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
            Err(_) => Err(Error::of_statement("commit", sqlx::Error::WorkerCrashed)),
        }
    }

    async fn committed(mut self) -> Result<i64, Error> {
        let version = if self.changed {
            self.next("version").await?
        } else {
            self.version().await?
        };
        let committed = self.transaction.commit("commit").await;
        if self.changed {
            match &committed {
                Ok(()) => self.inner.told(version, &self.touched),
                Err(_) => self.inner.doubt(version, &self.touched),
            }
        }
        committed.map(|()| version)
    }

    /// Gives up what was written.
    pub async fn rollback(self) -> Result<(), Error> {
        self.transaction.rollback("rollback").await
    }
}
