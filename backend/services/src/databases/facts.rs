//! What the rules need to know besides the row and the wish.

use crate::projects::PlannedQuota;
use crate::{HostCapacity, ImageState, Maybe};
use berth_domain::{Database, DatabaseId, Name, Observation, Project, TokenId};
use berth_store::{AddressUse, ProjectUse};
use std::collections::{BTreeMap, BTreeSet};

/// The project that a wish names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProjectFact {
    /// Not known yet.
    #[default]
    Unknown,
    /// There is none of that id or name for the caller.
    Missing {
        /// As it was asked for.
        asked: String,
        /// A name that was probably meant.
        nearest: Option<String>,
    },
    /// This one.
    Found(Box<Project>),
}

/// The destroyed database that a wish wants back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RestoreFact {
    /// None.
    #[default]
    NotAsked,
    /// One whose id is not known yet.
    Unknown,
    /// There is none of that id for the caller.
    Missing {
        /// As it was asked for.
        asked: String,
    },
    /// It is there and not destroyed.
    Living(DatabaseId),
    /// Its data is gone.
    Purged(DatabaseId),
    /// It can come back.
    Found(Box<Database>),
}

/// A living database in somebody's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Which one.
    pub id: DatabaseId,
    /// Its name.
    pub name: Name,
}

/// What the caller may do, as far as it changes an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// It reads and plans; somebody else will apply.
    Plans,
    /// It applies, and cannot make data unrecoverable.
    Writes,
    /// It may make data unrecoverable.
    Unprotects,
}

/// Everything that an outcome depends on besides row, wish and rules. Gathered in one
/// transaction at apply; what stood in the store at plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// What the caller may do.
    pub authority: Authority,
    /// The caller's token.
    pub token: Option<TokenId>,
    /// The project.
    pub project: ProjectFact,
    /// The destroyed database to bring back.
    pub restore: RestoreFact,
    /// The living database of that project with that name, other than the one in question.
    pub name_holder: Option<Holder>,
    /// The living database of that project with the slug in question.
    pub slug_holder: Option<Holder>,
    /// The same for the slug of the new name, where a restored one brings its own.
    pub new_slug_holder: Option<Holder>,
    /// The unclaimed database of the same token and name: an equal request resumes it. It is
    /// none of the holders, and what it has counts as free.
    pub resumable: Option<Box<Database>>,
    /// A free name, where none was given.
    pub free_name: Option<Name>,
    /// Ports of other databases.
    pub ports_used: BTreeSet<u16>,
    /// Whether something that is no database of berth's holds the public port that is wished for.
    pub port_is_held: bool,
    /// What the other databases of the project have.
    pub project_use: ProjectUse,
    /// What earlier resources of the same plan will have of it.
    pub project_planned: ProjectUse,
    /// The quota that the same plan gives the project; none where it says nothing of it.
    pub quota_planned: Option<Maybe<Option<PlannedQuota>>>,
    /// How many further ports earlier resources of the same plan will be given.
    pub ports_awaited: u32,
    /// Addresses that other databases take, of the project and of the whole installation.
    pub addresses_used: AddressUse,
    /// Memory in MiB promised to other databases.
    pub memory_mb_promised: u64,
    /// What the host has.
    pub host: Option<HostCapacity>,
    /// For each engine and version, whether it can be run here.
    pub images: BTreeMap<(String, String), ImageState>,
    /// What was last seen of the row.
    pub observation: Option<Observation>,
}

impl Facts {
    /// Nothing in the way, nothing known.
    pub fn none(authority: Authority) -> Self {
        Self {
            authority,
            token: None,
            project: ProjectFact::Unknown,
            restore: RestoreFact::NotAsked,
            name_holder: None,
            slug_holder: None,
            new_slug_holder: None,
            resumable: None,
            free_name: None,
            ports_used: BTreeSet::new(),
            port_is_held: false,
            project_use: ProjectUse::default(),
            project_planned: ProjectUse::default(),
            quota_planned: None,
            ports_awaited: 0,
            addresses_used: AddressUse::default(),
            memory_mb_promised: 0,
            host: None,
            images: BTreeMap::new(),
            observation: None,
        }
    }

    /// Why that version cannot be run here; none when it can, or when nobody looked.
    pub(super) fn unavailable(&self, engine: &str, version: &str) -> Option<&str> {
        match self.images.get(&(engine.to_owned(), version.to_owned())) {
            Some(ImageState::Unavailable { reason }) => Some(reason),
            Some(ImageState::Available | ImageState::Absent { .. }) | None => None,
        }
    }

    /// What the first create of that version waits for; none when nothing is missing.
    pub(super) fn delay(&self, engine: &str, version: &str) -> Option<&str> {
        match self.images.get(&(engine.to_owned(), version.to_owned())) {
            Some(ImageState::Absent { delay }) => Some(delay),
            Some(ImageState::Available | ImageState::Unavailable { .. }) | None => None,
        }
    }

    /// Whether the row's `port` may still be replaced by another one.
    pub(super) fn lets_change(&self, port: u16) -> bool {
        let told = self.observation.iter().flat_map(|seen| &seen.conditions);
        told.into_iter().any(|found| found.lets_change(port))
    }

    /// Client connections and bytes that were last seen.
    pub(super) fn connections(&self) -> u32 {
        self.observation
            .as_ref()
            .and_then(|o| o.connections)
            .unwrap_or(0)
    }
}
