//! Looking after everything that lives: what there is, and one visit after the other.

use crate::error::{Class, chain};
use crate::roster::{Patient, Roster};
use crate::rounds::{Due, Resync, Round};
use crate::{Control, Error, error};
use berth_domain::{DatabaseId, InstanceId};
use berth_platform::WatchEvent;
use berth_store::{Changed, DatabaseFilter};
use futures_util::StreamExt;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Rows that are read at once when everything is read.
const ROWS_AT_ONCE: u32 = 200;
/// So many that have changed are read one by one, however few there are in all.
const READ_ONE_BY_ONE_MIN: usize = 500;
/// The shortest time between two databases that are compared with what is wanted although
/// nothing is wrong with them, in milliseconds.
const RESYNC_MILLIS_MIN: u64 = 200;

impl Control {
    /// Looks after everything, in rounds and when the platform says that something changed,
    /// until the program ends.
    pub(crate) async fn look_after(self: Arc<Self>) {
        let limits = &self.parts.limits;
        let seats = limits.instances_at_once.max(1);
        let mut round = Round::at(Instant::now());
        let mut resync = Resync::at(Instant::now() + self.resync_pause());
        let mut visits = JoinSet::new();
        loop {
            if self.news.take_gap() {
                resync.hurry(Instant::now());
                round.hurry(Instant::now());
            }
            while visits.len() < seats {
                let Some(due) = round.next(&self.news) else {
                    break;
                };
                let control = Arc::clone(&self);
                visits.spawn(async move {
                    match due {
                        Due::Changed(instance) => control.visit_changed(&instance).await,
                        Due::Patient(id, patient) => control.visit(&id, &patient).await,
                    }
                });
            }
            tokio::select! {
                () = self.closed() => return,
                Some(_) = visits.join_next() => {}
                () = self.news.bell.notified(), if visits.len() < seats => {}
                () = tokio::time::sleep_until(round.next_beat), if round.handful.is_empty() => {
                    self.beat(&mut round).await;
                }
                () = tokio::time::sleep_until(resync.due) => {
                    let pause = self.resync_pause();
                    for patient in resync.take(&self.roster(), Instant::now(), pause) {
                        // At its next visit it is compared with what is wanted.
                        self.charts.distrust(&patient.instance);
                    }
                }
            }
        }
    }

    /// Hears what the platform tells, until the program ends.
    pub(crate) async fn listen(self: Arc<Self>) {
        let mut changes = self.parts.platform.watch();
        let closed = self.closed();
        tokio::pin!(closed);
        loop {
            tokio::select! {
                () = &mut closed => return,
                change = changes.next() => match change {
                    Some(WatchEvent::Changed(instance)) => self.news.tell(Some(instance)),
                    Some(WatchEvent::Gap) => self.news.tell(None),
                    // A stream that ended says nothing any more; rounds still do.
                    None => changes = futures_util::stream::pending().boxed(),
                },
            }
        }
    }

    async fn beat(&self, round: &mut Round) {
        let now = Instant::now();
        let begins = round.is_at_its_begin();
        // A commit for each few would wake everybody who follows the store.
        if (begins || self.unchanged.fill_a_commit())
            && let Err(error) = self.tell_of_looks().await
        {
            tracing::error!(error = chain(&error), "cannot tell of databases");
        }
        if begins {
            round.begun = now;
            if let Err(error) = self.refresh().await {
                tracing::error!(error = chain(&error), "cannot look after databases");
            }
        }
        let rest = Duration::from_secs(self.parts.limits.health_seconds.max(1));
        round.take(&self.roster(), now, rest);
    }

    /// How long after one database the next is compared with what is wanted.
    fn resync_pause(&self) -> Duration {
        let all = self.parts.limits.resync_seconds.max(1).saturating_mul(1000);
        let count = u64::try_from(self.roster().len()).unwrap_or(u64::MAX);
        Duration::from_millis((all / count.max(1)).max(RESYNC_MILLIS_MIN))
    }

    /// The living databases as they were read last.
    pub(crate) fn roster(&self) -> std::sync::MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what has changed of the living databases.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        // One after the other: an older answer must not take the place of a newer one.
        let _turn = self.refreshing.lock().await;
        let few = (self.roster().len() / 4).max(READ_ONE_BY_ONE_MIN);
        let read = match self.follower.take() {
            Changed::These(ids) if ids.len() <= few => self.read_these(ids).await,
            Changed::These(_) | Changed::Any => self.read_all().await,
        };
        if read.is_err() {
            self.follower.forget();
        }
        read
    }

    async fn read_these(&self, ids: BTreeSet<DatabaseId>) -> Result<(), Error> {
        for id in ids {
            let record = self.parts.store.database_record(&id).await;
            let record = record.map_err(error::store("read the database"))?;
            self.roster().put(&id, record.as_ref());
        }
        Ok(())
    }

    async fn read_all(&self) -> Result<(), Error> {
        let filter = DatabaseFilter::default();
        let mut all = Roster::default();
        let mut after: Option<DatabaseId> = None;
        loop {
            let page = self
                .parts
                .store
                .databases_page(&filter, after.as_ref(), ROWS_AT_ONCE)
                .await
                .map_err(error::store("list the databases"))?;
            for record in &page.rows {
                all.put(&record.database.id, Some(record));
            }
            after = page.rows.last().map(|record| record.database.id.clone());
            if !page.more {
                *self.roster() = all;
                return Ok(());
            }
        }
    }

    /// Looks at one database, and puts right what is not as its row says.
    pub(crate) async fn visit(&self, id: &DatabaseId, patient: &Patient) {
        // Who works on it looks after it, too.
        let Some(_turn) = self.locks.try_now(&patient.instance) else {
            return;
        };
        report(id, self.care(id, patient).await);
    }

    /// The same for one of which the platform says that something has changed.
    async fn visit_changed(&self, instance: &InstanceId) {
        let Some(_turn) = self.locks.try_now(instance) else {
            return;
        };
        let store = &self.parts.store;
        let read = async {
            let found = store.database_by_instance(instance).await?;
            match found.filter(berth_domain::Database::is_living) {
                Some(database) => store.database_record(&database.id).await,
                None => Ok(None),
            }
        };
        match read.await.map_err(error::store("read the database")) {
            Ok(Some(record)) => {
                let id = &record.database.id;
                report(id, self.care(id, &Patient::alone(&record)).await);
            }
            Ok(None) => {}
            Err(error) => tracing::error!(error = chain(&error), "cannot look after a database"),
        }
    }
}

fn report(id: &DatabaseId, done: Result<(), Error>) {
    if let Err(error) = done
        && error.class() != Class::Leave
    {
        tracing::warn!(
            database.id = %id, error = chain(&error),
            "could not look after a database",
        );
    }
}
