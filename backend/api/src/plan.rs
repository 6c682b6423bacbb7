//! Dry runs and snapshots.

use crate::{Database, ErrorDetail, Project};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a client wants to know the outcome of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanRequest {
    /// The resources of one plan, at most 1,000.
    pub resources: Vec<PlanItem>,
}

/// One resource of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanItem {
    /// `project` or `database`. It has to be said.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub kind: String,
    /// The object to change; none for a create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// For a create: the object whose place it takes. What that one holds (its name, port
    /// and share of the host) counts as free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Whether the object is to be destroyed; `config` is empty then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destroy: bool,
    /// What is wanted: the fields of a create, whole. A field that is left out or `null` takes
    /// its default.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub config: Map<String, Value>,
    /// Paths into `config`, with dots, whose values are not known yet.
    #[serde(default)]
    pub unknown: Vec<String>,
}

/// The outcomes, in the order of the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanAnswer {
    /// One for each resource.
    pub resources: Vec<PlannedItem>,
}

/// The outcome for one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedItem {
    /// The object as it will be answered, without what is not known; `null` for a destroy.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub planned: Option<Map<String, Value>>,
    /// Fields of the object that are not known yet.
    pub unknown: Vec<String>,
    /// What the user should know before agreeing.
    pub notes: Vec<Note>,
    /// Why it will be refused.
    pub errors: Vec<ErrorDetail>,
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth stopping for.
    Warning,
}

/// What the user should know before agreeing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Note {
    /// How much it matters.
    pub severity: Severity,
    /// The field it is about; none when it is about the whole.
    pub field: Option<String>,
    /// One line.
    pub summary: String,
    /// Sentences.
    pub message: String,
}

/// One page of all objects of a kind, as they were at one version of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Snapshot {
    /// The version of the store; the same on all pages of one answer.
    pub version: i64,
    /// Projects, when that kind was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<Project>>,
    /// Databases, when that kind was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databases: Option<Vec<Database>>,
    /// By which the next page is asked for.
    pub next_page_token: Option<String>,
}
