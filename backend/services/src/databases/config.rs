//! What may be said of a database.

use crate::Given;
use berth_domain::{Database, EnvName, Intent, Pooler};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What may be said of a pooler. An object is said whole: what is left out is the default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PoolerConfig {
    /// Whether there is one.
    pub enabled: Given<bool>,
    /// When a server connection is given back.
    pub mode: Given<String>,
    /// Server connections for each pair of user and database.
    pub default_pool_size: Given<u32>,
    /// Client connections that are accepted.
    pub max_client_connections: Given<u32>,
    /// Server connections beyond the pool size.
    pub reserve_pool_size: Given<u32>,
    /// Seconds after which an idle server connection is closed.
    pub server_idle_timeout_seconds: Given<u32>,
    /// Further settings by the pooler's own names.
    pub parameters: Given<BTreeMap<String, String>>,
}

/// What is wanted of a database, as its user wrote it: unchecked, with gaps and unknowns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DatabaseConfig {
    /// Its name.
    pub name: Given<String>,
    /// The project, by id or name.
    pub project: Given<String>,
    /// The engine, by any of its words.
    pub engine: Given<String>,
    /// The major version.
    pub version: Given<String>,
    /// The plan.
    pub plan: Given<String>,
    /// The region.
    pub region: Given<String>,
    /// Storage in GB.
    pub storage_gb: Given<u32>,
    /// Members in all.
    pub replicas: Given<u32>,
    /// `running` or `stopped`.
    pub desired_status: Given<String>,
    /// The first logical database.
    pub database_name: Given<String>,
    /// The login that owns it.
    pub username: Given<String>,
    /// How clients are pooled.
    pub pooler: Given<PoolerConfig>,
    /// Rises when a new password is wanted.
    pub credential_version: Given<i64>,
    /// Whether it is published.
    pub expose: Given<bool>,
    /// The published port.
    pub public_port: Given<u16>,
    /// Networks that may use the published port, in CIDR notation.
    pub allow_list: Given<BTreeSet<String>>,
    /// `allow` or `require`.
    pub tls_mode: Given<String>,
    /// The destroyed database to bring back.
    pub restore_from: Given<String>,
    /// Whether its destruction is refused.
    pub deletion_protection: Given<bool>,
    /// Days for which its data is kept after it was destroyed.
    pub recovery_window_days: Given<u32>,
    /// Minutes without a client after which it sleeps.
    pub sleep_after_minutes: Given<u32>,
    /// Labels.
    pub tags: Given<BTreeMap<String, String>>,
    /// Names of its variables, each with the application's own.
    pub inject_env: Given<BTreeMap<String, String>>,
}

impl DatabaseConfig {
    /// Says what `row` says wherever nothing was said: a change of some fields as a whole wish.
    pub fn over(self, row: &Database) -> Self {
        Self {
            name: self.name.or_keep(|| Some(row.name.to_string())),
            project: self.project.or_keep(|| Some(row.project_id.to_string())),
            engine: self.engine.or_keep(|| Some(row.engine.to_string())),
            version: self.version.or_keep(|| Some(row.version.clone())),
            plan: self.plan.or_keep(|| Some(row.plan.clone())),
            region: self.region.or_keep(|| Some(row.region.clone())),
            storage_gb: self.storage_gb.or_keep(|| Some(row.storage_gb)),
            replicas: self.replicas.or_keep(|| Some(row.replicas)),
            desired_status: self
                .desired_status
                .or_keep(|| Some(desired_status(row.intent).to_owned())),
            database_name: self
                .database_name
                .or_keep(|| Some(row.database_name.clone())),
            username: self.username.or_keep(|| Some(row.username.clone())),
            pooler: self
                .pooler
                .or_keep(|| Some(PoolerConfig::of(row.pooler.as_ref()))),
            credential_version: self
                .credential_version
                .or_keep(|| Some(row.credential_version)),
            expose: self.expose.or_keep(|| Some(row.expose)),
            public_port: self.public_port.or_keep(|| row.public_port),
            allow_list: self
                .allow_list
                .or_keep(|| Some(row.allow_list.iter().map(ToString::to_string).collect())),
            tls_mode: self
                .tls_mode
                .or_keep(|| Some(row.tls_mode.as_str().to_owned())),
            restore_from: self.restore_from,
            deletion_protection: self
                .deletion_protection
                .or_keep(|| Some(row.deletion_protection)),
            recovery_window_days: self
                .recovery_window_days
                .or_keep(|| Some(row.recovery_window_days)),
            sleep_after_minutes: self.sleep_after_minutes.or_keep(|| row.sleep_after_minutes),
            tags: self.tags.or_keep(|| Some(row.tags.clone())),
            inject_env: self.inject_env.or_keep(|| Some(inject_env(row))),
        }
    }
}

impl PoolerConfig {
    /// The words that order exactly this pooler, or none.
    pub fn of(pooler: Option<&Pooler>) -> Self {
        let Some(pooler) = pooler else {
            return Self {
                enabled: Given::Value(false),
                ..Self::default()
            };
        };
        Self {
            enabled: Given::Value(true),
            mode: Given::Value(pooler.mode.as_str().to_owned()),
            default_pool_size: Given::Value(pooler.default_pool_size),
            max_client_connections: Given::Value(pooler.max_client_connections),
            reserve_pool_size: pooler.reserve_pool_size.into(),
            server_idle_timeout_seconds: pooler.server_idle_timeout_seconds.into(),
            parameters: Given::Value(pooler.parameters.clone()),
        }
    }
}

/// The names of a row's variables as they are said.
pub(super) fn inject_env(row: &Database) -> BTreeMap<String, String> {
    let said = |name: &EnvName| name.as_str().to_owned();
    row.inject_env
        .iter()
        .map(|(ours, theirs)| (ours.clone(), said(theirs)))
        .collect()
}

/// The word on the wire for what is wanted of a living database.
pub fn desired_status(intent: Intent) -> &'static str {
    match intent {
        // Whoever reaches it wakes it: for its users it runs.
        Intent::Run | Intent::Sleep => "running",
        Intent::Stop | Intent::Destroy => "stopped",
    }
}
