//! What a change did, field by field, as the journal tells it. Fields have the names that they
//! have on the wire; secrets are told of and never told.

use crate::databases::desired_status;
use berth_domain::{Database, FieldChange, Member, Project, Timestamp, Token, User};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Display;

/// The fields of an object, by their paths.
pub(crate) type Attributes = BTreeMap<String, Value>;

/// The fields that differ; what one side does not have is null there.
pub(crate) fn changes(before: &Attributes, after: &Attributes) -> Vec<FieldChange> {
    let paths: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    paths
        .into_iter()
        .filter_map(|path| {
            let of = |side: &Attributes| side.get(path).cloned().unwrap_or(Value::Null);
            let (from, to) = (of(before), of(after));
            (from != to).then(|| field(path, from, to))
        })
        .collect()
}

/// The fields of something that was not there before.
pub(crate) fn made(after: &Attributes) -> Vec<FieldChange> {
    changes(&Attributes::new(), after)
}

/// One field.
pub(crate) fn field(path: impl Into<String>, from: Value, to: Value) -> FieldChange {
    let text = |value: Value| (!value.is_null()).then(|| value.to_string());
    FieldChange {
        field: path.into(),
        from: text(from),
        to: text(to),
        sensitive: false,
    }
}

/// A moment, as the wire shows it.
pub(crate) fn moment(at: Option<Timestamp>) -> Value {
    text(at)
}

fn text(value: Option<impl Display>) -> Value {
    value.map_or(Value::Null, |value| Value::String(value.to_string()))
}

fn map(object: Value) -> Attributes {
    match object {
        Value::Object(fields) => fields.into_iter().collect(),
        _ => Attributes::new(),
    }
}

/// What a user orders of a database.
pub(crate) fn database(row: &Database) -> Attributes {
    let allow_list: Vec<_> = row.allow_list.iter().map(ToString::to_string).collect();
    let inject_env: Map<_, _> = row
        .inject_env
        .iter()
        .map(|(ours, theirs)| (ours.clone(), Value::from(theirs.as_str())))
        .collect();
    let mut fields = map(json!({
        "name": row.name.as_str(),
        "project_id": row.project_id.as_str(),
        "engine": row.engine.as_str(),
        "version": row.version,
        "plan": row.plan,
        "region": row.region,
        "storage_gb": row.storage_gb,
        "replicas": row.replicas,
        "desired_status": desired_status(row.intent),
        "database_name": row.database_name,
        "username": row.username,
        "credential_version": row.credential_version,
        "expose": row.expose,
        "public_port": row.public_port,
        "allow_list": allow_list,
        "tls_mode": row.tls_mode.as_str(),
        "deletion_protection": row.deletion_protection,
        "recovery_window_days": row.recovery_window_days,
        "sleep_after_minutes": row.sleep_after_minutes,
        "tags": row.tags,
        "inject_env": inject_env,
        "destroyed_at": moment(row.destroyed_at),
        "recoverable_until": moment(row.recoverable_until),
        "pooler.enabled": row.pooler.is_some(),
    }));
    if let Some(pooler) = &row.pooler {
        fields.extend(map(json!({
            "pooler.mode": pooler.mode.as_str(),
            "pooler.default_pool_size": pooler.default_pool_size,
            "pooler.max_client_connections": pooler.max_client_connections,
            "pooler.reserve_pool_size": pooler.reserve_pool_size,
            "pooler.server_idle_timeout_seconds": pooler.server_idle_timeout_seconds,
            "pooler.parameters": pooler.parameters,
        })));
    }
    fields
}

/// What a user orders of a project.
pub(crate) fn project(row: &Project) -> Attributes {
    map(json!({
        "name": row.name.as_str(),
        "description": row.description,
        "default_region": row.default_region,
        "deletion_protection": row.deletion_protection,
        "on_destroy": row.on_destroy.as_str(),
        "auto_provision": row.auto_provision,
        "sleep_after_minutes": row.sleep_after_minutes,
        "quota.databases": row.quota.and_then(|quota| quota.databases),
        "quota.storage_gb": row.quota.and_then(|quota| quota.storage_gb),
        "tags": row.tags,
        "destroyed_at": moment(row.destroyed_at),
    }))
}

/// What is known of a person.
pub(crate) fn user(row: &User) -> Attributes {
    map(json!({"id": row.id.as_str(), "name": row.name, "email": row.email}))
}

/// A person's place in a project.
pub(crate) fn member(row: &Member) -> Attributes {
    map(json!({"user_id": row.user_id.as_str(), "role": row.role.as_str()}))
}

/// What is known of a token.
pub(crate) fn token(row: &Token) -> Attributes {
    let scopes: Vec<_> = row.scopes.iter().map(berth_domain::Scope::as_str).collect();
    map(json!({
        "id": row.id.as_str(),
        "name": row.name,
        "scopes": scopes,
        "project_id": text(row.project_id.as_ref()),
        "user_id": row.user_id.as_str(),
        "expires_at": moment(row.expires_at),
        "revoked_at": moment(row.revoked_at),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let before = map(json!({"plan": "small", "tags": {"a": "b"}, "gone": 1}));
        let after = map(json!({"plan": "large", "tags": {"a": "b"}, "new": true}));
        let told = changes(&before, &after);
        let lines: Vec<_> = told
            .iter()
            .map(|c| (c.field.as_str(), c.from.as_deref(), c.to.as_deref()))
            .collect();
        assert_eq!(
            lines,
            [
                ("gone", Some("1"), None),
                ("new", None, Some("true")),
                ("plan", Some("\"small\""), Some("\"large\"")),
            ]
        );
        assert!(changes(&after, &after).is_empty());
    }
}
