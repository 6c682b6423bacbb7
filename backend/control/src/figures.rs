//! How much an instance takes, and what follows from it.

use crate::error::chain;
use crate::steps::ASK_SECONDS_MAX;
use crate::storage::{DISK_PRESSURE, Pressure};
use crate::{Control, Error, findings};
use berth_domain::{Condition, Database, InstanceId, Observation, Statement, Timestamp, Truth};
use berth_platform::{Endpoint, Session};

/// The condition that tells of a newer image.
const UPGRADE_AVAILABLE: &str = "UpgradeAvailable";
/// After that long what was found is told again, so that its age shows that somebody looks.
const TOLD_SECONDS_MAX: i64 = 600;
/// How much a size must have moved to be told.
const BYTES_WORTH_A_WRITE: u64 = 1 << 20;

impl Control {
    pub(crate) fn is_measuring_due(&self, instance: &InstanceId) -> bool {
        let every = i64::try_from(self.parts.limits.storage_seconds).unwrap_or(i64::MAX);
        let measured = self.charts.with(instance, |chart| chart.measured_at);
        measured.is_none_or(|at| at.plus_seconds(every) <= self.now())
    }

    /// Whether there is nothing new to tell: its figures are fresh enough, or measured again
    /// they say the same.
    pub(crate) async fn measures_the_same(&self, database: &Database, seen: &Observation) -> bool {
        if !self.is_measuring_due(&database.instance) {
            return true;
        }
        let mut told = self.measure(database, seen.clone()).await;
        let before = Pressure::of(&seen.conditions);
        let now = self.now();
        told.observed_at = now;
        self.look_for_newer_image(&database.instance, &mut told)
            .await;
        let same = !stale(seen, &told)
            && has(seen, UPGRADE_AVAILABLE) == has(&told, UPGRADE_AVAILABLE)
            && judge(database, &mut told, before, now) == before
            && !moved(seen, &told);
        if same {
            self.charts
                .with(&database.instance, |chart| chart.measured_at = Some(now));
        }
        same
    }

    /// Puts version, size and connections into an observation, as far as they can be had.
    pub(crate) async fn measure(&self, database: &Database, mut told: Observation) -> Observation {
        match self.figures(database).await {
            Ok((version, bytes, connections)) => {
                told.version_actual = version.or(told.version_actual);
                told.connections = connections.or(told.connections);
                told.storage_used_bytes = bytes.or(told.storage_used_bytes);
            }
            Err(error) => {
                tracing::debug!(database.id = %database.id, error = chain(&error), "could not measure");
            }
        }
        told
    }

    /// Puts into the conditions whether there is a newer image than the one it runs from.
    pub(crate) async fn look_for_newer_image(&self, instance: &InstanceId, told: &mut Observation) {
        let newer = self.parts.platform.has_newer_image(instance);
        match self.within(ASK_SECONDS_MAX, "compare images", newer).await {
            Ok(true) => findings::put(&mut told.conditions, upgrade_available(told.observed_at)),
            Ok(false) => findings::clear(&mut told.conditions, UPGRADE_AVAILABLE),
            Err(error) => {
                tracing::debug!(instance.id = %instance, error = chain(&error), "could not compare images");
            }
        }
    }

    async fn figures(
        &self,
        database: &Database,
    ) -> Result<(Option<String>, Option<u64>, Option<u32>), Error> {
        let engine = self.engine(database)?;
        let session = self.session(&database.instance, Endpoint::Engine).await?;
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

/// That there is a newer image than the one it runs from.
fn upgrade_available(since: Timestamp) -> Condition {
    Condition {
        kind: UPGRADE_AVAILABLE.to_owned(),
        truth: Truth::True,
        reason: "ImageRebuilt".to_owned(),
        message: "its image was built or pulled anew since it was made; it goes on running from its own, and nothing restarts for that".to_owned(),
        since,
    }
}

fn has(seen: &Observation, kind: &str) -> bool {
    seen.conditions.iter().any(|c| c.kind == kind)
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

/// Whether what was found is too old to stand without being told again.
pub(crate) fn stale(before: &Observation, after: &Observation) -> bool {
    before.observed_at.plus_seconds(TOLD_SECONDS_MAX) <= after.observed_at
}

/// Whether the figures moved far enough to be worth a write.
pub(crate) fn moved(before: &Observation, after: &Observation) -> bool {
    let bytes = |of: &Observation| of.storage_used_bytes.unwrap_or_default();
    bytes(before).abs_diff(bytes(after)) >= BYTES_WORTH_A_WRITE
        || before.connections != after.connections
        || before.version_actual != after.version_actual
}
