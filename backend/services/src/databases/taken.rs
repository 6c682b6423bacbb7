//! What the resources of a plan take from those after them.

use super::evaluate::{addresses_of, addresses_planned};
use super::planned::PlannedDatabase;
use super::rules::Rules;
use crate::Maybe;
use crate::projects::PlannedQuota;
use berth_domain::{Database, ProjectId};
use berth_store::ProjectUse;
use std::collections::{BTreeMap, BTreeSet};

/// What earlier resources of the same plan take.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken {
    pub(crate) ports: BTreeSet<u16>,
    /// How many of them will be given a port that is not known yet.
    pub(crate) ports_awaited: u32,
    /// Addresses in each project's network.
    pub(crate) in_projects: BTreeMap<ProjectId, u32>,
    /// Addresses in the network on which all projects publish.
    pub(crate) in_public: u32,
    pub(crate) memory_mb: u64,
    /// How many databases and how much storage each project gets.
    pub(crate) projects: BTreeMap<ProjectId, ProjectUse>,
    /// The quotas that projects of the same plan get, wherever they stand in it.
    pub(crate) quotas: BTreeMap<ProjectId, Maybe<Option<PlannedQuota>>>,
}

impl Taken {
    /// Adds what one more will have beyond what it has: a new database, or `row` changed.
    pub(crate) fn add(&mut self, row: Option<&Database>, planned: &PlannedDatabase, rules: &Rules) {
        let had = row.map_or(0, |row| rules.memory_mb_of(&row.plan));
        if let Maybe::Known(plan) = &planned.plan {
            self.memory_mb += rules.memory_mb_of(plan).saturating_sub(had);
        }
        if let (Maybe::Known(project), Maybe::Known(storage)) =
            (&planned.project_id, planned.storage_gb)
        {
            let stays = row.filter(|row| row.project_id == *project);
            let taken = self.projects.entry(project.clone()).or_default();
            taken.databases += u32::from(stays.is_none());
            let had = stays.map_or(0, |row| u64::from(row.storage_gb));
            taken.storage_gb += u64::from(storage).saturating_sub(had);
        }
        match planned.public_port {
            Maybe::Known(Some(port)) => {
                self.ports.insert(port);
            }
            // One that may be replaced has a port already, which is among those in use.
            Maybe::Unknown
                if planned.expose == Maybe::Known(true)
                    && row.is_none_or(|row| row.public_port.is_none()) =>
            {
                self.ports_awaited += 1;
            }
            Maybe::Known(None) | Maybe::Unknown => {}
        }
        let wanted = addresses_planned(&planned.pooler, planned.expose);
        let had = row.map_or((0, 0), addresses_of);
        if let Maybe::Known(project) = &planned.project_id {
            *self.in_projects.entry(project.clone()).or_default() += wanted.0.saturating_sub(had.0);
        }
        self.in_public += wanted.1.saturating_sub(had.1);
    }
}
