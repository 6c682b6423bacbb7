//! What of a database follows from what was said of it.

use serde_json::{Value as Json, json};

use super::{Fields, overlay, text};

/// What each pooler has where nothing else is said.
pub fn default_pooler() -> Json {
    json!({
        "enabled": true, "mode": "transaction", "default_pool_size": 20,
        "max_client_connections": 100, "reserve_pool_size": null,
        "server_idle_timeout_seconds": null, "parameters": {},
    })
}

/// The pooler as it is told: null where the engine has none. One that is switched off is told
/// with what it would have when it were on.
pub fn pooler(config: &Fields, prior: Option<&Fields>, engine: &str) -> Json {
    if engine == "mysql" {
        return Json::Null;
    }
    let mut pooler = default_pooler();
    match (config.get("pooler"), prior) {
        (Some(Json::Object(given)), _) => overlay(pooler.as_object_mut().unwrap(), given),
        (None, Some(prior)) => pooler = prior["pooler"].clone(),
        _ => {}
    }
    if pooler["enabled"] == json!(false) {
        pooler = default_pooler();
        pooler["enabled"] = json!(false);
    }
    pooler
}

/// The field of a pooler that is said of one that is switched off, where it can be kept nowhere.
pub fn said_of_no_pooler(config: &Fields) -> Option<String> {
    let given = config.get("pooler")?.as_object()?;
    let default = default_pooler();
    let differs = |(name, value): &(&String, &Json)| {
        *name != "enabled" && !value.is_null() && default[name.as_str()] != **value
    };
    let is_off = given.get("enabled") == Some(&json!(false));
    let said = given.iter().find(differs).filter(|_| is_off);
    said.map(|(name, _)| format!("pooler.{name}"))
}

/// The published port: kept for life, also while it is not published.
pub fn public_port(config: &Fields, prior: Option<&Fields>) -> Json {
    let given = config.get("public_port").filter(|port| !port.is_null());
    let kept = prior.and_then(|prior| prior.get("public_port"));
    given.or(kept).cloned().unwrap_or_default()
}

/// Whether another port may still be drawn for a row.
pub fn port_may_change(row: &Fields) -> bool {
    let conditions = row.get("conditions").and_then(Json::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == json!("PortMayChange"))
}

/// Hosts and URIs, which hang on what else the database is.
pub fn addresses(fields: &Fields) -> Json {
    let slug = text(fields, "slug");
    let (host, pooler) = (
        format!("berth-db-{slug}"),
        format!("berth-pgbouncer-{slug}"),
    );
    let is_pooled = fields["pooler"]["enabled"] == json!(true);
    let entry = if is_pooled { &pooler } else { &host };
    let (login, name) = (text(fields, "username"), text(fields, "database_name"));
    json!({
        "host": host, "port": 5432,
        "pooler_host": is_pooled.then_some(&pooler),
        "pooler_port": is_pooled.then_some(5432),
        "public_host": (fields["expose"] == json!(true)).then_some("127.0.0.1"),
        "uri_template": format!("postgresql://{login}:{{password}}@{entry}/{name}"),
    })
}
