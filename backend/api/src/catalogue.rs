//! What can be ordered, and what serves it.

use serde::{Deserialize, Serialize};

/// `GET /v1/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Version {
    /// berthd's own version.
    pub version: String,
    /// The API revisions it speaks.
    pub api: VersionRange,
}

/// API revisions, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionRange {
    /// The oldest revision that is still spoken.
    pub minimum: u32,
    /// The newest.
    pub current: u32,
}

impl VersionRange {
    /// What this crate describes.
    pub const HERE: Self = Self {
        minimum: 1,
        current: 1,
    };
}

/// `GET /v1/catalogue`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Catalogue {
    /// The engines.
    pub engines: Vec<Engine>,
    /// The sizes; the first is the default.
    pub plans: Vec<Plan>,
    /// The regions; the first is the default.
    pub regions: Vec<Region>,
}

/// An engine that can be ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Engine {
    /// Its canonical name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Other words that the API accepts for it.
    pub synonyms: Vec<String>,
    /// The version of databases that name none.
    pub default_version: String,
    /// Its versions, oldest first.
    pub versions: Vec<EngineVersion>,
    /// Whether databases of it can have a pooler.
    pub has_pooler: bool,
    /// The port it listens on in the project's network.
    pub port: u16,
}

/// A version of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EngineVersion {
    /// The major version.
    pub version: String,
    /// `supported`, `deprecated` or `end_of_life`.
    pub state: String,
    /// The image that runs it.
    pub image: String,
    /// What to know of that image.
    pub notes: Vec<String>,
    /// Why it cannot be had here; none when it can.
    pub unavailable: Option<String>,
}

/// A size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// A sentence for people.
    pub description: String,
    /// CPU time in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// Storage in GB when none is asked for.
    pub storage_gb_default: u32,
    /// The least storage in GB.
    pub storage_gb_min: u32,
    /// The most storage in GB.
    pub storage_gb_max: u32,
    /// Connections that the engine accepts.
    pub max_connections: u32,
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Region {
    /// Its name.
    pub name: String,
}

/// `GET /v1/server`: the installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Server {
    /// berthd's own version.
    pub version: String,
    /// Eight hexadecimal digits.
    pub installation: String,
    /// `docker` or `fake`.
    pub runtime: String,
    /// What the host has and what is promised of it.
    pub capacity: Capacity,
}

/// What the host has and what is promised of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Capacity {
    /// CPU of the host in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory of the host in MiB.
    pub memory_mb: u64,
    /// Memory that may be promised in MiB: the host's times the overcommit.
    pub memory_mb_allowed: u64,
    /// Memory promised to databases in MiB.
    pub memory_mb_promised: u64,
    /// Storage promised to databases in GB.
    pub storage_gb_promised: u64,
    /// Living databases.
    pub databases: u64,
}
