//! People, their tokens and the journal to the wire.

use super::config::given;
use berth_api::UserBody;
use berth_domain::{Actor, FieldChange, Member, Scope, Timestamp, Token, User};
use berth_services::UserConfig;
use serde_json::Value;

pub(crate) fn user(row: &User) -> berth_api::User {
    berth_api::User {
        id: row.id.to_string(),
        name: row.name.clone(),
        email: row.email.clone(),
        created_at: row.created_at.to_string(),
        updated_at: row.updated_at.to_string(),
    }
}

pub(crate) fn user_config(body: UserBody) -> UserConfig {
    UserConfig {
        name: given(body.name),
        email: given(body.email),
    }
}

pub(crate) fn member(row: &Member) -> berth_api::Member {
    berth_api::Member {
        project_id: row.project_id.to_string(),
        user_id: row.user_id.to_string(),
        role: row.role.as_str().to_owned(),
        created_at: row.created_at.to_string(),
        updated_at: row.updated_at.to_string(),
    }
}

pub(crate) fn token(token: &Token) -> berth_api::Token {
    berth_api::Token {
        id: token.id.to_string(),
        name: token.name.clone(),
        scopes: token
            .scopes
            .iter()
            .map(Scope::as_str)
            .map(str::to_owned)
            .collect(),
        project_id: token.project_id.as_ref().map(ToString::to_string),
        user_id: token.user_id.to_string(),
        created_at: token.created_at.to_string(),
        expires_at: token.expires_at.as_ref().map(Timestamp::to_string),
        revoked_at: token.revoked_at.as_ref().map(Timestamp::to_string),
    }
}

pub(crate) fn event(event: berth_domain::Event) -> berth_api::Event {
    berth_api::Event {
        sequence: event.sequence,
        kind: event.kind,
        actor: actor(event.actor),
        project_id: event.project_id.as_ref().map(ToString::to_string),
        database_id: event.database_id.as_ref().map(ToString::to_string),
        operation_id: event.operation_id.as_ref().map(ToString::to_string),
        message: event.message,
        changes: event.changes.into_iter().map(change).collect(),
        at: event.at.to_string(),
    }
}

fn actor(actor: Actor) -> berth_api::EventActor {
    let nobody = |kind: &str| berth_api::EventActor {
        kind: kind.to_owned(),
        token_id: None,
        token_name: None,
        user_id: None,
        user_name: None,
        address: None,
    };
    match actor {
        Actor::System => nobody("system"),
        Actor::Local => nobody("local"),
        Actor::Token {
            id,
            name,
            user,
            address,
        } => berth_api::EventActor {
            token_id: Some(id.to_string()),
            token_name: Some(name),
            user_id: user.as_ref().map(|user| user.id.to_string()),
            user_name: user.map(|user| user.name),
            address,
            ..nobody("token")
        },
    }
}

fn change(change: FieldChange) -> berth_api::FieldChange {
    // Values are JSON texts that berthd wrote itself; one that is not is shown as it stands.
    let value = |text: Option<String>| match text {
        None => Value::Null,
        Some(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
    };
    berth_api::FieldChange {
        field: change.field,
        from: value(change.from),
        to: value(change.to),
        sensitive: change.sensitive,
    }
}
