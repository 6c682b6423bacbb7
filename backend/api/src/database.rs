//! Databases on the wire.

use crate::Field;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How clients are pooled in front of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pooler {
    /// Whether there is a pooler.
    pub enabled: bool,
    /// `session`, `transaction` or `statement`.
    pub mode: String,
    /// Server connections for each pair of user and database.
    pub default_pool_size: u32,
    /// Client connections that are accepted.
    pub max_client_connections: u32,
    /// Server connections beyond the pool size while clients wait.
    pub reserve_pool_size: Option<u32>,
    /// Seconds after which an idle server connection is closed.
    pub server_idle_timeout_seconds: Option<u32>,
    /// Further settings by the pooler's own names.
    pub parameters: BTreeMap<String, String>,
}

/// What may be said of the pooler. It is said whole, also in a change: what is left out takes
/// its default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolerBody {
    /// Whether there is a pooler; true by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// `session`, `transaction` (the default) or `statement`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// 20 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_pool_size: Option<u32>,
    /// 100 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_client_connections: Option<u32>,
    /// None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve_pool_size: Option<u32>,
    /// The pooler's own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_idle_timeout_seconds: Option<u32>,
    /// Further settings by PgBouncer's own names: `application_name_add_host`,
    /// `client_idle_timeout`, `client_login_timeout`, `idle_transaction_timeout`,
    /// `ignore_startup_parameters`, `max_db_connections`, `max_prepared_statements`,
    /// `max_user_connections`, `min_pool_size`, `query_timeout`, `query_wait_timeout`,
    /// `reserve_pool_timeout`, `server_connect_timeout`, `server_lifetime`, `server_round_robin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<BTreeMap<String, String>>,
}

/// One named fact beside the status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Condition {
    /// Its name, such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A word for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// Since when it is so.
    pub since: String,
}

/// A database. Never carries a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Database {
    /// Its id (`db_…`).
    pub id: String,
    /// The project it belongs to.
    pub project_id: String,
    /// Its name.
    pub name: String,
    /// Made from the name at create, kept for life.
    pub slug: String,
    /// The engine's canonical name.
    pub engine: String,
    /// The word the engine was ordered with.
    pub technology: String,
    /// The major version.
    pub version: String,
    /// The engine's own version text, once it answered.
    pub version_actual: Option<String>,
    /// The plan.
    pub plan: String,
    /// The region.
    pub region: String,
    /// Storage in GB.
    pub storage_gb: u32,
    /// Members in all.
    pub replicas: u32,
    /// `provisioning`, `running`, `stopped`, `error` or `destroyed`.
    pub status: String,
    /// What is going on, in a word.
    pub phase: String,
    /// Facts beside the status.
    pub conditions: Vec<Condition>,
    /// `running` or `stopped`; `running` also while it sleeps.
    pub desired_status: String,
    /// Why it is stopped: `user`, or `sleep` when the next client wakes it.
    pub stop_reason: Option<String>,
    /// The first logical database.
    pub database_name: String,
    /// The login that owns it.
    pub username: String,
    /// The engine's host in the project's network.
    pub host: String,
    /// The engine's port there.
    pub port: u16,
    /// The pooler's host there.
    pub pooler_host: Option<String>,
    /// The pooler's port there.
    pub pooler_port: Option<u16>,
    /// The address of the published port.
    pub public_host: Option<String>,
    /// The published port.
    pub public_port: Option<u16>,
    /// The pooler; none when the engine has none.
    pub pooler: Option<Pooler>,
    /// Rises with each new password.
    pub credential_version: i64,
    /// Whether it is published.
    pub expose: bool,
    /// Source addresses that may use the published port.
    pub allow_list: BTreeSet<String>,
    /// `allow` or `require`.
    pub tls_mode: String,
    /// The authority that signs the engine's certificate, as PEM.
    pub ca_certificate: String,
    /// A URI with `{password}` as a hole.
    pub uri_template: String,
    /// Whether its destruction is refused.
    pub deletion_protection: bool,
    /// Days for which its data is kept after it was destroyed.
    pub recovery_window_days: u32,
    /// Minutes without a client after which it sleeps; its project's when null, never when 0.
    pub sleep_after_minutes: Option<u32>,
    /// Labels.
    pub tags: BTreeMap<String, String>,
    /// Names of its variables in the project's environment, each with the application's own.
    pub inject_env: BTreeMap<String, String>,
    /// Whether the client that created it has taken it over.
    pub claimed: bool,
    /// Bytes that the data takes.
    pub storage_used_bytes: Option<u64>,
    /// Client connections when it was last looked at.
    pub connections: Option<u32>,
    /// When it was last looked at.
    pub observed_at: Option<String>,
    /// The operation that is under way, or was last.
    pub operation_id: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it changed last.
    pub updated_at: String,
    /// When it was destroyed.
    pub destroyed_at: Option<String>,
    /// Until when it can be restored.
    pub recoverable_until: Option<String>,
}

/// Where a new database takes its data from. Acts once, at create.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreFrom {
    /// A destroyed database that is still recoverable: the same row comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_database_id: Option<String>,
}

/// What may be said of a database in a create (POST) or a change (PATCH).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatabaseBody {
    /// Its name: 3 to 48 lower-case letters, digits and hyphens.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub name: Field<String>,
    /// The project, by id or name; the default project when left out.
    #[serde(skip_serializing_if = "Field::is_absent", alias = "projectId")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub project_id: Field<String>,
    /// The engine.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub engine: Field<String>,
    /// The major version; the catalogue's default when left out.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub version: Field<String>,
    /// The plan; the catalogue's first when left out.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub plan: Field<String>,
    /// The region.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub region: Field<String>,
    /// Storage in GB.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub storage_gb: Field<u32>,
    /// Members in all; 1.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub replicas: Field<u32>,
    /// `running` or `stopped`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub desired_status: Field<String>,
    /// The first logical database; the slug when left out. Only in a create.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub database_name: Field<String>,
    /// The owner's login; `app_` and the slug when left out. Only in a create.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub username: Field<String>,
    /// The pooler.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<PoolerBody>))]
    pub pooler: Field<PoolerBody>,
    /// A higher number sets a new password.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<i64>))]
    pub credential_version: Field<i64>,
    /// Whether it is published outside the project's network. The one published port is the
    /// pooler's where there is one: what needs a session of its own, such as some migrations, goes
    /// by `berthd run`, which reaches the engine, or with a pooler of the mode `session`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub expose: Field<bool>,
    /// The published port, within the configured range, which begins at 1024 or above.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u16>))]
    pub public_port: Field<u16>,
    /// Networks in CIDR notation that may use the published port, at most 256.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<BTreeSet<String>>))]
    pub allow_list: Field<BTreeSet<String>>,
    /// `allow` or `require`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub tls_mode: Field<String>,
    /// A destroyed database to bring back. Only in a create.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<RestoreFrom>))]
    pub restore_from: Field<RestoreFrom>,
    /// Whether its destruction is refused; false by default.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub deletion_protection: Field<bool>,
    /// Days for which its data is kept after it was destroyed: 0 to 90, 7 by default.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub recovery_window_days: Field<u32>,
    /// Minutes without a client after which it sleeps: 0 is never, its project's by default.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub sleep_after_minutes: Field<u32>,
    /// Labels: at most 64, with keys of up to 128 and values of up to 256 characters.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<BTreeMap<String, String>>))]
    pub tags: Field<BTreeMap<String, String>>,
    /// Names of its variables in the project's environment, each with the name that the
    /// application reads instead: `{"DATABASE_URL": "PG_URL"}`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<BTreeMap<String, String>>))]
    pub inject_env: Field<BTreeMap<String, String>>,
    /// Created on behalf of a client that claims it later. Only in a create.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub unclaimed: Field<bool>,
}

/// A database in its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatabaseEnvelope {
    /// The database.
    pub database: Database,
}

/// A database after a change, in its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangedDatabaseEnvelope {
    /// The database.
    pub database: Database,
    /// The operation that this change ordered. Null when there is nothing to wait for, as after
    /// a change of tags: the database's own `operation_id` is then of another change.
    pub ordered_operation_id: Option<String>,
}

/// A page of databases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatabaseList {
    /// The databases, oldest first.
    pub databases: Vec<Database>,
    /// By which the next page is asked for.
    pub next_page_token: Option<String>,
}

/// How to log in. The only answer that carries a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Credentials {
    /// The engine's host as seen from the chosen network.
    pub host: String,
    /// The engine's port there.
    pub port: u16,
    /// The pooler's host there.
    pub pooler_host: Option<String>,
    /// The pooler's port there.
    pub pooler_port: Option<u16>,
    /// The login.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The logical database.
    pub database: String,
    /// `disable` or `require`.
    pub ssl_mode: String,
    /// URI past the pooler; in the network `public` the same as `pooled_uri`, since the published
    /// port is the pooler's where there is one.
    pub uri: String,
    /// URI through the pooler; the same as `uri` when there is none.
    pub pooled_uri: String,
    /// The same as `pooled_uri`.
    pub connection_string: String,
    /// The authority that signs the engine's certificate, as PEM.
    pub ca_certificate: String,
    /// Which network the addresses are in: `project` or `public`.
    pub network: String,
    /// The version of the password.
    pub credential_version: i64,
    /// True when the values are well formed and open nothing, as a `plan` token gets them.
    pub inert: bool,
}
