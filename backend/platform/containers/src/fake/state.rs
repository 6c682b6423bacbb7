//! What the fake remembers.

use super::Fault;
use super::container::Container;
use crate::runtime::{ContainerId, ContainerState, FoundNetwork, NetworkId, Role, Workload};
use berth_engines::Access;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

/// What the ids of containers and of networks begin with; a number follows.
const CONTAINER: char = 'c';
const NETWORK: char = 'n';

#[derive(Debug, Default)]
pub(super) struct State {
    containers: BTreeMap<u32, Box<Container>>,
    /// Where containers are found by their name, their instance and what they write.
    marks: BTreeSet<(u32, u32)>,
    /// What containers have in common.
    shapes: HashSet<Arc<Workload>>,
    pub networks: BTreeMap<u32, FoundNetwork>,
    /// Names of containers that answer no question.
    pub hanging: HashSet<String>,
    pub images: BTreeSet<String>,
    /// Ports that something else on the host listens on.
    pub held_ports: BTreeSet<u16>,
    /// What registries have.
    pub published: BTreeSet<String>,
    /// How often an image was built anew.
    pub rebuilt: BTreeMap<String, u32>,
    /// Ids that are gone with the images that they were of.
    pub pruned: BTreeSet<String>,
    /// What every call meets while nobody answers any.
    pub silence: Option<Fault>,
    pub faults: Vec<(&'static str, u32, Fault)>,
    pub calls: BTreeMap<&'static str, u32>,
    made: u32,
}

/// By what a container is found.
#[derive(Hash)]
enum Mark<'a> {
    Name(&'a str),
    Instance(&'a str),
    Mount(&'a Path),
}

impl Mark<'_> {
    fn digest(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        // The lower half is as good as the whole: what is found is compared.
        (hasher.finish() & u64::from(u32::MAX)) as u32
    }
}

fn number(id: &str, kind: char) -> Option<u32> {
    id.strip_prefix(kind)?.parse().ok()
}

pub(super) fn container_id(number: u32) -> ContainerId {
    ContainerId(format!("{CONTAINER}{number}"))
}

pub(super) fn network_id(number: u32) -> NetworkId {
    NetworkId(format!("{NETWORK}{number}"))
}

pub(super) fn network_number(id: &NetworkId) -> Option<u32> {
    number(&id.0, NETWORK)
}

impl State {
    /// Gives an image that name. One that has another image already points to this one from now
    /// on, and the old id stays good.
    pub(super) fn name_image(&mut self, name: &str, image: &str) {
        if !self.images.insert(name.to_owned()) && name != image {
            *self.rebuilt.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// A number that was never given before.
    pub(super) fn fresh(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    /// Counts a call and hands out the fault that waited for it.
    pub(super) fn meet(&mut self, verb: &'static str) -> Option<Fault> {
        *self.calls.entry(verb).or_default() += 1;
        if self.silence.is_some() {
            return self.silence;
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

    pub(super) fn containers(&self) -> impl Iterator<Item = (u32, &Container)> {
        self.containers
            .iter()
            .map(|(number, container)| (*number, container.as_ref()))
    }

    pub(super) fn containers_mut(&mut self) -> impl Iterator<Item = &mut Container> {
        self.containers.values_mut().map(Box::as_mut)
    }

    pub(super) fn get(&self, number: u32) -> Option<&Container> {
        self.containers.get(&number).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Container> {
        self.containers.get_mut(&number).map(Box::as_mut)
    }

    fn marked<'s>(
        &'s self,
        mark: Mark<'_>,
    ) -> impl Iterator<Item = (u32, &'s Container)> + use<'s> {
        let digest = mark.digest();
        self.marks
            .range((digest, 0)..=(digest, u32::MAX))
            .filter_map(|(_, number)| Some((*number, self.get(*number)?)))
    }

    /// The container with this id or name.
    pub(super) fn key(&self, id_or_name: &str) -> Option<u32> {
        if let Some(number) = number(id_or_name, CONTAINER)
            && self.containers.contains_key(&number)
        {
            return Some(number);
        }
        self.marked(Mark::Name(id_or_name))
            .find(|(_, container)| container.name() == id_or_name)
            .map(|(number, _)| number)
    }

    pub(super) fn of_instance(&self, instance: &str) -> impl Iterator<Item = (u32, &Container)> {
        self.marked(Mark::Instance(instance))
            .filter(move |(_, container)| container.instance() == instance)
    }

    /// The containers of that role that write a directory of the host.
    pub(super) fn writing(
        &self,
        source: &Path,
        role: Role,
    ) -> impl Iterator<Item = (u32, &Container)> {
        self.marked(Mark::Mount(source))
            .filter(move |(_, container)| container.role() == role && container.mounts(source))
    }

    /// Makes a container that has not been started.
    pub(super) fn insert(&mut self, workload: &Workload, network: Option<u32>) -> u32 {
        let number = self.fresh();
        let shape = Arc::new(Container::shape(workload));
        let shape = match self.shapes.get(&shape) {
            Some(known) => Arc::clone(known),
            None => {
                self.shapes.insert(Arc::clone(&shape));
                shape
            }
        };
        let container = Box::new(Container::new(workload, shape, network));
        for digest in digests(&container) {
            self.marks.insert((digest, number));
        }
        self.containers.insert(number, container);
        number
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Box<Container>> {
        let container = self.containers.remove(&number)?;
        for digest in digests(&container) {
            self.marks.remove(&(digest, number));
        }
        // The set's own and this one: nobody else is of that shape.
        if Arc::strong_count(container.own_shape()) == 2 {
            self.shapes.remove(container.own_shape());
        }
        Some(container)
    }

    pub(super) fn rename(&mut self, number: u32, name: &str) {
        if let Some(container) = self.containers.get_mut(&number) {
            let old = Mark::Name(container.name()).digest();
            self.marks.remove(&(old, number));
            container.rename(name);
            self.marks.insert((Mark::Name(name).digest(), number));
        }
    }

    pub(super) fn restart(&mut self) {
        for container in self.containers_mut() {
            if container.runs() && !container.restarts() {
                container.state = ContainerState::Exited;
                container.exit_code = Some(137);
            }
        }
    }
}

fn digests(container: &Container) -> Vec<u32> {
    let mut digests = vec![
        Mark::Name(container.name()).digest(),
        Mark::Instance(container.instance()).digest(),
    ];
    let written = container.sources().filter(|(_, how)| *how == Access::Write);
    digests.extend(written.map(|(source, _)| Mark::Mount(&source).digest()));
    digests
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{HostMount, Labels, Limits, Stop};
    use berth_engines::Signal;

    const INSTANCE: &str = "0a1b2c3d-0000-4000-8000-000000000000";

    fn workload(name: &str, instance: &str, sources: &[&str]) -> Workload {
        Workload {
            name: name.to_owned(),
            labels: Labels {
                installation: "0123abcd".to_owned(),
                instance: instance.to_owned(),
                role: Role::Engine,
                spec: "spec".to_owned(),
            },
            image: "image".to_owned(),
            command: vec!["serve".to_owned()],
            owner: 999,
            mounts: sources
                .iter()
                .map(|source| HostMount {
                    source: Path::new(source).to_owned(),
                    target: "/there".to_owned(),
                    access: Access::Write,
                })
                .collect(),
            network: None,
            published: None,
            limits: Limits {
                cpu_millis: 1,
                memory_mb: 1,
                processes_max: 1,
            },
            shared_memory_mb: 1,
            stop: Stop {
                signal: Signal::Terminate,
                timeout_seconds: 1,
            },
            restarts: true,
        }
    }

    #[test]
    fn what_is_shared_is_told_apart_again() {
        let mut state = State::default();
        let other = INSTANCE.replace("0a1b", "ffff");
        let paths = |id: &str| [format!("/run/{}/engine", &id[..8]), format!("/data/{id}")];
        let numbers = [INSTANCE, &other].map(|id| {
            let [sockets, data] = paths(id);
            state.insert(&workload(&format!("n-{id}"), id, &[&sockets, &data]), None)
        });
        assert_eq!(state.shapes.len(), 1);
        for (number, id) in numbers.iter().zip([INSTANCE, &other]) {
            let container = state.get(*number).unwrap();
            let sources: Vec<_> = container.sources().map(|(source, _)| source).collect();
            assert_eq!(sources, paths(id).map(std::path::PathBuf::from));
            assert_eq!(container.labels().instance, *id);
            assert_eq!(state.key(&format!("n-{id}")), Some(*number));
            let found: Vec<_> = state.of_instance(id).map(|(number, _)| number).collect();
            assert_eq!(found, [*number]);
            for path in paths(id) {
                let mut found = state.writing(Path::new(&path), Role::Engine);
                assert_eq!(found.next().map(|(number, _)| number), Some(*number));
                assert!(found.next().is_none());
            }
        }
    }

    #[test]
    fn what_goes_leaves_nothing() {
        let mut state = State::default();
        let number = state.insert(&workload("a", INSTANCE, &["/data"]), None);
        state.rename(number, "b");
        assert_eq!((state.key("a"), state.key("b")), (None, Some(number)));
        assert!(state.remove(number).is_some());
        assert!(state.marks.is_empty() && state.shapes.is_empty());
    }
}
