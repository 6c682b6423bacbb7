//! Looking after what runs: adopted at start, probed over kept connections, repaired when it
//! is not as its row says.

use crate::backoff::{LONGEST_WAIT_MILLIS, wait_millis};
use crate::crash_loop::Falls;
use crate::error::{Class, chain};
use crate::findings::{differs, fold, silence};
use crate::step::Step;
use crate::steps::ASK_SECONDS_MAX;
use crate::storage::{DISK_PRESSURE, Pressure};
use crate::subject::Subject;
use crate::{Control, Error, error, findings};
use berth_domain::{
    Database, DatabaseId, InstanceId, Intent, Observation, Observed, OperationKind, Statement,
    Timestamp,
};
use berth_platform::{Endpoint, Session, WatchEvent};
use berth_store::{DatabaseFilter, DatabaseRecord};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Seconds that a running engine or pooler is given to answer a probe.
const PROBE_SECONDS_MAX: u64 = 3;
/// Rows that are read at once when everything is looked at.
const ROWS_AT_ONCE: u32 = 500;
/// Visits that may be under way or waiting before the next round is left out.
const VISITS_MAX: usize = 2_000;
/// Repairs in a row that fail before the database is said to be in error.
const REPAIRS_BEFORE_ERROR: u32 = 3;

/// What this process remembers of each instance it looks after; all of it can be lost.
#[derive(Default)]
pub(crate) struct Charts(Mutex<HashMap<InstanceId, Chart>>);

/// What is remembered of one instance.
#[derive(Default)]
struct Chart {
    /// Whether it was ensured since this process started, or since events were missed.
    adopted: bool,
    falls: Falls,
    /// Repairs that failed in a row, and when the next may be tried.
    repairs: u32,
    repair_due: Option<Timestamp>,
    measured_at: Option<Timestamp>,
}

impl Charts {
    fn with<T>(&self, instance: &InstanceId, change: impl FnOnce(&mut Chart) -> T) -> T {
        let mut charts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(charts.entry(instance.clone()).or_default())
    }

    /// Everything is to be compared with its row again.
    fn distrust_all(&self) {
        let mut charts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        charts.values_mut().for_each(|chart| chart.adopted = false);
    }

    /// It is as its row says: somebody has just made it so.
    pub(crate) fn sound(&self, instance: &InstanceId) {
        self.with(instance, |chart| {
            chart.adopted = true;
            chart.repairs = 0;
            chart.repair_due = None;
        });
    }

    /// An operation has just made it as its row says; its size is to be judged anew.
    pub(crate) fn changed(&self, instance: &InstanceId) {
        self.sound(instance);
        self.with(instance, |chart| chart.measured_at = None);
    }

    /// It may differ from its row: the next visit ensures it again.
    pub(crate) fn distrust(&self, instance: &InstanceId) {
        self.with(instance, |chart| chart.adopted = false);
    }

    /// It is not looked after any more.
    pub(crate) fn forget(&self, instance: &InstanceId) {
        let mut charts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        charts.remove(instance);
    }
}

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
                    for record in records {
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

    /// Every living database.
    pub(crate) async fn living(&self) -> Result<Vec<DatabaseRecord>, Error> {
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

    async fn changed(&self, instance: &InstanceId) -> Result<Vec<DatabaseRecord>, Error> {
        let store = &self.parts.store;
        let found = store
            .database_by_instance(instance)
            .await
            .map_err(error::store("find the database of an instance"))?;
        let Some(database) = found.filter(Database::is_living) else {
            return Ok(Vec::new());
        };
        let record = store
            .database_record(&database.id)
            .await
            .map_err(error::store("read the database"))?;
        Ok(record.into_iter().collect())
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

    /// What is well costs its probes and nothing of the store; everything else is looked at
    /// through rows that are read anew.
    async fn care(&self, record: &DatabaseRecord) -> Result<(), Error> {
        let database = &record.database;
        let trusted = self.charts.with(&database.instance, |chart| chart.adopted);
        let before = record
            .observation
            .as_ref()
            .filter(|seen| trusted && seen.generation == database.generation);
        let mut found = None;
        match (database.intent, before) {
            (Intent::Destroy, _) => return Ok(()),
            (Intent::Stop, Some(seen)) if seen.observed == Observed::Stopped => return Ok(()),
            (Intent::Run, Some(seen)) if seen.observed == Observed::Ready => {
                let answer = self.probe(database, seen).await?;
                if answer == Observed::Ready && !self.is_measuring_due(&database.instance) {
                    return Ok(());
                }
                found = Some(answer);
            }
            _ => {}
        }
        let pending = self.parts.store.pending_operation(&database.id).await;
        if pending
            .map_err(error::store("look for an operation"))?
            .is_some()
        {
            return Ok(());
        }
        let Some(subject) = self.subject(&database.id).await? else {
            return Ok(());
        };
        match subject.database.intent {
            Intent::Destroy => Ok(()),
            Intent::Stop => self.repair(&subject).await,
            Intent::Run => {
                let found = match found {
                    Some(found) => found,
                    None => self.probe(&subject.database, &subject.observation).await?,
                };
                self.act_on(&subject, found, trusted).await
            }
        }
    }

    async fn act_on(&self, subject: &Subject, found: Observed, trusted: bool) -> Result<(), Error> {
        let settled = trusted
            && subject.observation.generation == subject.database.generation
            && subject.next.is_none();
        match found {
            Observed::Ready if settled => self.well(subject).await,
            Observed::Ready => self.repair(subject).await,
            Observed::Unknown { .. } => self.tell_silence(&subject.database.id).await,
            Observed::Absent | Observed::Starting | Observed::Stopped | Observed::Failed { .. } => {
                self.unwell(subject, found).await?;
                self.repair(subject).await
            }
        }
    }

    /// Asks engine and pooler for an answer; when they give none, the platform for the reason.
    async fn probe(&self, database: &Database, before: &Observation) -> Result<Observed, Error> {
        let engine = self.engine(database)?;
        let instance = &database.instance;
        let asked = async {
            self.answers(instance, Endpoint::Engine, &engine.probe())
                .await?;
            match database.pooler {
                Some(_) => {
                    self.answers(instance, Endpoint::Pooler, &engine.probe_pooler())
                        .await
                }
                None => Ok(()),
            }
        };
        let error = match asked.await {
            Ok(()) => return Ok(Observed::Ready),
            Err(error) => error,
        };
        let silent = || silence(before, before.status(database.intent));
        if error.class() == Class::Unreachable {
            return Ok(silent());
        }
        match self.look(instance).await {
            // It runs, only the answer is missing.
            Ok(Observed::Ready) => Ok(Observed::Starting),
            Ok(Observed::Unknown { .. }) => Ok(silent()),
            Ok(found) => Ok(found),
            Err(error) if error.class() == Class::Unreachable => Ok(silent()),
            Err(error) => Err(error),
        }
    }

    async fn answers(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
        question: &Statement,
    ) -> Result<(), Error> {
        if let Some(kept) = self.sessions.get(instance, endpoint) {
            let answer = kept.ask(question);
            let answer = self.within(PROBE_SECONDS_MAX, "probe it", answer).await;
            if answer.is_ok() {
                return Ok(());
            }
            self.sessions.forget(instance, endpoint);
        }
        let session = self.session(instance, endpoint).await?;
        let answer = session.ask(question);
        let answer = self.within(PROBE_SECONDS_MAX, "probe it", answer).await;
        if answer.is_err() {
            self.sessions.forget(instance, endpoint);
        }
        answer.map(drop)
    }

    /// It answers and is as its row says.
    async fn well(&self, subject: &Subject) -> Result<(), Error> {
        let now = self.now();
        let mut told = fold(&subject.observation, Observed::Ready, now);
        "ready".clone_into(&mut told.phase);
        let instance = &subject.database.instance;
        self.charts.sound(instance);
        if !self.is_measuring_due(instance) {
            return self.tell(subject, told, false).await;
        }
        self.charts
            .with(instance, |chart| chart.measured_at = Some(now));
        let mut told = self.measure(subject, told).await;
        let before = Pressure::of(&subject.observation.conditions);
        let after = judge(&subject.database, &mut told, before, now);
        self.tell(subject, told.clone(), true).await?;
        if (before == Pressure::Full) == (after == Pressure::Full) {
            return Ok(());
        }
        let (event, sentence) = if after == Pressure::Full {
            (
                "database.read_only",
                "its storage is full, it takes no writes",
            )
        } else {
            ("database.writable", "enough is free again, it takes writes")
        };
        self.note(&subject.database, event, sentence).await?;
        let fresh = Subject {
            observation: told,
            ..subject.clone()
        };
        self.repair(&fresh).await
    }

    fn is_measuring_due(&self, instance: &InstanceId) -> bool {
        let every = i64::try_from(self.parts.limits.storage_seconds).unwrap_or(i64::MAX);
        let measured = self.charts.with(instance, |chart| chart.measured_at);
        measured.is_none_or(|at| at.plus_seconds(every) <= self.now())
    }

    /// It does not answer.
    async fn unwell(&self, subject: &Subject, found: Observed) -> Result<(), Error> {
        let now = self.now();
        let instance = &subject.database.instance;
        let fell = subject.observation.observed == Observed::Ready;
        let verdict = self.charts.with(instance, |chart| {
            if fell {
                chart.falls.note(now);
            }
            chart.falls.verdict(now)
        });
        let observed = match verdict {
            Some(reason) => Observed::Failed { reason },
            // What failed stays in error until it answers; starting it again is no recovery.
            None if matches!(subject.observation.observed, Observed::Failed { .. }) => {
                subject.observation.observed.clone()
            }
            // Nobody wants it stopped, and it is being started again in a moment.
            None if found == Observed::Stopped => Observed::Starting,
            None => found,
        };
        let mut told = fold(&subject.observation, observed, now);
        "recovering".clone_into(&mut told.phase);
        if fell {
            self.note(
                &subject.database,
                "database.down",
                "it does not answer any more",
            )
            .await?;
        }
        self.tell(subject, told, false).await
    }

    /// Makes an instance as its row says, without an operation that somebody waits for.
    ///
    /// # If interrupted
    /// The next round begins again: every step may be repeated.
    pub(crate) async fn repair(&self, subject: &Subject) -> Result<(), Error> {
        let now = self.now();
        let instance = &subject.database.instance;
        let waits = self.charts.with(instance, |chart| {
            chart.repair_due.is_some_and(|due| due > now)
        });
        if waits {
            return Ok(());
        }
        match self.make_right(&subject.database.id).await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.repair_failed(&subject.database.id, instance, error)
                    .await
            }
        }
    }

    async fn make_right(&self, id: &DatabaseId) -> Result<(), Error> {
        let Some(subject) = self.subject(id).await? else {
            return Ok(());
        };
        let intent = subject.database.intent;
        for step in Step::path(OperationKind::Change, intent) {
            if *step != Step::Settle {
                let subject = self.subject(id).await?.ok_or(Error::NotOurs)?;
                self.attend(*step, OperationKind::Change, &subject, || Ok(()))
                    .await?;
            }
        }
        let subject = self.subject(id).await?.ok_or(Error::NotOurs)?;
        let now = self.now();
        let (observed, phase) = match intent {
            Intent::Run => (Observed::Ready, "ready"),
            Intent::Stop | Intent::Destroy => (Observed::Stopped, "stopped"),
        };
        let mut told = fold(&subject.observation, observed, now);
        phase.clone_into(&mut told.phase);
        told.generation = subject.database.generation;
        if intent == Intent::Run && told.version_actual.is_none() {
            told = self.measure(&subject, told).await;
        }
        if let Some(next) = subject.next.as_ref().filter(|_| intent == Intent::Run) {
            let write = async {
                let mut tx = self.parts.store.begin().await?;
                tx.promote_credentials(id, next.version).await?;
                tx.commit().await
            };
            write
                .await
                .map_err(error::store("promote the credentials"))?;
        }
        self.charts.sound(&subject.database.instance);
        self.tell(&subject, told, false).await
    }

    async fn repair_failed(
        &self,
        id: &DatabaseId,
        instance: &InstanceId,
        error: Error,
    ) -> Result<(), Error> {
        let class = error.class();
        match class {
            Class::Leave => return Err(error),
            Class::Unreachable => return self.tell_silence(id).await,
            Class::Transient | Class::Permanent(_) => {}
        }
        tracing::warn!(database.id = %id, error = chain(&error), "a repair failed");
        let (now, jitter) = (self.now(), self.jitter());
        let failures = self.charts.with(instance, |chart| {
            chart.repairs += 1;
            let wait = wait_millis(chart.repairs, LONGEST_WAIT_MILLIS, jitter);
            chart.repair_due = Some(now.plus_millis(wait));
            chart.repairs
        });
        if class == Class::Transient && failures < REPAIRS_BEFORE_ERROR {
            return Ok(());
        }
        let Some(subject) = self.subject(id).await? else {
            return Ok(());
        };
        let reason = error.sentence();
        let mut told = fold(&subject.observation, Observed::Failed { reason }, now);
        "recovering".clone_into(&mut told.phase);
        self.tell(&subject, told, false).await
    }

    /// Tells that nobody could be asked; what was told last stands.
    pub(crate) async fn tell_silence(&self, id: &DatabaseId) -> Result<(), Error> {
        let Some(subject) = self.subject(id).await? else {
            return Ok(());
        };
        let silent = silence(&subject.observation, subject.status());
        let told = fold(&subject.observation, silent, self.now());
        self.tell(&subject, told, false).await
    }

    /// Writes an observation when it tells something new; `figures` when its figures are new,
    /// too.
    async fn tell(&self, subject: &Subject, told: Observation, figures: bool) -> Result<(), Error> {
        let before = &subject.observation;
        let moved = figures
            && (before.storage_used_bytes != told.storage_used_bytes
                || before.connections != told.connections);
        if !differs(before, &told) && !moved {
            return Ok(());
        }
        let write = async {
            let mut tx = self.parts.store.begin().await?;
            tx.put_observation(&subject.database.id, &told).await?;
            tx.commit().await
        };
        write.await.map_err(error::store("write what was found"))?;
        self.parts.told.tell();
        Ok(())
    }

    /// Puts version, size and connections into an observation, as far as they can be had.
    pub(crate) async fn measure(&self, subject: &Subject, mut told: Observation) -> Observation {
        match self.figures(subject).await {
            Ok((version, bytes, connections)) => {
                told.version_actual = version.or(told.version_actual);
                told.connections = connections.or(told.connections);
                told.storage_used_bytes = bytes.or(told.storage_used_bytes);
            }
            Err(error) => {
                tracing::debug!(database.id = %subject.database.id, error = chain(&error), "could not measure");
            }
        }
        told
    }

    async fn figures(
        &self,
        subject: &Subject,
    ) -> Result<(Option<String>, Option<u64>, Option<u32>), Error> {
        let engine = self.engine(&subject.database)?;
        let session = self
            .session(&subject.database.instance, Endpoint::Engine)
            .await?;
        let version = self.ask(session.as_ref(), &engine.ask_version()).await?;
        let bytes = self.ask(session.as_ref(), &engine.ask_size()).await?;
        let connections = self
            .ask(session.as_ref(), &engine.ask_connections())
            .await?;
        Ok((
            version,
            bytes.and_then(|text| text.parse().ok()),
            connections.and_then(|text| text.parse().ok()),
        ))
    }

    /// The one value that a question is answered with.
    async fn ask(
        &self,
        session: &dyn Session,
        question: &Statement,
    ) -> Result<Option<String>, Error> {
        let rows = session.ask(question);
        let rows = self.within(ASK_SECONDS_MAX, "measure it", rows).await?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next()?))
    }
}

/// Puts what the measured size means into the conditions.
fn judge(
    database: &Database,
    told: &mut Observation,
    before: Pressure,
    now: Timestamp,
) -> Pressure {
    let Some(bytes) = told.storage_used_bytes else {
        return before;
    };
    let pressure = Pressure::judge(bytes, database.storage_gb, before);
    match pressure.condition(bytes, database.storage_gb, now) {
        Some(condition) => findings::put(&mut told.conditions, condition),
        None => findings::clear(&mut told.conditions, DISK_PRESSURE),
    }
    pressure
}
