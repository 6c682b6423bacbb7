//! How to log in, and that nobody but a rotation ever changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::BACK_SECONDS_MAX;
use super::pipeline::Pipeline;

/// What a database was seen with.
#[derive(Debug)]
pub(super) struct Seen {
    username: String,
    /// The password of each version that was in force when somebody looked.
    passwords: BTreeMap<i64, String>,
    /// The version that was ordered last.
    ordered: i64,
}

/// The version of the password that was ordered last, as an answer shows it.
fn ordered(answer: &Json) -> i64 {
    answer["database"]["credential_version"].as_i64().unwrap()
}

impl Pipeline<'_> {
    /// Learns of a database that was just made or brought back.
    pub(super) fn learn(&mut self, answer: &Json) {
        let id = answer["database"]["id"].as_str().unwrap().to_owned();
        let ordered = ordered(answer);
        match self.seen.get(&id) {
            Some(_) => {
                self.expect_rotations(answer);
                // All of them are looked at in the end.
                if !self.dice.one_in(4) {
                    return;
                }
            }
            None => {
                let seen = Seen {
                    username: answer["database"]["username"].as_str().unwrap().to_owned(),
                    passwords: BTreeMap::new(),
                    ordered,
                };
                self.seen.insert(id.clone(), seen);
                self.databases.push(id.clone());
            }
        }
        self.version_in_force(&id);
    }

    /// Looks whether an answer knows of every password that was ordered.
    pub(super) fn expect_rotations(&self, answer: &Json) {
        let id = answer["database"]["id"].as_str().unwrap();
        let seen = &self.seen[id];
        assert_eq!(ordered(answer), seen.ordered, "{id} has lost a rotation");
    }

    /// Looks at a login, which is one that was seen before or that was ordered since; the version
    /// of its password.
    fn version_in_force(&mut self, id: &str) -> i64 {
        let path = format!("/v1/databases/{id}/credentials");
        let (status, answer) = self.ask("GET", &path, None);
        assert_eq!(status, 200, "{id}: {answer}");
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let version = answer["credential_version"].as_i64().unwrap();
        let seen = self.seen.get_mut(id).unwrap();
        assert_eq!(text("username"), seen.username, "{id} has another login");
        let latest = seen
            .passwords
            .last_key_value()
            .map_or(version, |(at, _)| *at);
        assert!(
            (latest..=seen.ordered).contains(&version),
            "{id} has version {version}, had {latest}, and {} was ordered",
            seen.ordered
        );
        let password = text("password");
        let known = seen.passwords.entry(version).or_insert(password.clone());
        assert_eq!(*known, password, "{id} has another password");
        let different: BTreeSet<_> = seen.passwords.values().collect();
        assert_eq!(
            different.len(),
            seen.passwords.len(),
            "{id} has an old password"
        );
        version
    }

    /// Waits until the password that was ordered last is the one in force.
    pub(super) fn await_last_password(&mut self, id: &str) {
        let patience = Instant::now() + Duration::from_secs(BACK_SECONDS_MAX);
        while self.version_in_force(id) < self.seen[id].ordered {
            assert!(Instant::now() < patience, "{id} keeps an old password");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Orders a new password. Often enough the database is destroyed while it has two of them,
    /// and often enough it is wanted back at once.
    pub(super) fn rotate(&mut self, id: &str) {
        let path = format!("/v1/databases/{id}");
        let (status, answer) = self.ask("POST", &format!("{path}/rotate"), None);
        if status >= 300 {
            return;
        }
        let seen = self.seen.get_mut(id).unwrap();
        assert_eq!(ordered(&answer), seen.ordered + 1, "{answer}");
        seen.ordered += 1;
        if self.dice.one_in(2) && self.ask("DELETE", &path, None).0 < 300 {
            self.rotations_cut_short += 1;
            if self.dice.one_in(2) {
                let path = format!("{path}/undelete");
                let (status, answer) = self.ask("POST", &path, Some(&json!({})));
                if status < 300 {
                    self.learn(&answer);
                }
            }
        }
    }
}
