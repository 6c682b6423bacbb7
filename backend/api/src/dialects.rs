//! Bodies of the routes that other platforms' clients know: the same nouns in their words.

use serde::{Deserialize, Serialize};

/// The own database of a project, in the words of `/v1/projects/{project}/database`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectDatabase {
    /// Its id (`db_…`).
    pub id: String,
    /// The project it belongs to.
    pub project_id: String,
    /// `provisioning`, `running`, `stopped`, `error` or `destroyed`.
    pub status: String,
    /// The engine's host in the project's network.
    pub host: String,
    /// The engine's port there.
    pub port: u16,
    /// The first logical database.
    pub db_name: String,
    /// The login that owns it.
    pub db_user: String,
    /// When it was made.
    pub created_at: String,
    /// When it changed last.
    pub updated_at: String,
}

/// The own database of a project in its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectDatabaseEnvelope {
    /// The database.
    pub data: ProjectDatabase,
}

/// A database in the words of `/api/v1/databases`, which has no envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlainDatabase {
    /// Its id (`db_…`).
    pub id: String,
    /// The project it belongs to.
    pub project_id: String,
    /// Its name.
    pub name: String,
    /// Made from the name at create, kept for life.
    pub slug: String,
    /// The engine's canonical name.
    pub db_type: String,
    /// The major version.
    pub version: String,
    /// The plan.
    pub plan_id: String,
    /// `provisioning`, `running`, `stopped`, `error` or `destroyed`.
    pub status: String,
    /// The region.
    pub region: String,
    /// Storage in GB.
    pub storage_gb: u32,
    /// Members in all.
    pub replicas: u32,
    /// When it was made.
    pub created_at: String,
    /// When it changed last.
    pub updated_at: String,
}

/// How to log in, in the words of `/api/v1/databases/{database}/credentials`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlainCredentials {
    /// The host that `connection_string` names: the pooler's where there is one.
    pub host: String,
    /// The port there.
    pub port: u16,
    /// The login.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The logical database.
    pub database: String,
    /// Always `require`.
    pub ssl_mode: String,
    /// All of it as a URI.
    pub connection_string: String,
}

/// An engine in the words of `/v1/addon_providers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddonProvider {
    /// The word that orders it as `technology`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What it is, in a few words.
    pub short_description: String,
    /// Its versions that can be had here.
    pub description: String,
    /// The kind of addon.
    pub category: AddonCategory,
    /// Who offers it.
    pub provider_name: String,
    /// The sizes that can be ordered.
    pub plans: Vec<AddonPlan>,
}

/// A kind of addon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddonCategory {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
}

/// A size in the words of `/v1/addon_providers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddonPlan {
    /// The same as `name`.
    pub id: String,
    /// The word that orders it as `plan`.
    pub name: String,
    /// The same as `description`.
    pub display_name: String,
    /// A sentence for people.
    pub description: String,
    /// Its place in the catalogue, from 1 on.
    pub position: u32,
}

/// `GET /v1/addon_providers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddonProviderList {
    /// The engines of which some version can be had here.
    pub addon_providers: Vec<AddonProvider>,
}
