//! People and what they are in projects, on the wire.

use crate::Field;
use serde::{Deserialize, Serialize};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// Its id (`usr_…`).
    #[cfg_attr(feature = "openapi", schema(example = "usr_5d2c91e07a4f3b68"))]
    pub id: String,
    /// Its name, unique in the installation.
    #[cfg_attr(feature = "openapi", schema(example = "ada"))]
    pub name: String,
    /// Where mail reaches it.
    #[cfg_attr(feature = "openapi", schema(example = "ada@example.com"))]
    pub email: Option<String>,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-03T02:14:00Z"))]
    pub created_at: String,
    /// When it changed last.
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-03T02:14:00Z"))]
    pub updated_at: String,
}

/// What may be said of a person in a create (POST) or a change (PATCH).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserBody {
    /// Its name: 1 to 64 printable characters, unique in the installation.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "ada"))]
    pub name: Field<String>,
    /// Where mail reaches it.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "ada@example.com"))]
    pub email: Field<String>,
}

/// A person in its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserEnvelope {
    /// The person.
    pub user: User,
}

/// A page of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserList {
    /// The people, oldest first.
    pub users: Vec<User>,
    /// By which the next page is asked for.
    pub next_page_token: Option<String>,
}

/// A person in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Member {
    /// The project.
    #[cfg_attr(feature = "openapi", schema(example = "proj_default"))]
    pub project_id: String,
    /// The person.
    #[cfg_attr(feature = "openapi", schema(example = "usr_5d2c91e07a4f3b68"))]
    pub user_id: String,
    /// `viewer` (reads and plans), `editor` (changes, reads credentials, branches) or `owner`
    /// (everything, its members too).
    #[cfg_attr(feature = "openapi", schema(example = "editor"))]
    pub role: String,
    /// Since when it is a member.
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-03T02:14:00Z"))]
    pub created_at: String,
    /// When its role changed last.
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-03T02:14:00Z"))]
    pub updated_at: String,
}

/// What a person is to be in a project (PUT).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberBody {
    /// `viewer`, `editor` or `owner`.
    #[cfg_attr(feature = "openapi", schema(example = "editor"))]
    pub role: String,
}

/// A member in its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberEnvelope {
    /// The member.
    pub member: Member,
}

/// A page of members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberList {
    /// The members, the longest standing first.
    pub members: Vec<Member>,
    /// By which the next page is asked for.
    pub next_page_token: Option<String>,
}
