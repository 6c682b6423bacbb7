//! What the provider block makes and every resource uses.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client::Client;
use crate::gather::Gather;
use crate::journal::Explained;
use crate::settings::Settings;
use crate::snapshot::Snapshots;

/// The backend of one provider configuration, with what is remembered of it for one run.
#[derive(Debug)]
pub struct Backend {
    /// Typed calls.
    pub client: Client,
    /// Plans, asked together.
    pub gather: Gather,
    /// Refresh, from one view.
    pub snapshots: Snapshots,
    /// The objects of the state that were refreshed in this run.
    pub seen: Seen,
    /// What was told of changes that others made.
    pub explained: Explained,
    /// The project of resources that name none, by id or name.
    pub project: Option<String>,
    /// The region of databases that name none.
    pub region: Option<String>,
}

impl Backend {
    /// The backend that the settings name. Opens no connection yet.
    pub fn new(settings: Settings) -> Self {
        let (project, region) = (settings.project.clone(), settings.region.clone());
        Self::of(Client::new(settings), project, region)
    }

    /// A backend of which only apply will know where it is.
    pub fn unknown() -> Self {
        Self::of(Client::unknown(), None, None)
    }

    fn of(client: Client, project: Option<String>, region: Option<String>) -> Self {
        Self {
            gather: Gather::new(client.clone()),
            snapshots: Snapshots::new(client.clone()),
            client,
            seen: Seen::default(),
            explained: Explained::default(),
            project,
            region,
        }
    }
}

/// What this run has learned of the objects of the state, which no single plan is told.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Learned>);

#[derive(Debug, Default)]
struct Learned {
    /// The objects that were refreshed, by kind and name: projects may use a name each.
    named: HashMap<(&'static str, String), Vec<String>>,
    /// Those that stay under their name.
    staying: HashSet<String>,
    /// Those whose name a new object was given.
    displaced: HashSet<String>,
    /// The new objects that were planned, by kind, project and name.
    made: HashSet<(&'static str, String, String)>,
}

impl Seen {
    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the state has the object.
    pub fn note(&self, kind: &'static str, name: &str, id: &str) {
        let mut learned = self.learned();
        let ids = learned.named.entry((kind, name.to_owned())).or_default();
        if !ids.iter().any(|have| have == id) {
            ids.push(id.to_owned());
        }
    }

    /// The objects of that name that were refreshed.
    pub fn holders(&self, kind: &'static str, name: &str) -> Vec<String> {
        let learned = self.learned();
        let ids = learned.named.get(&(kind, name.to_owned()));
        ids.cloned().unwrap_or_default()
    }

    /// Whether no object was refreshed, as in a run that was told not to, or has none.
    pub fn is_blind(&self) -> bool {
        self.learned().named.is_empty()
    }

    /// Notes that the plan keeps the object under its name. False when its name was planned
    /// for a new one before.
    pub fn stays(&self, id: &str) -> bool {
        let mut learned = self.learned();
        learned.staying.insert(id.to_owned());
        !learned.displaced.contains(id)
    }

    /// Notes that a new object of that name is planned in a project. False when one was before.
    pub fn makes(&self, kind: &'static str, project: &str, name: &str) -> bool {
        let key = (kind, project.to_owned(), name.to_owned());
        self.learned().made.insert(key)
    }

    /// Notes that a new object is planned with the name of this one. False when this one
    /// stays under it.
    pub fn yields(&self, id: &str) -> bool {
        let mut learned = self.learned();
        learned.displaced.insert(id.to_owned());
        !learned.staying.contains(id)
    }
}
