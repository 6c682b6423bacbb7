//! How an operation ends: one transaction that writes everything it amounts to.

use crate::certificates::place;
use crate::failpoint::Side;
use crate::findings::{fold, settle_port};
use crate::operations::makes;
use crate::sleep::ASLEEP;
use crate::step::Step;
use crate::subject::Subject;
use crate::{Control, Error, error};
use berth_domain::{
    Actor, Event, Intent, Observation, Observed, Operation, OperationFailure, OperationKind,
    Timestamp,
};
use berth_store::{LeaseStatus, Tx};

impl Control {
    /// Writes that an operation has succeeded and what is true since.
    ///
    /// # Guarantees
    /// All of it or nothing, and durable when it answers.
    pub(crate) async fn settle(
        &self,
        operation: &Operation,
        subject: &Subject,
    ) -> Result<(), Error> {
        self.failpoints.pass(Step::Settle, Side::Before)?;
        let now = self.now();
        let observation = self.outcome(operation.kind, subject, now).await;
        let status = self
            .write_success(operation, subject, &observation, now)
            .await
            .map_err(error::store("write that an operation has succeeded"))?;
        if status == LeaseStatus::Lost {
            return Err(Error::NotOurs);
        }
        self.failpoints.pass(Step::Settle, Side::After)?;
        let instance = &subject.database.instance;
        match operation.kind {
            OperationKind::Destroy => {
                self.charts.forget(instance);
                // A window of no days ends at once.
                self.purge_wanted.notify_one();
            }
            OperationKind::Purge => self.charts.forget(instance),
            OperationKind::Provision => {
                self.charts.changed(instance);
                self.spares_wanted.notify_one();
            }
            OperationKind::Change
            | OperationKind::Sleep
            | OperationKind::Wake
            | OperationKind::Rotate
            | OperationKind::Restart
            | OperationKind::Restore => {
                self.charts.changed(instance);
            }
        }
        Ok(())
    }

    async fn write_success(
        &self,
        operation: &Operation,
        subject: &Subject,
        observation: &Observation,
        now: Timestamp,
    ) -> Result<LeaseStatus, berth_store::Error> {
        let database = &subject.database;
        let mut tx = self.parts.store.begin().await?;
        let status = tx
            .finish_operation(&operation.id, &self.holder, now, None)
            .await?;
        if status == LeaseStatus::Lost {
            tx.rollback().await?;
            return Ok(status);
        }
        match (operation.kind, &subject.next) {
            (OperationKind::Purge, _) => {
                tx.mark_purged(&database.id, now).await?;
                tx.remove_secret(&place(&database.instance)).await?;
            }
            (OperationKind::Destroy, _) | (_, None) => {}
            (_, Some(next)) if database.intent == Intent::Run => {
                tx.promote_credentials(&database.id, next.version).await?;
            }
            (_, Some(_)) => {}
        }
        tx.put_observation(&database.id, observation).await?;
        let message = success_sentence(operation.kind, subject);
        append(&mut tx, operation, "operation.succeeded", message, now).await?;
        tx.commit().await?;
        Ok(status)
    }

    /// Writes that an operation is given up, and why.
    pub(crate) async fn end_in_failure(
        &self,
        operation: &Operation,
        subject: &Subject,
        failure: OperationFailure,
    ) -> Result<(), Error> {
        let now = self.now();
        // What ran before a change that failed may well run on: looking after it will tell.
        let observation = makes(operation.kind, subject.database.intent).then(|| {
            let reason = failure.message.clone();
            let mut told = fold(&subject.observation, Observed::Failed { reason }, now);
            "failed".clone_into(&mut told.phase);
            told
        });
        let message = format!(
            "{} of {} failed: {}",
            operation.kind.as_str(),
            subject.database.name,
            failure.message
        );
        let write = async {
            let mut tx = self.parts.store.begin().await?;
            let status = tx
                .finish_operation(&operation.id, &self.holder, now, Some(&failure))
                .await?;
            if status == LeaseStatus::Lost {
                tx.rollback().await?;
                return Ok(status);
            }
            if let Some(observation) = &observation {
                tx.put_observation(&subject.database.id, observation)
                    .await?;
            }
            append(&mut tx, operation, "operation.failed", message, now).await?;
            tx.commit().await?;
            Ok(status)
        };
        match write
            .await
            .map_err(error::store("write that an operation has failed"))?
        {
            LeaseStatus::Held => {
                self.charts.distrust(&operation.instance);
                Ok(())
            }
            LeaseStatus::Lost => Err(Error::NotOurs),
        }
    }

    /// What is known of a database once such an operation has succeeded.
    async fn outcome(&self, kind: OperationKind, subject: &Subject, now: Timestamp) -> Observation {
        let (observed, phase) = match (kind, subject.database.intent) {
            (OperationKind::Purge, _) => (Observed::Absent, "purged"),
            (OperationKind::Destroy, _) => (Observed::Absent, "in_trash"),
            (_, Intent::Run) => (Observed::Ready, "ready"),
            (_, Intent::Sleep) => (Observed::Stopped, ASLEEP),
            (_, Intent::Stop | Intent::Destroy) => (Observed::Stopped, "stopped"),
        };
        let measured = match observed {
            Observed::Ready => {
                self.measure(&subject.database, subject.observation.clone())
                    .await
            }
            _ => subject.observation.clone(),
        };
        let mut told = fold(&measured, observed, now);
        phase.clone_into(&mut told.phase);
        // What was destroyed before it ever was ready has nothing that a restore could miss.
        if kind != OperationKind::Destroy || !subject.is_new() {
            told.generation = subject.database.generation;
        }
        settle_port(&mut told, &subject.database);
        told
    }
}

async fn append(
    tx: &mut Tx,
    operation: &Operation,
    kind: &str,
    message: String,
    at: Timestamp,
) -> Result<(), berth_store::Error> {
    tx.append_event(&Event {
        sequence: 0,
        kind: kind.to_owned(),
        actor: Actor::System,
        project_id: Some(operation.project_id.clone()),
        database_id: Some(operation.database_id.clone()),
        operation_id: Some(operation.id.clone()),
        message,
        changes: Vec::new(),
        at,
    })
    .await
    .map(drop)
}

fn success_sentence(kind: OperationKind, subject: &Subject) -> String {
    let name = &subject.database.name;
    match (kind, subject.database.intent) {
        (OperationKind::Provision, Intent::Run) => format!("{name} runs"),
        (OperationKind::Restore, Intent::Run) => format!("{name} is back"),
        (OperationKind::Restart, Intent::Run) if subject.next.is_some() => format!(
            "{name} has restarted with a new password, proven by a login; the old one is refused"
        ),
        (OperationKind::Restart, Intent::Run) => format!("{name} has restarted"),
        (OperationKind::Rotate, Intent::Run) => {
            format!("{name} has a new password, proven by a login; the old one is refused")
        }
        (OperationKind::Destroy, _) => match subject.database.recoverable_until {
            Some(until) => format!("{name} is taken away; it can be restored until {until}"),
            None => format!("{name} is taken away"),
        },
        (OperationKind::Purge, _) => format!("the data of {name} is removed for good"),
        (_, Intent::Stop) => format!("{name} is stopped"),
        (_, Intent::Sleep) => format!("{name} sleeps until a client comes"),
        (_, _) => format!("{name} is as its row says"),
    }
}
