//! What the provider block makes and every resource uses.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::client::Client;
use crate::gather::Gather;
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
            project,
            region,
        }
    }
}

/// The names of the objects that were refreshed, with their ids.
#[derive(Debug, Default)]
pub struct Seen(Mutex<HashMap<(&'static str, String), String>>);

impl Seen {
    /// Notes that the state has the object.
    pub fn note(&self, kind: &'static str, name: &str, id: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert((kind, name.to_owned()), id.to_owned());
    }

    /// The id of the object of that name; none when none was refreshed.
    pub fn holder(&self, kind: &'static str, name: &str) -> Option<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(&(kind, name.to_owned())).cloned()
    }
}
