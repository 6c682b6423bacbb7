//! Another port for a database whose drawn one is in use by somebody else on this host.

use crate::findings;
use crate::subject::Subject;
use crate::{Control, Error, error};
use berth_domain::{
    Actor, Condition, Database, Event, FieldChange, Observation, OperationId, Timestamp,
};
use berth_platform::Error as PlatformError;
use berth_services::databases::next_port;
use berth_store::Tx;

/// The platform's word for a port that somebody else has.
const PORT_TAKEN: &str = "port_taken";

impl Control {
    /// Draws another port where `error` says that somebody else has the drawn one, which nobody
    /// asked for and no client has ever used; whether it did. `operation` is the one that met it,
    /// where it was no repair.
    pub(crate) async fn draws_another_port(
        &self,
        subject: &Subject,
        error: &Error,
        operation: Option<&OperationId>,
    ) -> Result<bool, Error> {
        let Some(taken) = port_to_replace(subject, error) else {
            return Ok(false);
        };
        let write = async {
            let mut tx = self.parts.store.begin().await?;
            let row = tx.database_by_id(&subject.database.id).await?;
            // Whoever has changed it since has ordered other work.
            let is_meant = |row: &Database| row.generation == subject.database.generation;
            let Some(row) = row.filter(is_meant) else {
                return tx.rollback().await.map(|()| true);
            };
            let range = &self.parts.limits.public_ports;
            let installation = self.parts.addresses.installation();
            let outside = self.parts.outside.as_ref();
            let drawn = next_port(&mut tx, range, installation, Some(taken), outside).await?;
            let Some(drawn) = drawn else {
                return tx.rollback().await.map(|()| false);
            };
            self.give_port(&mut tx, row, (taken, drawn), operation)
                .await?;
            tx.commit().await.map(|_| true)
        };
        write.await.map_err(error::store("draw another port"))
    }

    async fn give_port(
        &self,
        tx: &mut Tx,
        mut row: Database,
        (taken, drawn): (u16, u16),
        operation: Option<&OperationId>,
    ) -> Result<(), berth_store::Error> {
        let now = self.now();
        row.public_port = Some(drawn);
        row.generation += 1;
        row.updated_at = now;
        tx.update_database(&row).await?;
        // What is known by now, not what was known when the work began.
        let known = tx.observation(&row.id).await?;
        let mut told = known.unwrap_or_else(|| Observation::none_yet(now));
        findings::put(&mut told.conditions, Condition::port_may_change(drawn, now));
        tx.put_observation(&row.id, &told).await?;
        let event = Event {
            operation_id: operation.cloned(),
            ..told_of(&row, taken, drawn, now)
        };
        tx.append_event(&event).await?;
        tracing::info!(database.id = %row.id, taken, drawn, "drew another port");
        Ok(())
    }
}

/// The port that somebody else has and that may be replaced.
fn port_to_replace(subject: &Subject, error: &Error) -> Option<u16> {
    let is_taken = matches!(
        error,
        Error::Platform {
            source: PlatformError::Refused {
                code: PORT_TAKEN,
                ..
            },
            ..
        }
    );
    let port = subject.database.public_port?;
    let mut conditions = subject.observation.conditions.iter();
    (is_taken && conditions.any(|found| found.lets_change(port))).then_some(port)
}

fn told_of(row: &Database, taken: u16, drawn: u16, at: Timestamp) -> Event {
    Event {
        sequence: 0,
        kind: "database.port_drawn".to_owned(),
        actor: Actor::System,
        project_id: Some(row.project_id.clone()),
        database_id: Some(row.id.clone()),
        operation_id: None,
        message: format!(
            "{}: something else on this host has the port {taken}, so it gets {drawn}",
            row.name
        ),
        changes: vec![FieldChange {
            field: "public_port".to_owned(),
            from: Some(taken.to_string()),
            to: Some(drawn.to_string()),
            sensitive: false,
        }],
        at,
    }
}
