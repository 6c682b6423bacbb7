//! How much an instance takes, and what follows from it.

use crate::error::chain;
use crate::steps::ASK_SECONDS_MAX;
use crate::storage::{DISK_PRESSURE, Pressure};
use crate::subject::Subject;
use crate::{Control, Error, findings};
use berth_domain::{Database, InstanceId, Observation, Statement, Timestamp};
use berth_platform::{Endpoint, Session};

impl Control {
    pub(crate) fn is_measuring_due(&self, instance: &InstanceId) -> bool {
        let every = i64::try_from(self.parts.limits.storage_seconds).unwrap_or(i64::MAX);
        let measured = self.charts.with(instance, |chart| chart.measured_at);
        measured.is_none_or(|at| at.plus_seconds(every) <= self.now())
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
pub(crate) fn judge(
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
