//! A project's environment on the wire.

use serde::{Deserialize, Serialize};

/// One variable of a project's environment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvVariable {
    /// The name that an application reads.
    #[cfg_attr(feature = "openapi", schema(example = "DATABASE_URL"))]
    pub name: String,
    /// The value; `null` when it is sensitive and the token lacks the scope `credentials`.
    #[cfg_attr(
        feature = "openapi",
        schema(
            example = "postgresql://app_orders:0123456789abcdef0123456789abcdef@berth-pgbouncer-orders:5432/orders?sslmode=disable"
        )
    )]
    pub value: Option<String>,
    /// Whether the value is told only to tokens with the scope `credentials`.
    pub sensitive: bool,
    /// `berth` for a variable that follows the project's databases, `null` for one that a user
    /// gave.
    #[cfg_attr(feature = "openapi", schema(example = "berth"))]
    pub managed_by: Option<String>,
    /// The id of what a managed variable leads to.
    #[cfg_attr(feature = "openapi", schema(example = "db_0123456789abcdef"))]
    pub source: Option<String>,
}

/// A project's environment, whole.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Environment {
    /// The variables by name, each name once.
    pub variables: Vec<EnvVariable>,
    /// What there is to say of variables that one might miss.
    pub notes: Vec<String>,
    /// Whether the token may plan and not write, so that stand-ins for values that are `null`
    /// reach nothing but a plan.
    pub only_plans: bool,
    /// Always `null`: an environment is answered whole.
    pub next_page_token: Option<String>,
}

/// The value of a variable that a user gives to a project.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvVariableBody {
    /// The value, at most 64 KiB. It has to be said. A project has at most 1,000 variables of its
    /// own, with 1 MiB of names and values in all.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true, example = "eu-central"))]
    pub value: String,
    /// Whether the value is told only to tokens with the scope `credentials`. Left out, it is as
    /// it was, and true for a new variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = false))]
    pub sensitive: Option<bool>,
}

/// A variable in its envelope.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvVariableEnvelope {
    /// The variable.
    pub variable: EnvVariable,
}

/// What a variable was before it was replaced or removed; its value is told only once it is
/// back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvVersion {
    /// Its number in the project: the greater, the later it ended.
    #[cfg_attr(feature = "openapi", schema(example = 3))]
    pub version: i64,
    /// The variable's name.
    #[cfg_attr(feature = "openapi", schema(example = "STRIPE_KEY"))]
    pub name: String,
    /// Whether the value was sensitive.
    pub sensitive: bool,
    /// When it was given.
    pub given_at: String,
    /// When it was replaced or removed.
    pub ended_at: String,
    /// Until when it is kept; where a project has too many of them, only until the recovery floor.
    pub recoverable_until: String,
}

/// Some of what is kept of what variables were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvVersionList {
    /// The earlier values, the last that ended first.
    pub versions: Vec<EnvVersion>,
    /// By which the next page is asked for.
    pub next_page_token: Option<String>,
}

/// Which earlier value a variable gets back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvRestoreBody {
    /// Its number; left out, the last one that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = 3))]
    pub version: Option<i64>,
}
