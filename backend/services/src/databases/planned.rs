//! What a database will be, as far as that is known.

use super::rules::Rules;
use crate::{Error, Maybe};
use berth_domain::{
    Database, DatabaseId, EngineName, EnvName, Intent, Name, PoolMode, Pooler, ProjectId, Slug,
    Timestamp, TlsMode,
};
use berth_engines::{UriParts, UriTls};
use ipnet::IpNet;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A pooler, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPooler {
    /// When a server connection is given back.
    pub mode: Maybe<PoolMode>,
    /// Server connections for each pair of user and database.
    pub default_pool_size: Maybe<u32>,
    /// Client connections that are accepted.
    pub max_client_connections: Maybe<u32>,
    /// Server connections beyond the pool size.
    pub reserve_pool_size: Maybe<Option<u32>>,
    /// Seconds after which an idle server connection is closed.
    pub server_idle_timeout_seconds: Maybe<Option<u32>>,
    /// Further settings.
    pub parameters: Maybe<BTreeMap<String, String>>,
}

impl From<&Pooler> for PlannedPooler {
    fn from(pooler: &Pooler) -> Self {
        Self {
            mode: Maybe::Known(pooler.mode),
            default_pool_size: Maybe::Known(pooler.default_pool_size),
            max_client_connections: Maybe::Known(pooler.max_client_connections),
            reserve_pool_size: Maybe::Known(pooler.reserve_pool_size),
            server_idle_timeout_seconds: Maybe::Known(pooler.server_idle_timeout_seconds),
            parameters: Maybe::Known(pooler.parameters.clone()),
        }
    }
}

impl PlannedPooler {
    /// The pooler, when all of it is known.
    pub fn known(self) -> Option<Pooler> {
        Some(Pooler {
            mode: self.mode.known()?,
            default_pool_size: self.default_pool_size.known()?,
            max_client_connections: self.max_client_connections.known()?,
            reserve_pool_size: self.reserve_pool_size.known()?,
            server_idle_timeout_seconds: self.server_idle_timeout_seconds.known()?,
            parameters: self.parameters.known()?,
        })
    }
}

/// Every attribute of a database but what only time brings. The same type tells a plan's
/// outcome and a row, so the two cannot derive an attribute differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedDatabase {
    /// Its id.
    pub id: Maybe<DatabaseId>,
    /// The project it belongs to.
    pub project_id: Maybe<ProjectId>,
    /// Its name.
    pub name: Maybe<Name>,
    /// What hosts and login are named after.
    pub slug: Maybe<Slug>,
    /// The engine.
    pub engine: Maybe<EngineName>,
    /// The word it was ordered with, when that was not the canonical one.
    pub technology: Maybe<Option<String>>,
    /// The major version.
    pub version: Maybe<String>,
    /// The plan.
    pub plan: Maybe<String>,
    /// The region.
    pub region: Maybe<String>,
    /// Storage in GB.
    pub storage_gb: Maybe<u32>,
    /// Members in all.
    pub replicas: Maybe<u32>,
    /// Whether it is to run.
    pub intent: Maybe<Intent>,
    /// The first logical database.
    pub database_name: Maybe<String>,
    /// The login that owns it.
    pub username: Maybe<String>,
    /// How clients are pooled.
    pub pooler: Maybe<Option<PlannedPooler>>,
    /// Rises with each new password.
    pub credential_version: Maybe<i64>,
    /// Whether it is published.
    pub expose: Maybe<bool>,
    /// The published port.
    pub public_port: Maybe<Option<u16>>,
    /// Networks that may use the published port.
    pub allow_list: Maybe<BTreeSet<IpNet>>,
    /// Whether plain connections are accepted.
    pub tls_mode: Maybe<TlsMode>,
    /// Whether its destruction is refused.
    pub deletion_protection: Maybe<bool>,
    /// Days for which its data is kept after it was destroyed.
    pub recovery_window_days: Maybe<u32>,
    /// Minutes without a client after which it sleeps.
    pub sleep_after_minutes: Maybe<Option<u32>>,
    /// Labels.
    pub tags: Maybe<BTreeMap<String, String>>,
    /// Names of its variables, each with the application's own.
    pub inject_env: Maybe<BTreeMap<String, EnvName>>,
    /// When it was made.
    pub created_at: Maybe<Timestamp>,
}

/// What follows from a database's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// The engine's host in the project's network.
    pub host: Maybe<String>,
    /// The engine's port there.
    pub port: Maybe<u16>,
    /// The pooler's host there.
    pub pooler_host: Maybe<Option<String>>,
    /// The pooler's port there.
    pub pooler_port: Maybe<Option<u16>>,
    /// The address of the published port.
    pub public_host: Maybe<Option<String>>,
    /// The URI of the pooler, or of the engine where there is none, with a hole for the password.
    pub uri_template: Maybe<String>,
    /// The authority that signs the engine's certificate, as PEM.
    pub ca_certificate: String,
}

impl PlannedDatabase {
    /// A row, all of which is known.
    pub fn of(row: &Database) -> Self {
        Self {
            id: Maybe::Known(row.id.clone()),
            project_id: Maybe::Known(row.project_id.clone()),
            name: Maybe::Known(row.name.clone()),
            slug: Maybe::Known(row.slug.clone()),
            engine: Maybe::Known(row.engine.clone()),
            technology: Maybe::Known(row.technology.clone()),
            version: Maybe::Known(row.version.clone()),
            plan: Maybe::Known(row.plan.clone()),
            region: Maybe::Known(row.region.clone()),
            storage_gb: Maybe::Known(row.storage_gb),
            replicas: Maybe::Known(row.replicas),
            intent: Maybe::Known(row.intent),
            database_name: Maybe::Known(row.database_name.clone()),
            username: Maybe::Known(row.username.clone()),
            pooler: Maybe::Known(row.pooler.as_ref().map(PlannedPooler::from)),
            credential_version: Maybe::Known(row.credential_version),
            expose: Maybe::Known(row.expose),
            public_port: Maybe::Known(row.public_port),
            allow_list: Maybe::Known(row.allow_list.clone()),
            tls_mode: Maybe::Known(row.tls_mode),
            deletion_protection: Maybe::Known(row.deletion_protection),
            recovery_window_days: Maybe::Known(row.recovery_window_days),
            sleep_after_minutes: Maybe::Known(row.sleep_after_minutes),
            tags: Maybe::Known(row.tags.clone()),
            inject_env: Maybe::Known(row.inject_env.clone()),
            created_at: Maybe::Known(row.created_at),
        }
    }

    /// Writes the outcome into a row. Id, instance, claim, times and a port that has to be
    /// drawn are the caller's.
    pub fn write_into(self, row: &mut Database) -> Result<(), Error> {
        fn sure<T>(value: Maybe<T>, field: &'static str) -> Result<T, Error> {
            value.known().ok_or(Error::Inconsistent {
                act: "store a database",
                reason: format!("{field} is still unknown"),
            })
        }
        row.project_id = sure(self.project_id, "project_id")?;
        row.name = sure(self.name, "name")?;
        row.slug = sure(self.slug, "slug")?;
        row.engine = sure(self.engine, "engine")?;
        row.technology = sure(self.technology, "technology")?;
        row.version = sure(self.version, "version")?;
        row.plan = sure(self.plan, "plan")?;
        row.region = sure(self.region, "region")?;
        row.storage_gb = sure(self.storage_gb, "storage_gb")?;
        row.replicas = sure(self.replicas, "replicas")?;
        row.intent = sure(self.intent, "desired_status")?;
        row.database_name = sure(self.database_name, "database_name")?;
        row.username = sure(self.username, "username")?;
        row.pooler = match sure(self.pooler, "pooler")? {
            Some(planned) => Some(sure(planned.known().into(), "pooler")?),
            None => None,
        };
        row.credential_version = sure(self.credential_version, "credential_version")?;
        row.expose = sure(self.expose, "expose")?;
        row.public_port = self.public_port.known().unwrap_or(row.public_port);
        row.allow_list = sure(self.allow_list, "allow_list")?;
        row.tls_mode = sure(self.tls_mode, "tls_mode")?;
        row.deletion_protection = sure(self.deletion_protection, "deletion_protection")?;
        row.recovery_window_days = sure(self.recovery_window_days, "recovery_window_days")?;
        row.sleep_after_minutes = sure(self.sleep_after_minutes, "sleep_after_minutes")?;
        row.tags = sure(self.tags, "tags")?;
        row.inject_env = sure(self.inject_env, "inject_env")?;
        Ok(())
    }

    /// What follows from these attributes.
    pub fn derived(&self, rules: &Rules) -> Derived {
        let has_pooler = self.pooler.as_ref().map(Option::is_some);
        let port = self.port(rules);
        let pooler_host = has_pooler
            .zip(self.slug.as_ref())
            .map(|(there, slug)| there.then(|| rules.addresses.pooler_host(slug)));
        let host = self
            .slug
            .as_ref()
            .map(|slug| rules.addresses.database_host(slug));
        Derived {
            uri_template: self.uri_template(rules, &host, &pooler_host),
            host,
            port,
            pooler_host,
            pooler_port: has_pooler
                .zip(port)
                .map(|(there, port)| there.then_some(port)),
            public_host: self
                .expose
                .map(|expose| expose.then(|| rules.addresses.public_host().to_owned())),
            ca_certificate: rules.ca_certificate.clone(),
        }
    }

    fn port(&self, rules: &Rules) -> Maybe<u16> {
        match &self.engine {
            Maybe::Known(engine) => rules.engines.get(engine).ok().map(|e| e.port()).into(),
            Maybe::Unknown => Maybe::Unknown,
        }
    }

    fn uri_template(
        &self,
        rules: &Rules,
        host: &Maybe<String>,
        pooler_host: &Maybe<Option<String>>,
    ) -> Maybe<String> {
        let template = || {
            let engine = rules.engines.get(self.engine.as_ref().known()?).ok()?;
            let host = match pooler_host.as_ref().known()? {
                Some(pooler) => pooler,
                None => host.as_ref().known()?,
            };
            Some(engine.uri_template(&UriParts {
                host,
                port: engine.port(),
                database_name: self.database_name.as_ref().known()?,
                username: self.username.as_ref().known()?,
                tls: uri_tls(self.tls_mode.known()?),
            }))
        };
        template().into()
    }
}

/// How a URI inside the project's network asks for encryption.
pub fn uri_tls(mode: TlsMode) -> UriTls {
    match mode {
        TlsMode::Allow => UriTls::Disable,
        TlsMode::Require => UriTls::Require,
    }
}

/// The parts of an outcome by which an equal request is known again: what was asked for,
/// not what was drawn for it.
#[derive(Serialize)]
pub(super) struct Essence<'a> {
    project_id: &'a str,
    name: &'a str,
    engine: &'a str,
    version: &'a str,
    plan: &'a str,
    region: &'a str,
    storage_gb: u32,
    replicas: u32,
    intent: &'static str,
    database_name: &'a str,
    username: &'a str,
    pooler: Option<String>,
    credential_version: i64,
    expose: bool,
    asked_port: Option<u16>,
    allow_list: Vec<String>,
    tls_mode: &'static str,
    deletion_protection: bool,
    recovery_window_days: u32,
    sleep_after_minutes: Option<u32>,
    tags: &'a BTreeMap<String, String>,
    inject_env: BTreeMap<&'a str, &'a str>,
    restored: Option<&'a str>,
}

impl<'a> Essence<'a> {
    /// The essence, when everything that was asked for is known.
    pub(super) fn of(
        planned: &'a PlannedDatabase,
        asked_port: Option<u16>,
        restored: Option<&'a str>,
    ) -> Option<Self> {
        let pooler = match planned.pooler.as_ref().known()? {
            Some(pooler) => Some(format!("{:?}", pooler.clone().known()?)),
            None => None,
        };
        Some(Self {
            project_id: planned.project_id.as_ref().known()?.as_str(),
            name: planned.name.as_ref().known()?.as_str(),
            engine: planned.engine.as_ref().known()?.as_str(),
            version: planned.version.as_ref().known()?,
            plan: planned.plan.as_ref().known()?,
            region: planned.region.as_ref().known()?,
            storage_gb: planned.storage_gb.known()?,
            replicas: planned.replicas.known()?,
            intent: planned.intent.known()?.as_str(),
            database_name: planned.database_name.as_ref().known()?,
            username: planned.username.as_ref().known()?,
            pooler,
            credential_version: planned.credential_version.known()?,
            expose: planned.expose.known()?,
            asked_port,
            allow_list: planned
                .allow_list
                .as_ref()
                .known()?
                .iter()
                .map(ToString::to_string)
                .collect(),
            tls_mode: planned.tls_mode.known()?.as_str(),
            deletion_protection: planned.deletion_protection.known()?,
            recovery_window_days: planned.recovery_window_days.known()?,
            sleep_after_minutes: planned.sleep_after_minutes.known()?,
            tags: planned.tags.as_ref().known()?,
            inject_env: planned
                .inject_env
                .as_ref()
                .known()?
                .iter()
                .map(|(ours, theirs)| (ours.as_str(), theirs.as_str()))
                .collect(),
            restored,
        })
    }
}
