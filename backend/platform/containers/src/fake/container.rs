//! A container of the fake, in little room: a bench has it remember tens of thousands.

use super::state::network_id;
use crate::runtime::{ContainerState, HostMount, Labels, NetworkId, Published, Role, Workload};
use berth_engines::Access;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What stands for the id of its instance, and for that id's beginning, in what containers
/// share. No path has such characters.
const INSTANCE: &str = "\u{1}";
const INSTANCE_SHORT: &str = "\u{2}";
/// How much of an id that beginning is.
const SHORT_LENGTH: usize = 8;
/// A shorter id could stand in a path by chance.
const ID_LENGTH_MIN: usize = 16;

/// A container of the fake.
#[derive(Debug)]
pub(super) struct Container {
    name: Box<str>,
    instance: Box<str>,
    spec: Box<str>,
    /// Everything else, shared by all of which the same was asked.
    shape: Arc<Workload>,
    pub(super) published: Option<Published>,
    pub(super) state: ContainerState,
    /// The numbers of its networks.
    networks: Vec<u64>,
    pub(super) exit_code: Option<i64>,
    /// A pooler that holds its clients.
    pub(super) paused: bool,
    /// Clients that wait at a pooler.
    pub(super) waiting: u64,
    /// What clients have done through a pooler.
    pub(super) transactions: u64,
}

impl Container {
    /// What a container has in common with others of which the same is asked.
    pub(super) fn shape(workload: &Workload) -> Workload {
        let instance = &workload.labels.instance;
        Workload {
            name: String::new(),
            labels: Labels {
                instance: String::new(),
                spec: String::new(),
                ..workload.labels.clone()
            },
            mounts: workload
                .mounts
                .iter()
                .map(|mount| HostMount {
                    source: folded(&mount.source, instance),
                    ..mount.clone()
                })
                .collect(),
            network: None,
            published: None,
            ..workload.clone()
        }
    }

    /// A container of that shape that has not been started.
    pub(super) fn new(workload: &Workload, shape: Arc<Workload>, networks: Vec<u64>) -> Self {
        Self {
            name: workload.name.as_str().into(),
            instance: workload.labels.instance.as_str().into(),
            spec: workload.labels.spec.as_str().into(),
            shape,
            published: workload.published,
            state: ContainerState::Created,
            networks,
            exit_code: None,
            paused: false,
            waiting: 0,
            transactions: 0,
        }
    }

    pub(super) fn own_shape(&self) -> &Arc<Workload> {
        &self.shape
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn rename(&mut self, name: &str) {
        self.name = name.into();
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    pub(super) fn role(&self) -> Role {
        self.shape.labels.role
    }

    pub(super) fn installation(&self) -> &str {
        &self.shape.labels.installation
    }

    pub(super) fn labels(&self) -> Labels {
        Labels {
            instance: self.instance.to_string(),
            spec: self.spec.to_string(),
            ..self.shape.labels.clone()
        }
    }

    pub(super) fn image(&self) -> &str {
        &self.shape.image
    }

    pub(super) fn command(&self) -> &[String] {
        &self.shape.command
    }

    /// Whether it comes up again with the engine.
    pub(super) fn restarts(&self) -> bool {
        self.shape.restarts
    }

    /// The directories of the host that it sees, and how.
    pub(super) fn sources(&self) -> impl Iterator<Item = (PathBuf, Access)> {
        let mounts = self.shape.mounts.iter();
        mounts.map(|mount| (unfolded(&mount.source, &self.instance), mount.access))
    }

    pub(super) fn mounts(&self, source: &Path) -> bool {
        let wanted = folded(source, &self.instance);
        self.shape.mounts.iter().any(|mount| mount.source == wanted)
    }

    pub(super) fn networks(&self) -> impl Iterator<Item = NetworkId> {
        self.networks.iter().copied().map(network_id)
    }

    pub(super) fn network_numbers(&self) -> &[u64] {
        &self.networks
    }

    pub(super) fn join(&mut self, network: u64) {
        if !self.networks.contains(&network) {
            self.networks.push(network);
        }
    }

    /// What a process that ends forgets.
    pub(super) fn forget_clients(&mut self) {
        self.paused = false;
        self.waiting = 0;
        self.transactions = 0;
    }

    pub(super) fn runs(&self) -> bool {
        self.state == ContainerState::Running
    }

    /// Whether it serves in that role.
    pub(super) fn serves(&self, role: Role) -> bool {
        self.runs() && self.role() == role
    }
}

/// The path as it is the same for every instance.
fn folded(path: &Path, instance: &str) -> PathBuf {
    substituted(path, instance, |text, short| {
        text.replace(instance, INSTANCE)
            .replace(short, INSTANCE_SHORT)
    })
}

/// The path as it is for this instance.
fn unfolded(path: &Path, instance: &str) -> PathBuf {
    substituted(path, instance, |text, short| {
        text.replace(INSTANCE, instance)
            .replace(INSTANCE_SHORT, short)
    })
}

fn substituted(
    path: &Path,
    instance: &str,
    substitute: impl FnOnce(&str, &str) -> String,
) -> PathBuf {
    match (path.to_str(), instance.get(..SHORT_LENGTH)) {
        (Some(text), Some(short)) if instance.len() >= ID_LENGTH_MIN => {
            PathBuf::from(substitute(text, short))
        }
        _ => path.to_owned(),
    }
}
