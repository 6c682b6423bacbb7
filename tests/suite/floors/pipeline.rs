//! A pipeline that says whatever its token lets it say, and believes what it has been told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::dice::Dice;
use super::gifts::Gifts;
use super::logins::Seen;
use super::marks::Marks;
use super::token;
use crate::harness::TestBerth;

/// Steps after which room is made again.
const LOOK_EVERY: u32 = 20;
/// How often a request is said again that came too soon after others.
const TRIES_MAX: u32 = 200;

/// The pipeline, what it has seen, and what it believes.
pub(super) struct Pipeline<'a> {
    pub(super) berth: &'a TestBerth,
    token: String,
    pub(super) dice: Dice,
    pub(super) seen: BTreeMap<String, Seen>,
    /// Ids of databases that lived at some time, oldest first.
    pub(super) databases: Vec<String>,
    pub(super) projects: Vec<String>,
    pub(super) gifts: Gifts,
    /// Where there are engines that hold rows.
    pub(super) marks: Option<Marks>,
    pub(super) refused: BTreeMap<(String, u16, String), u32>,
    /// Destroys right after a new password was ordered.
    pub(super) rotations_cut_short: u32,
    living_max: usize,
    number: u32,
}

impl<'a> Pipeline<'a> {
    /// One that knows nothing yet.
    pub(super) fn new(
        berth: &'a TestBerth,
        seed: u64,
        living_max: usize,
        marks: Option<Marks>,
    ) -> Self {
        let mut new = Self {
            berth,
            token: token(berth, "apply"),
            dice: Dice(seed),
            seen: BTreeMap::new(),
            databases: Vec::new(),
            projects: vec!["proj_default".to_owned()],
            gifts: Gifts::default(),
            marks,
            refused: BTreeMap::new(),
            rotations_cut_short: 0,
            living_max,
            number: 0,
        };
        new.meet_people();
        new
    }

    /// Asks with the pipeline's token; whatever is said, it is no failure of the server's.
    #[track_caller]
    pub(super) fn ask(&mut self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        for _ in 0..TRIES_MAX {
            let (status, answer) = self.berth.call_as(&self.token, method, path, body);
            if status == 429 {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            assert!(status < 500, "{method} {path} {body:?}: {status} {answer}");
            if status >= 400 {
                let route: Vec<_> = path.split('/').map(plain).collect();
                let code = answer["code"].as_str().unwrap_or_default().to_owned();
                let key = (format!("{method} {}", route.join("/")), status, code);
                *self.refused.entry(key).or_default() += 1;
            }
            return (status, answer);
        }
        panic!("{method} {path} came too soon {TRIES_MAX} times");
    }

    fn name(&mut self) -> String {
        // Few enough to meet each other again and again.
        format!("name-{}", self.dice.below(60))
    }

    pub(super) fn any_database(&mut self) -> String {
        // More often one of the latest: what lives is among them.
        let from = match self.dice.one_in(3) {
            true => 0,
            false => self.databases.len().saturating_sub(self.living_max * 2),
        };
        let known = self.dice.pick(&self.databases[from..]).cloned();
        known.unwrap_or_else(|| "db_unknown".to_owned())
    }

    pub(super) fn any_project(&mut self) -> String {
        let known = self.dice.pick(&self.projects).cloned();
        known.unwrap_or_else(|| "proj_default".to_owned())
    }

    /// Some of what may be said of a database, by whom nothing is sacred to.
    fn words(&mut self) -> Json {
        let mut words = json!({});
        if self.dice.one_in(2) {
            words["recovery_window_days"] = self.dice.below(4).into();
        }
        if self.dice.one_in(2) {
            words["deletion_protection"] = self.dice.one_in(6).into();
        }
        if self.dice.one_in(4) {
            words["tags"] = json!({"step": self.dice.below(9).to_string()});
        }
        if self.dice.one_in(8) {
            words["storage_gb"] = (10 + self.dice.below(20)).into();
        }
        if self.dice.one_in(8) {
            words["desired_status"] = json!(["running", "stopped"][self.dice.below(2)]);
        }
        if self.dice.one_in(8) {
            words["sleep_after_minutes"] = (1 + self.dice.below(9)).into();
        }
        if self.dice.one_in(8) {
            words["expose"] = self.dice.one_in(2).into();
        }
        if self.dice.one_in(8) {
            words["pooler"] = match self.dice.one_in(2) {
                true => json!({"enabled": self.dice.one_in(2)}),
                false => json!({"mode": "session", "default_pool_size": 1 + self.dice.below(30)}),
            };
        }
        if self.dice.one_in(8) {
            words["tls_mode"] = json!(["allow", "require"][self.dice.below(2)]);
        }
        if self.dice.one_in(8) {
            words["plan"] = json!(["db-s-1vcpu-1gb", "db-s-2vcpu-4gb"][self.dice.below(2)]);
        }
        words
    }

    /// What a whole configuration says of a new database.
    fn order(&mut self) -> Json {
        let mut order = self.words();
        order["name"] = self.name().into();
        order["engine"] = "postgresql".into();
        if self.dice.one_in(2) {
            order["project_id"] = self.any_project().into();
        }
        order
    }

    fn create(&mut self, more: Json) {
        let mut order = self.order();
        for (name, value) in more.as_object().unwrap() {
            order[name] = value.clone();
        }
        let (status, answer) = self.ask("POST", "/v1/databases", Some(&order));
        if status == 201 {
            self.learn(&answer);
            if self.dice.one_in(2) {
                let id = answer["database"]["id"].as_str().unwrap();
                let path = format!("/v1/databases/{id}/claim");
                self.ask("POST", &path, Some(&json!({})));
            }
        }
    }

    /// One request of a dry run, from lost or old state: ids that are gone, or none at all.
    fn plan(&mut self) {
        let mut resources = Vec::new();
        for _ in 0..=self.dice.below(3) {
            let id = self.any_database();
            resources.push(match self.dice.below(5) {
                0 => json!({"kind": "database", "config": self.order()}),
                1 => json!({"kind": "database", "id": id, "destroy": true}),
                2 => json!({"kind": "project", "id": self.any_project(), "destroy": true}),
                3 => json!({"kind": "database", "replaces": id, "config": self.order()}),
                _ => json!({"kind": "database", "id": id, "config": self.order()}),
            });
        }
        let body = json!({"resources": resources});
        self.ask("POST", "/v1/plan", Some(&body));
    }

    fn destroy_one(&mut self) {
        let id = self.any_database();
        self.ask("DELETE", &format!("/v1/databases/{id}"), None);
    }

    fn make_project(&mut self) {
        let name = format!("project-{}", self.dice.below(8));
        let mut body = json!({"name": name, "deletion_protection": self.dice.one_in(6)});
        body["unclaimed"] = self.dice.one_in(3).into();
        let (status, answer) = self.ask("POST", "/v1/projects", Some(&body));
        if status == 201 {
            let id = answer["project"]["id"].as_str().unwrap().to_owned();
            if !self.projects.contains(&id) {
                self.people_give(&id);
                self.projects.push(id);
            }
        }
    }

    fn undelete(&mut self) {
        let id = self.any_database();
        let body = match self.dice.one_in(2) {
            true => json!({"name": self.name()}),
            false => json!({}),
        };
        let path = format!("/v1/databases/{id}/undelete");
        let (status, answer) = self.ask("POST", &path, Some(&body));
        if status < 300 {
            self.learn(&answer);
        }
    }

    /// What a token for applies must not be let do, however it is asked.
    fn try_to_lose(&mut self) {
        let id = self.any_database();
        let (method, path, body) = match self.dice.below(4) {
            0 => ("DELETE", format!("/v1/trash/{id}"), None),
            1 => (
                "POST",
                "/v1/tokens".to_owned(),
                Some(json!({"name": "more", "scopes": ["unprotect"]})),
            ),
            2 => (
                "PATCH",
                format!("/v1/databases/{id}"),
                Some(json!({"recovery_window_days": 0, "deletion_protection": false})),
            ),
            _ => (
                "DELETE",
                format!("/v1/databases/{id}?purge=true&recovery_window_days=0"),
                None,
            ),
        };
        let (status, answer) = self.ask(method, &path, body.as_ref());
        if method == "DELETE" || path == "/v1/tokens" {
            assert!(status >= 400, "{method} {path}: {status} {answer}");
        }
    }

    /// Destroys all but a few. A person turns the protection of those off.
    pub(super) fn make_room(&mut self, kept: usize) {
        let living = self.berth.databases();
        for row in living.iter().rev().skip(kept) {
            let path = format!("/v1/databases/{}", row["id"].as_str().unwrap());
            if row["deletion_protection"] == true {
                let free = json!({"deletion_protection": false});
                self.berth.call("PATCH", &path, Some(&free));
            }
            let (status, answer) = self.ask("DELETE", &path, None);
            assert!(status < 300, "{path}: {status} {answer}");
        }
    }

    /// Says the next thing.
    pub(super) fn step(&mut self) {
        self.leave_marks();
        if self.number.is_multiple_of(LOOK_EVERY) {
            self.make_room(self.living_max / 2);
        }
        self.number += 1;
        let (id, project) = (self.any_database(), self.any_project());
        match self.dice.below(100) {
            0..=6 => self.create(json!({})),
            7..=9 => self.create(json!({"unclaimed": true})),
            10..=25 => self.plan(),
            // A restore from the configuration, that may never be finished.
            26..=30 => {
                let unclaimed = self.dice.one_in(2);
                self.create(json!({
                    "restore_from": {"deleted_database_id": id}, "unclaimed": unclaimed,
                }));
            }
            31..=45 => self.destroy_one(),
            46..=55 => self.undelete(),
            56..=65 => {
                let mut words = self.words();
                if self.dice.one_in(3) {
                    words["name"] = self.name().into();
                }
                self.ask("PATCH", &format!("/v1/databases/{id}"), Some(&words));
            }
            66..=69 => self.plan(),
            70..=75 => self.touch_a_project(),
            76..=80 => self.make_project(),
            81..=84 => {
                let tail = ["", "?if_empty=true"][self.dice.below(2)];
                self.ask("DELETE", &format!("/v1/projects/{project}{tail}"), None);
            }
            85..=88 => {
                let name = format!("project-{}", self.dice.below(8));
                let body = json!({"name": name, "quota": {"databases": 5 + self.dice.below(40)}});
                self.ask("PATCH", &format!("/v1/projects/{project}"), Some(&body));
            }
            89..=91 => {
                let verb = ["sleep", "wake"][self.dice.below(2)];
                self.ask("POST", &format!("/v1/projects/{project}/{verb}"), None);
            }
            92..=93 => {
                let verb = ["start", "stop", "restart"][self.dice.below(3)];
                self.ask("POST", &format!("/v1/databases/{id}/{verb}"), None);
            }
            94..=96 => self.rotate(&id),
            _ => self.try_to_lose(),
        }
    }
}

/// A path's part without what differs from object to object.
fn plain(part: &str) -> &str {
    let part = part.split('?').next().unwrap_or(part);
    match part.split_once('_') {
        Some(("db" | "proj", _)) => "ID",
        _ => part,
    }
}
