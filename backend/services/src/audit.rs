//! What a change did, field by field, as the journal tells it. Fields have the names that they
//! have on the wire; secrets are told of and never told.

use crate::databases::desired_status;
use berth_domain::{Database, FieldChange, Member, Pooler, Project, Timestamp, Token, User};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// The fields of an object, by their paths.
pub(crate) type Attributes = BTreeMap<String, Value>;

/// The fields that differ; what one side does not have is null there.
pub(crate) fn changes(before: &Attributes, after: &Attributes) -> Vec<FieldChange> {
    let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
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

/// What a user orders of a database. A field of the row that is new has to be told here, or
/// named among those that are not.
pub(crate) fn database(row: &Database) -> Attributes {
    let Database {
        id: _,
        project_id,
        name,
        slug: _,
        engine,
        technology: _,
        version,
        plan,
        region,
        storage_gb,
        replicas,
        intent,
        instance: _,
        database_name,
        username,
        pooler,
        credential_version,
        expose,
        public_port,
        allow_list,
        tls_mode,
        deletion_protection,
        recovery_window_days,
        sleep_after_minutes,
        tags,
        inject_env,
        claim: _,
        generation: _,
        created_at: _,
        updated_at: _,
        destroyed_at,
        recoverable_until,
        purged_at: _,
    } = row;
    let allow_list: Vec<_> = allow_list.iter().map(ToString::to_string).collect();
    let inject_env: Map<_, _> = inject_env
        .iter()
        .map(|(ours, theirs)| (ours.clone(), Value::from(theirs.as_str())))
        .collect();
    let mut fields = map(json!({
        "name": name.as_str(),
        "project_id": project_id.as_str(),
        "engine": engine.as_str(),
        "version": version,
        "plan": plan,
        "region": region,
        "storage_gb": storage_gb,
        "replicas": replicas,
        "desired_status": desired_status(*intent),
        "database_name": database_name,
        "username": username,
        "credential_version": credential_version,
        "expose": expose,
        "public_port": public_port,
        "allow_list": allow_list,
        "tls_mode": tls_mode.as_str(),
        "deletion_protection": deletion_protection,
        "recovery_window_days": recovery_window_days,
        "sleep_after_minutes": sleep_after_minutes,
        "tags": tags,
        "inject_env": inject_env,
        "destroyed_at": moment(*destroyed_at),
        "recoverable_until": moment(*recoverable_until),
        "pooler.enabled": pooler.is_some(),
    }));
    if let Some(pooler) = pooler {
        fields.extend(of_pooler(pooler));
    }
    fields
}

fn of_pooler(pooler: &Pooler) -> Attributes {
    let Pooler {
        mode,
        default_pool_size,
        max_client_connections,
        reserve_pool_size,
        server_idle_timeout_seconds,
        parameters,
    } = pooler;
    map(json!({
        "pooler.mode": mode.as_str(),
        "pooler.default_pool_size": default_pool_size,
        "pooler.max_client_connections": max_client_connections,
        "pooler.reserve_pool_size": reserve_pool_size,
        "pooler.server_idle_timeout_seconds": server_idle_timeout_seconds,
        "pooler.parameters": parameters,
    }))
}

/// What a user orders of a project; the same holds of its fields.
pub(crate) fn project(row: &Project) -> Attributes {
    let Project {
        id: _,
        name,
        slug: _,
        description,
        default_region,
        deletion_protection,
        on_destroy,
        sleep_after_minutes,
        quota,
        tags,
        auto_provision,
        claim: _,
        generation: _,
        created_at: _,
        updated_at: _,
        destroyed_at,
    } = row;
    map(json!({
        "name": name.as_str(),
        "description": description,
        "default_region": default_region,
        "deletion_protection": deletion_protection,
        "on_destroy": on_destroy.as_str(),
        "auto_provision": auto_provision,
        "sleep_after_minutes": sleep_after_minutes,
        "quota.databases": quota.and_then(|quota| quota.databases),
        "quota.storage_gb": quota.and_then(|quota| quota.storage_gb),
        "tags": tags,
        "destroyed_at": moment(*destroyed_at),
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
