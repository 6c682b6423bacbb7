//! How much an instance takes, and what follows from it.

use crate::charts::Moment;
use crate::error::chain;
use crate::roster::Patient;
use crate::steps::ASK_SECONDS_MAX;
use crate::storage::{DISK_PRESSURE, Pressure};
use crate::{Control, Error, error, findings};
use berth_domain::{
    Condition, Database, DatabaseId, EngineName, InstanceId, Observation, Statement, Timestamp,
    Truth,
};
use berth_platform::{Endpoint, Session};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The condition that tells of a newer image.
pub(crate) const UPGRADE_AVAILABLE: &str = "UpgradeAvailable";
/// After that long what was found is told again, so that its age shows that somebody looks.
const TOLD_SECONDS_MAX: i64 = 600;
/// Looks that are told of in one commit: what was made at once is looked at at once, and others
/// wait for the one writer meanwhile.
const LOOKS_AT_ONCE: usize = 200;
/// How much a size must have moved to be told.
const BYTES_WORTH_A_WRITE: u64 = 1 << 20;

/// What was measured of a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Figures {
    pub(crate) version: Option<Arc<String>>,
    pub(crate) bytes: Option<u64>,
    pub(crate) connections: Option<u32>,
}

impl Figures {
    fn of(seen: &Observation) -> Self {
        Self {
            version: seen.version_actual.clone().map(Arc::new),
            bytes: seen.storage_used_bytes,
            connections: seen.connections,
        }
    }

    /// These, and where there is none the earlier one.
    fn or(self, before: &Self) -> Self {
        Self {
            version: self.version.or_else(|| before.version.clone()),
            bytes: self.bytes.or(before.bytes),
            connections: self.connections.or(before.connections),
        }
    }
}

/// What was found as it had been told a while ago, with the time at which that was.
#[derive(Debug, Default)]
pub(crate) struct Unchanged(Mutex<BTreeMap<DatabaseId, Timestamp>>);

impl Unchanged {
    fn noted(&self) -> MutexGuard<'_, BTreeMap<DatabaseId, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, id: &DatabaseId, told_at: Timestamp) {
        self.noted().insert(id.clone(), told_at);
    }

    /// Whether there are enough for a commit of their own.
    pub(crate) fn fill_a_commit(&self) -> bool {
        self.noted().len() >= LOOKS_AT_ONCE
    }

    /// As many as one commit tells of.
    fn take(&self) -> Vec<(DatabaseId, Timestamp)> {
        let mut noted = self.noted();
        std::iter::from_fn(|| noted.pop_first())
            .take(LOOKS_AT_ONCE)
            .collect()
    }

    /// Those were not told of after all; what was noted of them since is newer.
    fn put_back(&self, taken: Vec<(DatabaseId, Timestamp)>) {
        let mut noted = self.noted();
        for (id, told_at) in taken {
            noted.entry(id).or_insert(told_at);
        }
    }
}

impl Control {
    pub(crate) fn is_measuring_due(&self, instance: &InstanceId) -> bool {
        let every = i64::try_from(self.parts.limits.storage_seconds).unwrap_or(i64::MAX);
        let measured = self.charts.with(instance, |chart| chart.measured_at.get());
        measured.is_none_or(|at| at.plus_seconds(every) <= self.now())
    }

    /// Whether there is nothing new to tell: its figures are fresh enough, or measured again
    /// they say the same.
    pub(crate) async fn measures_the_same(&self, id: &DatabaseId, patient: &Patient) -> bool {
        let instance = &patient.instance;
        if !self.is_measuring_due(instance) {
            return true;
        }
        let found = match self.figures(instance, &patient.kind.engine).await {
            Ok(found) => found.or(&patient.figures),
            Err(error) => {
                tracing::debug!(database.id = %id, error = chain(&error), "could not measure");
                patient.figures.clone()
            }
        };
        let is_outdated = self.is_outdated(instance).await;
        let pressure = found.bytes.map_or(patient.pressure, |bytes| {
            Pressure::judge(bytes, patient.storage_gb, patient.pressure)
        });
        let same = is_outdated.is_none_or(|found| found == patient.is_outdated)
            && pressure == patient.pressure
            && !moved(&patient.figures, &found);
        if same {
            let now = self.now();
            self.charts
                .with(instance, |chart| chart.measured_at = Moment::at(now));
            if stale(patient.told_at, now) {
                self.unchanged.note(id, patient.told_at);
            }
        }
        same
    }

    /// Tells of what was found unchanged that somebody has looked; of the rest next time.
    pub(crate) async fn tell_of_looks(&self) -> Result<(), Error> {
        let looked = self.unchanged.take();
        if looked.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let write = async {
            let mut tx = self.parts.store.begin().await?;
            for (id, told_at) in &looked {
                tx.confirm_observation(id, *told_at, now).await?;
            }
            tx.commit().await
        };
        if let Err(error) = write.await {
            self.unchanged.put_back(looked);
            return Err(error::store("tell that somebody has looked")(error));
        }
        Ok(())
    }

    /// Puts version, size and connections into an observation, as far as they can be had.
    pub(crate) async fn measure(&self, database: &Database, mut told: Observation) -> Observation {
        match self.figures(&database.instance, &database.engine).await {
            Ok(found) => {
                let found = found.or(&Figures::of(&told));
                told.version_actual = found.version.map(|version| version.as_ref().clone());
                told.connections = found.connections;
                told.storage_used_bytes = found.bytes;
            }
            Err(error) => {
                tracing::debug!(database.id = %database.id, error = chain(&error), "could not measure");
            }
        }
        told
    }

    /// Puts into the conditions whether there is a newer image than the one it runs from.
    pub(crate) async fn look_for_newer_image(&self, instance: &InstanceId, told: &mut Observation) {
        match self.is_outdated(instance).await {
            Some(true) => findings::put(&mut told.conditions, upgrade_available(told.observed_at)),
            Some(false) => findings::clear(&mut told.conditions, UPGRADE_AVAILABLE),
            None => {}
        }
    }

    /// Whether there is a newer image than the one it runs from; none when that is not known.
    async fn is_outdated(&self, instance: &InstanceId) -> Option<bool> {
        let newer = self.parts.platform.has_newer_image(instance);
        match self
            .of_platform(ASK_SECONDS_MAX, "compare images", newer)
            .await
        {
            Ok(newer) => Some(newer),
            Err(error) => {
                tracing::debug!(instance.id = %instance, error = chain(&error), "could not compare images");
                None
            }
        }
    }

    async fn figures(&self, instance: &InstanceId, engine: &EngineName) -> Result<Figures, Error> {
        let engine = self.engine_named(engine)?;
        let session = self.session(instance, Endpoint::Engine).await?;
        let version = self.ask(session.as_ref(), &engine.ask_version()).await?;
        let bytes = self.ask(session.as_ref(), &engine.ask_size()).await?;
        let connections = self
            .ask(session.as_ref(), &engine.ask_connections())
            .await?;
        Ok(Figures {
            version: version.map(Arc::new),
            bytes: bytes.and_then(|text| text.parse().ok()),
            connections: connections.and_then(|text| text.parse().ok()),
        })
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
        message: "its image was built or pulled anew since it was made; it goes on running from its own, and nothing puts the newer one under it; the operating page on images says what to do for a security fix".to_owned(),
        since,
    }
}

pub(crate) fn has(conditions: &[Condition], kind: &str) -> bool {
    conditions.iter().any(|c| c.kind == kind)
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

/// Whether what was told is too old to stand without being told again.
fn stale(told_at: Timestamp, now: Timestamp) -> bool {
    told_at.plus_seconds(TOLD_SECONDS_MAX) <= now
}

/// Whether the figures moved far enough to be worth a write.
fn moved(before: &Figures, after: &Figures) -> bool {
    let bytes = |of: &Figures| of.bytes.unwrap_or_default();
    bytes(before).abs_diff(bytes(after)) >= BYTES_WORTH_A_WRITE
        || before.connections != after.connections
        || before.version != after.version
}

/// Whether its figures make an observation worth telling that says nothing else that is new.
pub(crate) fn worth_telling(before: &Observation, after: &Observation) -> bool {
    moved(&Figures::of(before), &Figures::of(after)) || stale(before.observed_at, after.observed_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_told_of_some_at_a_time_and_none_is_lost() {
        let unchanged = Unchanged::default();
        let dawn = Timestamp::from_millis(1);
        let id = |n: usize| DatabaseId::from_entropy(n.to_be_bytes());
        for n in 0..=LOOKS_AT_ONCE {
            assert_eq!(unchanged.fill_a_commit(), n >= LOOKS_AT_ONCE);
            unchanged.note(&id(n), dawn);
            unchanged.note(&id(n), dawn);
        }
        let taken = unchanged.take();
        assert_eq!(taken.len(), LOOKS_AT_ONCE);
        assert!(!unchanged.fill_a_commit());
        // One of those that could not be told of was told of anew and looked at since.
        let later = dawn.plus_seconds(1);
        unchanged.note(&taken[0].0, later);
        unchanged.put_back(taken.clone());
        let again = unchanged.take();
        assert_eq!(again[0], (taken[0].0.clone(), later));
        assert_eq!(again[1..], taken[1..]);
        let rest = unchanged.take();
        assert!(rest.len() == 1 && !taken.contains(&rest[0]), "{rest:?}");
        assert_eq!(unchanged.take(), []);
    }
}
