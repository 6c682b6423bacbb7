//! Projects on the wire.

use crate::Field;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much a project may have; what is `null` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quota {
    /// Living databases.
    pub databases: Option<u32>,
    /// Their storage in GB.
    pub storage_gb: Option<u32>,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Project {
    /// Its id (`proj_…`).
    pub id: String,
    /// Its name.
    pub name: String,
    /// Made from the name at create, kept for life.
    pub slug: String,
    /// A sentence for people.
    pub description: Option<String>,
    /// The region of databases that name none.
    pub default_region: Option<String>,
    /// Whether its destruction is refused while databases, variables of its own or further
    /// members are in it.
    pub deletion_protection: bool,
    /// `refuse` or `cascade`.
    pub on_destroy: String,
    /// The container network of its databases.
    pub network_name: String,
    /// Minutes without a client after which its databases sleep; null is never.
    pub sleep_after_minutes: Option<u32>,
    /// How much it may have.
    pub quota: Option<Quota>,
    /// The directory on the host with its env files, in memory.
    pub env_dir: String,
    /// Labels of the user's.
    pub tags: BTreeMap<String, String>,
    /// Whether its first database is made when its environment is first used.
    pub auto_provision: bool,
    /// Whether the client that created it has taken it over.
    pub claimed: bool,
    /// When it was made.
    pub created_at: String,
    /// When it changed last.
    pub updated_at: String,
}

/// What may be said of a project in a create (POST) or a change (PATCH).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectBody {
    /// Its name: 3 to 48 lower-case letters, digits and hyphens.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub name: Field<String>,
    /// A sentence for people, at most 256 characters.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub description: Field<String>,
    /// The region of databases that name none.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub default_region: Field<String>,
    /// Whether its destruction is refused while databases, variables of its own or further
    /// members are in it; false by default.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub deletion_protection: Field<bool>,
    /// `refuse` (the default) or `cascade`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub on_destroy: Field<String>,
    /// Minutes without a client after which its databases sleep; never by default.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub sleep_after_minutes: Field<u32>,
    /// How much it may have; said whole, and not limited by default.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Quota>))]
    pub quota: Field<Quota>,
    /// Labels: at most 64, with keys of up to 128 and values of up to 256 characters.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<BTreeMap<String, String>>))]
    pub tags: Field<BTreeMap<String, String>>,
    /// Whether its first database is made when its environment is first used; false by default.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub auto_provision: Field<bool>,
    /// Created on behalf of a client that claims it later; only in a create.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub unclaimed: Field<bool>,
}

/// A project in its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectEnvelope {
    /// The project.
    pub project: Project,
}

/// A page of projects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectList {
    /// The projects, oldest first.
    pub projects: Vec<Project>,
    /// By which the next page is asked for.
    pub next_page_token: Option<String>,
}

/// A destroyed project that can still come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DestroyedProject {
    /// Its id (`proj_…`).
    pub id: String,
    /// The name that it had.
    pub name: String,
    /// When it was made.
    pub created_at: String,
    /// When it was destroyed.
    pub destroyed_at: String,
    /// Until when it can come back, at least.
    pub recoverable_until: String,
}

/// A page of destroyed projects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DestroyedProjectList {
    /// The projects, in the order in which they were made.
    pub projects: Vec<DestroyedProject>,
    /// By which the next page is asked for.
    pub next_page_token: Option<String>,
}
