//! The verbs of the fake.

use super::container::Container;
use super::state::{State, container_id, network_id, network_number};
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

fn found((number, container): (u32, &Container)) -> Found {
    Found {
        id: container_id(number),
        name: container.name().to_owned(),
        labels: container.labels(),
        image: Some(container.image().to_owned()),
        state: container.state,
        networks: container.networks().collect(),
    }
}

impl State {
    fn number(&self, id: &ContainerId) -> Result<u32, RuntimeError> {
        self.key(&id.0).ok_or_else(|| absent(&id.0))
    }

    fn container(&mut self, id: &ContainerId) -> Result<&mut Container, RuntimeError> {
        let number = self.number(id)?;
        self.get_mut(number).ok_or_else(|| absent(&id.0))
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
        let network = match &workload.network {
            Some(wanted) => {
                let number = network_number(&wanted.network);
                Some(number.ok_or_else(|| absent(&wanted.network.0))?)
            }
            None => None,
        };
        let number = self.insert(workload, network);
        Ok(container_id(number))
    }

    fn start(
        &mut self,
        id: &ContainerId,
        run: impl FnOnce(&Container) -> Result<Option<i32>, RuntimeError>,
    ) -> Result<String, RuntimeError> {
        let number = self.number(id)?;
        let container = self.get(number).ok_or_else(|| absent(&id.0))?;
        let instance = container.instance().to_owned();
        if container.runs() {
            return Ok(instance);
        }
        self.refuse_networks(container)?;
        self.refuse_port(number, container)?;
        for (source, _) in container.sources() {
            if !source.exists() {
                return Err(broken("mount a directory", "its source does not exist"));
            }
        }
        let exit_code = run(container)?;
        let container = self.container(id)?;
        container.exit_code = exit_code;
        container.state = match exit_code {
            None => ContainerState::Running,
            Some(_) => ContainerState::Exited,
        };
        Ok(instance)
    }

    fn refuse_networks(&self, container: &Container) -> Result<(), RuntimeError> {
        let mut own = Vec::new();
        for number in container.network_numbers() {
            let network = self.networks.get(&number);
            own.push(network.ok_or_else(|| absent(&network_id(number).0))?);
        }
        for network in own {
            let same = self.networks.values().filter(|n| n.name == network.name);
            if same.count() > 1 {
                return Err(broken("start a container", "a network's name is ambiguous"));
            }
        }
        Ok(())
    }

    fn refuse_port(&self, number: u32, container: &Container) -> Result<(), RuntimeError> {
        let Some(port) = container.published() else {
            return Ok(());
        };
        let mut others = self
            .containers()
            .filter(|(other, c)| *other != number && c.runs())
            .filter_map(|(_, c)| c.published());
        if self.held_ports.contains(&port.port)
            || others.any(|taken| taken.bind == port.bind && taken.port == port.port)
        {
            return Err(RuntimeError::PortTaken { port: port.port });
        }
        Ok(())
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
        let id = network_id(number);
        let network = FoundNetwork {
            id: id.clone(),
            name: plan.name.clone(),
            installation: Some(plan.installation.clone()),
            subnets: vec![plan.subnet],
            created: format!("{number:020}"),
        };
        self.networks.insert(number, network);
        Ok(id)
    }
}

#[async_trait]
impl Containers for FakeRuntime {
    async fn create(&self, workload: &Workload) -> Result<ContainerId, RuntimeError> {
        self.verb("create", |state| state.create(workload)).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let registry = &self.inner.registry;
        let instance = self
            .verb("start", |state| {
                state.start(id, |container| engine::start(registry, container))
            })
            .await?;
        self.tell(RuntimeEvent::Instance(instance));
        Ok(())
    }

    async fn stop(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let instance = self
            .verb("stop", |state| {
                let container = state.container(id)?;
                if container.runs() {
                    container.state = ContainerState::Exited;
                    container.forget_clients();
                    container.exit_code = Some(0);
                }
                Ok(container.instance().to_owned())
            })
            .await?;
        self.tell(RuntimeEvent::Instance(instance));
        Ok(())
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let instance = self
            .verb("remove", |state| {
                let number = state.number(id)?;
                match state.get(number) {
                    Some(container) if container.runs() => {
                        Err(broken("remove a container", "it runs"))
                    }
                    _ => Ok(state.remove(number).map(|c| c.instance().to_owned())),
                }
            })
            .await?;
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
            let ours = |(_, c): &(u32, &Container)| c.installation() == installation;
            Ok(match instance {
                Some(instance) => state
                    .of_instance(instance)
                    .filter(ours)
                    .map(found)
                    .collect(),
                None => state.containers().filter(ours).map(found).collect(),
            })
        })
        .await
    }

    async fn jobs(&self, installation: &str) -> Result<Vec<Found>, RuntimeError> {
        self.verb("find", |state| {
            let jobs = state
                .containers()
                .filter(|(_, c)| c.role() == Role::Initialise && c.installation() == installation);
            Ok(jobs.map(found).collect())
        })
        .await
    }

    async fn inspect(&self, id_or_name: &str) -> Result<Option<Details>, RuntimeError> {
        self.verb("inspect", |state| {
            let found = state.key(id_or_name).and_then(|number| state.get(number));
            Ok(found.map(|c| Details {
                state: c.state,
                exit_code: c.exit_code.map(i64::from),
                out_of_memory: false,
                restarts: 0,
                labels: Some(c.labels()),
            }))
        })
        .await
    }

    async fn limit(&self, id: &ContainerId, _limits: &Limits) -> Result<(), RuntimeError> {
        self.verb("limit", |state| state.container(id).map(drop))
            .await
    }

    async fn signal(&self, id: &ContainerId, _signal: Signal) -> Result<(), RuntimeError> {
        self.verb("signal", |state| {
            if state.container(id)?.runs() {
                Ok(())
            } else {
                Err(broken("signal a container", "it does not run"))
            }
        })
        .await
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
            let number = state.number(id)?;
            state.rename(number, name);
            Ok(())
        })
        .await
    }

    async fn exec(&self, id: &ContainerId, exec: &Exec) -> Result<ExecOutcome, RuntimeError> {
        self.verb("exec", |state| {
            if !state.container(id)?.runs() {
                return Err(broken("run a program", "the container does not run"));
            }
            Ok(engine::exec(exec))
        })
        .await
    }

    async fn wait(&self, id: &ContainerId) -> Result<i64, RuntimeError> {
        self.verb("wait", |state| {
            state
                .container(id)?
                .exit_code
                .map(i64::from)
                .ok_or_else(|| broken("wait for a container", "it would never end"))
        })
        .await
    }

    async fn logs(&self, id: &ContainerId, _lines_max: usize) -> Result<Vec<String>, RuntimeError> {
        self.verb("logs", |state| state.container(id).map(|_| Vec::new()))
            .await
    }
}

#[async_trait]
impl Networks for FakeRuntime {
    async fn create_network(&self, plan: &NetworkPlan) -> Result<NetworkId, RuntimeError> {
        self.verb("create_network", |state| state.create_network(plan))
            .await
    }

    async fn networks(&self) -> Result<Vec<FoundNetwork>, RuntimeError> {
        self.verb("networks", |state| {
            Ok(state.networks.values().cloned().collect())
        })
        .await
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<(), RuntimeError> {
        self.verb("remove_network", |state| {
            let number = network_number(id).ok_or_else(|| absent(&id.0))?;
            let is_in = |c: &Container| c.runs() && c.is_in(number);
            if state.containers().any(|(_, c)| is_in(c)) {
                return Err(RuntimeError::NetworkInUse);
            }
            let gone = state.networks.remove(&number);
            gone.map(drop).ok_or_else(|| absent(&id.0))
        })
        .await
    }

    async fn attach(&self, id: &ContainerId, attachment: &Attachment) -> Result<(), RuntimeError> {
        self.verb("attach", |state| {
            let number = network_number(&attachment.network)
                .filter(|number| state.networks.contains_key(number))
                .ok_or_else(|| absent(&attachment.network.0))?;
            state.container(id)?.join(number);
            Ok(())
        })
        .await
    }

    async fn is_network_used(&self, id: &NetworkId) -> Result<bool, RuntimeError> {
        self.verb("is_network_used", |state| {
            Ok(network_number(id).is_some_and(|number| {
                let mut containers = state.containers();
                containers.any(|(_, c)| c.is_in(number))
            }))
        })
        .await
    }
}

#[async_trait]
impl Images for FakeRuntime {
    async fn image(&self, reference: &str) -> Result<Option<String>, RuntimeError> {
        self.verb("image", |state| {
            let name = engine::image_name(reference);
            if !state.images.contains(name) || state.pruned.contains(reference) {
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
        .await
    }

    async fn pull(&self, reference: &str) -> Result<(), RuntimeError> {
        self.verb("pull", |state| {
            if !state.published.contains(reference) {
                return Err(absent(reference));
            }
            state.images.insert(reference.to_owned());
            Ok(())
        })
        .await
    }

    async fn tag(&self, reference: &str, name: &str) -> Result<(), RuntimeError> {
        self.verb("tag", |state| {
            if !state.images.contains(reference) {
                return Err(absent(reference));
            }
            state.name_image(name, reference);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Events for FakeRuntime {
    fn events(&self, _installation: &str) -> BoxStream<'static, RuntimeEvent> {
        let begun = stream::once(std::future::ready(RuntimeEvent::Gap));
        let events = stream::unfold(
            self.inner.events.subscribe(),
            async |mut events| match events.recv().await {
                Ok(event) => Some((event, events)),
                Err(RecvError::Lagged(_)) => Some((RuntimeEvent::Gap, events)),
                Err(RecvError::Closed) => None,
            },
        );
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
        .await
    }
}

/// Enough for a benchmark with a thousand databases.
const FAKE_CORES: u32 = 64;
const FAKE_MEMORY_MB: u64 = 4 * 1024 * 1024;
