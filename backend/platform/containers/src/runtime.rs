//! What a container engine must be able to do: small verbs, and what they answer.
//!
//! The verbs are the engine's own, so that what they can go wrong with stays visible; that
//! a create adopts and a removal may be repeated is made of them one floor up.

use async_trait::async_trait;
use berth_engines::{Access, Signal};
use futures_util::stream::BoxStream;
use ipnet::Ipv4Net;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// The cause of a runtime's error, whatever its type.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a verb did not do what it says.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine does not answer. Whether the verb took effect is not known.
    #[error("the container engine does not answer")]
    Unreachable {
        /// Why.
        source: Cause,
    },
    /// No call can be made in a version that both sides know, so nothing is known of anything.
    #[error(
        "the container engine speaks versions {engine} of its API and berthd {berthd}: upgrade {older}"
    )]
    NoCommonApi {
        /// The engine's versions.
        engine: String,
        /// This program's.
        berthd: String,
        /// Who has to be upgraded.
        older: Older,
    },
    /// Another container has the name.
    #[error("the name {name} is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// There is no such container, network or image.
    #[error("{subject} does not exist")]
    NotFound {
        /// What was asked for.
        subject: String,
    },
    /// Another process of the host listens on the port.
    #[error("port {port} is in use on this host")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// Another network has these addresses.
    #[error("{subnet} overlaps with another network")]
    SubnetTaken {
        /// The addresses.
        subnet: Ipv4Net,
    },
    /// Every address of the network is taken.
    #[error("every address of the network {network} is taken")]
    NetworkFull {
        /// Its name.
        network: String,
    },
    /// Something is still attached to the network.
    #[error("the network is in use")]
    NetworkInUse,
    /// Something else.
    #[error("could not {act}")]
    Failed {
        /// What was being done.
        act: &'static str,
        /// Why.
        source: Cause,
    },
}

/// The side of two that lags behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Older {
    /// The container engine.
    Engine,
    /// This program.
    Berthd,
}

impl fmt::Display for Older {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "the container engine",
            Self::Berthd => "berthd",
        })
    }
}

/// A container, by the engine's own id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(pub String);

/// A network, by the engine's own id. Names of networks are not unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub String);

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It runs the engine.
    Engine,
    /// It runs the pooler.
    Pooler,
    /// It makes a data directory and ends.
    Initialise,
}

impl Role {
    const ALL: [Self; 3] = [Self::Engine, Self::Pooler, Self::Initialise];

    /// The word in the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Pooler => "pooler",
            Self::Initialise => "initialise",
        }
    }

    /// The role of a label's word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who a container is. Labels cannot be changed later, so nothing that may change is here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    /// The installation, by its eight digits.
    pub installation: String,
    /// The instance; of a job, the id of what it makes.
    pub instance: String,
    /// What it is for.
    pub role: Role,
    /// A hash of everything that only a new container can change.
    pub spec: String,
}

/// A directory of the host that a container sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostMount {
    /// The directory on the host; it must exist.
    pub source: PathBuf,
    /// Where the container sees it.
    pub target: String,
    /// How.
    pub access: Access,
}

impl HostMount {
    /// Whether the container may write there.
    pub fn may_write(&self) -> bool {
        self.access == Access::Write
    }
}

/// A network that a container joins, and its names there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attachment {
    /// The network.
    pub network: NetworkId,
    /// The names under which the others in the network find it.
    pub aliases: Vec<String>,
}

/// A port of a container that the host listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Published {
    /// The host's address.
    pub bind: IpAddr,
    /// The host's port.
    pub port: u16,
    /// The container's port.
    pub container_port: u16,
}

/// What a container may use. These can be changed while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// CPU time in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory in MiB, swap included.
    pub memory_mb: u32,
    /// Processes and threads.
    pub processes_max: u32,
}

/// How a container is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stop {
    /// The signal.
    pub signal: Signal,
    /// How long it may take before it is killed.
    pub timeout_seconds: u32,
}

/// A container, completely described. Every one runs with a read-only root, no
/// capabilities, no new privileges, and a small scratch directory in memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Who it is.
    pub labels: Labels,
    /// The image, by id.
    pub image: String,
    /// Program and arguments; never a secret.
    pub command: Vec<String>,
    /// The user and the group it runs as.
    pub owner: u32,
    /// What it sees of the host.
    pub mounts: Vec<HostMount>,
    /// The network it starts in; none is no network at all.
    pub network: Option<Attachment>,
    /// The port that is published.
    pub published: Option<Published>,
    /// What it may use.
    pub limits: Limits,
    /// Shared memory in MiB.
    pub shared_memory_mb: u32,
    /// How it is asked to end.
    pub stop: Stop,
    /// Whether the engine starts it again when it ends or the host comes up.
    pub restarts: bool,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// It was never started.
    Created,
    /// It runs.
    Running,
    /// It ended and the engine will start it again.
    Restarting,
    /// It ended.
    Exited,
    /// Something that none of the others is, such as paused or being removed.
    Other,
}

/// A container of ours that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The engine's id for it.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Who it is.
    pub labels: Labels,
    /// The id of the image that it was made from; none where the engine has lost that.
    pub image: Option<String>,
    /// What it does.
    pub state: ContainerState,
    /// The networks it is in, or will be in when it starts.
    pub networks: Vec<NetworkId>,
}

/// What only a closer look at a container tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// What it does.
    pub state: ContainerState,
    /// How it ended last, where it has.
    pub exit_code: Option<i64>,
    /// Whether the kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// How often the engine has started it again.
    pub restarts: u32,
    /// Who it is; none when it is not one of ours.
    pub labels: Option<Labels>,
}

/// A program run inside a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// Program and arguments; never a secret.
    pub command: Vec<String>,
    /// What it reads from standard input; a secret may go here.
    pub stdin: Vec<u8>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutcome {
    /// Its exit code.
    pub exit_code: i64,
    /// What it wrote, both streams.
    pub output: String,
}

/// A network, completely described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPlan {
    /// Its name; unique because it holds the installation.
    pub name: String,
    /// The installation, by its eight digits.
    pub installation: String,
    /// Its addresses.
    pub subnet: Ipv4Net,
    /// The host's address in it.
    pub gateway: Ipv4Addr,
    /// Whether nothing outside can be reached from it.
    pub internal: bool,
    /// Whether its members can reach each other.
    pub members_meet: bool,
}

/// A network that exists, ours or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundNetwork {
    /// The engine's id for it.
    pub id: NetworkId,
    /// Its name.
    pub name: String,
    /// The installation whose label it bears.
    pub installation: Option<String>,
    /// Its IPv4 addresses.
    pub subnets: Vec<Ipv4Net>,
    /// When it was made, in the engine's own spelling: sorts by time.
    pub created: String,
}

/// Something that happened in the container engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeEvent {
    /// A container of this instance started, ended, went.
    Instance(String),
    /// Events may have been missed.
    Gap,
}

/// What the container engine and its host are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeFacts {
    /// A word for it, such as `docker`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Cores of the host.
    pub cores: u32,
    /// Memory of the host in MiB.
    pub memory_mb: u64,
}

/// Containers.
#[async_trait]
pub trait Containers: Send + Sync {
    /// Makes a container and leaves it unstarted. A name that is taken is an error.
    async fn create(&self, workload: &Workload) -> Result<ContainerId, RuntimeError>;
    /// Starts it. One that runs is left alone.
    async fn start(&self, id: &ContainerId) -> Result<(), RuntimeError>;
    /// Asks it to end as its workload said, and waits. One that does not run is left alone.
    async fn stop(&self, id: &ContainerId) -> Result<(), RuntimeError>;
    /// Removes one that does not run.
    async fn remove(&self, id: &ContainerId) -> Result<(), RuntimeError>;
    /// The containers of an installation, of one instance or of all.
    async fn find(
        &self,
        installation: &str,
        instance: Option<&str>,
    ) -> Result<Vec<Found>, RuntimeError>;
    /// The jobs of an installation, whether they run or have ended.
    async fn jobs(&self, installation: &str) -> Result<Vec<Found>, RuntimeError> {
        let mut found = self.find(installation, None).await?;
        found.retain(|found| found.labels.role == Role::Initialise);
        Ok(found)
    }
    /// A closer look at one, by its id or its name.
    async fn inspect(&self, id_or_name: &str) -> Result<Option<Details>, RuntimeError>;
    /// Changes what it may use.
    async fn limit(&self, id: &ContainerId, limits: &Limits) -> Result<(), RuntimeError>;
    /// Sends a signal to its first process.
    async fn signal(&self, id: &ContainerId, signal: Signal) -> Result<(), RuntimeError>;
    /// Gives it another name.
    async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), RuntimeError>;
    /// Runs a program in it and waits for its end.
    async fn exec(&self, id: &ContainerId, exec: &Exec) -> Result<ExecOutcome, RuntimeError>;
    /// Waits for its end; its exit code.
    async fn wait(&self, id: &ContainerId) -> Result<i64, RuntimeError>;
    /// The last lines it wrote, oldest first.
    async fn logs(&self, id: &ContainerId, lines_max: usize) -> Result<Vec<String>, RuntimeError>;
}

/// Networks.
#[async_trait]
pub trait Networks: Send + Sync {
    /// Makes a network. Addresses that overlap with another's are an error.
    async fn create_network(&self, plan: &NetworkPlan) -> Result<NetworkId, RuntimeError>;
    /// All networks, those of others too: their addresses are taken.
    async fn networks(&self) -> Result<Vec<FoundNetwork>, RuntimeError>;
    /// Removes one that nothing is attached to.
    async fn remove_network(&self, id: &NetworkId) -> Result<(), RuntimeError>;
    /// Puts a container into a network; one that is in it is left alone.
    async fn attach(&self, id: &ContainerId, attachment: &Attachment) -> Result<(), RuntimeError>;
    /// Whether any container, running or not, ours or not, is in the network.
    async fn is_network_used(&self, id: &NetworkId) -> Result<bool, RuntimeError>;
}

/// Images.
#[async_trait]
pub trait Images: Send + Sync {
    /// The id of the image that `reference` names; none when it is not here.
    async fn image(&self, reference: &str) -> Result<Option<String>, RuntimeError>;
    /// Gets it from the registry that the reference names.
    async fn pull(&self, reference: &str) -> Result<(), RuntimeError>;
    /// Gives an image that is here a further name, `repository:tag`; whatever had that name
    /// before loses it.
    async fn tag(&self, reference: &str, name: &str) -> Result<(), RuntimeError>;
}

/// What happens, as it happens.
#[async_trait]
pub trait Events: Send + Sync {
    /// Events of an installation's containers. The stream says `Gap` when it has begun to
    /// listen, and again after each break; between two of these nothing is missed. It goes
    /// on for ever.
    fn events(&self, installation: &str) -> BoxStream<'static, RuntimeEvent>;
    /// What the engine and its host are.
    async fn facts(&self) -> Result<RuntimeFacts, RuntimeError>;
}

/// A container engine.
pub trait ContainerRuntime: Containers + Networks + Images + Events {}

impl<T: Containers + Networks + Images + Events> ContainerRuntime for T {}
