//! A container of the fake, in little room: a bench has it remember tens of thousands.

use super::state::network_id;
use crate::runtime::{ContainerState, HostMount, Labels, NetworkId, Published, Role, Workload};
use berth_engines::Access;
use std::num::NonZeroU32;
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
    /// Its instance, its spec and its name, one after the other.
    texts: Box<str>,
    instance_length: u8,
    spec_length: u8,
    pub(super) state: ContainerState,
    /// A pooler that holds its clients.
    pub(super) paused: bool,
    /// Clients that wait at a pooler.
    pub(super) waiting: u32,
    /// What clients have done through a pooler.
    pub(super) transactions: u32,
    pub(super) exit_code: Option<i32>,
    /// Everything else, shared by all of which the same was asked.
    shape: Arc<Workload>,
    published: Option<Box<Published>>,
    /// The number of its network, and of those that it has joined since.
    network: Option<NonZeroU32>,
    joined: Box<[u32]>,
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
    pub(super) fn new(workload: &Workload, shape: Arc<Workload>, network: Option<u32>) -> Self {
        let labels = &workload.labels;
        Self {
            texts: [&*labels.instance, &*labels.spec, &*workload.name]
                .concat()
                .into(),
            // Neither is ever longer than a UUID.
            instance_length: u8::try_from(labels.instance.len()).unwrap_or(u8::MAX),
            spec_length: u8::try_from(labels.spec.len()).unwrap_or(u8::MAX),
            state: ContainerState::Created,
            paused: false,
            waiting: 0,
            transactions: 0,
            exit_code: None,
            shape,
            published: workload.published.map(Box::new),
            network: network.and_then(NonZeroU32::new),
            joined: Box::default(),
        }
    }

    pub(super) fn own_shape(&self) -> &Arc<Workload> {
        &self.shape
    }

    pub(super) fn name(&self) -> &str {
        let begin = usize::from(self.instance_length) + usize::from(self.spec_length);
        self.texts.get(begin..).unwrap_or_default()
    }

    pub(super) fn rename(&mut self, name: &str) {
        self.texts = [self.instance(), self.spec(), name].concat().into();
    }

    pub(super) fn instance(&self) -> &str {
        let end = usize::from(self.instance_length);
        self.texts.get(..end).unwrap_or_default()
    }

    fn spec(&self) -> &str {
        let begin = usize::from(self.instance_length);
        let end = begin + usize::from(self.spec_length);
        self.texts.get(begin..end).unwrap_or_default()
    }

    pub(super) fn role(&self) -> Role {
        self.shape.labels.role
    }

    pub(super) fn installation(&self) -> &str {
        &self.shape.labels.installation
    }

    pub(super) fn labels(&self) -> Labels {
        Labels {
            instance: self.instance().to_owned(),
            spec: self.spec().to_owned(),
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
        mounts.map(|mount| (unfolded(&mount.source, self.instance()), mount.access))
    }

    pub(super) fn mounts(&self, source: &Path) -> bool {
        let wanted = folded(source, self.instance());
        self.shape.mounts.iter().any(|mount| mount.source == wanted)
    }

    pub(super) fn networks(&self) -> impl Iterator<Item = NetworkId> {
        self.network_numbers().map(network_id)
    }

    pub(super) fn network_numbers(&self) -> impl Iterator<Item = u32> {
        let first = self.network.map(NonZeroU32::get).into_iter();
        first.chain(self.joined.iter().copied())
    }

    pub(super) fn is_in(&self, network: u32) -> bool {
        self.network_numbers().any(|own| own == network)
    }

    pub(super) fn join(&mut self, network: u32) {
        if !self.is_in(network) {
            self.joined = [&*self.joined, &[network]].concat().into();
        }
    }

    pub(super) fn published(&self) -> Option<Published> {
        self.published.as_deref().copied()
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
