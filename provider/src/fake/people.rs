//! The fake's tokens, members, journal and environments.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::world::{Answer, Fields, refusal};

/// What the fake keeps of people.
#[derive(Default)]
pub struct People {
    pub tokens: BTreeMap<String, Fields>,
    /// The secrets that are kept, by the token's id.
    pub secrets: BTreeMap<String, String>,
    /// Roles by project and user.
    pub members: BTreeMap<(String, String), String>,
    /// The journal, the oldest first.
    pub events: Vec<Json>,
    /// What every project's applications get: name, value, whether it is a secret. What is a
    /// URL is managed by berth.
    pub variables: Vec<(String, String, bool)>,
    /// What is said of variables that one might miss.
    pub notes: Vec<String>,
    /// The user of the provider's own token; the administrator when left out.
    pub user: Option<String>,
    /// Whether the provider's own token may write where it may not read credentials.
    pub writes: bool,
    /// The project that the provider's own token is bound to.
    pub bound: Option<String>,
    sequence: u64,
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(have, _)| *have == name)
        .map(|(_, value)| value)
}

/// Times are told without the fraction of a second.
fn tell_seconds(token: &mut Fields) {
    if let Some(at) = token["expires_at"].as_str() {
        let (whole, _) = at.trim_end_matches('Z').split_once('.').unwrap_or((at, ""));
        token["expires_at"] = json!(format!("{}Z", whole.trim_end_matches('Z')));
    }
}

impl People {
    /// The answer to a request about people; none when it is about something else.
    pub fn answer(
        &mut self,
        (method, parts): (&str, &[&str]),
        query: &str,
        body: &Fields,
        inert: bool,
    ) -> Option<Answer> {
        Some(match (method, parts) {
            ("POST", ["tokens"]) => self.create_token(body),
            ("GET", ["tokens", id, "secret"]) => self.secret(id, inert),
            (_, ["tokens", id]) => self.on_token(method, id, body),
            (_, ["projects", project, "members", user]) => {
                self.on_member(method, project, user, body)
            }
            ("GET", ["projects", _, "env"]) => self.env(inert),
            ("GET", ["events"]) => self.read_events(query),
            ("GET", ["users"]) => self.users(),
            _ => return None,
        })
    }

    fn create_token(&mut self, body: &Fields) -> Answer {
        self.sequence += 1;
        let id = format!("tok_{:04}", self.sequence);
        let secret = format!("berth_fake_secret_{:04}", self.sequence);
        let mut token = body.clone();
        if token.remove("keep_secret") == Some(json!(true)) {
            self.secrets.insert(id.clone(), secret.clone());
        }
        token.insert("id".into(), json!(id));
        token.entry("user_id").or_insert(json!("usr_admin"));
        token.entry("project_id").or_insert(json!(self.bound));
        token.entry("expires_at").or_insert(Json::Null);
        token.insert("created_at".into(), json!("2026-01-01T00:00:00Z"));
        token.insert("revoked_at".into(), Json::Null);
        tell_seconds(&mut token);
        self.tokens.insert(id, token.clone());
        token.insert("secret".into(), json!(secret));
        (201, Json::Object(token))
    }

    fn on_token(&mut self, method: &str, id: &str, body: &Fields) -> Answer {
        let Some(token) = self.tokens.get_mut(id) else {
            return refusal(404, "token_not_found", "there is no such token", &[]);
        };
        match method {
            "GET" => {}
            "PATCH" => {
                token.extend(body.clone());
                tell_seconds(token);
            }
            "DELETE" => {
                token.insert("revoked_at".into(), json!("2026-02-01T00:00:00Z"));
                return (204, Json::Null);
            }
            _ => return refusal(405, "method", "no such method", &[]),
        }
        (200, Json::Object(token.clone()))
    }

    fn secret(&self, id: &str, inert: bool) -> Answer {
        if inert {
            return (200, json!({"secret": "berth_000000", "inert": true}));
        }
        match self.secrets.get(id) {
            Some(secret) => (200, json!({"secret": secret, "inert": false})),
            None => refusal(409, "secret_not_kept", "the secret was not kept", &[]),
        }
    }

    fn on_member(&mut self, method: &str, project: &str, user: &str, body: &Fields) -> Answer {
        let key = (project.to_owned(), user.to_owned());
        let mut status = 200;
        match method {
            "PUT" => {
                let role = body["role"].as_str().unwrap().to_owned();
                status = if self.members.insert(key.clone(), role).is_some() {
                    200
                } else {
                    201
                };
            }
            "DELETE" => {
                return match self.members.remove(&key) {
                    Some(_) => (204, Json::Null),
                    None => refusal(404, "member_not_found", "there is no such member", &[]),
                };
            }
            _ => {}
        }
        match self.members.get(&key) {
            Some(role) => (
                status,
                json!({"member": {"project_id": project, "user_id": user, "role": role}}),
            ),
            None => refusal(404, "member_not_found", "there is no such member", &[]),
        }
    }

    /// Everybody for the administrator, itself for anybody else.
    fn users(&self) -> Answer {
        let ids = match &self.user {
            Some(user) => vec![user.as_str()],
            None => vec!["usr_admin", "usr_anna"],
        };
        let user = |id: &&str| json!({"id": id, "name": id, "email": null, "created_at": "t", "updated_at": "t"});
        let users: Vec<Json> = ids.iter().map(user).collect();
        (200, json!({"users": users, "next_page_token": null}))
    }

    fn env(&self, inert: bool) -> Answer {
        let variables = self.variables.iter().map(|(name, variable, sensitive)| {
            let value = (!(inert && *sensitive)).then_some(variable);
            let managed = variable.starts_with("postgresql://");
            json!({
                "name": name, "value": value, "sensitive": sensitive,
                "managed_by": managed.then_some("berth"), "source": managed.then_some("db_1"),
            })
        });
        let variables: Vec<Json> = variables.collect();
        (
            200,
            json!({
                "variables": variables, "notes": self.notes, "only_plans": inert && !self.writes,
                "next_page_token": null,
            }),
        )
    }

    /// Notes that somebody changed fields of an object: each with what it was and became.
    pub fn happened(&mut self, subject: (&str, &str), who: &str, changes: &[(&str, Json, Json)]) {
        let sequence = self.events.len() + 1;
        let changes: Vec<Json> = changes
            .iter()
            .map(|(field, from, to)| {
                json!({"field": field, "from": from, "to": to, "sensitive": false})
            })
            .collect();
        let mut event = json!({
            "sequence": sequence, "kind": "database.changed", "message": "it was changed",
            "actor": {
                "kind": "token", "user_id": format!("usr_{who}"), "user_name": who,
                "token_id": format!("tok_{who}"), "token_name": format!("{who}s laptop"),
                "address": "10.0.0.7",
            },
            "project_id": null, "database_id": null, "operation_id": null,
            "changes": changes, "at": format!("2026-03-01T00:00:{sequence:02}Z"),
        });
        event[subject.0] = json!(subject.1);
        event["kind"] = json!(format!("{}.changed", subject.0.trim_end_matches("_id")));
        self.events.push(event);
    }

    /// Notes that somebody did something of that kind, by the sentence that the journal has.
    pub fn did(&mut self, who: &str, kind: &str, message: &str, changes: &[(&str, Json, Json)]) {
        self.happened(("project_id", "proj_shop"), who, changes);
        let event = self.events.last_mut().unwrap();
        event["kind"] = json!(kind);
        event["message"] = json!(message);
    }

    fn read_events(&self, query: &str) -> Answer {
        let kept = |event: &&Json| {
            let noun = parameter(query, "kind").unwrap_or_default();
            ["project_id", "database_id"].iter().all(|name| {
                parameter(query, name).is_none_or(|wanted| event[*name] == json!(wanted))
            }) && event["kind"].as_str().unwrap().starts_with(noun)
        };
        let size: usize = parameter(query, "page_size").unwrap().parse().unwrap();
        let from: usize = parameter(query, "page_token").map_or(0, |at| at.parse().unwrap());
        assert_eq!(parameter(query, "order"), Some("newest"));
        let found: Vec<&Json> = self.events.iter().rev().filter(kept).skip(from).collect();
        let page = &found[..size.min(found.len())];
        let more = page.len() < found.len();
        let next = more.then(|| (from + page.len()).to_string());
        (200, json!({"events": page, "next_page_token": next}))
    }
}
