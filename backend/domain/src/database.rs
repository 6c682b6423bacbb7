//! A database: what its owner ordered, and what was last seen of it.

use crate::{
    Condition, DatabaseId, EngineName, EnvName, InstanceId, Intent, Name, Observed, ProjectId,
    Slug, Status, Timestamp, TokenId, status,
};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// A word that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{found}\" is not one of {known}")]
pub struct UnknownWord {
    /// The word that was given.
    pub found: String,
    /// The words that exist.
    pub known: &'static str,
}

/// When a pooled server connection goes back to its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// When the client leaves.
    Session,
    /// After each transaction.
    Transaction,
    /// After each statement.
    Statement,
}

impl PoolMode {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Statement => "statement",
        }
    }

    /// The mode of that name.
    pub fn parse(word: &str) -> Result<Self, UnknownWord> {
        [Self::Session, Self::Transaction, Self::Statement]
            .into_iter()
            .find(|m| m.as_str() == word)
            .ok_or_else(|| UnknownWord {
                found: word.to_owned(),
                known: "session, transaction, statement",
            })
    }
}

/// How clients are pooled in front of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooler {
    /// When a server connection is given back.
    pub mode: PoolMode,
    /// Server connections for each pair of user and database.
    pub default_pool_size: u32,
    /// Client connections that are accepted.
    pub max_client_connections: u32,
    /// Server connections beyond the pool size while clients wait.
    pub reserve_pool_size: Option<u32>,
    /// Seconds after which an idle server connection is closed.
    pub server_idle_timeout_seconds: Option<u32>,
    /// Further settings of the pooler, by its own names.
    pub parameters: BTreeMap<String, String>,
}

impl Default for Pooler {
    fn default() -> Self {
        Self {
            mode: PoolMode::Transaction,
            default_pool_size: 20,
            max_client_connections: 100,
            reserve_pool_size: None,
            server_idle_timeout_seconds: None,
            parameters: BTreeMap::new(),
        }
    }
}

/// Whether plain connections are accepted inside the project's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// TLS is offered, plain is accepted.
    Allow,
    /// Plain is refused.
    Require,
}

impl TlsMode {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Require => "require",
        }
    }

    /// The mode of that name.
    pub fn parse(word: &str) -> Result<Self, UnknownWord> {
        [Self::Allow, Self::Require]
            .into_iter()
            .find(|m| m.as_str() == word)
            .ok_or_else(|| UnknownWord {
                found: word.to_owned(),
                known: "allow, require",
            })
    }
}

/// A hash of a create request, by which an equal request is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(pub String);

/// Whether the client that created an object has taken it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It has, or never had to.
    Claimed,
    /// Not yet: an equal request of the same token resumes it.
    Unclaimed {
        /// Who created it.
        token: TokenId,
        /// What was asked for.
        request: Fingerprint,
    },
}

/// A database as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its id.
    pub id: DatabaseId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// Its name; unique among the living of its project.
    pub name: Name,
    /// Made from the name at create, kept for life; hosts and login derive from it.
    pub slug: Slug,
    /// The engine.
    pub engine: EngineName,
    /// The word the engine was ordered with, when it was not the canonical one.
    pub technology: Option<String>,
    /// The major version.
    pub version: String,
    /// The plan's canonical name.
    pub plan: String,
    /// The region.
    pub region: String,
    /// Storage in GB.
    pub storage_gb: u32,
    /// Members in all; 1 is a single one.
    pub replicas: u32,
    /// What is wanted of it.
    pub intent: Intent,
    /// The instance that serves it.
    pub instance: InstanceId,
    /// The first logical database.
    pub database_name: String,
    /// The login that owns it.
    pub username: String,
    /// How clients are pooled; none when there is no pooler.
    pub pooler: Option<Pooler>,
    /// Rises when a new password is wanted.
    pub credential_version: i64,
    /// Whether it is published outside the project's network.
    pub expose: bool,
    /// The published port; kept for life once given.
    pub public_port: Option<u16>,
    /// Source addresses that may use the published port; empty is everyone.
    pub allow_list: BTreeSet<IpNet>,
    /// Whether plain connections are accepted.
    pub tls_mode: TlsMode,
    /// Whether its destruction is refused.
    pub deletion_protection: bool,
    /// Days for which its data is kept after it was destroyed.
    pub recovery_window_days: u32,
    /// Minutes without a client after which it sleeps; its project's when none.
    pub sleep_after_minutes: Option<u32>,
    /// Labels of the user's.
    pub tags: BTreeMap<String, String>,
    /// Names of its variables in the project's environment, each with the name that the
    /// application reads instead.
    pub inject_env: BTreeMap<String, EnvName>,
    /// Whether the client that created it has taken it over.
    pub claim: Claim,
    /// Rises with each change of what is wanted.
    pub generation: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the row changed last.
    pub updated_at: Timestamp,
    /// When it was destroyed.
    pub destroyed_at: Option<Timestamp>,
    /// Until when it can be restored, once destroyed. A restored one keeps it until it is
    /// claimed: destroyed before that, it returns to the trash as it was.
    pub recoverable_until: Option<Timestamp>,
    /// When its data was removed for good.
    pub purged_at: Option<Timestamp>,
}

impl Database {
    /// Whether it is still there for its users.
    pub fn is_living(&self) -> bool {
        self.intent != Intent::Destroy
    }
}

/// What was last seen of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What was found.
    pub observed: Observed,
    /// The generation of the row that this was found for.
    pub generation: i64,
    /// What is going on, in a word; for people.
    pub phase: String,
    /// Facts beside the status.
    pub conditions: Vec<Condition>,
    /// The engine's own version text, such as `17.12`.
    pub version_actual: Option<String>,
    /// Bytes that the data takes.
    pub storage_used_bytes: Option<u64>,
    /// Client connections at that moment.
    pub connections: Option<u32>,
    /// When this was found.
    pub observed_at: Timestamp,
}

impl Observation {
    /// What is known of a database that was just ordered.
    pub fn none_yet(at: Timestamp) -> Self {
        Self {
            observed: Observed::Absent,
            generation: 0,
            phase: "queued".to_owned(),
            conditions: Vec::new(),
            version_actual: None,
            storage_used_bytes: None,
            connections: None,
            observed_at: at,
        }
    }

    /// What stays true of a database that comes back out of the trash: nothing of it runs, but
    /// where it ever was ready it has data, which an empty one must not take the place of, and
    /// a public port that nobody was served at is as good as another one.
    pub fn of_restored(known: Option<&Self>, at: Timestamp) -> Self {
        let none_yet = Self::none_yet(at);
        let stays = |found: &&Condition| found.kind == Condition::PORT_MAY_CHANGE;
        match known {
            None => none_yet,
            Some(known) => Self {
                conditions: known.conditions.iter().filter(stays).cloned().collect(),
                generation: known.generation,
                version_actual: known.version_actual.clone(),
                storage_used_bytes: known.storage_used_bytes,
                ..none_yet
            },
        }
    }

    /// The status to tell for a database that is wanted so.
    pub fn status(&self, intent: Intent) -> Status {
        status(intent, &self.observed)
    }
}
