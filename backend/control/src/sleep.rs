//! Sleep: who goes to bed because nobody came, and who gets up because somebody did.
//!
//! What sleeps has a pooler that stands and holds its clients. A client that asks for something
//! waits there; that is seen within a moment, the engine is started, and the client is let
//! through. PgBouncer's own `query_wait_timeout` bounds how long anybody waits.

use crate::error::{Class, chain};
use crate::roster::Patient;
use crate::step::BEGIN;
use crate::steps::ASK_SECONDS_MAX;
use crate::{Control, Error, error};
use berth_domain::{
    Actor, Database, DatabaseId, Event, FieldChange, InstanceId, Intent, Observed, Operation,
    OperationId, OperationKind, OperationState, ProjectId, Timestamp,
};
use berth_engines::PoolerActivity;
use berth_platform::{Endpoint, Row, Session};
use berth_services::random;
use berth_store::{DatabaseRecord, Reach};
use futures_util::{StreamExt, stream};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The phase of what sleeps.
pub(crate) const ASLEEP: &str = "asleep";
/// Milliseconds between two looks at the clients of what sleeps.
const WATCH_MILLIS: u64 = 25;
/// Milliseconds more for each that sleeps, so that the looking stays cheap.
const WATCH_MILLIS_EACH: u64 = 2;
/// The longest that a client waits to be seen, in milliseconds.
const WATCH_MILLIS_MAX: u64 = 1_000;
/// Poolers that are looked at beside each other.
const LOOKS_AT_ONCE: usize = 32;
/// Seconds that a pooler has to say who waits; whoever looks after it puts it right.
const LOOK_SECONDS_MAX: u64 = 2;
/// Seconds for which one that did not is left to whoever looks after it, and holds up no round.
const SILENT_SECONDS: i64 = 10;
/// How long it is believed who sleeps: a commit whose answer got lost may have been told of before
/// it happened.
pub(crate) const REREAD_SLEEPERS: Duration = Duration::from_secs(10);
/// Milliseconds for which changes are gathered while nobody sleeps.
const CHANGES_MILLIS: u64 = 200;
/// Milliseconds between two looks when the rows cannot be read.
const UNREADABLE_MILLIS: u64 = 1_000;
/// Seconds between two looks for what nobody uses.
const IDLE_LOOK_SECONDS: u64 = 5;
/// Minutes after which an operation that was ordered here is overdue.
const DEADLINE_MINUTES: i64 = 30;
/// Projects that are read at once.
const PROJECTS_AT_ONCE: u32 = 500;

/// Since when nobody has used what may sleep; all of it can be lost.
#[derive(Default)]
pub(crate) struct Idle(Mutex<HashMap<InstanceId, (PoolerActivity, Timestamp)>>);

impl Idle {
    /// Takes note of what clients do now; answers since when they have done nothing.
    fn note(&self, instance: &InstanceId, found: PoolerActivity, now: Timestamp) -> Timestamp {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match known.get(instance) {
            Some((before, since)) if !found.is_used_since(before) => *since,
            _ => now,
        };
        known.insert(instance.clone(), (found, since));
        since
    }

    fn keep_only(&self, instances: &HashSet<InstanceId>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|instance, _| instances.contains(instance));
    }

    fn forget(&self, instance: &InstanceId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(instance);
    }
}

/// Poolers that did not say who waits, until when they are not asked again; all of it can be lost.
#[derive(Default)]
pub(crate) struct Silent(Mutex<HashMap<InstanceId, Timestamp>>);

impl Silent {
    fn note(&self, instance: &InstanceId, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, until| *until > now);
        known.insert(instance.clone(), now.plus_seconds(SILENT_SECONDS));
    }

    pub(crate) fn is_left_alone(&self, instance: &InstanceId, now: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(instance).is_some_and(|until| *until > now)
    }
}

/// What is ordered of a database that nobody asked for by name.
struct Turn {
    from: Intent,
    to: Intent,
    operation: OperationKind,
    event: &'static str,
    why: &'static str,
}

const TO_SLEEP: Turn = Turn {
    from: Intent::Run,
    to: Intent::Sleep,
    operation: OperationKind::Sleep,
    event: "database.sleep_ordered",
    why: "nobody has used it for as long as it was told to wait",
};

const AWAKE: Turn = Turn {
    from: Intent::Sleep,
    to: Intent::Run,
    operation: OperationKind::Wake,
    event: "database.wake_ordered",
    why: "a client waits for it",
};

impl Control {
    /// Wakes what somebody waits for, until the program ends.
    pub(crate) async fn watch_sleepers(self: Arc<Self>) {
        let mut versions = self.versions.clone();
        let mut known: Option<(Instant, Vec<Database>)> = None;
        loop {
            // Also by a commit in doubt, which leaves the version as it was.
            let is_news = versions.borrow_and_update().has_changed();
            let holds =
                |(read, _): &(Instant, _)| !is_news && read.elapsed() < self.reread_sleepers;
            if !known.as_ref().is_some_and(holds) {
                let now = Instant::now();
                known = match self.sleepers().await {
                    Ok(sleepers) => Some((now, sleepers)),
                    Err(error) => {
                        tracing::warn!(error = chain(&error), "cannot look for what sleeps");
                        None
                    }
                };
            }
            let pause = match &known {
                None => Duration::from_millis(UNREADABLE_MILLIS),
                Some((_, sleepers)) if sleepers.is_empty() => self.reread_sleepers,
                Some((_, sleepers)) => {
                    self.watch_all(sleepers).await;
                    Duration::from_millis(pause_millis(sleepers.len()))
                }
            };
            // What is waited for here is news above.
            let mut next = versions.clone();
            let nobody_sleeps = known.as_ref().is_some_and(|(_, found)| found.is_empty());
            tokio::select! {
                () = self.closed() => return,
                () = tokio::time::sleep(pause) => {}
                // The sender lives as long as the store, so the wait ends with a write.
                _ = next.changed(), if nobody_sleeps => {
                    // Most changes send nobody to sleep; one look serves those of a moment.
                    tokio::time::sleep(Duration::from_millis(CHANGES_MILLIS)).await;
                }
            }
        }
    }

    /// What sleeps soundly and has a pooler that clients may come to. What is edited meanwhile
    /// sleeps on: whether the edit is carried out already is nothing to its clients.
    pub(crate) async fn sleepers(&self) -> Result<Vec<Database>, Error> {
        let sleeping = self.parts.store.sleeping_databases().await;
        let sleeping = sleeping.map_err(error::store("list what sleeps"))?;
        let soundly = |record: &DatabaseRecord| {
            record.database.pooler.is_some()
                && record
                    .observation
                    .as_ref()
                    .is_some_and(|seen| seen.observed == Observed::Stopped && seen.phase == ASLEEP)
        };
        let found = sleeping.into_iter().filter(soundly);
        Ok(found.map(|record| record.database).collect())
    }

    /// Wakes those that somebody waits for. They are looked at beside each other, and one that is
    /// silent is left out for a while: it keeps no client of another one waiting.
    pub(crate) async fn watch_all(&self, sleepers: &[Database]) {
        stream::iter(sleepers)
            .for_each_concurrent(LOOKS_AT_ONCE, |sleeper| self.watch(sleeper))
            .await;
    }

    /// Wakes one that somebody waits for.
    pub(crate) async fn watch(&self, sleeper: &Database) {
        if self.silent.is_left_alone(&sleeper.instance, self.now()) {
            return;
        }
        // Whoever works on it wakes it, or sends it to sleep again.
        let Some(_turn) = self.locks.try_now(&sleeper.instance) else {
            return;
        };
        let look = self.is_waited_for(sleeper);
        let looked = tokio::time::timeout(Duration::from_secs(LOOK_SECONDS_MAX), look).await;
        let waited_for = looked.unwrap_or_else(|_| {
            // Whatever the session was in the middle of is not asked again through it.
            self.charts
                .forget_session(&sleeper.instance, Endpoint::Pooler);
            self.silent.note(&sleeper.instance, self.now());
            Err(Error::TookTooLong {
                act: "look who waits",
                seconds: LOOK_SECONDS_MAX,
            })
        });
        match waited_for {
            Ok(false) => {}
            Ok(true) => {
                if let Err(error) = self.turn(&sleeper.id, &AWAKE).await {
                    tracing::warn!(database.id = %sleeper.id, error = chain(&error), "could not order to wake a database");
                }
            }
            // Looking after it puts right what does not answer.
            Err(error) => {
                tracing::debug!(database.id = %sleeper.id, error = chain(&error), "could not look who waits");
            }
        }
    }

    /// Whether clients wait for what sleeps. A pooler that has restarted holds nobody; it is
    /// told to before it is asked.
    pub(crate) async fn is_waited_for(&self, sleeper: &Database) -> Result<bool, Error> {
        let engine = self.engine(sleeper)?;
        let instance = &sleeper.instance;
        let session = match self.charts.session(instance, Endpoint::Pooler) {
            Some(kept) => kept,
            None => {
                let fresh = self.session(instance, Endpoint::Pooler).await?;
                self.hold(sleeper, fresh.as_ref()).await?;
                fresh
            }
        };
        let questions = engine.ask_pooler_activity();
        let rows = self
            .ask_pooler(
                instance,
                session.as_ref(),
                questions.get(..1).unwrap_or_default(),
            )
            .await?;
        Ok(engine.pooler_activity(&rows).waiting > 0)
    }

    async fn ask_pooler(
        &self,
        instance: &InstanceId,
        session: &dyn Session,
        questions: &[berth_domain::Statement],
    ) -> Result<Vec<Vec<Row>>, Error> {
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            let answer = session.ask(question);
            match self.within(ASK_SECONDS_MAX, "ask the pooler", answer).await {
                Ok(rows) => answers.push(rows),
                Err(error) => {
                    self.charts.forget_session(instance, Endpoint::Pooler);
                    return Err(error);
                }
            }
        }
        Ok(answers)
    }

    /// Sends what nobody uses to sleep, until the program ends.
    pub(crate) async fn send_to_sleep(self: Arc<Self>) {
        let mut look = tokio::time::interval(Duration::from_secs(IDLE_LOOK_SECONDS));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.closed() => return,
                _ = look.tick() => {}
            }
            if let Err(error) = self.look_for_idle().await
                && error.class() != Class::Unreachable
            {
                tracing::warn!(error = chain(&error), "could not look for what nobody uses");
            }
        }
    }

    /// Looks once at everything that may sleep.
    pub(crate) async fn look_for_idle(&self) -> Result<(), Error> {
        self.refresh().await?;
        let projects = self.project_patience().await?;
        let candidates = self.roster().sleepy(|patient| {
            let own = patient.sleep_after_minutes;
            let minutes = own.or_else(|| projects.get(patient.project.as_ref()).copied());
            // 0 is never, whatever the project says.
            minutes.filter(|minutes| *minutes > 0)
        });
        let kept = candidates.iter().map(|(_, row, _)| row.instance.clone());
        self.idle.keep_only(&kept.collect());
        for (id, patient, minutes) in candidates {
            if let Err(error) = self.sleep_if_idle(&id, &patient, minutes).await {
                tracing::debug!(database.id = %id, error = chain(&error), "could not look who uses it");
            }
        }
        Ok(())
    }

    /// How many minutes each project that says so waits.
    async fn project_patience(&self) -> Result<Arc<HashMap<ProjectId, u32>>, Error> {
        let version = *self.versions.borrow();
        if let Some(known) = self.patience.at(version) {
            return Ok(known);
        }
        let mut found = HashMap::new();
        let mut after: Option<ProjectId> = None;
        loop {
            let page = self
                .parts
                .store
                .projects_page(&Reach::ALL, after.as_ref(), PROJECTS_AT_ONCE)
                .await
                .map_err(error::store("list the projects"))?;
            after = page.rows.last().map(|row| row.id.clone());
            let patient = page.rows.into_iter();
            found.extend(patient.filter_map(|row| Some((row.id, row.sleep_after_minutes?))));
            if !page.more {
                break;
            }
        }
        let found = Arc::new(found);
        self.patience.keep(version, Arc::clone(&found));
        Ok(found)
    }

    async fn sleep_if_idle(
        &self,
        id: &DatabaseId,
        patient: &Patient,
        minutes: u32,
    ) -> Result<(), Error> {
        let engine = self.engine_named(&patient.kind.engine)?;
        let instance = &patient.instance;
        let session = self.session(instance, Endpoint::Pooler).await?;
        let questions = engine.ask_pooler_activity();
        let answers = self
            .ask_pooler(instance, session.as_ref(), &questions)
            .await?;
        let now = self.now();
        let since = self
            .idle
            .note(instance, engine.pooler_activity(&answers), now);
        if since.plus_seconds(i64::from(minutes) * 60) > now {
            return Ok(());
        }
        let session = self.session(instance, Endpoint::Engine).await?;
        let question = engine.ask_sleep_blockers();
        let answer = session.ask(&question);
        let answer = self
            .within(ASK_SECONDS_MAX, "ask what must go on", answer)
            .await;
        let blockers =
            answer.inspect_err(|_| self.charts.forget_session(instance, Endpoint::Engine))?;
        if first_number(&blockers) != Some(0) {
            return Ok(());
        }
        self.turn(id, &TO_SLEEP).await?;
        self.idle.forget(instance);
        Ok(())
    }

    /// Writes another intent and orders the work, unless the row says something else by now or
    /// somebody works on it.
    async fn turn(&self, id: &DatabaseId, turn: &Turn) -> Result<(), Error> {
        let write = async {
            let now = self.now();
            let mut tx = self.parts.store.begin().await?;
            let row = tx.database_by_id(id).await?;
            let Some(mut row) = row.filter(|row| row.intent == turn.from) else {
                return tx.rollback().await.map(|()| false);
            };
            if tx.pending_operation(id).await?.is_some() {
                return tx.rollback().await.map(|()| false);
            }
            row.intent = turn.to;
            row.generation += 1;
            row.updated_at = now;
            tx.update_database(&row).await?;
            let operation = self.ordered(&row, turn.operation, now);
            tx.insert_operation(&operation).await?;
            tx.append_event(&told(&row, turn, operation.id, now))
                .await?;
            tx.commit().await.map(|_| true)
        };
        if write.await.map_err(error::store(turn.event))? {
            self.parts.wake.notify_one();
        }
        Ok(())
    }

    fn ordered(&self, row: &Database, kind: OperationKind, now: Timestamp) -> Operation {
        Operation {
            id: OperationId::from_entropy(random(self.parts.entropy.as_ref())),
            kind,
            database_id: row.id.clone(),
            project_id: row.project_id.clone(),
            instance: row.instance.clone(),
            generation: row.generation,
            state: OperationState::Pending,
            step: BEGIN.to_owned(),
            attempt: 0,
            due_at: now,
            deadline_at: now.plus_seconds(DEADLINE_MINUTES * 60),
            lease: None,
            failure: None,
            created_at: now,
            finished_at: None,
        }
    }
}

/// Milliseconds between two looks at so many sleepers.
fn pause_millis(sleepers: usize) -> u64 {
    let each = u64::try_from(sleepers)
        .unwrap_or(u64::MAX)
        .saturating_mul(WATCH_MILLIS_EACH);
    WATCH_MILLIS.saturating_add(each).min(WATCH_MILLIS_MAX)
}

fn first_number(rows: &[Row]) -> Option<u64> {
    rows.first()?.first()?.as_deref()?.parse().ok()
}

/// What the API says of a database that is wanted like that, as JSON.
fn stop_reason(intent: Intent) -> Option<String> {
    match intent {
        Intent::Sleep => Some("\"sleep\"".to_owned()),
        Intent::Run | Intent::Stop | Intent::Destroy => None,
    }
}

fn told(row: &Database, turn: &Turn, operation: OperationId, at: Timestamp) -> Event {
    Event {
        sequence: 0,
        kind: turn.event.to_owned(),
        actor: Actor::System,
        project_id: Some(row.project_id.clone()),
        database_id: Some(row.id.clone()),
        operation_id: Some(operation),
        message: format!("{}: {}", row.name, turn.why),
        changes: vec![FieldChange {
            field: "stop_reason".to_owned(),
            from: stop_reason(turn.from),
            to: stop_reason(turn.to),
            sensitive: false,
        }],
        at,
    }
}
