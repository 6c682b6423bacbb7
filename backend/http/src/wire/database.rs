//! Databases to the wire.

use super::{Gaps, map_without};
use berth_domain::{Claim, Observation, PoolMode, Pooler, Timestamp};
use berth_services::databases::{PlannedDatabase, PlannedPooler, Rules, desired_status};
use berth_services::{DatabaseRecord, Maybe};
use serde_json::{Map, Value};

/// Fields that only time brings: no plan can know them.
const VOLATILE: [&str; 13] = [
    "stop_reason",
    "status",
    "phase",
    "conditions",
    "version_actual",
    "claimed",
    "storage_used_bytes",
    "connections",
    "observed_at",
    "operation_id",
    "updated_at",
    "destroyed_at",
    "recoverable_until",
];

/// A database as it is.
pub(crate) fn database(record: &DatabaseRecord, rules: &Rules) -> berth_api::Database {
    let row = &record.database;
    let mut gaps = Gaps::default();
    let mut shown = attributes(&PlannedDatabase::of(row), rules, &mut gaps);
    let none_yet = Observation::none_yet(row.created_at);
    let observation = record.observation.as_ref().unwrap_or(&none_yet);
    observation
        .status(row.intent)
        .as_str()
        .clone_into(&mut shown.status);
    shown.stop_reason = row.intent.stop_reason().map(str::to_owned);
    let told = observation.told_of(row);
    told.phase.clone_into(&mut shown.phase);
    shown.conditions = told.conditions.iter().map(condition).collect();
    shown.version_actual.clone_from(&observation.version_actual);
    shown.claimed = row.claim == Claim::Claimed;
    shown.storage_used_bytes = observation.storage_used_bytes;
    shown.connections = observation.connections;
    shown.observed_at = record
        .observation
        .as_ref()
        .map(|o| o.observed_at.to_string());
    shown.operation_id = record.operation_id.as_ref().map(ToString::to_string);
    shown.updated_at = row.updated_at.to_string();
    shown.destroyed_at = row.destroyed_at.as_ref().map(Timestamp::to_string);
    shown.recoverable_until = row
        .recoverable_until
        .filter(|_| !row.is_living())
        .as_ref()
        .map(Timestamp::to_string);
    shown
}

/// What a database will be: the fields that are known, and the names of the others.
pub(crate) fn planned_database(
    planned: &PlannedDatabase,
    rules: &Rules,
) -> (Option<Map<String, Value>>, Vec<String>) {
    let mut gaps = Gaps::default();
    let shown = attributes(planned, rules, &mut gaps);
    (map_without(&shown, &VOLATILE, &gaps), gaps.0)
}

/// Every attribute that is not volatile, for rows and plans alike.
fn attributes(planned: &PlannedDatabase, rules: &Rules, gaps: &mut Gaps) -> berth_api::Database {
    let derived = planned.derived(rules);
    let technology = match (&planned.technology, &planned.engine) {
        (Maybe::Known(Some(word)), _) => Maybe::Known(word.clone()),
        (Maybe::Known(None), Maybe::Known(engine)) => {
            Maybe::Known(match rules.engines.get(engine) {
                Ok(engine) => engine.technology().to_owned(),
                Err(_) => engine.to_string(),
            })
        }
        _ => Maybe::Unknown,
    };
    berth_api::Database {
        id: gaps.text("id", &planned.id),
        project_id: gaps.text("project_id", &planned.project_id),
        name: gaps.text("name", &planned.name),
        slug: gaps.text("slug", &planned.slug),
        engine: gaps.text("engine", &planned.engine),
        technology: gaps.text("technology", &technology),
        version: gaps.text("version", &planned.version),
        version_actual: None,
        plan: gaps.text("plan", &planned.plan),
        region: gaps.text("region", &planned.region),
        storage_gb: gaps.copy("storage_gb", &planned.storage_gb),
        replicas: gaps.copy("replicas", &planned.replicas),
        status: String::new(),
        phase: String::new(),
        conditions: Vec::new(),
        desired_status: gaps.take("desired_status", &planned.intent, |i| {
            desired_status(*i).to_owned()
        }),
        stop_reason: None,
        database_name: gaps.text("database_name", &planned.database_name),
        username: gaps.text("username", &planned.username),
        host: gaps.text("host", &derived.host),
        port: gaps.copy("port", &derived.port),
        pooler_host: gaps.clone("pooler_host", &derived.pooler_host),
        pooler_port: gaps.copy("pooler_port", &derived.pooler_port),
        public_host: gaps.clone("public_host", &derived.public_host),
        public_port: gaps.copy("public_port", &planned.public_port),
        pooler: pooler(planned, rules, gaps),
        credential_version: gaps.copy("credential_version", &planned.credential_version),
        expose: gaps.copy("expose", &planned.expose),
        allow_list: gaps.take("allow_list", &planned.allow_list, |list| {
            list.iter().map(ToString::to_string).collect()
        }),
        tls_mode: gaps.take("tls_mode", &planned.tls_mode, |mode| {
            mode.as_str().to_owned()
        }),
        ca_certificate: derived.ca_certificate,
        uri_template: gaps.text("uri_template", &derived.uri_template),
        deletion_protection: gaps.copy("deletion_protection", &planned.deletion_protection),
        recovery_window_days: gaps.copy("recovery_window_days", &planned.recovery_window_days),
        sleep_after_minutes: gaps.copy("sleep_after_minutes", &planned.sleep_after_minutes),
        tags: gaps.clone("tags", &planned.tags),
        inject_env: gaps.take("inject_env", &planned.inject_env, |map| {
            map.iter()
                .map(|(ours, theirs)| (ours.clone(), theirs.to_string()))
                .collect()
        }),
        claimed: false,
        storage_used_bytes: None,
        connections: None,
        observed_at: None,
        operation_id: None,
        created_at: gaps.text("created_at", &planned.created_at),
        updated_at: String::new(),
        destroyed_at: None,
        recoverable_until: None,
    }
}

/// The pooler; none where the engine has none.
fn pooler(planned: &PlannedDatabase, rules: &Rules, gaps: &mut Gaps) -> Option<berth_api::Pooler> {
    let wanted = match &planned.pooler {
        Maybe::Unknown => {
            gaps.0.push("pooler".to_owned());
            return None;
        }
        Maybe::Known(wanted) => wanted,
    };
    let Some(wanted) = wanted else {
        let could = match &planned.engine {
            Maybe::Known(name) => rules
                .engines
                .get(name)
                .is_ok_and(|e| e.pooler_image().is_some()),
            Maybe::Unknown => true,
        };
        return could.then(|| shown_pooler(&PlannedPooler::from(&Pooler::default()), false, gaps));
    };
    Some(shown_pooler(wanted, true, gaps))
}

fn shown_pooler(wanted: &PlannedPooler, enabled: bool, gaps: &mut Gaps) -> berth_api::Pooler {
    berth_api::Pooler {
        enabled,
        mode: gaps.take("pooler.mode", &wanted.mode, |mode: &PoolMode| {
            mode.as_str().to_owned()
        }),
        default_pool_size: gaps.copy("pooler.default_pool_size", &wanted.default_pool_size),
        max_client_connections: gaps.copy(
            "pooler.max_client_connections",
            &wanted.max_client_connections,
        ),
        reserve_pool_size: gaps.copy("pooler.reserve_pool_size", &wanted.reserve_pool_size),
        server_idle_timeout_seconds: gaps.copy(
            "pooler.server_idle_timeout_seconds",
            &wanted.server_idle_timeout_seconds,
        ),
        parameters: gaps.clone("pooler.parameters", &wanted.parameters),
    }
}

fn condition(condition: &berth_domain::Condition) -> berth_api::Condition {
    berth_api::Condition {
        kind: condition.kind.clone(),
        status: condition.truth.as_str().to_owned(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        since: condition.since.to_string(),
    }
}
