//! The verbs of the fake.

use super::state::{Container, State};
use super::{FakeRuntime, engine};
use crate::runtime::{
    Attachment, ContainerId, ContainerState, Containers, Details, Events, Exec, ExecOutcome, Found,
    FoundNetwork, Images, Limits, NetworkId, NetworkPlan, Networks, Role, RuntimeError,
    RuntimeEvent, RuntimeFacts, Workload,
};
use async_trait::async_trait;
use berth_engines::Signal;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::collections::BTreeSet;
use tokio::sync::broadcast::error::RecvError;

fn absent(subject: &str) -> RuntimeError {
    RuntimeError::NotFound {
        subject: subject.to_owned(),
    }
}

fn broken(act: &'static str, why: &str) -> RuntimeError {
    RuntimeError::Failed {
        act,
        source: why.to_owned().into(),
    }
}

impl State {
    fn container(&mut self, id: &ContainerId) -> Result<&mut Container, RuntimeError> {
        let key = self.key(&id.0).ok_or_else(|| absent(&id.0))?;
        self.containers.get_mut(&key).ok_or_else(|| absent(&id.0))
    }

    fn create(&mut self, workload: &Workload) -> Result<ContainerId, RuntimeError> {
        if self.key(&workload.name).is_some() {
            return Err(RuntimeError::NameTaken {
                name: workload.name.clone(),
            });
        }
        let image = engine::image_name(&workload.image);
        if !self.images.contains(image) {
            return Err(absent(&workload.image));
        }
        for mount in &workload.mounts {
            if !mount.source.exists() {
                return Err(broken("mount a directory", "its source does not exist"));
            }
        }
        let networks: BTreeSet<_> = workload.network.iter().map(|n| n.network.clone()).collect();
        let id = format!("c{}", self.fresh());
        let container = Container {
            workload: workload.clone(),
            state: ContainerState::Created,
            networks,
            exit_code: None,
            log: Vec::new(),
            paused: false,
            waiting: 0,
            transactions: 0,
        };
        self.containers.insert(id.clone(), container);
        Ok(ContainerId(id))
    }

    fn start(
        &mut self,
        id: &ContainerId,
        run: impl FnOnce(&Workload) -> Result<Option<i64>, RuntimeError>,
    ) -> Result<String, RuntimeError> {
        let known: BTreeSet<_> = self.networks.values().map(|n| n.id.clone()).collect();
        let names: Vec<_> = self.networks.values().map(|n| n.name.clone()).collect();
        let ambiguous: BTreeSet<_> = self
            .networks
            .values()
            .filter(|n| names.iter().filter(|name| **name == n.name).count() > 1)
            .map(|n| n.id.clone())
            .collect();
        let taken: Vec<_> = self
            .containers
            .iter()
            .filter(|(other, c)| **other != id.0 && c.runs())
            .filter_map(|(_, c)| c.workload.published)
            .collect();
        let container = self.container(id)?;
        let instance = container.labels().instance.clone();
        if container.runs() {
            return Ok(instance);
        }
        if let Some(gone) = container.networks.iter().find(|n| !known.contains(n)) {
            return Err(absent(&gone.0));
        }
        if container.networks.iter().any(|n| ambiguous.contains(n)) {
            return Err(broken("start a container", "a network's name is ambiguous"));
        }
        if let Some(port) = container.workload.published
            && taken
                .iter()
                .any(|t| t.bind == port.bind && t.port == port.port)
        {
            return Err(RuntimeError::PortTaken { port: port.port });
        }
        for mount in &container.workload.mounts {
            if !mount.source.exists() {
                return Err(broken("mount a directory", "its source does not exist"));
            }
        }
        container.exit_code = run(&container.workload)?;
        container.state = match container.exit_code {
            None => ContainerState::Running,
            Some(_) => ContainerState::Exited,
        };
        Ok(instance)
    }

    fn create_network(&mut self, plan: &NetworkPlan) -> Result<NetworkId, RuntimeError> {
        let overlaps = self
            .networks
            .values()
            .flat_map(|n| &n.subnets)
            .any(|other| {
                other.contains(&plan.subnet.network()) || plan.subnet.contains(&other.network())
            });
        if overlaps {
            return Err(RuntimeError::SubnetTaken {
                subnet: plan.subnet,
            });
        }
        let number = self.fresh();
        let id = NetworkId(format!("n{number}"));
        let network = FoundNetwork {
            id: id.clone(),
            name: plan.name.clone(),
            installation: Some(plan.installation.clone()),
            subnets: vec![plan.subnet],
            created: format!("{number:020}"),
        };
        self.networks.insert(id.0.clone(), network);
        Ok(id)
    }
}

#[async_trait]
impl Containers for FakeRuntime {
    async fn create(&self, workload: &Workload) -> Result<ContainerId, RuntimeError> {
        self.verb("create", |state| state.create(workload))
    }

    async fn start(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let registry = &self.registry;
        let instance = self.verb("start", |state| {
            state.start(id, |workload| engine::start(registry, workload))
        })?;
        self.tell(RuntimeEvent::Instance(instance));
        Ok(())
    }

    async fn stop(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let instance = self.verb("stop", |state| {
            let container = state.container(id)?;
            if container.runs() {
                container.state = ContainerState::Exited;
                container.forget_clients();
                container.exit_code = Some(0);
            }
            Ok(container.labels().instance.clone())
        })?;
        self.tell(RuntimeEvent::Instance(instance));
        Ok(())
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let instance = self.verb("remove", |state| {
            let key = state.key(&id.0).ok_or_else(|| absent(&id.0))?;
            match state.containers.get(&key) {
                Some(container) if container.runs() => Err(broken("remove a container", "it runs")),
                _ => Ok(state
                    .containers
                    .remove(&key)
                    .map(|c| c.labels().instance.clone())),
            }
        })?;
        if let Some(instance) = instance {
            self.tell(RuntimeEvent::Instance(instance));
        }
        Ok(())
    }

    async fn find(
        &self,
        installation: &str,
        instance: Option<&str>,
    ) -> Result<Vec<Found>, RuntimeError> {
        self.verb("find", |state| {
            let ours = state.containers.iter().filter(|(_, c)| {
                c.labels().installation == installation
                    && instance.is_none_or(|wanted| c.labels().instance == wanted)
            });
            Ok(ours
                .map(|(id, c)| Found {
                    id: ContainerId(id.clone()),
                    name: c.workload.name.clone(),
                    labels: c.labels().clone(),
                    state: c.state,
                    networks: c.networks.iter().cloned().collect(),
                })
                .collect())
        })
    }

    async fn inspect(&self, id_or_name: &str) -> Result<Option<Details>, RuntimeError> {
        self.verb("inspect", |state| {
            let found = state.key(id_or_name).and_then(|k| state.containers.get(&k));
            Ok(found.map(|c| Details {
                state: c.state,
                exit_code: c.exit_code,
                out_of_memory: false,
                restarts: 0,
                labels: Some(c.labels().clone()),
            }))
        })
    }

    async fn limit(&self, id: &ContainerId, limits: &Limits) -> Result<(), RuntimeError> {
        self.verb("limit", |state| {
            state.container(id)?.workload.limits = *limits;
            Ok(())
        })
    }

    async fn signal(&self, id: &ContainerId, _signal: Signal) -> Result<(), RuntimeError> {
        self.verb("signal", |state| {
            if state.container(id)?.runs() {
                Ok(())
            } else {
                Err(broken("signal a container", "it does not run"))
            }
        })
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), RuntimeError> {
        self.verb("rename", |state| {
            let holder = state.key(name);
            let own = state.key(&id.0);
            if holder.is_some() && holder != own {
                return Err(RuntimeError::NameTaken {
                    name: name.to_owned(),
                });
            }
            name.clone_into(&mut state.container(id)?.workload.name);
            Ok(())
        })
    }

    async fn exec(&self, id: &ContainerId, exec: &Exec) -> Result<ExecOutcome, RuntimeError> {
        self.verb("exec", |state| {
            if !state.container(id)?.runs() {
                return Err(broken("run a program", "the container does not run"));
            }
            Ok(engine::exec(exec))
        })
    }

    async fn wait(&self, id: &ContainerId) -> Result<i64, RuntimeError> {
        self.verb("wait", |state| {
            state
                .container(id)?
                .exit_code
                .ok_or_else(|| broken("wait for a container", "it would never end"))
        })
    }

    async fn logs(&self, id: &ContainerId, lines_max: usize) -> Result<Vec<String>, RuntimeError> {
        self.verb("logs", |state| {
            let log = &state.container(id)?.log;
            Ok(log[log.len().saturating_sub(lines_max)..].to_vec())
        })
    }
}

#[async_trait]
impl Networks for FakeRuntime {
    async fn create_network(&self, plan: &NetworkPlan) -> Result<NetworkId, RuntimeError> {
        self.verb("create_network", |state| state.create_network(plan))
    }

    async fn networks(&self) -> Result<Vec<FoundNetwork>, RuntimeError> {
        self.verb("networks", |state| {
            Ok(state.networks.values().cloned().collect())
        })
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<(), RuntimeError> {
        self.verb("remove_network", |state| {
            let used = state
                .containers
                .values()
                .any(|c| c.runs() && c.networks.contains(id));
            if used {
                return Err(RuntimeError::NetworkInUse);
            }
            state
                .networks
                .remove(&id.0)
                .map(drop)
                .ok_or_else(|| absent(&id.0))
        })
    }

    async fn attach(&self, id: &ContainerId, attachment: &Attachment) -> Result<(), RuntimeError> {
        self.verb("attach", |state| {
            if !state.networks.contains_key(&attachment.network.0) {
                return Err(absent(&attachment.network.0));
            }
            let networks = &mut state.container(id)?.networks;
            networks.insert(attachment.network.clone());
            Ok(())
        })
    }

    async fn is_network_used(&self, id: &NetworkId) -> Result<bool, RuntimeError> {
        self.verb("is_network_used", |state| {
            Ok(state.containers.values().any(|c| c.networks.contains(id)))
        })
    }
}

#[async_trait]
impl Images for FakeRuntime {
    async fn image(&self, reference: &str) -> Result<Option<String>, RuntimeError> {
        self.verb("image", |state| {
            let name = engine::image_name(reference);
            if !state.images.contains(name) {
                return Ok(None);
            }
            let rebuilt = state.rebuilt.get(name).copied().unwrap_or_default();
            let by_id = name != reference;
            Ok(Some(if by_id {
                reference.to_owned()
            } else {
                engine::image_id(name, rebuilt)
            }))
        })
    }

    async fn pull(&self, reference: &str) -> Result<(), RuntimeError> {
        self.verb("pull", |state| {
            if state.images.contains(reference) {
                Ok(())
            } else {
                Err(absent(reference))
            }
        })
    }
}

#[async_trait]
impl Events for FakeRuntime {
    fn events(&self, _installation: &str) -> BoxStream<'static, RuntimeEvent> {
        let begun = stream::once(std::future::ready(RuntimeEvent::Gap));
        let events = stream::unfold(self.events.subscribe(), async |mut events| {
            match events.recv().await {
                Ok(event) => Some((event, events)),
                Err(RecvError::Lagged(_)) => Some((RuntimeEvent::Gap, events)),
                Err(RecvError::Closed) => None,
            }
        });
        begun.chain(events).boxed()
    }

    async fn facts(&self) -> Result<RuntimeFacts, RuntimeError> {
        self.verb("facts", |_| {
            Ok(RuntimeFacts {
                name: "fake".to_owned(),
                version: "1".to_owned(),
                cores: FAKE_CORES,
                memory_mb: FAKE_MEMORY_MB,
            })
        })
    }
}

/// Enough for a benchmark with a thousand databases.
const FAKE_CORES: u32 = 64;
const FAKE_MEMORY_MB: u64 = 4 * 1024 * 1024;

/// Whether a container is one that serves rather than makes something.
pub(super) fn serves(container: &Container, role: Role) -> bool {
    container.runs() && container.labels().role == role
}
