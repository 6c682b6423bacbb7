//! What an instance is asked to be. No container word in it.

use berth_domain::{EngineName, InstanceId, Pooler, ProjectId, Secret, TlsMode};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The network of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The project.
    pub project: ProjectId,
    /// The network's name; it holds the installation, so it is the network's identity.
    pub name: String,
}

/// The names under which the project's network knows the instance. They are its own there;
/// elsewhere others may bear them too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// The engine's.
    pub engine: String,
    /// The pooler's.
    pub pooler: String,
}

/// What an instance may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// CPU time in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory of the engine in MiB.
    pub memory_mb: u32,
    /// Storage in GB; watched, not enforced by the platform.
    pub storage_gb: u32,
    /// Connections that the engine accepts.
    pub max_connections: u32,
}

/// A login and what its password is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login.
    pub username: String,
    /// What is kept instead of the password.
    pub verifier: Secret,
}

/// How an instance is reached from outside its project's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The host's address that is listened on.
    pub bind: IpAddr,
    /// The port there.
    pub port: u16,
    /// Source addresses that are let in; empty is everyone who reaches `bind`.
    pub allow_list: Vec<IpNet>,
}

/// How connections are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Whether plain connections are accepted inside the project's network.
    pub mode: TlsMode,
    /// The server's certificate and what leads to the authority, in PEM.
    pub certificate_chain: String,
    /// Its private key, in PEM.
    pub key: Secret,
    /// The authority, in PEM.
    pub authority: String,
}

/// Whether it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It runs, and is started again when it ends.
    Running,
    /// Its engine is stopped; its pooler, where there is one, stays for its clients.
    Asleep,
    /// It is stopped and keeps its data.
    Stopped,
}

/// Whether the instance may begin with nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is being provisioned: where there is no data, an empty database is made.
    MayBeNew,
    /// It has had data: where that is missing now, the answer is an error. An empty
    /// database in its place would look like one that runs.
    MustExist,
}

/// Whether data may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// It may.
    Allowed,
    /// Transactions are read-only unless they ask for more: the storage is full.
    Refused,
}

/// One instance as it is wanted: everything that a platform needs to make it so, and
/// nothing that it would have to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSpec {
    /// Its identity.
    pub instance: InstanceId,
    /// The project's network.
    pub network: Network,
    /// Its names in that network.
    pub hosts: Hosts,
    /// The engine.
    pub engine: EngineName,
    /// The major version.
    pub version: String,
    /// Members in all; 1 is a single one.
    pub members: u32,
    /// What it may use.
    pub resources: Resources,
    /// Settings that the user chose, by the engine's own names.
    pub settings: BTreeMap<String, String>,
    /// Logins that the pooler lets through.
    pub users: Vec<User>,
    /// The pooler, where one is wanted.
    pub pooler: Option<Pooler>,
    /// How it is reached from outside; none when it is not.
    pub exposure: Option<Exposure>,
    /// How connections are encrypted.
    pub tls: Tls,
    /// Whether it runs.
    pub power: Power,
    /// Whether data may change.
    pub writes: Writes,
    /// Whether it may begin with nothing.
    pub origin: Origin,
}
