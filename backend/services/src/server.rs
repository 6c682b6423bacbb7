//! What the installation offers, what it has, and everything it holds at one moment.

use crate::error::Doing;
use crate::view::View;
use crate::{Caller, Error, HostCapacity, ImageState, Services};
use berth_domain::{EngineName, Status};
use berth_engines::{Description, Version};
use berth_store::{SnapshotKind, SnapshotPage, Tell};

/// The most objects of one page of a snapshot.
pub const SNAPSHOT_PAGE: u32 = 10_000;

/// A version of an engine, and whether it can be had.
pub struct OfferedVersion {
    /// The version.
    pub version: Version,
    /// Why it cannot be had; none when it can.
    pub unavailable: Option<String>,
}

/// An engine and its versions.
pub struct OfferedEngine<'a> {
    /// The engine.
    pub engine: &'a dyn Description,
    /// Its versions, oldest first.
    pub versions: Vec<OfferedVersion>,
}

/// What the host has and what is promised of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// What the host has; none while nobody could be asked.
    pub host: Option<HostCapacity>,
    /// Memory in MiB that may be promised.
    pub memory_mb_allowed: u64,
    /// Memory in MiB that is promised.
    pub memory_mb_promised: u64,
    /// Storage in GB that is promised.
    pub storage_gb_promised: u64,
    /// Living databases.
    pub databases: u64,
}

impl Services {
    /// The engines, and of each version whether it can be had here.
    pub async fn offered_engines(&self) -> Vec<OfferedEngine<'_>> {
        let mut offered = Vec::new();
        for engine in self.rules.engines.iter() {
            let name = EngineName::new(engine.name());
            let mut versions = Vec::new();
            for version in engine.versions() {
                let unavailable = match self.outside.image(&name, version.name).await {
                    ImageState::Available | ImageState::Absent { .. } => None,
                    ImageState::Unavailable { reason } => Some(reason),
                };
                versions.push(OfferedVersion {
                    version: *version,
                    unavailable,
                });
            }
            offered.push(OfferedEngine { engine, versions });
        }
        offered
    }

    /// What runs the databases: `docker` or `fake`.
    pub fn runtime(&self) -> &str {
        &self.runtime
    }

    /// What the host has and what is promised of it.
    pub async fn capacity(&self) -> Result<Capacity, Error> {
        let promised = self
            .store
            .promised_resources()
            .await
            .doing("add up what is promised")?;
        let host = self.outside.host().await;
        let memory = |plan: &str| {
            self.rules
                .catalogue
                .plan(plan)
                .map_or(0, |p| u64::from(p.memory_mb))
        };
        let sum = |f: &dyn Fn(&berth_store::Promised) -> u64| -> u64 {
            promised.iter().map(|p| f(p) * u64::from(p.count)).sum()
        };
        Ok(Capacity {
            host,
            memory_mb_allowed: host.map_or(0, |h| self.rules.memory_mb_allowed(h.memory_mb)),
            memory_mb_promised: sum(&|p| memory(&p.plan)),
            storage_gb_promised: sum(&|p| u64::from(p.storage_gb)),
            databases: sum(&|_| 1),
        })
    }

    /// Everything of a kind that the caller sees, of one project when given, page by page; all
    /// pages show one version of the store.
    pub async fn snapshot(
        &self,
        caller: &Caller,
        kind: SnapshotKind,
        project: Option<&str>,
        page_token: Option<&str>,
        tell: &Tell<'_>,
    ) -> Result<SnapshotPage, Error> {
        let mut view = View::Store(&self.store);
        let project = match project {
            Some(reference) => Some(self.project_row(&mut view, caller, reference).await?.id),
            None => None,
        };
        self.store
            .snapshot_page(
                kind,
                &caller.reach_within(project),
                page_token,
                SNAPSHOT_PAGE,
                self.clock.now(),
                tell,
            )
            .await
            .doing("read a snapshot")
    }

    /// How many living databases have each status that a living one may have; for the metrics.
    pub async fn living_by_status(&self) -> Result<Vec<(Status, u64)>, Error> {
        let found = self.store.living_by_status().await;
        let found = found.doing("count databases")?;
        let count = |status: Status| {
            let of_it = found.iter().filter(|(told, _)| *told == status);
            (status, of_it.map(|(_, count)| u64::from(*count)).sum())
        };
        let living = Status::ALL.into_iter().filter(|s| *s != Status::Destroyed);
        Ok(living.map(count).collect())
    }

    /// How many operations are pending; for the metrics.
    pub async fn pending_operations(&self) -> Result<u64, Error> {
        self.store
            .pending_operations()
            .await
            .doing("count pending work")
    }
}
