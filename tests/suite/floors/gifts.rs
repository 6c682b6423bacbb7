//! What people gave to projects beside databases: variables that they typed in, and members. A
//! pipeline may replace, remove and destroy all it may; each value that ever was comes back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::pipeline::Pipeline;

/// The person who is a member of every project.
const PERSON: &str = "ada";

/// What was ever given.
#[derive(Debug, Default)]
pub(super) struct Gifts {
    /// Every value that a variable ever had: project, name, value.
    values: BTreeSet<(String, String, String)>,
    /// Who was in a project once people had chosen its members.
    members: BTreeMap<String, Json>,
    number: u32,
}

/// The id of a project's environment, or of something below it.
fn env(project: &str, below: &str) -> String {
    format!("/v1/projects/{project}/env{below}")
}

impl Pipeline<'_> {
    /// Makes the person, who is given the default project.
    pub(super) fn meet_people(&mut self) {
        self.berth
            .call("POST", "/v1/users", Some(&json!({"name": PERSON})));
        self.people_give("proj_default");
    }

    /// A person types a secret into a new project and invites another.
    pub(super) fn people_give(&mut self, project: &str) {
        let path = format!("/v1/projects/{project}/members");
        let role = json!({"role": "viewer"});
        let (status, answer) = self
            .berth
            .call("PUT", &format!("{path}/{PERSON}"), Some(&role));
        assert!(status < 300, "{answer}");
        self.gifts
            .members
            .insert(project.to_owned(), self.berth.get(&path));
        let value = self.new_value();
        let path = env(project, "/KEY_0");
        let (status, answer) = self
            .berth
            .call("PUT", &path, Some(&json!({"value": value})));
        assert!(status < 300, "{answer}");
        self.remember(project, "KEY_0", value);
    }

    fn new_value(&mut self) -> String {
        self.gifts.number += 1;
        format!("value-{}", self.gifts.number)
    }

    fn remember(&mut self, project: &str, name: &str, value: String) {
        let value = (project.to_owned(), name.to_owned(), value);
        self.gifts.values.insert(value);
    }

    /// Does something to a project or to what is in it, in the words of any platform.
    pub(super) fn touch_a_project(&mut self) {
        let (id, project) = (self.any_database(), self.any_project());
        let name = format!("KEY_{}", self.dice.below(3));
        match self.dice.below(12) {
            0..=3 => {
                let value = self.new_value();
                let body = json!({"value": value, "sensitive": self.dice.one_in(2)});
                let path = env(&project, &format!("/{name}"));
                if self.ask("PUT", &path, Some(&body)).0 < 300 {
                    self.remember(&project, &name, value);
                }
            }
            4..=5 => {
                self.ask("DELETE", &env(&project, &format!("/{name}")), None);
            }
            6 => {
                let path = env(&project, &format!("/{name}/restore"));
                self.ask("POST", &path, Some(&json!({})));
            }
            7 => {
                self.ask("POST", &format!("/v1/projects/{project}/undelete"), None);
            }
            8 => {
                self.ask("DELETE", &format!("/v1/projects/{project}/database"), None);
            }
            9 => {
                self.ask("DELETE", &format!("/api/v1/databases/{id}"), None);
            }
            10 => {
                // So that more of them go with all that is in them.
                let body = json!({"on_destroy": "cascade"});
                self.ask("PATCH", &format!("/v1/projects/{project}"), Some(&body));
            }
            _ => {
                let path = format!("/v1/projects/{project}/members/{PERSON}");
                let (status, answer) = self.ask("DELETE", &path, None);
                assert_eq!(status, 403, "{path}: {answer}");
            }
        }
    }

    /// Brings every project back, and looks whether all that people gave it is there.
    pub(super) fn expect_gifts_back(&mut self) {
        for project in self.projects.clone() {
            let path = format!("/v1/projects/{project}");
            if self.ask("GET", &path, None).0 == 404 {
                let (status, answer) = self.ask("POST", &format!("{path}/undelete"), None);
                assert_eq!(status, 200, "{project} is lost: {answer}");
            }
            let members = self.berth.get(&format!("{path}/members"));
            assert_eq!(members, self.gifts.members[&project], "{project}");
        }
        let mut found = BTreeSet::new();
        for project in self.projects.clone() {
            self.collect(&project, &mut found);
            for one in self.kept_of(&project) {
                let name = one["name"].as_str().unwrap();
                let path = env(&project, &format!("/{name}/restore"));
                let body = json!({"version": one["version"]});
                let (status, answer) = self.ask("POST", &path, Some(&body));
                assert_eq!(status, 200, "{one} of {project}: {answer}");
                self.collect(&project, &mut found);
            }
        }
        let lost: Vec<_> = self.gifts.values.difference(&found).collect();
        println!(
            "floors: {} values in {} projects",
            self.gifts.values.len(),
            self.projects.len()
        );
        assert!(lost.is_empty(), "lost for good: {lost:?}");
    }

    /// All that is kept of what variables of a project were.
    fn kept_of(&self, project: &str) -> Vec<Json> {
        let first = format!("/v1/projects/{project}/env_versions");
        let (mut path, mut kept) = (first.clone(), Vec::new());
        loop {
            let page = self.berth.get(&path);
            kept.extend(page["versions"].as_array().unwrap().clone());
            let Some(next) = page["next_page_token"].as_str() else {
                return kept;
            };
            path = format!("{first}?page_token={next}");
        }
    }

    /// The values that variables of a project have now.
    fn collect(&mut self, project: &str, found: &mut BTreeSet<(String, String, String)>) {
        let (status, answer) = self.ask("GET", &env(project, "?provision=false"), None);
        assert_eq!(status, 200, "{project}: {answer}");
        for variable in answer["variables"].as_array().unwrap() {
            let text = |field: &str| variable[field].as_str().unwrap_or_default().to_owned();
            found.insert((project.to_owned(), text("name"), text("value")));
        }
    }
}
