//! Looking after what runs: adopted at start, probed over kept connections, repaired when it
//! is not as its row says.

use crate::charts::Moment;
use crate::error::Class;
use crate::figures::{judge, worth_telling};
use crate::findings::{differs, fold, settle_port, silence};
use crate::repair::RECOVERING;
use crate::roster::{Patient, Told};
use crate::storage::Pressure;
use crate::subject::Subject;
use crate::{Control, Error, error};
use berth_domain::{
    Database, DatabaseId, EngineName, InstanceId, Intent, Observation, Observed, Statement,
};
use berth_platform::Endpoint;

/// Seconds that a running engine or pooler is given to answer a probe.
const PROBE_SECONDS_MAX: u64 = 3;
/// Seconds before what goes down again and again is started once more.
const LOOP_PAUSE_SECONDS: i64 = 10;

/// What a probe came to.
enum Found {
    /// Nobody could be asked.
    Silence,
    /// What is there.
    State(Observed),
}

/// The processes that a database has.
#[derive(Clone, Copy)]
struct Processes<'a> {
    instance: &'a InstanceId,
    engine: &'a EngineName,
    has_pooler: bool,
}

impl<'a> Processes<'a> {
    fn of(database: &'a Database) -> Self {
        Self {
            instance: &database.instance,
            engine: &database.engine,
            has_pooler: database.pooler.is_some(),
        }
    }

    fn of_patient(patient: &'a Patient) -> Self {
        Self {
            instance: &patient.instance,
            engine: &patient.kind.engine,
            has_pooler: patient.has_pooler,
        }
    }
}

impl Control {
    /// What is well costs its probes and nothing of the store; everything else is looked at
    /// through rows that are read anew.
    pub(crate) async fn care(&self, id: &DatabaseId, patient: &Patient) -> Result<(), Error> {
        // One that was destroyed since its row was read has no chart, and gets none from here.
        let trusted = self
            .charts
            .with_known(&patient.instance, |chart| chart.adopted)
            .unwrap_or(false);
        let processes = Processes::of_patient(patient);
        let mut found = None;
        match (patient.intent, patient.told) {
            (Intent::Destroy, _) => {
                self.charts.forget(&patient.instance);
                return Ok(());
            }
            _ if !trusted => {}
            (Intent::Stop, Told::Stopped) => return Ok(()),
            (Intent::Sleep, Told::Stopped) if self.pooler_stands(processes).await? => {
                return Ok(());
            }
            (Intent::Run, Told::Ready) => {
                let answer = self.probe(processes).await?;
                let is_well = matches!(answer, Found::State(Observed::Ready));
                if is_well && self.measures_the_same(id, patient).await {
                    return Ok(());
                }
                found = Some(answer);
            }
            _ => {}
        }
        let pending = self.parts.store.pending_operation(id).await;
        if pending
            .map_err(error::store("look for an operation"))?
            .is_some()
        {
            return Ok(());
        }
        let Some(subject) = self.subject(id).await? else {
            return Ok(());
        };
        match subject.database.intent {
            Intent::Destroy => {
                self.charts.forget(&subject.database.instance);
                Ok(())
            }
            Intent::Stop | Intent::Sleep => self.repair(&subject).await,
            Intent::Run => {
                let found = match found {
                    Some(found) => found,
                    None => self.probe(Processes::of(&subject.database)).await?,
                };
                self.act_on(&subject, found, trusted).await
            }
        }
    }

    async fn act_on(&self, subject: &Subject, found: Found, trusted: bool) -> Result<(), Error> {
        let settled = trusted
            && subject.observation.generation == subject.database.generation
            && subject.next.is_none();
        match found {
            Found::Silence | Found::State(Observed::Unknown { .. }) => {
                self.tell_silence(&subject.database.id).await
            }
            Found::State(Observed::Ready) if settled => self.well(subject).await,
            Found::State(Observed::Ready) => self.repair(subject).await,
            Found::State(found) => {
                self.unwell(subject, found).await?;
                self.repair(subject).await
            }
        }
    }

    /// Asks engine and pooler for an answer; when they give none, the platform for the reason.
    async fn probe(&self, processes: Processes<'_>) -> Result<Found, Error> {
        let engine = self.engine_named(processes.engine)?;
        let instance = processes.instance;
        let asked = async {
            self.answers(instance, Endpoint::Engine, &engine.probe())
                .await?;
            if processes.has_pooler {
                self.answers(instance, Endpoint::Pooler, &engine.probe_pooler())
                    .await?;
            }
            Ok::<_, Error>(())
        };
        let error = match asked.await {
            Ok(()) => {
                let now = self.now();
                self.charts
                    .with(instance, |chart| chart.answered_at = Moment::at(now));
                return Ok(Found::State(Observed::Ready));
            }
            Err(error) => error,
        };
        if error.class() == Class::Unreachable {
            return Ok(Found::Silence);
        }
        match self.look(instance).await {
            // It runs, only the answer is missing.
            Ok(Observed::Ready) => Ok(Found::State(Observed::Starting)),
            Ok(found) => Ok(Found::State(found)),
            Err(error) if error.class() == Class::Unreachable => Ok(Found::Silence),
            Err(error) => Err(error),
        }
    }

    /// Whether the pooler of what sleeps answers; true where there is none.
    async fn pooler_stands(&self, processes: Processes<'_>) -> Result<bool, Error> {
        if !processes.has_pooler {
            return Ok(true);
        }
        let question = self.engine_named(processes.engine)?.probe_pooler();
        let answer = self.answers(processes.instance, Endpoint::Pooler, &question);
        match answer.await {
            Ok(()) => Ok(true),
            Err(error) if error.class() == Class::Unreachable => Err(error),
            Err(_) => Ok(false),
        }
    }

    async fn answers(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
        question: &Statement,
    ) -> Result<(), Error> {
        if let Some(kept) = self.charts.session(instance, endpoint) {
            let answer = kept.ask(question);
            let answer = self.within(PROBE_SECONDS_MAX, "probe it", answer).await;
            if answer.is_ok() {
                return Ok(());
            }
            self.charts.forget_session(instance, endpoint);
        }
        let session = self.session(instance, endpoint).await?;
        let answer = session.ask(question);
        let answer = self.within(PROBE_SECONDS_MAX, "probe it", answer).await;
        if answer.is_err() {
            self.charts.forget_session(instance, endpoint);
        }
        answer.map(drop)
    }

    /// It answers and is as its row says.
    async fn well(&self, subject: &Subject) -> Result<(), Error> {
        let now = self.now();
        let instance = &subject.database.instance;
        let (observed, phase) = self.charts.told_up(instance, now);
        let mut told = fold(&subject.observation, observed, now);
        phase.clone_into(&mut told.phase);
        self.charts.sound(instance);
        if !self.is_measuring_due(instance) {
            return self.tell(subject, told, false).await;
        }
        self.charts
            .with(instance, |chart| chart.measured_at = Moment::at(now));
        let mut told = self.measure(&subject.database, told).await;
        self.look_for_newer_image(instance, &mut told).await;
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

    /// It does not answer.
    async fn unwell(&self, subject: &Subject, found: Observed) -> Result<(), Error> {
        let now = self.now();
        let instance = &subject.database.instance;
        let was_ready = subject.observation.observed == Observed::Ready;
        let verdict = self.charts.with(instance, |chart| {
            let falls = was_ready || chart.up;
            chart.up = false;
            let trouble = chart.trouble();
            if falls {
                trouble.falls.note(now);
            }
            let verdict = trouble.falls.verdict(now);
            if verdict.is_some() && trouble.repair_due.is_none() {
                trouble.repair_due = Some(now.plus_seconds(LOOP_PAUSE_SECONDS));
            }
            verdict
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
        RECOVERING.clone_into(&mut told.phase);
        if was_ready {
            self.note(
                &subject.database,
                "database.down",
                "it does not answer any more",
            )
            .await?;
        }
        self.tell(subject, told, false).await
    }

    /// Tells that nobody could be asked; what was told last stands.
    pub(crate) async fn tell_silence(&self, id: &DatabaseId) -> Result<(), Error> {
        let Some(subject) = self.subject(id).await? else {
            return Ok(());
        };
        let silent = silence(&subject.observation, subject.status());
        let mut told = fold(&subject.observation, silent, self.now());
        let answered = self
            .charts
            .with_known(&subject.database.instance, |chart| chart.answered_at.get())
            .flatten();
        told.observed_at = answered.map_or(told.observed_at, |at| at.max(told.observed_at));
        self.tell(&subject, told, false).await
    }

    /// Writes an observation when it tells something new; `figures` when its figures are new,
    /// too.
    pub(crate) async fn tell(
        &self,
        subject: &Subject,
        mut told: Observation,
        figures: bool,
    ) -> Result<(), Error> {
        settle_port(&mut told, &subject.database);
        let before = &subject.observation;
        let news = differs(before, &told) || (figures && worth_telling(before, &told));
        if !news {
            return Ok(());
        }
        let write = async {
            let mut tx = self.parts.store.begin().await?;
            tx.put_observation(&subject.database.id, &told).await?;
            tx.commit().await
        };
        write.await.map_err(error::store("write what was found"))?;
        Ok(())
    }
}
