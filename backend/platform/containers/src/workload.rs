//! Renders processes as the workloads a container engine is asked for. Same spec, same
//! workload.

use crate::host::SERVICE;
use crate::runtime::{
    Attachment, HostMount, Labels, Limits, NetworkId, Published, Role, Stop, Workload,
};
use crate::{Layout, network::Joined};
use berth_domain::InstallationId;
use berth_engines::{
    Applies, Certificate, ConfigFile, Description, Place, Process, PublicReach, Setup,
    UserVerifier, Version,
};
use berth_platform::{InstanceSpec, Power, Writes};
use ipnet::{IpNet, Ipv4Net};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// Raised when the same spec is to be rendered otherwise, so that old containers are known.
const RENDERING: u32 = 1;
/// The name of the system's administrator.
const ADMINISTRATOR: &str = "root";

/// One container as it is wanted, and the files that it starts from.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub workload: Workload,
    /// The name to take when another container has the workload's.
    pub other_name: String,
    /// The network on which it is published.
    pub public: Option<NetworkId>,
    pub files: Vec<ConfigFile>,
    pub config: PathBuf,
    pub sockets: Vec<PathBuf>,
    pub running: bool,
    pub reload_signal: berth_engines::Signal,
    /// Changes with everything that a running process can be told.
    pub live: String,
}

/// What rendering needs beside the spec.
pub(crate) struct Context<'a> {
    pub layout: &'a Layout,
    pub installation: &'a InstallationId,
    pub engine: &'a dyn Description,
    pub version: &'a Version,
    pub engine_image: &'a str,
    pub pooler_image: Option<&'a str>,
    pub project: &'a Joined,
    pub public: Option<&'a Joined>,
}

/// The engine's container, and the pooler's where one is wanted.
pub(crate) fn render(spec: &InstanceSpec, context: &Context<'_>) -> (Wanted, Option<Wanted>) {
    let users: Vec<_> = spec
        .users
        .iter()
        .map(|user| UserVerifier {
            username: user.username.clone(),
            verifier: user.verifier.clone(),
        })
        .collect();
    let certificate = Certificate {
        chain: spec.tls.certificate_chain.clone(),
        key: spec.tls.key.clone(),
        authority: spec.tls.authority.clone(),
    };
    let reach = public_reach(spec, context);
    let setup = Setup {
        version: &spec.version,
        cpu_millis: spec.resources.cpu_millis,
        memory_mb: spec.resources.memory_mb,
        max_connections: spec.resources.max_connections,
        settings: &spec.settings,
        users: &users,
        pooler: spec.pooler.as_ref(),
        tls_mode: spec.tls.mode,
        certificate: &certificate,
        project: IpNet::V4(context.project.subnet),
        public: None,
        read_only: spec.writes == Writes::Refused,
        administrator: ADMINISTRATOR,
    };
    let in_public = Setup {
        public: reach.as_ref(),
        ..setup.clone()
    };
    // What is published is what stands in front.
    let pooler = context.engine.pooler_process(&in_public);
    let engine = match pooler {
        Some(_) => context.engine.engine_process(context.version, &setup),
        None => context.engine.engine_process(context.version, &in_public),
    };
    let engine_is_front = pooler.is_none();
    let pooler = pooler
        .zip(context.pooler_image)
        .map(|(process, image)| wanted(spec, context, process, Role::Pooler, image, true));
    let image = context.engine_image;
    let engine = wanted(spec, context, engine, Role::Engine, image, engine_is_front);
    (engine, pooler)
}

/// The source addresses that the published process sees. Clients on the host itself come
/// from the host's address in the public network, whatever loopback address they used.
fn public_reach(spec: &InstanceSpec, context: &Context<'_>) -> Option<PublicReach> {
    let exposure = spec.exposure.as_ref()?;
    let public = context.public?;
    let host = IpNet::V4(Ipv4Net::from(public.gateway));
    let listed = &exposure.allow_list;
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let loopback_is_listed = listed.is_empty() || listed.iter().any(|net| net.contains(&loopback));
    let mut sources = Vec::new();
    if loopback_is_listed {
        sources.push(host);
    }
    if !exposure.bind.is_loopback() {
        match listed.is_empty() {
            true => sources.push(IpNet::V4(Ipv4Net::default())),
            false => sources.extend(listed.iter().copied()),
        }
    }
    Some(PublicReach { sources })
}

fn wanted(
    spec: &InstanceSpec,
    context: &Context<'_>,
    process: Process,
    role: Role,
    image: &str,
    is_front: bool,
) -> Wanted {
    let host = match role {
        Role::Pooler => &spec.hosts.pooler,
        _ => &spec.hosts.engine,
    };
    let exposure = spec.exposure.as_ref().filter(|_| is_front);
    let place = |place| context.layout.place(&spec.instance, place);
    let sockets = process
        .mounts
        .iter()
        .filter(|mount| matches!(mount.place, Place::EngineSockets | Place::PoolerSockets))
        .map(|mount| place(mount.place))
        .collect();
    let mut workload = Workload {
        name: host.clone(),
        labels: Labels {
            installation: context.installation.to_string(),
            instance: spec.instance.to_string(),
            role,
            spec: String::new(),
        },
        image: image.to_owned(),
        command: process.command,
        owner: SERVICE,
        mounts: process
            .mounts
            .iter()
            .map(|mount| HostMount {
                source: place(mount.place),
                target: mount.path.to_owned(),
                access: mount.access,
            })
            .collect(),
        network: Some(Attachment {
            network: context.project.id.clone(),
            aliases: vec![host.clone()],
        }),
        published: exposure.map(|exposure| Published {
            bind: exposure.bind,
            port: exposure.port,
            container_port: process.port,
        }),
        limits: Limits {
            cpu_millis: process.cpu_millis,
            memory_mb: process.memory_mb,
            processes_max: process.processes_max,
        },
        shared_memory_mb: process.shared_memory_mb,
        stop: Stop {
            signal: process.stop_signal,
            timeout_seconds: process.stop_timeout_seconds,
        },
        restarts: true,
    };
    workload.labels.spec = fixed(&workload, &process.files);
    Wanted {
        other_name: format!("{host}-{}", spec.instance.short()),
        public: exposure.and(context.public).map(|public| public.id.clone()),
        live: live(&workload.limits, &process.files),
        workload,
        config: place(process.config),
        files: process.files,
        sockets,
        running: match spec.power {
            Power::Running => true,
            // Whoever stands in front goes on holding its clients.
            Power::Asleep => role == Role::Pooler,
            Power::Stopped => false,
        },
        reload_signal: process.reload_signal,
    }
}

/// A hash of what only a new container can change.
fn fixed(workload: &Workload, files: &[ConfigFile]) -> String {
    let aliases = workload.network.as_ref().map(|n| &n.aliases);
    let mut hash = Sha256::new();
    hash.update(format!(
        "{RENDERING}\n{}\n{:?}\n{}\n{:?}\n{aliases:?}\n{:?}\n{}\n{:?}\n{}",
        workload.image,
        workload.command,
        workload.owner,
        workload.mounts,
        workload.published,
        workload.shared_memory_mb,
        workload.stop,
        workload.restarts,
    ));
    for file in files.iter().filter(|f| f.applies == Applies::AtStart) {
        hash.update(format!("\n{}\n{}", file.name, file.content.reveal()));
    }
    hex::encode(&hash.finalize()[..16])
}

/// A hash of what a running process can be told.
fn live(limits: &Limits, files: &[ConfigFile]) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{limits:?}"));
    for file in files.iter().filter(|f| f.applies == Applies::OnReload) {
        hash.update(format!("\n{}\n{}", file.name, file.content.reveal()));
    }
    hex::encode(&hash.finalize()[..16])
}
