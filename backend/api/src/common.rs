//! Bodies that all routes share.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field of a request body: left out, `null`, or given.
///
/// Left out means "as it is" in a change and "the default" in a create; `null` means "the
/// default" in both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Not in the body.
    #[default]
    Absent,
    /// In the body, as `null`.
    Null,
    /// In the body, with a value.
    Value(T),
}

impl<T> Field<T> {
    /// Whether the body does not have the field; for `skip_serializing_if`.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, when one was given.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::<T>::deserialize(deserializer)? {
            Some(value) => Self::Value(value),
            None => Self::Null,
        })
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Absent | Self::Null => serializer.serialize_none(),
        }
    }
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiError {
    /// A sentence for people.
    pub error: String,
    /// A word for programs.
    pub code: String,
    /// By which the server's log is searched.
    pub request_id: String,
    /// What is wrong, field by field.
    #[serde(default)]
    pub details: Vec<ErrorDetail>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorDetail {
    /// The field's path, with dots: `pooler.mode`.
    pub field: String,
    /// What was expected and what to do.
    pub message: String,
    /// A word for programs: what kind of wrong it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// One change under way, or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Operation {
    /// Its id (`op_…`).
    pub id: String,
    /// `provision`, `change`, `sleep`, `wake`, `rotate`, `restart`, `destroy`, `restore` or
    /// `purge`.
    pub kind: String,
    /// The database it works on.
    pub database_id: String,
    /// The project that database is in.
    pub project_id: String,
    /// `pending`, `succeeded`, `failed` or `superseded`.
    pub state: String,
    /// The step that comes next.
    pub step: String,
    /// How often that step has been tried.
    pub attempt: u32,
    /// Why it failed.
    pub failure: Option<OperationFailure>,
    /// When it was asked for.
    pub created_at: String,
    /// When it ended.
    pub finished_at: Option<String>,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationFailure {
    /// A word for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// A token that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewToken {
    /// Its name, for people.
    pub name: String,
    /// Its rights; or give `preset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// `plan`, `apply`, `application` or `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Whose it is, by id or name; the caller's own when nobody is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The one project it is bound to, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// When it ends, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Whether its secret is kept, sealed, to be read again with the scope `admin`.
    #[serde(default)]
    pub keep_secret: bool,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// Its id (`tok_…`).
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its rights.
    pub scopes: Vec<String>,
    /// The one project it is bound to.
    pub project_id: Option<String>,
    /// Whose it is; what that user is in a project narrows its rights there.
    pub user_id: String,
    /// When it was made.
    pub created_at: String,
    /// When it ends.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
}

/// What may be said of a token in a change (PATCH).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenBody {
    /// Its name, for people.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub name: Field<String>,
    /// When it ends, in RFC 3339; `null` is never.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub expires_at: Field<String>,
}

/// A token with its secret, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenCreated {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// The bearer secret.
    pub secret: String,
}

/// The secret of a token that was made with `keep_secret`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenSecret {
    /// The bearer secret.
    #[cfg_attr(
        feature = "openapi",
        schema(example = "berth_000000000000000000000000000000000000000000000000")
    )]
    pub secret: String,
    /// Whether it opens nothing, since the caller may only plan.
    pub inert: bool,
}

/// A page of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenList {
    /// The tokens, oldest first.
    pub tokens: Vec<Token>,
    /// By which the next page is asked for.
    pub next_page_token: Option<String>,
}

/// A page of operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationList {
    /// The operations, the last one first.
    pub operations: Vec<Operation>,
    /// By which the next page is asked for.
    pub next_page_token: Option<String>,
}
