//! What the fake remembers.

use super::Fault;
use crate::runtime::{ContainerState, FoundNetwork, Labels, NetworkId, Workload};
use std::collections::{BTreeMap, BTreeSet};

/// A container of the fake.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub workload: Workload,
    pub state: ContainerState,
    pub networks: BTreeSet<NetworkId>,
    pub exit_code: Option<i64>,
    pub log: Vec<String>,
    /// A pooler that holds its clients.
    pub paused: bool,
    /// Clients that wait at a pooler.
    pub waiting: u64,
    /// What clients have done through a pooler.
    pub transactions: u64,
}

impl Container {
    pub(super) fn labels(&self) -> &Labels {
        &self.workload.labels
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
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub containers: BTreeMap<String, Container>,
    pub networks: BTreeMap<String, FoundNetwork>,
    pub images: BTreeSet<String>,
    /// How often an image was built anew.
    pub rebuilt: BTreeMap<String, u32>,
    pub unreachable: bool,
    pub faults: Vec<(&'static str, u32, Fault)>,
    pub calls: BTreeMap<&'static str, u32>,
    made: u64,
}

impl State {
    /// A number that was never given before.
    pub(super) fn fresh(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Counts a call and hands out the fault that waited for it.
    pub(super) fn meet(&mut self, verb: &'static str) -> Option<Fault> {
        *self.calls.entry(verb).or_default() += 1;
        if self.unreachable {
            return Some(Fault::Unreachable);
        }
        let mut met = None;
        self.faults.retain_mut(|(waiting, countdown, fault)| {
            if *waiting != verb {
                return true;
            }
            *countdown = countdown.saturating_sub(1);
            if *countdown == 0 {
                met = Some(*fault);
            }
            *countdown > 0
        });
        met
    }

    /// The key of the container with this id or name.
    pub(super) fn key(&self, id_or_name: &str) -> Option<String> {
        if self.containers.contains_key(id_or_name) {
            return Some(id_or_name.to_owned());
        }
        self.containers
            .iter()
            .find(|(_, c)| c.workload.name == id_or_name)
            .map(|(id, _)| id.clone())
    }

    pub(super) fn restart(&mut self) {
        for container in self.containers.values_mut() {
            if container.runs() && !container.workload.restarts {
                container.state = ContainerState::Exited;
                container.exit_code = Some(137);
            }
        }
    }
}
