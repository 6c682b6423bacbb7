//! What the fake backend keeps, and the few rules by which it changes.

mod derived;
mod plans;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::people::People;

pub type Fields = Map<String, Json>;
pub type Answer = (u16, Json);

#[derive(Default)]
pub struct World {
    pub projects: BTreeMap<String, Fields>,
    pub databases: BTreeMap<String, Fields>,
    pub people: People,
    /// How operations end, where it is not well: by the database's name.
    pub failing: BTreeMap<String, String>,
    /// Operations that never end, by the database's name.
    pub hanging: Vec<String>,
    pub operations: BTreeMap<String, Fields>,
    sequence: u64,
    pub inert: bool,
    /// The version of the passwords in force, while the ordered ones are on their way.
    pub version_in_force: Option<i64>,
    /// Projects in one page of a snapshot; all when zero.
    pub page_size: usize,
    /// The fields that changes of databases carried.
    pub patches: Vec<Vec<String>>,
    pub api: Option<(u32, u32)>,
}

pub fn refusal(status: u16, code: &str, error: &str, details: &[(&str, &str)]) -> Answer {
    let details: Vec<Json> = details
        .iter()
        .map(|(field, message)| json!({"field": field, "message": message}))
        .collect();
    let body = json!({"error": error, "code": code, "request_id": "req_fake", "details": details});
    (status, body)
}

fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Json::as_str).unwrap_or_default()
}

impl World {
    pub fn answer(&mut self, method: &str, target: &str, body: &Json) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let body = body.as_object().cloned().unwrap_or_default();
        let asked = (method, parts.as_slice());
        if let Some(answer) = self.people.answer(asked, query, &body, self.inert) {
            return answer;
        }
        match (method, parts.as_slice()) {
            ("GET", ["version"]) => {
                let (minimum, current) = self.api.unwrap_or((1, 1));
                (
                    200,
                    json!({"version": "0.1.0", "api": {"minimum": minimum, "current": current}}),
                )
            }
            ("POST", ["plan"]) => self.plan(&body),
            ("GET", ["snapshot"]) => self.snapshot(query),
            ("GET", ["operations", id]) => match self.operations.get(*id) {
                Some(operation) => (200, Json::Object(operation.clone())),
                None => refusal(
                    404,
                    "operation_not_found",
                    "there is no such operation",
                    &[],
                ),
            },
            ("POST", ["projects"]) => self.create_project(body),
            ("POST", ["databases"]) => self.create_database(body),
            (_, ["projects", key, rest @ ..]) => self.on_project(method, key, rest, body),
            (_, ["databases", key, rest @ ..]) => self.on_database(method, key, rest, query, body),
            _ => refusal(404, "not_found", "there is no such route", &[]),
        }
    }

    fn next(&mut self, prefix: &str) -> String {
        self.sequence += 1;
        format!("{prefix}_{:04}", self.sequence)
    }

    fn project_fields(&self, config: &Fields, prior: Option<&Fields>) -> Fields {
        let mut fields = with(
            prior,
            json!({
                "description": null, "default_region": "local", "deletion_protection": false,
                "on_destroy": "refuse", "tags": {}, "sleep_after_minutes": null, "quota": null,
                "auto_provision": false,
            }),
        );
        overlay(&mut fields, config);
        if prior.is_none() {
            let name = text(config, "name").to_owned();
            fields.insert("slug".into(), json!(name));
            fields.insert(
                "network_name".into(),
                json!(format!("berth-{name}-01234567")),
            );
            fields.insert(
                "env_dir".into(),
                json!(format!("/run/berth/01234567/env/{name}")),
            );
        }
        fields
    }

    fn database_fields(&self, config: &Fields, prior: Option<&Fields>) -> Fields {
        let mut fields = with(
            prior,
            json!({
                "project_id": "proj_default", "version": "17", "plan": "db-s-1vcpu-1gb",
                "region": "local", "storage_gb": 10, "replicas": 1, "desired_status": "running",
                "credential_version": 1, "expose": false, "public_port": null, "allow_list": [],
                "tls_mode": "allow", "deletion_protection": false, "recovery_window_days": 7,
                "tags": {}, "sleep_after_minutes": null, "ca_certificate": "PEM",
                "inject_env": {},
            }),
        );
        overlay(&mut fields, config);
        fields.remove("restore_from");
        if prior.is_none() {
            let name = text(config, "name").to_owned();
            fields.insert("slug".into(), json!(name));
            fields.insert("technology".into(), json!(text(config, "engine")));
            fields.entry("database_name").or_insert(json!(name));
            fields
                .entry("username")
                .or_insert(json!(format!("app_{name}")));
        }
        let pooler = derived::pooler(config, prior, text(&fields, "engine"));
        fields.insert("pooler".into(), pooler);
        let port = derived::public_port(config, prior);
        fields.insert("public_port".into(), port);
        let addresses = derived::addresses(&fields);
        overlay(&mut fields, addresses.as_object().unwrap());
        fields
    }

    fn snapshot(&self, query: &str) -> Answer {
        let living = |rows: &BTreeMap<String, Fields>| -> Vec<Json> {
            let project = query
                .split('&')
                .find_map(|pair| pair.strip_prefix("project_id="));
            rows.values()
                .filter(|row| row.get("status") != Some(&json!("destroyed")))
                .filter(|row| project.is_none_or(|project| row["project_id"] == json!(project)))
                .map(|row| Json::Object(row.clone()))
                .collect()
        };
        let body = if query.contains("kind=project") {
            let mut rows = living(&self.projects);
            let from: usize = query
                .split('&')
                .find_map(|pair| pair.strip_prefix("page_token="))
                .map_or(0, |at| at.parse().unwrap());
            let mut rest = rows.split_off(from.min(rows.len()));
            let mut next = Json::Null;
            if self.page_size > 0 && rest.len() > self.page_size {
                rest.truncate(self.page_size);
                next = json!((from + self.page_size).to_string());
            }
            json!({"version": 1, "projects": rest, "next_page_token": next})
        } else {
            json!({"version": 1, "databases": living(&self.databases), "next_page_token": null})
        };
        (200, body)
    }

    fn create_project(&mut self, mut config: Fields) -> Answer {
        let unclaimed = config.remove("unclaimed") == Some(json!(true));
        if let Some(row) = named(&self.projects, text(&config, "name")) {
            if row["claimed"] == json!(false) {
                return (201, json!({"project": row}));
            }
            return refusal(
                409,
                "name_taken",
                "the name is taken",
                &[("name", "is taken")],
            );
        }
        let id = self.next("proj");
        let mut fields = self.project_fields(&config, None);
        overlay(&mut fields, &born(&id, !unclaimed));
        self.projects.insert(id, fields.clone());
        (201, json!({"project": fields}))
    }

    fn create_database(&mut self, mut config: Fields) -> Answer {
        let unclaimed = config.remove("unclaimed") == Some(json!(true));
        if let Some(id) = config
            .get("restore_from")
            .and_then(|from| from["deleted_database_id"].as_str())
        {
            let id = id.to_owned();
            let operation = self.operate(&id, "restored", "restore");
            let mut row = self.database_fields(&config, self.databases.get(&id));
            let back = json!({
                "status": "running", "operation_id": operation, "claimed": !unclaimed,
            });
            overlay(&mut row, back.as_object().unwrap());
            self.databases.insert(id, row.clone());
            return (201, json!({"database": row}));
        }
        if let Some(row) = named(&self.databases, text(&config, "name")) {
            if row["claimed"] == json!(false) {
                return (201, json!({"database": row}));
            }
            return refusal(
                409,
                "name_taken",
                "the name is taken",
                &[("name", "is taken")],
            );
        }
        let id = self.next("db");
        let mut fields = self.database_fields(&config, None);
        overlay(&mut fields, &born(&id, !unclaimed));
        let operation = self.operate(&id, text(&config, "name"), "provision");
        if fields["expose"] == json!(true) && fields["public_port"].is_null() {
            fields.insert("public_port".into(), json!(15_000));
        }
        let volatile = json!({
            "version_actual": "17.2", "status": "running", "phase": "ready", "conditions": [],
            "storage_used_bytes": 1, "connections": 0, "observed_at": "t",
            "operation_id": operation, "destroyed_at": null, "recoverable_until": null,
        });
        overlay(&mut fields, volatile.as_object().unwrap());
        self.databases.insert(id, fields.clone());
        (201, json!({"database": fields}))
    }

    fn operate(&mut self, database: &str, name: &str, kind: &str) -> String {
        let id = self.next("op");
        let state = match (
            self.failing.get(name),
            self.hanging.iter().any(|n| n == name),
        ) {
            (Some(_), _) => "failed",
            (None, true) => "pending",
            (None, false) => "succeeded",
        };
        let failure = self
            .failing
            .get(name)
            .map(|message| json!({"code": "x", "message": message}));
        let operation = json!({
            "id": id, "kind": kind, "database_id": database, "project_id": "proj_default",
            "state": state, "step": "begin", "attempt": 1, "failure": failure,
            "created_at": "t", "finished_at": null,
        });
        self.operations
            .insert(id.clone(), operation.as_object().unwrap().clone());
        id
    }

    fn on_project(&mut self, method: &str, key: &str, rest: &[&str], body: Fields) -> Answer {
        let found = self
            .projects
            .iter()
            .find(|(id, row)| *id == key || row["name"] == json!(key));
        let Some((id, row)) = found.map(|(id, row)| (id.clone(), row.clone())) else {
            return refusal(404, "project_not_found", "there is no such project", &[]);
        };
        let mut fields = row.clone();
        match (method, rest) {
            ("GET", []) => {}
            ("POST", ["claim"]) => {
                fields.insert("claimed".into(), json!(true));
            }
            ("PATCH", []) => {
                fields = self.project_fields(&body, Some(&row));
                fields.insert("claimed".into(), json!(true));
            }
            ("DELETE", []) if row["deletion_protection"] == json!(true) => {
                return refusal(409, "protected", "the project is protected", &[]);
            }
            ("DELETE", []) => {
                self.projects.remove(&id);
                return (204, Json::Null);
            }
            _ => return refusal(405, "method", "no such method", &[]),
        }
        self.projects.insert(id, fields.clone());
        (200, json!({"project": fields}))
    }

    fn on_database(
        &mut self,
        method: &str,
        key: &str,
        rest: &[&str],
        query: &str,
        body: Fields,
    ) -> Answer {
        let found = self.databases.iter().find(|(id, row)| {
            *id == key || (row["name"] == json!(key) && row["status"] != json!("destroyed"))
        });
        let Some((id, row)) = found.map(|(id, row)| (id.clone(), row.clone())) else {
            return refusal(404, "database_not_found", "there is no such database", &[]);
        };
        let mut fields = row.clone();
        let name = text(&row, "name").to_owned();
        match (method, rest) {
            ("GET", []) => {}
            ("GET", ["credentials"]) => return (200, self.credentials(&row, query)),
            ("POST", ["claim"]) => {
                fields.insert("claimed".into(), json!(true));
            }
            ("PATCH", []) => {
                self.patches.push(body.keys().cloned().collect());
                fields = self.database_fields(&body, Some(&row));
                fields.insert("claimed".into(), json!(true));
                if fields["expose"] == json!(true) && fields["public_port"].is_null() {
                    fields.insert("public_port".into(), json!(15_001));
                }
                if derived::port_may_change(&row) {
                    fields.insert("public_port".into(), json!(15_002));
                    fields.insert("conditions".into(), json!([]));
                }
                let mut ordered = Json::Null;
                if is_work(&row, &fields) {
                    ordered = json!(self.operate(&id, &name, "change"));
                    fields.insert("operation_id".into(), ordered.clone());
                }
                self.databases.insert(id, fields.clone());
                return (
                    200,
                    json!({"database": fields, "ordered_operation_id": ordered}),
                );
            }
            ("DELETE", []) if is_protected(&row) => {
                return refusal(409, "protected", "the database is protected", &[]);
            }
            ("DELETE", []) => {
                let operation = self.operate(&id, &name, "destroy");
                let gone = json!({"status": "destroyed", "recoverable_until": "2026-12-01T00:00:00Z", "operation_id": operation});
                overlay(&mut fields, gone.as_object().unwrap());
            }
            _ => return refusal(405, "method", "no such method", &[]),
        }
        self.databases.insert(id, fields.clone());
        (200, json!({"database": fields}))
    }

    fn credentials(&self, row: &Fields, query: &str) -> Json {
        let network = if query.contains("network=project") || row["expose"] == json!(false) {
            "project"
        } else {
            "public"
        };
        let ordered = row["credential_version"].as_i64().unwrap();
        let version = self.version_in_force.unwrap_or(ordered);
        let password = match self.inert {
            true => "0".repeat(32),
            false => format!("secret-{}-{version}", text(row, "slug")),
        };
        let at = &row["public_port"];
        json!({
            "host": row["host"], "port": 5432, "pooler_host": row["pooler_host"],
            "pooler_port": 5432, "username": row["username"], "password": password,
            "database": row["database_name"], "ssl_mode": "disable",
            "uri": format!("postgresql://u:{password}@h:{at}/d"),
            "pooled_uri": format!("postgresql://u:{password}@p:{at}/d"),
            "connection_string": format!("postgresql://u:{password}@p/d"),
            "ca_certificate": "PEM", "network": network,
            "credential_version": version, "inert": self.inert,
        })
    }
}

/// Whether a change leaves work; what runs knows nothing of some fields.
fn is_work(before: &Fields, after: &Fields) -> bool {
    const TOLD_ONLY: [&str; 7] = [
        "claimed",
        "deletion_protection",
        "inject_env",
        "name",
        "recovery_window_days",
        "sleep_after_minutes",
        "tags",
    ];
    let differs = |(name, value): (&String, &Json)| before.get(name) != Some(value);
    let mut fields = after
        .iter()
        .filter(|(name, _)| !TOLD_ONLY.contains(&name.as_str()));
    fields.any(differs)
}

/// What nobody took over is not protected from the one token that there is.
fn is_protected(row: &Fields) -> bool {
    row["deletion_protection"] == json!(true) && row["claimed"] == json!(true)
}

fn with(prior: Option<&Fields>, defaults: Json) -> Fields {
    prior
        .cloned()
        .unwrap_or_else(|| defaults.as_object().unwrap().clone())
}

/// What is null stands for the default, which for the fields of these tests is null or empty.
fn overlay(fields: &mut Fields, given: &Fields) {
    for (name, value) in given {
        let empty = match name.as_str() {
            "tags" | "inject_env" => json!({}),
            "auto_provision" => json!(false),
            "allow_list" => json!([]),
            _ => Json::Null,
        };
        fields.insert(
            name.clone(),
            if value.is_null() {
                empty
            } else {
                value.clone()
            },
        );
    }
}

fn born(id: &str, claimed: bool) -> Fields {
    let fields = json!({"id": id, "claimed": claimed, "created_at": "t0", "updated_at": "t0"});
    fields.as_object().unwrap().clone()
}

fn named<'a>(rows: &'a BTreeMap<String, Fields>, name: &str) -> Option<&'a Fields> {
    rows.values()
        .find(|row| text(row, "name") == name && row.get("status") != Some(&json!("destroyed")))
}
