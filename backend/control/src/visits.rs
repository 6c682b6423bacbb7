//! Rounds: who is looked at, and when.

use crate::error::{Class, chain};
use crate::{Control, Error, error};
use berth_domain::{Database, InstanceId};
use berth_platform::WatchEvent;
use berth_store::{DatabaseFilter, DatabaseRecord};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Rows that are read at once when everything is looked at.
const ROWS_AT_ONCE: u32 = 500;
/// Visits that may be under way or waiting before the next round is left out.
const VISITS_MAX: usize = 2_000;

impl Control {
    /// Looks after everything, in rounds and when the platform says that something changed,
    /// until the program ends.
    pub(crate) async fn look_after(self: Arc<Self>) {
        let limits = &self.parts.limits;
        let seats = Arc::new(Semaphore::new(limits.instances_at_once.max(1)));
        let mut round = tokio::time::interval(Duration::from_secs(limits.health_seconds.max(1)));
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut distrust = tokio::time::interval(Duration::from_secs(limits.resync_seconds.max(1)));
        let mut changes = self.parts.platform.watch();
        let mut visits = JoinSet::new();
        loop {
            let wanted = tokio::select! {
                () = self.closed() => return,
                Some(_) = visits.join_next() => continue,
                _ = distrust.tick() => {
                    self.charts.distrust_all();
                    continue;
                }
                _ = round.tick(), if visits.len() < VISITS_MAX => self.living().await,
                change = changes.next() => match change {
                    Some(WatchEvent::Changed(instance)) => self.changed(&instance).await,
                    Some(WatchEvent::Gap) => {
                        self.charts.distrust_all();
                        self.living().await
                    }
                    None => {
                        // A stream that ended says nothing any more; rounds still do.
                        changes = futures_util::stream::pending().boxed();
                        continue;
                    }
                },
            };
            match wanted {
                Ok(records) => {
                    for record in records.iter().cloned() {
                        let (control, seats) = (Arc::clone(&self), Arc::clone(&seats));
                        visits.spawn(async move {
                            let Ok(_seat) = seats.acquire().await else {
                                return;
                            };
                            control.visit(record).await;
                        });
                    }
                }
                Err(error) => tracing::error!(error = chain(&error), "cannot look after databases"),
            }
        }
    }

    /// Every living database. While nothing is written, nothing is read: the store tells its
    /// version, and this process is the only one that writes.
    pub(crate) async fn living(&self) -> Result<Arc<Vec<DatabaseRecord>>, Error> {
        let version = *self.versions.borrow();
        if let Some(records) = self.roster.at(version) {
            return Ok(records);
        }
        let records = Arc::new(self.read_living().await?);
        self.roster.keep(version, Arc::clone(&records));
        Ok(records)
    }

    async fn read_living(&self) -> Result<Vec<DatabaseRecord>, Error> {
        let filter = DatabaseFilter::default();
        let mut all: Vec<DatabaseRecord> = Vec::new();
        loop {
            let after = all.last().map(|record| record.database.id.clone());
            let page = self
                .parts
                .store
                .databases_page(&filter, after.as_ref(), ROWS_AT_ONCE)
                .await
                .map_err(error::store("list the databases"))?;
            all.extend(page.rows);
            if !page.more {
                return Ok(all);
            }
        }
    }

    async fn changed(&self, instance: &InstanceId) -> Result<Arc<Vec<DatabaseRecord>>, Error> {
        let store = &self.parts.store;
        let found = store
            .database_by_instance(instance)
            .await
            .map_err(error::store("find the database of an instance"))?;
        let Some(database) = found.filter(Database::is_living) else {
            return Ok(Arc::default());
        };
        let record = store
            .database_record(&database.id)
            .await
            .map_err(error::store("read the database"))?;
        Ok(Arc::new(record.into_iter().collect()))
    }

    /// Looks at one database, and puts right what is not as its row says.
    pub(crate) async fn visit(&self, record: DatabaseRecord) {
        // Who works on it looks after it, too.
        let Some(_turn) = self.locks.try_now(&record.database.instance) else {
            return;
        };
        if let Err(error) = self.care(&record).await
            && error.class() != Class::Leave
        {
            tracing::warn!(
                database.id = %record.database.id, error = chain(&error),
                "could not look after a database",
            );
        }
    }
}
