//! Containers.

use crate::errors::{Subject, meaning};
use crate::{Docker, LABEL_INSTALLATION, LABEL_INSTANCE, LABEL_ROLE, LABEL_SPEC};
use async_trait::async_trait;
use berth_containers::{
    ContainerId, ContainerState, Containers, Details, Exec, ExecOutcome, Found, Labels, Limits,
    NetworkId, Networks, Role, RuntimeError, Signal, Workload,
};
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{
    ContainerCreateBody, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum,
    ContainerUpdateBody, EndpointSettings, HostConfig, HostConfigLogConfig, Mount, MountType,
    NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt};
use std::collections::HashMap;
use tokio::io::AsyncWriteExt;

const MIB: i64 = 1024 * 1024;
/// A quarter of what others have while cores are short.
const JOB_CPU_SHARES: i64 = 256;
/// The scratch directory in memory that every container has.
const SCRATCH: &str = "rw,noexec,nosuid,nodev,size=64m";
/// A log that is kept: enough to see why something ended, too little to fill a disk.
const LOG_FILE_SIZE: &str = "10m";
const LOG_FILES: &str = "3";

impl Docker {
    fn limits(limits: &Limits, cores: u32) -> (i64, i64, i64) {
        // Docker refuses more than the host has; the plan's note has said so.
        let millis = limits.cpu_millis.min(cores.saturating_mul(1000));
        (
            i64::from(millis) * 1_000_000,
            i64::from(limits.memory_mb) * MIB,
            i64::from(limits.processes_max),
        )
    }
}

/// The body of a create. Same workload, same body.
fn body(workload: &Workload, cores: u32) -> ContainerCreateBody {
    let (nano_cpus, memory, pids_limit) = Docker::limits(&workload.limits, cores);
    let mounts = workload.mounts.iter().map(|mount| Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.display().to_string()),
        target: Some(mount.target.clone()),
        read_only: Some(!mount.may_write()),
        ..Mount::default()
    });
    let network = workload.network.as_ref();
    let port = workload
        .published
        .map(|p| format!("{}/tcp", p.container_port));
    let bindings = workload
        .published
        .zip(port.clone())
        .map(|(published, port)| {
            let binding = PortBinding {
                host_ip: Some(published.bind.to_string()),
                host_port: Some(published.port.to_string()),
            };
            HashMap::from([(port, Some(vec![binding]))])
        });
    let restart = if workload.restarts {
        RestartPolicyNameEnum::UNLESS_STOPPED
    } else {
        RestartPolicyNameEnum::NO
    };
    ContainerCreateBody {
        image: Some(workload.image.clone()),
        cmd: Some(workload.command.clone()),
        entrypoint: Some(Vec::new()),
        user: Some(format!("{0}:{0}", workload.owner)),
        labels: Some(labels(&workload.labels)),
        stop_signal: Some(workload.stop.signal.as_str().to_owned()),
        stop_timeout: Some(i64::from(workload.stop.timeout_seconds)),
        exposed_ports: port.map(|port| vec![port]),
        host_config: Some(HostConfig {
            mounts: Some(mounts.collect()),
            network_mode: Some(network.map_or_else(|| "none".to_owned(), |n| n.network.0.clone())),
            port_bindings: bindings,
            restart_policy: Some(RestartPolicy {
                name: Some(restart),
                maximum_retry_count: None,
            }),
            nano_cpus: Some(nano_cpus),
            // A job gives way to what serves.
            cpu_shares: (!workload.restarts).then_some(JOB_CPU_SHARES),
            memory: Some(memory),
            memory_swap: Some(memory),
            pids_limit: Some(pids_limit),
            shm_size: Some(i64::from(workload.shared_memory_mb) * MIB),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            tmpfs: Some(HashMap::from([("/tmp".to_owned(), SCRATCH.to_owned())])),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([
                    ("max-size".to_owned(), LOG_FILE_SIZE.to_owned()),
                    ("max-file".to_owned(), LOG_FILES.to_owned()),
                ])),
            }),
            ..HostConfig::default()
        }),
        networking_config: network.map(|network| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(
                network.network.0.clone(),
                EndpointSettings {
                    aliases: Some(network.aliases.clone()),
                    ..EndpointSettings::default()
                },
            )])),
        }),
        ..ContainerCreateBody::default()
    }
}

fn labels(labels: &Labels) -> HashMap<String, String> {
    [
        (LABEL_INSTALLATION, labels.installation.as_str()),
        (LABEL_INSTANCE, &labels.instance),
        (LABEL_ROLE, labels.role.as_str()),
        (LABEL_SPEC, &labels.spec),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The labels of a container of berth's; none when it is somebody else's.
fn read_labels(labels: &HashMap<String, String>) -> Option<Labels> {
    let of = |key| labels.get(key).cloned();
    Some(Labels {
        installation: of(LABEL_INSTALLATION)?,
        instance: of(LABEL_INSTANCE)?,
        role: Role::from_word(&of(LABEL_ROLE)?)?,
        spec: of(LABEL_SPEC)?,
    })
}

/// The networks of a container as a list tells them: the key is the name, the id is empty
/// before the first start.
fn summary_networks(summary: &ContainerSummary) -> impl Iterator<Item = (&str, Option<&str>)> {
    let networks = summary
        .network_settings
        .as_ref()
        .and_then(|s| s.networks.as_ref());
    networks
        .into_iter()
        .flatten()
        .filter(|(name, _)| *name != "none")
        .map(|(name, settings)| {
            let id = settings.network_id.as_deref().filter(|id| !id.is_empty());
            (name.as_str(), id)
        })
}

fn found(summary: ContainerSummary, ids: &HashMap<String, NetworkId>) -> Option<Found> {
    let labels = read_labels(summary.labels.as_ref()?)?;
    let networks = summary_networks(&summary)
        .map(|(name, id)| match (id, ids.get(name)) {
            (Some(id), _) => NetworkId(id.to_owned()),
            (None, Some(id)) => id.clone(),
            // A network that is gone: its name is no id, so it equals none that is wanted.
            (None, None) => NetworkId(name.to_owned()),
        })
        .collect();
    let name = summary.names.unwrap_or_default().into_iter().next();
    Some(Found {
        id: ContainerId(summary.id?),
        name: name.unwrap_or_default().trim_start_matches('/').to_owned(),
        labels,
        image: summary.image_id.filter(|id| !id.is_empty()),
        state: match summary.state {
            Some(ContainerSummaryStateEnum::CREATED) => ContainerState::Created,
            Some(ContainerSummaryStateEnum::RUNNING) => ContainerState::Running,
            Some(ContainerSummaryStateEnum::RESTARTING) => ContainerState::Restarting,
            Some(ContainerSummaryStateEnum::EXITED) => ContainerState::Exited,
            _ => ContainerState::Other,
        },
        networks,
    })
}

impl Docker {
    /// The containers of an installation that bear one more label, where it is given.
    async fn labelled(
        &self,
        installation: &str,
        label: Option<String>,
    ) -> Result<Vec<Found>, RuntimeError> {
        let mut wanted = vec![format!("{LABEL_INSTALLATION}={installation}")];
        wanted.extend(label);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&HashMap::from([("label".to_owned(), wanted)]))
            .build();
        let list = self
            .client()
            .await?
            .list_containers(Some(options))
            .await
            .map_err(|e| meaning("list containers", Subject::Engine, e))?;
        let is_unstarted =
            |summary: &ContainerSummary| summary_networks(summary).any(|(_, id)| id.is_none());
        let mut ids = HashMap::new();
        if list.iter().any(is_unstarted) {
            let networks = self.networks().await?;
            let ours = networks
                .into_iter()
                .filter(|n| n.installation.as_deref() == Some(installation));
            ids.extend(ours.map(|network| (network.name, network.id)));
        }
        Ok(list
            .into_iter()
            .filter_map(|summary| found(summary, &ids))
            .collect())
    }
}

#[async_trait]
impl Containers for Docker {
    async fn create(&self, workload: &Workload) -> Result<ContainerId, RuntimeError> {
        let cores = self.known_facts().await?.cores;
        let options = CreateContainerOptionsBuilder::default()
            .name(&workload.name)
            .build();
        self.client()
            .await?
            .create_container(Some(options), body(workload, cores))
            .await
            .map(|created| ContainerId(created.id))
            .map_err(|e| meaning("create a container", Subject::Name(&workload.name), e))
    }

    async fn start(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let Err(error) = self.client().await?.start_container(&id.0, None).await else {
            return Ok(());
        };
        // Which port was refused stands in the message only.
        let port = refused_port(&error);
        Err(match port {
            Some(_) => meaning("start a container", Subject::Port(port), error),
            None => meaning("start a container", Subject::Container(&id.0), error),
        })
    }

    async fn stop(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.end(id).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        // Anonymous volumes go with it; berth makes none, an image might declare one.
        let options = RemoveContainerOptionsBuilder::default().v(true).build();
        match self
            .client()
            .await?
            .remove_container(&id.0, Some(options))
            .await
        {
            Ok(()) => Ok(()),
            // Someone else is at it: it goes all the same.
            Err(bollard::errors::Error::DockerResponseServerError { message, .. })
                if message.contains("is already in progress") =>
            {
                Ok(())
            }
            Err(e) => Err(meaning("remove a container", Subject::Container(&id.0), e)),
        }
    }

    async fn find(
        &self,
        installation: &str,
        instance: Option<&str>,
    ) -> Result<Vec<Found>, RuntimeError> {
        let instance = instance.map(|id| format!("{LABEL_INSTANCE}={id}"));
        self.labelled(installation, instance).await
    }

    async fn jobs(&self, installation: &str) -> Result<Vec<Found>, RuntimeError> {
        let role = format!("{LABEL_ROLE}={}", Role::Initialise);
        self.labelled(installation, Some(role)).await
    }

    async fn inspect(&self, id_or_name: &str) -> Result<Option<Details>, RuntimeError> {
        let inspected = match self
            .client()
            .await?
            .inspect_container(id_or_name, None)
            .await
        {
            Ok(inspected) => inspected,
            Err(error) => {
                return match meaning("inspect a container", Subject::Container(id_or_name), error) {
                    RuntimeError::NotFound { .. } => Ok(None),
                    other => Err(other),
                };
            }
        };
        let state = inspected.state.unwrap_or_default();
        let labels = inspected.config.and_then(|config| config.labels);
        Ok(Some(Details {
            state: match state.status {
                Some(ContainerStateStatusEnum::CREATED) => ContainerState::Created,
                Some(ContainerStateStatusEnum::RUNNING) => ContainerState::Running,
                Some(ContainerStateStatusEnum::RESTARTING) => ContainerState::Restarting,
                Some(ContainerStateStatusEnum::EXITED) => ContainerState::Exited,
                _ => ContainerState::Other,
            },
            exit_code: state.exit_code,
            out_of_memory: state.oom_killed.unwrap_or_default(),
            restarts: u32::try_from(inspected.restart_count.unwrap_or_default()).unwrap_or(0),
            labels: labels.and_then(|labels| read_labels(&labels)),
        }))
    }

    async fn limit(&self, id: &ContainerId, limits: &Limits) -> Result<(), RuntimeError> {
        let cores = self.known_facts().await?.cores;
        let (nano_cpus, memory, pids_limit) = Self::limits(limits, cores);
        let update = ContainerUpdateBody {
            nano_cpus: Some(nano_cpus),
            memory: Some(memory),
            memory_swap: Some(memory),
            pids_limit: Some(pids_limit),
            ..ContainerUpdateBody::default()
        };
        self.client()
            .await?
            .update_container(&id.0, update)
            .await
            .map_err(|e| meaning("limit a container", Subject::Container(&id.0), e))
    }

    async fn signal(&self, id: &ContainerId, signal: Signal) -> Result<(), RuntimeError> {
        let options = KillContainerOptionsBuilder::default()
            .signal(signal.as_str())
            .build();
        self.client()
            .await?
            .kill_container(&id.0, Some(options))
            .await
            .map_err(|e| meaning("signal a container", Subject::Container(&id.0), e))
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), RuntimeError> {
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        self.client()
            .await?
            .rename_container(&id.0, options)
            .await
            .map_err(|e| meaning("rename a container", Subject::Name(name), e))
    }

    async fn exec(&self, id: &ContainerId, exec: &Exec) -> Result<ExecOutcome, RuntimeError> {
        let act = "run a program in a container";
        let subject = Subject::Container(&id.0);
        let options = CreateExecOptions {
            cmd: Some(exec.command.clone()),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let made = self
            .client()
            .await?
            .create_exec(&id.0, options)
            .await
            .map_err(|e| meaning(act, subject, e))?;
        let started = self
            .client()
            .await?
            .start_exec(&made.id, None)
            .await
            .map_err(|e| meaning(act, subject, e))?;
        let mut output = String::new();
        if let StartExecResults::Attached {
            output: mut lines,
            mut input,
        } = started
        {
            let fed = async {
                input.write_all(&exec.stdin).await?;
                input.shutdown().await
            };
            fed.await.map_err(|e| meaning(act, subject, e.into()))?;
            while let Some(line) = lines.next().await {
                let line = line.map_err(|e| meaning(act, subject, e))?;
                output.push_str(&line.to_string());
            }
        }
        let ended = self
            .client()
            .await?
            .inspect_exec(&made.id)
            .await
            .map_err(|e| meaning(act, subject, e))?;
        Ok(ExecOutcome {
            exit_code: ended.exit_code.unwrap_or(-1),
            output,
        })
    }

    async fn wait(&self, id: &ContainerId) -> Result<i64, RuntimeError> {
        let act = "wait for a container";
        let client = self.client().await?;
        let mut ends = std::pin::pin!(client.wait_container(&id.0, None));
        match ends.next().await {
            Some(Ok(end)) => Ok(end.status_code),
            // A code other than zero comes as an error of this kind.
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(meaning(act, Subject::Container(&id.0), error)),
            None => Err(RuntimeError::Unreachable {
                source: "the answer ended before the container did".into(),
            }),
        }
    }

    async fn logs(&self, id: &ContainerId, lines_max: usize) -> Result<Vec<String>, RuntimeError> {
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .tail(&lines_max.to_string())
            .build();
        let pieces: Vec<_> = self
            .client()
            .await?
            .logs(&id.0, Some(options))
            .try_collect()
            .await
            .map_err(|e| meaning("read a container's log", Subject::Container(&id.0), e))?;
        Ok(pieces
            .iter()
            .flat_map(|piece| {
                let text = piece.to_string();
                text.lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect())
    }
}

/// The host's port in a sentence such as `Bind for 127.0.0.1:15000 failed: port is …` or
/// `listen tcp4 127.0.0.1:15000: bind: address already in use`.
fn refused_port(error: &bollard::errors::Error) -> Option<u16> {
    let bollard::errors::Error::DockerResponseServerError { message, .. } = error else {
        return None;
    };
    let (before, _) = message
        .split_once(" failed: port is already allocated")
        .or_else(|| message.split_once(": bind: address already in use"))?;
    before.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_port_is_read_out_of_dockers_sentence() {
        let error = |message: &str| bollard::errors::Error::DockerResponseServerError {
            status_code: 500,
            message: message.to_owned(),
        };
        let allocated = "driver failed programming external connectivity on endpoint x (1a2b): Bind for 127.0.0.1:15000 failed: port is already allocated";
        let listening = "driver failed programming external connectivity on endpoint x: Error starting userland proxy: listen tcp4 127.0.0.1:15001: bind: address already in use";
        assert_eq!(refused_port(&error(allocated)), Some(15000));
        assert_eq!(refused_port(&error(listening)), Some(15001));
        assert_eq!(refused_port(&error("no space left")), None);
    }
}
