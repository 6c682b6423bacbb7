//! The fake's answers to plans.

use serde_json::{Value as Json, json};

use super::{Answer, Fields, World, derived, is_protected};

impl World {
    pub(super) fn plan(&mut self, body: &Fields) -> Answer {
        let items = body["resources"].as_array().unwrap().clone();
        let answers: Vec<Json> = items.iter().map(|item| self.plan_one(item)).collect();
        (200, json!({"resources": answers}))
    }

    fn plan_one(&self, item: &Json) -> Json {
        let of_database = item["kind"] == json!("database");
        let rows = if of_database {
            &self.databases
        } else {
            &self.projects
        };
        let config = item["config"].as_object().unwrap();
        let error = |field: &str, message: &str| {
            json!({"planned": null, "unknown": [], "notes": [],
                   "errors": [{"field": field, "message": message}]})
        };
        let row = item
            .get("id")
            .and_then(Json::as_str)
            .map(|id| (id, rows.get(id)));
        if let Some((_, None)) = row {
            return error("id", "there is no such object");
        }
        let prior = row.and_then(|(_, row)| row);
        if item["destroy"] == json!(true) {
            if prior.is_some_and(is_protected) {
                return error("deletion_protection", "it is protected");
            }
            return json!({"planned": null, "unknown": [], "errors": [], "notes": [{
                "severity": "warning", "field": null, "summary": "The database will be destroyed",
                "message": "41 GB of data are kept for 7 days.",
            }]});
        }
        let replaces = item.get("replaces").and_then(Json::as_str);
        let holder = rows.iter().find(|(id, row)| {
            row["name"] == config["name"]
                && row.get("status") != Some(&json!("destroyed"))
                && row["claimed"] == json!(true)
                && Some(id.as_str()) != replaces
                && Some(*id) != row_id(item).as_ref()
        });
        if config.contains_key("name") && holder.is_some() {
            let mut refused = error("name", "is taken");
            refused["errors"][0]["code"] = json!("name_taken");
            return refused;
        }
        if config.get("name") == Some(&json!("reserved")) {
            return error("name", "is reserved");
        }
        let resumed = rows.iter().find(|(id, row)| {
            row["name"] == config["name"]
                && row.get("status") != Some(&json!("destroyed"))
                && row["claimed"] == json!(false)
                && prior.is_none()
                && Some(id.as_str()) != replaces
        });
        let mut notes: Vec<Json> = resumed
            .into_iter()
            .map(|(id, _)| {
                json!({"severity": "warning", "field": "name", "summary": "It is resumed",
                       "message": format!("{id} is taken over instead of made twice.")})
            })
            .collect();
        if config.get("plan") == Some(&json!("huge")) {
            return error("plan", "use one of db-s-1vcpu-1gb");
        }
        if config.get("region") == Some(&json!("mars")) {
            return error("region", "use one of local");
        }
        if let Some(field) = derived::said_of_no_pooler(config) {
            return error(
                &field,
                "has no meaning while pooler.enabled is false: leave it out",
            );
        }
        let whole = prior.map(as_new);
        let restored = config
            .get("restore_from")
            .and_then(|from| rows.get(from["deleted_database_id"].as_str().unwrap()))
            .cloned();
        let mut planned = if let Some(row) = &restored {
            self.database_fields(config, Some(row))
        } else if of_database {
            self.database_fields(config, whole.as_ref())
        } else {
            self.project_fields(config, whole.as_ref())
        };
        let mut unknown: Vec<String> = item["unknown"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p.as_str().unwrap().to_owned())
            .collect();
        if prior.is_none() && restored.is_none() {
            unknown.extend(["id".into(), "created_at".into()]);
            if unknown.iter().any(|path| path == "name") {
                let derived = [
                    "slug",
                    "host",
                    "pooler_host",
                    "uri_template",
                    "network_name",
                    "env_dir",
                    "username",
                    "database_name",
                ];
                unknown.extend(derived.map(str::to_owned));
            }
        }
        if of_database {
            unknown.extend(also_unknown(&planned, &unknown));
            if prior.is_some_and(derived::port_may_change) {
                unknown.push("public_port".to_owned());
            }
            if config.contains_key("public_port") && planned["expose"] == json!(false) {
                notes.push(json!({
                    "severity": "warning", "field": "public_port",
                    "summary": "The port is kept and not published",
                    "message": "Set expose = true to publish it.",
                }));
            }
        }
        planned.retain(|name, _| !unknown.contains(name));
        json!({"planned": planned, "unknown": unknown, "notes": notes, "errors": []})
    }
}

fn row_id(item: &Json) -> Option<String> {
    item.get("id").and_then(Json::as_str).map(str::to_owned)
}

/// What of a database hangs on what is not known.
fn also_unknown(planned: &Fields, unknown: &[String]) -> Vec<String> {
    let is_open = |field: &str| unknown.iter().any(|path| path == field);
    let mut also: Vec<&str> = Vec::new();
    let has_no_port = planned["public_port"].is_null();
    if is_open("expose") {
        also.push("public_host");
    }
    if has_no_port && (is_open("expose") || planned["expose"] == json!(true)) {
        also.push("public_port");
    }
    if is_open("engine") {
        also.extend(["port", "technology", "version"]);
    }
    if is_open("engine") || is_open("pooler") || is_open("pooler.enabled") {
        also.extend(["pooler", "pooler_host", "pooler_port", "uri_template"]);
    }
    also.into_iter().map(str::to_owned).collect()
}

/// The row without what a whole order that leaves it out sets back.
fn as_new(row: &Fields) -> Fields {
    let mut fields = row.clone();
    let defaults = json!({
        "tags": {}, "sleep_after_minutes": null, "quota": null, "allow_list": [],
        "inject_env": {}, "auto_provision": false,
        "description": null, "default_region": "local",
        "pooler": derived::default_pooler(),
    });
    for (name, value) in defaults.as_object().unwrap() {
        if fields.contains_key(name) {
            fields.insert(name.clone(), value.clone());
        }
    }
    fields
}
