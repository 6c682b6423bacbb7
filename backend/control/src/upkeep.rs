//! What nobody asks for and must happen: purges, spare directories, a look for what is left over.

use crate::error::{Class, chain};
use crate::step::BEGIN;
use crate::{Control, Error, error};
use berth_domain::{
    Actor, DESTROYED_PROJECT_DAYS, Database, ENDED_VALUE_DAYS, EngineName, Event, InstanceId,
    Operation, OperationId, OperationKind, OperationState, Timestamp,
};
use berth_services::random;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Seconds between two looks for what is due to be purged.
const PURGE_SECONDS: u64 = 30;
/// Seconds between two looks for spares that are missing.
const SPARES_SECONDS: u64 = 20;
/// Milliseconds for which nothing may have been worked on before spares are made.
const QUIET_MILLIS: u64 = 2_000;
/// Milliseconds between two looks whether it is quiet.
const YIELD_MILLIS: u64 = 250;
/// Purges that are ordered at once.
const PURGES_AT_ONCE: u32 = 100;
/// Days after which an operation that takes something away would be overdue; nothing gives it
/// up then, the row only wants a time.
const PURGE_DEADLINE_DAYS: i64 = 1;
/// Days for which the row of a purged database goes on saying what became of it.
const TOMBSTONE_DAYS: i64 = 30;
/// Days for which the answer to a request with a key is kept.
const ANSWERS_DAYS: i64 = 1;
/// Days for which the journal is kept: a year, and a month to look back on it.
const EVENTS_DAYS: i64 = 400;
/// Days for which an operation that is over is kept; the last one of a database stays.
const OPERATIONS_DAYS: i64 = 90;
/// Days for which a token that was revoked or expired is still listed.
const ENDED_TOKENS_DAYS: i64 = 90;
/// Seconds between two removals of old rows.
const FORGET_SECONDS: u64 = 3_600;
/// The longest that the spares of one version may take.
const SPARES_SECONDS_MAX: u64 = 600;
/// The longest that taking away what is left over may take.
pub(crate) const SWEEP_SECONDS_MAX: u64 = 300;

impl Control {
    /// Keeps house until the program ends.
    pub(crate) async fn keep_up(self: Arc<Self>) {
        let limits = &self.parts.limits;
        let mut purge = tokio::time::interval(Duration::from_secs(PURGE_SECONDS));
        let mut sweep = tokio::time::interval(Duration::from_secs(limits.resync_seconds.max(1)));
        let mut forget = tokio::time::interval(Duration::from_secs(FORGET_SECONDS));
        let mut strangers = HashSet::new();
        loop {
            let (act, done) = tokio::select! {
                () = self.closed() => return,
                _ = purge.tick() => ("order purges", self.order_purges().await),
                () = self.purge_wanted.notified() => ("order purges", self.order_purges().await),
                _ = sweep.tick() => ("look for what is left over", self.sweep(&mut strangers).await),
                _ = forget.tick() => ("forget old rows", self.forget_old_rows().await),
            };
            report(act, done);
        }
    }

    /// Keeps spares until the program ends; apart from the rest, since it takes its time.
    pub(crate) async fn fill_up(self: Arc<Self>) {
        let mut spares = tokio::time::interval(Duration::from_secs(SPARES_SECONDS));
        spares.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.closed() => return,
                _ = spares.tick() => {}
                () = self.spares_wanted.notified() => {}
            }
            let done = tokio::select! {
                () = self.closed() => return,
                done = self.keep_spares() => done,
            };
            report("keep spares", done);
        }
    }

    /// Orders the purge of everything whose window has ended.
    pub(crate) async fn order_purges(&self) -> Result<(), Error> {
        let now = self.now();
        let due = self
            .parts
            .store
            .purge_due(now, PURGES_AT_ONCE)
            .await
            .map_err(error::store("look for what is due to be purged"))?;
        let mut ordered = false;
        for database in due {
            ordered |= self
                .order_purge(&database, now)
                .await
                .map_err(error::store("order a purge"))?;
        }
        if ordered {
            self.parts.wake.notify_one();
        }
        Ok(())
    }

    /// Removes rows that nobody can ask for any more.
    pub(crate) async fn forget_old_rows(&self) -> Result<(), Error> {
        let now = self.now();
        let floor = self.parts.limits.recovery_floor_days;
        let write = async {
            let mut tx = self.parts.store.begin().await?;
            tx.forget_purged_databases(now.plus_days(-TOMBSTONE_DAYS))
                .await?;
            tx.forget_idempotency_records(now.plus_days(-ANSWERS_DAYS))
                .await?;
            tx.forget_finished_operations(now.plus_days(-OPERATIONS_DAYS))
                .await?;
            tx.forget_ended_tokens(now.plus_days(-ENDED_TOKENS_DAYS))
                .await?;
            let kept = |days: u32| now.plus_days(-i64::from(days.max(floor)));
            tx.forget_env_versions(kept(ENDED_VALUE_DAYS)).await?;
            // After the rows that refer to them.
            tx.forget_destroyed_projects(kept(DESTROYED_PROJECT_DAYS))
                .await?;
            tx.forget_events(now.plus_days(-EVENTS_DAYS)).await?;
            tx.commit().await
        };
        write
            .await
            .map(drop)
            .map_err(error::store("forget old rows"))
    }

    async fn order_purge(
        &self,
        database: &Database,
        now: Timestamp,
    ) -> Result<bool, berth_store::Error> {
        let mut tx = self.parts.store.begin().await?;
        // Looked at again in the transaction: it may have been restored, or be under way.
        let row = tx.database_by_id(&database.id).await?;
        let due = row.as_ref().is_some_and(|row| {
            !row.is_living()
                && row.purged_at.is_none()
                && row.recoverable_until.is_some_and(|until| until <= now)
        });
        if !due || tx.pending_operation(&database.id).await?.is_some() {
            tx.rollback().await?;
            return Ok(false);
        }
        let operation = Operation {
            id: OperationId::from_entropy(random(self.parts.entropy.as_ref())),
            kind: OperationKind::Purge,
            database_id: database.id.clone(),
            project_id: database.project_id.clone(),
            instance: database.instance.clone(),
            generation: database.generation,
            state: OperationState::Pending,
            step: BEGIN.to_owned(),
            attempt: 0,
            due_at: now,
            deadline_at: now.plus_days(PURGE_DEADLINE_DAYS),
            lease: None,
            failure: None,
            created_at: now,
            finished_at: None,
        };
        tx.insert_operation(&operation).await?;
        tx.append_event(&Event {
            sequence: 0,
            kind: "database.purge_ordered".to_owned(),
            actor: Actor::System,
            project_id: Some(database.project_id.clone()),
            database_id: Some(database.id.clone()),
            operation_id: Some(operation.id),
            message: format!("the recovery window of {} has ended", database.name),
            changes: Vec::new(),
            at: now,
        })
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes away what belongs to nobody any more, and tells of what was never ours to know.
    pub(crate) async fn sweep(&self, strangers: &mut HashSet<InstanceId>) -> Result<(), Error> {
        let found = self.parts.platform.instances();
        let found = self
            .of_platform(SWEEP_SECONDS_MAX, "list the instances", found)
            .await?;
        for instance in found {
            let row = self
                .parts
                .store
                .database_by_instance(&instance)
                .await
                .map_err(error::store("find the database of an instance"))?;
            match row {
                Some(database) if database.is_living() => {}
                Some(database) => self.take_remains_away(&database).await?,
                None => {
                    if strangers.insert(instance.clone()) {
                        // Never deleted: the rows may be those of an older copy of the store.
                        tracing::warn!(%instance, "an instance of this installation has no row; it is left as it is");
                    }
                }
            }
        }
        let unused = self.parts.platform.take_unused_away();
        self.of_platform(SWEEP_SECONDS_MAX, "take away what is unused", unused)
            .await
    }

    /// Fills up the spare directories of every version in use, while nothing else is to do.
    pub(crate) async fn keep_spares(&self) -> Result<(), Error> {
        let limits = &self.parts.limits;
        if limits.spares == 0 {
            return Ok(());
        }
        let mut versions: BTreeSet<(EngineName, String)> =
            limits.spare_versions.iter().cloned().collect();
        self.refresh().await?;
        for kind in self.roster().kinds() {
            versions.insert((kind.engine.clone(), kind.version.clone()));
        }
        for (engine, version) in versions {
            self.quiet().await;
            let prepare = self
                .parts
                .platform
                .prepare_spares(&engine, &version, limits.spares);
            let done = self
                .within(SPARES_SECONDS_MAX, "prepare spares", prepare)
                .await;
            match done {
                Err(error) if error.class() == Class::Unreachable => return Err(error),
                // One version without an image must not keep the others without spares.
                Err(error) => {
                    tracing::debug!(%engine, version, error = chain(&error), "no spares");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Returns when nothing has been worked on for a moment: whoever was just served is about
    /// to use what he got, and nobody waits for a spare.
    async fn quiet(&self) {
        let mut still = 0;
        while still < QUIET_MILLIS {
            tokio::time::sleep(Duration::from_millis(YIELD_MILLIS)).await;
            still = match self.busy.load(Ordering::Relaxed) {
                0 => still + YIELD_MILLIS,
                _ => 0,
            };
        }
    }

    /// Writes an event about a database that nobody asked for.
    pub(crate) async fn note(
        &self,
        database: &Database,
        kind: &str,
        message: &str,
    ) -> Result<(), Error> {
        let event = self.happened(database, kind, message);
        let write = async {
            let mut tx = self.parts.store.begin().await?;
            tx.append_event(&event).await?;
            tx.commit().await
        };
        write.await.map_err(error::store("write an event"))?;
        Ok(())
    }

    /// An event about a database that nobody asked for.
    pub(crate) fn happened(&self, database: &Database, kind: &str, message: &str) -> Event {
        Event {
            sequence: 0,
            kind: kind.to_owned(),
            actor: Actor::System,
            project_id: Some(database.project_id.clone()),
            database_id: Some(database.id.clone()),
            operation_id: None,
            message: format!("{}: {message}", database.name),
            changes: Vec::new(),
            at: self.now(),
        }
    }
}

fn report(act: &str, done: Result<(), Error>) {
    match done {
        Ok(()) => {}
        Err(error) if error.class() == Class::Unreachable => {
            tracing::debug!(act, error = chain(&error), "the platform is silent");
        }
        Err(error) => tracing::warn!(act, error = chain(&error), "upkeep failed"),
    }
}
