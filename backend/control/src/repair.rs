//! Putting right what is not as its row says, without an operation that somebody waits for.

use crate::backoff::{LONGEST_WAIT_MILLIS, wait_millis};
use crate::error::{Class, chain};
use crate::findings::fold;
use crate::sleep::ASLEEP;
use crate::step::{PATIENCE_SECONDS, Step};
use crate::subject::Subject;
use crate::{Control, Error, error};
use berth_domain::{
    Database, DatabaseId, Event, FieldChange, Intent, Observation, Observed, OperationKind,
};

/// How often in one repair an instance is made again that went meanwhile.
const TRIES_IN_ONE_REPAIR: u32 = 3;
/// Repairs in a row that fail before the database is said to be in error.
const REPAIRS_BEFORE_ERROR: u32 = 3;
/// The phase of what is as it should be.
pub(crate) const READY: &str = "ready";
/// The phase of what is being repaired.
pub(crate) const RECOVERING: &str = "recovering";

impl Control {
    /// Makes an instance as its row says, without an operation that somebody waits for.
    ///
    /// # If interrupted
    /// The next round begins again: every step may be repeated.
    pub(crate) async fn repair(&self, subject: &Subject) -> Result<(), Error> {
        let now = self.now();
        let instance = &subject.database.instance;
        let waits = self.charts.with(instance, |chart| {
            let trouble = chart.known_trouble();
            trouble
                .and_then(|trouble| trouble.repair_due)
                .is_some_and(|due| due > now)
        });
        if waits {
            return Ok(());
        }
        let id = &subject.database.id;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.make_right(id).await {
                Ok(()) => return Ok(()),
                // It went while it was looked at: what to make of it shows at the next look.
                Err(Error::Vanished | Error::Down { .. }) if tries < TRIES_IN_ONE_REPAIR => {}
                Err(error) => return self.repair_failed(subject, error).await,
            }
        }
    }

    async fn make_right(&self, id: &DatabaseId) -> Result<(), Error> {
        let mut reading = self.reading(id);
        let mut subject = reading.subject(self).await?.ok_or(Error::NotOurs)?;
        let instance = subject.database.instance.clone();
        let intent = subject.database.intent;
        for step in Step::path(OperationKind::Change, intent) {
            if *step == Step::Settle {
                continue;
            }
            // Who waits for this instance has been asked for something; that goes first.
            let ours = || self.locks.yield_to_others(&instance);
            // Nobody waits for a repair, so none waits long: the next one goes on.
            self.attend(
                *step,
                OperationKind::Change,
                subject,
                PATIENCE_SECONDS,
                ours,
            )
            .await?;
            subject = reading.subject(self).await?.ok_or(Error::NotOurs)?;
        }
        let told = self.put_right(subject, intent).await;
        let recovered = subject.observation.phase == RECOVERING && told.phase != RECOVERING;
        if let Some(next) = subject.next.as_ref().filter(|_| intent == Intent::Run) {
            self.put_in_force(&subject.database, next.version).await?;
        }
        self.charts.sound(&instance);
        self.tell(subject, told, false).await?;
        if recovered {
            self.note(
                &subject.database,
                "database.recovered",
                "it is as wanted again",
            )
            .await?;
        }
        Ok(())
    }

    /// Puts the password in force that a rotation left behind when it was given up, and says so:
    /// whoever keeps the one before it is refused by now.
    async fn put_in_force(&self, database: &Database, version: i64) -> Result<(), Error> {
        let (kind, sentence) = ("database.password_in_force", "its new password is in force");
        let event = Event {
            changes: vec![FieldChange::secret("password")],
            ..self.happened(database, kind, sentence)
        };
        let write = async {
            let mut tx = self.parts.store.begin().await?;
            tx.promote_credentials(&database.id, version).await?;
            tx.append_event(&event).await?;
            tx.commit().await
        };
        let written = write.await;
        written.map_err(error::store("promote the credentials"))?;
        Ok(())
    }

    /// What is known of a database that was just put right.
    async fn put_right(&self, subject: &Subject, intent: Intent) -> Observation {
        let now = self.now();
        let (observed, phase) = match intent {
            Intent::Run => self.charts.told_up(&subject.database.instance, now),
            Intent::Sleep => (Observed::Stopped, ASLEEP),
            Intent::Stop | Intent::Destroy => (Observed::Stopped, "stopped"),
        };
        let mut told = fold(&subject.observation, observed, now);
        phase.clone_into(&mut told.phase);
        told.generation = subject.database.generation;
        if intent == Intent::Run && told.version_actual.is_none() {
            told = self.measure(&subject.database, told).await;
        }
        told
    }

    /// Decides what becomes of a repair that failed; `before` is what it began with.
    async fn repair_failed(&self, before: &Subject, error: Error) -> Result<(), Error> {
        let (id, instance) = (&before.database.id, &before.database.instance);
        let class = match error.class() {
            // The next repair publishes it there.
            Class::Permanent(_) if self.draws_another_port(before, &error, None).await? => {
                Class::Transient
            }
            class => class,
        };
        match class {
            Class::Leave => return Err(error),
            Class::Unreachable => return self.tell_silence(id).await,
            Class::Transient | Class::Permanent(_) => {}
        }
        tracing::warn!(database.id = %id, error = chain(&error), "a repair failed");
        let (now, jitter) = (self.now(), self.jitter());
        let failures = self.charts.with(instance, |chart| {
            let trouble = chart.trouble();
            trouble.repairs += 1;
            let wait = wait_millis(trouble.repairs, LONGEST_WAIT_MILLIS, jitter);
            trouble.repair_due = Some(now.plus_millis(wait));
            trouble.repairs
        });
        if class == Class::Transient && failures < REPAIRS_BEFORE_ERROR {
            return Ok(());
        }
        let Some(subject) = self.subject(id).await? else {
            return Ok(());
        };
        let reason = error.sentence();
        let mut told = fold(&subject.observation, Observed::Failed { reason }, now);
        RECOVERING.clone_into(&mut told.phase);
        self.tell(&subject, told, false).await
    }
}
