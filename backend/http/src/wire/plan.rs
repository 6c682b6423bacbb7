//! Plans, both ways.

use super::{database_config, planned_database, planned_project, project_config};
use crate::error::{DETAILS_MAX, detail};
use berth_api::{PlanItem, PlannedItem};
use berth_services::databases::{DatabaseConfig, PoolerConfig, Rules};
use berth_services::projects::{ProjectConfig, QuotaConfig};
use berth_services::{FieldError, Given, Note, Outcome, PlannedResource, Severity, Wish};
use serde_json::{Map, Value};

/// One resource of a plan as a wish; what cannot be read is one too, with its errors.
pub(crate) fn wish(item: PlanItem) -> Wish {
    let PlanItem {
        kind,
        id,
        replaces,
        destroy,
        config,
        unknown,
    } = item;
    match (kind.as_str(), destroy) {
        ("project" | "database", true) if id.is_none() => {
            Wish::Unreadable(vec![FieldError::invalid(
                "id",
                "is required: what is to be destroyed",
            )])
        }
        ("project", true) => Wish::DestroyProject {
            id: id.unwrap_or_default(),
        },
        ("database", true) => Wish::DestroyDatabase {
            id: id.unwrap_or_default(),
        },
        ("project", false) => match project_wish(config, &unknown) {
            Ok(config) => Wish::Project {
                id,
                replaces,
                config,
            },
            Err(errors) => Wish::Unreadable(errors),
        },
        ("database", false) => match database_wish(config, &unknown) {
            Ok(config) => Wish::Database {
                id,
                replaces,
                config: Box::new(config),
            },
            Err(errors) => Wish::Unreadable(errors),
        },
        (other, _) => {
            let shown: String = other.chars().take(64).collect();
            Wish::Unreadable(vec![FieldError::invalid(
                "kind",
                format!("\"{shown}\" is not a kind: use project or database"),
            )])
        }
    }
}

/// Takes away what stands at unknown paths: a stand-in there is no value.
fn without(mut config: Map<String, Value>, unknown: &[String]) -> Map<String, Value> {
    for path in unknown {
        match path.split_once('.') {
            None => {
                config.remove(path);
            }
            Some((outer, inner)) => {
                let inner = inner.split('.').next().unwrap_or(inner);
                if let Some(Value::Object(object)) = config.get_mut(outer) {
                    object.remove(inner);
                }
            }
        }
    }
    config
}

/// The first name of a path; an index after it belongs to what is known or unknown as a whole.
fn head(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

fn project_wish(
    config: Map<String, Value>,
    unknown: &[String],
) -> Result<ProjectConfig, Vec<FieldError>> {
    let (mut wish, _) = project_config(without(config, unknown))?;
    let mut errors = Vec::new();
    for path in unknown {
        match head(path) {
            "name" => wish.name = Given::Unknown,
            "description" => wish.description = Given::Unknown,
            "default_region" => wish.default_region = Given::Unknown,
            "deletion_protection" => wish.deletion_protection = Given::Unknown,
            "on_destroy" => wish.on_destroy = Given::Unknown,
            "sleep_after_minutes" => wish.sleep_after_minutes = Given::Unknown,
            "quota" => hide_in_quota(&mut wish.quota, path),
            "tags" => wish.tags = Given::Unknown,
            "auto_provision" => wish.auto_provision = Given::Unknown,
            _ => errors.push(no_such_path(path)),
        }
        if errors.len() > DETAILS_MAX {
            break;
        }
    }
    if errors.is_empty() {
        Ok(wish)
    } else {
        Err(errors)
    }
}

fn database_wish(
    config: Map<String, Value>,
    unknown: &[String],
) -> Result<DatabaseConfig, Vec<FieldError>> {
    let (mut wish, _) = database_config(without(config, unknown))?;
    let mut errors = Vec::new();
    for path in unknown {
        if !hide(&mut wish, path) {
            errors.push(no_such_path(path));
        }
        if errors.len() > DETAILS_MAX {
            break;
        }
    }
    if errors.is_empty() {
        Ok(wish)
    } else {
        Err(errors)
    }
}

/// Marks what stands at a path as unknown; false when nothing can stand there.
fn hide(wish: &mut DatabaseConfig, path: &str) -> bool {
    match head(path) {
        "name" => wish.name = Given::Unknown,
        "project_id" => wish.project = Given::Unknown,
        "engine" => wish.engine = Given::Unknown,
        "version" => wish.version = Given::Unknown,
        "plan" => wish.plan = Given::Unknown,
        "region" => wish.region = Given::Unknown,
        "storage_gb" => wish.storage_gb = Given::Unknown,
        "replicas" => wish.replicas = Given::Unknown,
        "desired_status" => wish.desired_status = Given::Unknown,
        "database_name" => wish.database_name = Given::Unknown,
        "username" => wish.username = Given::Unknown,
        "credential_version" => wish.credential_version = Given::Unknown,
        "expose" => wish.expose = Given::Unknown,
        "public_port" => wish.public_port = Given::Unknown,
        "allow_list" => wish.allow_list = Given::Unknown,
        "tls_mode" => wish.tls_mode = Given::Unknown,
        "restore_from" => wish.restore_from = Given::Unknown,
        "deletion_protection" => wish.deletion_protection = Given::Unknown,
        "recovery_window_days" => wish.recovery_window_days = Given::Unknown,
        "sleep_after_minutes" => wish.sleep_after_minutes = Given::Unknown,
        "tags" => wish.tags = Given::Unknown,
        "inject_env" => wish.inject_env = Given::Unknown,
        "pooler" => return hide_in_pooler(&mut wish.pooler, path),
        _ => return false,
    }
    true
}

fn hide_in_quota(quota: &mut Given<QuotaConfig>, path: &str) {
    let mut inside = quota.value().cloned().unwrap_or_default();
    match path.split_once('.').map(|(_, inner)| head(inner)) {
        Some("databases") if !quota.is_unknown() => inside.databases = Given::Unknown,
        Some("storage_gb") if !quota.is_unknown() => inside.storage_gb = Given::Unknown,
        _ => {
            *quota = Given::Unknown;
            return;
        }
    }
    *quota = Given::Value(inside);
}

fn hide_in_pooler(pooler: &mut Given<PoolerConfig>, path: &str) -> bool {
    let Some((_, inner)) = path.split_once('.') else {
        *pooler = Given::Unknown;
        return true;
    };
    if pooler.is_unknown() {
        return true;
    }
    let mut inside = pooler.value().cloned().unwrap_or_default();
    match head(inner) {
        "enabled" => inside.enabled = Given::Unknown,
        "mode" => inside.mode = Given::Unknown,
        "default_pool_size" => inside.default_pool_size = Given::Unknown,
        "max_client_connections" => inside.max_client_connections = Given::Unknown,
        "reserve_pool_size" => inside.reserve_pool_size = Given::Unknown,
        "server_idle_timeout_seconds" => inside.server_idle_timeout_seconds = Given::Unknown,
        "parameters" => inside.parameters = Given::Unknown,
        _ => return false,
    }
    *pooler = Given::Value(inside);
    true
}

fn no_such_path(path: &str) -> FieldError {
    let shown: String = path.chars().take(64).collect();
    FieldError::invalid(
        "unknown",
        format!("\"{shown}\" is not a path into the configuration"),
    )
}

/// Outcomes on the wire. Each that is refused says why; all of them together name so many
/// fields as one answer does.
pub(crate) fn planned_items(outcomes: Vec<Outcome>, rules: &Rules) -> Vec<PlannedItem> {
    let mut left = DETAILS_MAX;
    let mut items = Vec::with_capacity(outcomes.len());
    for mut outcome in outcomes {
        let told = outcome.errors.len().min(left.max(1));
        left = left.saturating_sub(told);
        if outcome.errors.len() > told {
            outcome.errors.truncate(told);
            if let Some(last) = outcome.errors.last_mut() {
                last.message.push_str(" (more is wrong with this one)");
            }
        }
        items.push(planned_item(outcome, rules));
    }
    items
}

fn planned_item(outcome: Outcome, rules: &Rules) -> PlannedItem {
    let (planned, unknown) = match &outcome.planned {
        PlannedResource::Project(planned) => planned_project(planned, rules),
        PlannedResource::Database(planned) => planned_database(planned, rules),
        PlannedResource::None => (None, Vec::new()),
    };
    PlannedItem {
        planned,
        unknown,
        notes: outcome.notes.into_iter().map(note).collect(),
        errors: outcome.errors.into_iter().map(detail).collect(),
    }
}

fn note(note: Note) -> berth_api::Note {
    berth_api::Note {
        severity: match note.severity {
            Severity::Info => berth_api::Severity::Info,
            Severity::Warning => berth_api::Severity::Warning,
        },
        field: note.field.map(str::to_owned),
        summary: note.summary,
        message: note.message,
    }
}
