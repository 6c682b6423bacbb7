//! The living databases, as far as looking after them needs to know while all is well.
//!
//! Ten thousand rows would fill many megabytes and be read anew with each commit. What is kept
//! of each is little, and what has changed is read, no more.

use crate::figures::{Figures, UPGRADE_AVAILABLE, has};
use crate::storage::Pressure;
use berth_domain::{
    Database, DatabaseId, EngineName, InstanceId, Intent, Observed, ProjectId, Timestamp,
};
use berth_store::DatabaseRecord;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::Hash;
use std::ops::Bound;
use std::sync::Arc;

/// An engine in one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) engine: EngineName,
    pub(crate) version: String,
}

/// What was last told of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// That it answers, as its row is now.
    Ready,
    /// That it is stopped, as its row is now.
    Stopped,
    /// Something else, or of an earlier row.
    Other,
}

/// What is kept of a living database.
#[derive(Debug, Clone)]
pub(crate) struct Patient {
    pub(crate) instance: InstanceId,
    pub(crate) project: Arc<ProjectId>,
    pub(crate) kind: Arc<Kind>,
    pub(crate) intent: Intent,
    pub(crate) has_pooler: bool,
    pub(crate) storage_gb: u32,
    pub(crate) sleep_after_minutes: Option<u32>,
    pub(crate) told: Told,
    pub(crate) told_at: Timestamp,
    pub(crate) figures: Figures,
    pub(crate) pressure: Pressure,
    /// Whether it was told that there is a newer image.
    pub(crate) is_outdated: bool,
}

impl Patient {
    /// What is kept of that row, with texts that are shared with others.
    pub(crate) fn of(record: &DatabaseRecord, texts: &mut Texts) -> Self {
        let DatabaseRecord {
            database,
            observation,
            ..
        } = record;
        let seen = observation.as_ref();
        let conditions = seen.map_or(&[][..], |seen| &seen.conditions);
        Self {
            instance: database.instance.clone(),
            project: shared(&mut texts.projects, &database.project_id),
            kind: shared(
                &mut texts.kinds,
                &Kind {
                    engine: database.engine.clone(),
                    version: database.version.clone(),
                },
            ),
            intent: database.intent,
            has_pooler: database.pooler.is_some(),
            storage_gb: database.storage_gb,
            sleep_after_minutes: database.sleep_after_minutes,
            told: seen
                .filter(|seen| seen.generation == database.generation)
                .map_or(Told::Other, |seen| match seen.observed {
                    Observed::Ready => Told::Ready,
                    Observed::Stopped => Told::Stopped,
                    _ => Told::Other,
                }),
            told_at: seen.map_or(database.created_at, |seen| seen.observed_at),
            figures: Figures {
                version: seen
                    .and_then(|seen| seen.version_actual.as_ref())
                    .map(|version| shared(&mut texts.versions, version)),
                bytes: seen.and_then(|seen| seen.storage_used_bytes),
                connections: seen.and_then(|seen| seen.connections),
            },
            pressure: Pressure::of(conditions),
            is_outdated: has(conditions, UPGRADE_AVAILABLE),
        }
    }

    /// The same of a row that stands alone.
    pub(crate) fn alone(record: &DatabaseRecord) -> Self {
        Self::of(record, &mut Texts::default())
    }

    /// Whether it is one that sleeps when nobody uses it: it runs as its row says, and has a
    /// pooler that would hold its clients.
    pub(crate) fn may_sleep(&self) -> bool {
        self.intent == Intent::Run && self.has_pooler && self.told == Told::Ready
    }
}

/// Texts that many databases have in common.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    projects: HashSet<Arc<ProjectId>>,
    kinds: HashSet<Arc<Kind>>,
    versions: HashSet<Arc<String>>,
}

fn shared<T: Clone + Eq + Hash>(known: &mut HashSet<Arc<T>>, text: &T) -> Arc<T>
where
    Arc<T>: Borrow<T>,
{
    if let Some(known) = known.get(text) {
        return Arc::clone(known);
    }
    let new = Arc::new(text.clone());
    known.insert(Arc::clone(&new));
    new
}

/// The living databases in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    patients: BTreeMap<DatabaseId, Arc<Patient>>,
    texts: Texts,
}

impl Roster {
    /// Takes a row in as it is now; none where there is none any more.
    pub(crate) fn put(&mut self, id: &DatabaseId, record: Option<&DatabaseRecord>) {
        match record.filter(|record| Database::is_living(&record.database)) {
            None => {
                self.patients.remove(id);
            }
            Some(record) => {
                let patient = Arc::new(Patient::of(record, &mut self.texts));
                self.patients.insert(id.clone(), patient);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.patients.len()
    }

    /// Up to `limit` that follow the one named.
    pub(crate) fn after(
        &self,
        id: Option<&DatabaseId>,
        limit: usize,
    ) -> Vec<(DatabaseId, Arc<Patient>)> {
        let from = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.patients
            .range::<DatabaseId, _>((from, Bound::Unbounded))
            .take(limit)
            .map(|(id, patient)| (id.clone(), Arc::clone(patient)))
            .collect()
    }

    /// The engines and versions in use.
    pub(crate) fn kinds(&self) -> BTreeSet<Arc<Kind>> {
        let kinds = self.patients.values().map(|patient| &patient.kind);
        kinds.cloned().collect()
    }

    /// Those of which `minutes` tells how long nobody may have used them before they sleep.
    pub(crate) fn sleepy(
        &self,
        minutes: impl Fn(&Patient) -> Option<u32>,
    ) -> Vec<(DatabaseId, Arc<Patient>, u32)> {
        let found = self
            .patients
            .iter()
            .filter(|(_, patient)| patient.may_sleep());
        found
            .filter_map(|(id, patient)| Some((id.clone(), Arc::clone(patient), minutes(patient)?)))
            .collect()
    }
}
