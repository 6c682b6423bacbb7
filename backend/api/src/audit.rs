//! The journal on the wire: who changed what, when, from where.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventActor {
    /// `token`, `local` (the command line over the local socket) or `system` (berthd itself).
    #[cfg_attr(feature = "openapi", schema(example = "token"))]
    pub kind: String,
    /// The token's id.
    pub token_id: Option<String>,
    /// The token's name at that time.
    #[cfg_attr(feature = "openapi", schema(example = "oncall-cli"))]
    pub token_name: Option<String>,
    /// The id of the token's user.
    pub user_id: Option<String>,
    /// That user's name at that time.
    #[cfg_attr(feature = "openapi", schema(example = "ada"))]
    pub user_name: Option<String>,
    /// The address it came from.
    #[cfg_attr(feature = "openapi", schema(example = "192.0.2.7"))]
    pub address: Option<String>,
}

/// One field that a change gave another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldChange {
    /// The field's path, with dots, as in the object itself.
    #[cfg_attr(feature = "openapi", schema(example = "pooler.default_pool_size"))]
    pub field: String,
    /// What it was; `null` when it was not set, and for a secret.
    #[cfg_attr(feature = "openapi", schema(example = 20))]
    pub from: Value,
    /// What it became; `null` when it is not set any more, and for a secret.
    #[cfg_attr(feature = "openapi", schema(example = 60))]
    pub to: Value,
    /// Whether it is a secret, of which only the change is told.
    pub sensitive: bool,
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Rises with each event; the id of the server-sent event.
    pub sequence: i64,
    /// What happened, as `noun.verb`.
    #[cfg_attr(feature = "openapi", schema(example = "database.changed"))]
    pub kind: String,
    /// Who did it.
    pub actor: EventActor,
    /// The project concerned.
    pub project_id: Option<String>,
    /// The database concerned.
    pub database_id: Option<String>,
    /// The operation concerned.
    pub operation_id: Option<String>,
    /// A sentence for people.
    #[cfg_attr(
        feature = "openapi",
        schema(example = "orders: pooler.default_pool_size changed")
    )]
    pub message: String,
    /// What it changed, field by field.
    pub changes: Vec<FieldChange>,
    /// When it happened.
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-03T02:14:00Z"))]
    pub at: String,
}

/// A page of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventList {
    /// The events in their order.
    pub events: Vec<Event>,
    /// By which the next page is asked for; none when there is no more at this moment.
    pub next_page_token: Option<String>,
    /// The highest sequence number of these events; without any, the one after which they were
    /// asked for. As `after`, or as the `Last-Event-ID` of a stream, it asks for what happens
    /// later.
    pub last_sequence: i64,
}
