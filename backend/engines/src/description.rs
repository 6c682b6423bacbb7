//! What an engine tells about itself: data and pure functions.

use berth_domain::{Pooler, Secret, Slug, Statement, TlsMode, VersionState};
use ipnet::IpNet;
use std::collections::BTreeMap;

/// A major version that can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The word that orders it, such as `17`.
    pub name: &'static str,
    /// How far it is from its end.
    pub state: VersionState,
    /// The image that runs it.
    pub image: &'static str,
    /// The name of the recipe that builds the image where no registry has it.
    pub recipe: &'static str,
    /// Sentences that plans and the catalogue show with it.
    pub notes: &'static [&'static str],
}

/// A name of a logical database or a login that the engine would not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{found}\" is not a usable {what}: {rule}")]
pub struct InvalidIdentifier {
    /// What was to be named.
    pub what: &'static str,
    /// The text that was given, cut after 64 characters.
    pub found: String,
    /// The rule that it breaks.
    pub rule: String,
}

/// The first logical database and the login that owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The logical database.
    pub database_name: String,
    /// The login.
    pub username: String,
}

/// A login and what its password is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserVerifier {
    /// The login.
    pub username: String,
    /// What the engine and the pooler keep instead of the password.
    pub verifier: Secret,
}

/// How a URI asks for encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UriTls {
    /// Plain.
    Disable,
    /// Encrypted.
    Require,
}

/// What a connection URI is made of.
#[derive(Debug, Clone, Copy)]
pub struct UriParts<'a> {
    /// Where to connect.
    pub host: &'a str,
    /// On which port.
    pub port: u16,
    /// The logical database.
    pub database_name: &'a str,
    /// The login.
    pub username: &'a str,
    /// Whether the connection is encrypted.
    pub tls: UriTls,
}

/// Certificates of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The server's certificate and what leads to the authority, in PEM.
    pub chain: String,
    /// Its private key, in PEM.
    pub key: Secret,
    /// The authority that clients trust, in PEM.
    pub authority: String,
}

/// Who reaches the published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicReach {
    /// Source addresses that are let in, as the process sees them.
    pub sources: Vec<IpNet>,
}

/// Everything that the configuration of an engine or its pooler depends on.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// The major version.
    pub version: &'a str,
    /// CPU time in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// Connections that the engine accepts from applications.
    pub max_connections: u32,
    /// Settings that the user chose, by the engine's own names.
    pub settings: &'a BTreeMap<String, String>,
    /// Logins and their verifiers.
    pub users: &'a [UserVerifier],
    /// The pooler, where one is wanted.
    pub pooler: Option<&'a Pooler>,
    /// Whether plain connections are accepted inside the project's network.
    pub tls_mode: TlsMode,
    /// The server's certificate.
    pub certificate: &'a Certificate,
    /// The project's network.
    pub project: IpNet,
    /// The published port's clients, where the process is the published one.
    pub public: Option<&'a PublicReach>,
    /// Whether writes are refused.
    pub read_only: bool,
    /// The host's administrator, by its name in the system: it comes in without a password.
    pub administrator: &'a str,
}

/// The name of the data in `Place::Data`.
pub const DATA: &str = "data";
/// The name of a file in `Place::Data` that is there while the data is made for the first
/// time. A process that finds it and no data waits; one that finds neither has lost its data,
/// and must fail rather than begin anew.
pub const AWAITED: &str = "awaited";

/// Something that an instance keeps on the host and a process sees at a path of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// What holds the data; nothing else in it is the process's.
    Data,
    /// The engine's configuration.
    EngineConfig,
    /// The engine's sockets.
    EngineSockets,
    /// The pooler's configuration.
    PoolerConfig,
    /// The pooler's sockets.
    PoolerSockets,
}

/// Whether a process may write to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// It may.
    Write,
    /// It may only read, and connect to sockets.
    Read,
}

/// A place and where the process sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mount {
    /// What is seen.
    pub place: Place,
    /// Where.
    pub path: &'static str,
    /// How.
    pub access: Access,
}

/// When a changed file takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// When the process starts: a change is a restart.
    AtStart,
    /// When the process is told to reload.
    OnReload,
}

/// A file of a process's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its name in the configuration's place.
    pub name: &'static str,
    /// What it says; it may hold a key or a verifier.
    pub content: Secret,
    /// When a change takes effect.
    pub applies: Applies,
}

/// A signal, by the names of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// `SIGHUP`.
    Hangup,
    /// `SIGINT`.
    Interrupt,
    /// `SIGTERM`.
    Terminate,
}

impl Signal {
    /// The name of the system.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// A process that serves, completely described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The image to run.
    pub image: &'static str,
    /// Program and arguments; never a secret.
    pub command: Vec<String>,
    /// What it sees of the host.
    pub mounts: Vec<Mount>,
    /// Its configuration.
    pub files: Vec<ConfigFile>,
    /// Where the configuration goes.
    pub config: Place,
    /// The port it listens on.
    pub port: u16,
    /// How it is asked to end well.
    pub stop_signal: Signal,
    /// How long it may take to end well.
    pub stop_timeout_seconds: u32,
    /// How it is told to read its configuration again.
    pub reload_signal: Signal,
    /// CPU time in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// Shared memory in MiB.
    pub shared_memory_mb: u32,
    /// How many processes and threads it may have.
    pub processes_max: u32,
}

/// What a data directory is initialised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A database that waits for it: what `bootstrap` can do as well is left to it.
    Order,
    /// No database yet: as much as can be is done ahead.
    Spare,
}

/// A process that makes an empty data directory and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialisation {
    /// The image to run.
    pub image: &'static str,
    /// Program and arguments; never a secret.
    pub command: Vec<String>,
    /// Where it sees the directory that it fills.
    pub data_path: &'static str,
    /// A file that exists in a finished data directory.
    pub marker: &'static str,
    /// How long it may take.
    pub timeout_seconds: u32,
}

/// How the host reaches a process: a socket in one of its places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// The place that holds the socket.
    pub place: Place,
    /// The socket's file name.
    pub name: &'static str,
    /// The login of the host's administrator.
    pub administrator: &'static str,
    /// The logical database that the administrator enters.
    pub database: &'static str,
}

/// The language that an engine's clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// PostgreSQL's, version 3.
    PostgreSql,
}

impl Protocol {
    /// The word by which a client is chosen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PostgreSql => "postgresql",
        }
    }
}

/// One engine. It describes and opens nothing; equal arguments give equal answers.
pub trait Description: Send + Sync {
    /// Its canonical name.
    fn name(&self) -> &'static str;
    /// Its name for people.
    fn title(&self) -> &'static str;
    /// Other words that mean it.
    fn synonyms(&self) -> &'static [&'static str];
    /// The word that a database is shown with which was ordered by the canonical name, where an
    /// answer speaks of technologies.
    fn technology(&self) -> &'static str {
        self.name()
    }
    /// The language of its clients.
    fn protocol(&self) -> Protocol;
    /// Its versions, oldest first; never empty.
    fn versions(&self) -> &'static [Version];
    /// The version of an order that names none.
    fn default_version(&self) -> &'static str;
    /// The port inside the project's network, of the engine and of its pooler.
    fn port(&self) -> u16;
    /// The image of its pooler; none when it has none.
    fn pooler_image(&self) -> Option<&'static str>;
    /// The recipe that builds the pooler's image.
    fn pooler_recipe(&self) -> Option<&'static str>;
    /// Settings of its pooler that a user may give by their own names. Every other is refused,
    /// since they go into the pooler's configuration as they are.
    fn pooler_parameters(&self) -> &'static [crate::Parameter] {
        &[]
    }
    /// Connections that the engine keeps from applications, out of `max_connections`.
    fn reserved_connections(&self) -> u32;

    /// The name of the first logical database of a database with this slug.
    fn default_database_name(&self, slug: &Slug) -> String;
    /// The login that owns it.
    fn default_username(&self, slug: &Slug) -> String;
    /// Whether a logical database may have this name.
    fn check_database_name(&self, name: &str) -> Result<(), InvalidIdentifier>;
    /// Whether a login may have this name.
    fn check_username(&self, name: &str) -> Result<(), InvalidIdentifier>;

    /// What is kept instead of `password`. Equal salts give equal verifiers.
    fn verifier(&self, password: &Secret, salt: [u8; 16]) -> Secret;
    /// Whether `verifier` was made of `password`.
    fn verifies(&self, password: &Secret, verifier: &Secret) -> bool;
    /// The URI with the password in it, everything percent-encoded where needed.
    fn uri(&self, parts: &UriParts<'_>, password: &Secret) -> Secret;
    /// The URI with `{password}` in the password's place.
    fn uri_template(&self, parts: &UriParts<'_>) -> String;

    /// Makes a data directory the owner's, whatever it was initialised for: what is said to
    /// the engine, by its administrator. May be said again, also where only a part was said.
    fn bootstrap(&self, owner: &Owner) -> Vec<Statement>;
    /// Lets a login in with the password of `user.verifier`, and with no other.
    fn set_verifier(&self, user: &UserVerifier) -> Vec<Statement>;
    /// Said to the pooler after a changed verifier, so that no connection goes on with the
    /// old one.
    fn reconnect_pooler(&self) -> Vec<Statement>;
    /// Asks the pooler whether it holds its clients: one row that `is_paused` reads.
    fn ask_paused(&self) -> Statement;
    /// Whether that answer says that it does.
    fn is_paused(&self, answer: &[Vec<Option<String>>]) -> bool;
    /// Has the pooler hold its clients, whatever they ask. Answers once none of them uses the
    /// engine.
    fn pause_pooler(&self) -> Statement;
    /// Lets the pooler's clients through again.
    fn resume_pooler(&self) -> Statement;
    /// Asks the pooler what its clients do, for `pooler_activity`: the statements in order.
    fn ask_pooler_activity(&self) -> Vec<Statement>;
    /// What those answers say.
    fn pooler_activity(&self, answers: &[Vec<Vec<Option<String>>>]) -> crate::PoolerActivity;
    /// Asks the engine for the number of things that must not be interrupted by sleep: clients
    /// past the pooler, prepared transactions, replication.
    fn ask_sleep_blockers(&self) -> Statement;
    /// Asks the engine for an answer; nothing more.
    fn probe(&self) -> Statement;
    /// Asks the pooler's administration for an answer; nothing more.
    fn probe_pooler(&self) -> Statement;
    /// Asks the engine for its version text, such as `17.12`: one row, one column.
    fn ask_version(&self) -> Statement;
    /// Asks the engine for the bytes its databases take: one row, one column.
    fn ask_size(&self) -> Statement;
    /// Asks the engine for the number of client connections: one row, one column.
    fn ask_connections(&self) -> Statement;

    /// How an empty data directory is made.
    fn initialisation(&self, version: &Version, occasion: Occasion) -> Initialisation;
    /// The engine's process.
    fn engine_process(&self, version: &Version, setup: &Setup<'_>) -> Process;
    /// The pooler's process; none when the engine has no pooler or none is wanted.
    fn pooler_process(&self, setup: &Setup<'_>) -> Option<Process>;
    /// How the host reaches the engine.
    fn engine_socket(&self) -> Socket;
    /// How the host reaches the pooler.
    fn pooler_socket(&self) -> Option<Socket>;
}
