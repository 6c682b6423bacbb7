//! What others do on the same host: bear our names, pause what runs, take the disk away. What is
//! theirs is left alone, and what was ours is waited for rather than made anew.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::Login;
use crate::harness::{Docker, Runtime, TestBerth, until, until_settled};

const ROWS: &str = "SELECT count(*) FROM kept";

/// A container that is not berth's, with a name that berth would like.
struct Stranger {
    docker: Docker,
    name: String,
}

impl Stranger {
    fn create(name: &str) -> Self {
        let docker = Docker::default();
        docker.run(&["create", "--name", name, "berth/pgbouncer:1", "sleep", "1"]);
        Self {
            docker,
            name: name.to_owned(),
        }
    }

    fn is_there(&self) -> bool {
        let asked = self.docker.try_run(&["inspect", &self.name]).unwrap();
        asked.status.success()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.docker.try_run(&["rm", "-f", &self.name]);
    }
}

fn ready(berth: &TestBerth, path: &str) -> Json {
    let database = &berth.get(path)["database"];
    let conditions = database["conditions"].as_array().unwrap().iter();
    let mut ready = conditions.filter(|found| found["type"] == "Ready");
    ready.next().cloned().unwrap_or_default()
}

/// The directories of the instances that are there.
fn instances(berth: &TestBerth) -> Vec<PathBuf> {
    let found = std::fs::read_dir(berth.data_root().join("instances")).unwrap();
    found.map(|entry| entry.unwrap().path()).collect()
}

/// Starts berthd while the database's data and containers are gone, as with a disk that is not
/// mounted after a reboot.
fn take_the_data_away(berth: &mut TestBerth, docker: &Docker, aside: &Path) -> PathBuf {
    berth.kill();
    for container in berth.containers(None) {
        docker.run(&["rm", "-f", &container]);
    }
    let found = instances(berth);
    assert_eq!(found.len(), 1, "{found:?}");
    std::fs::rename(&found[0], aside).unwrap();
    berth.resume();
    found[0].clone()
}

#[test]
fn strangers_are_left_alone_and_lost_data_is_not_made_anew() {
    let docker = Docker::default();
    let named = ["--prefix", "tstrange"];
    let Some(mut berth) = TestBerth::start_with(Runtime::Docker, docker.clone(), &named) else {
        return;
    };
    let stranger = Stranger::create("tstrange-db-orders");
    let wish = json!({
        "name": "orders",
        "engine": "postgresql",
        "expose": true,
        "recovery_window_days": 0,
    });
    let (status, answer) = berth.call("POST", "/v1/databases", Some(&wish));
    assert_eq!(status, 201, "{answer}");
    let id = answer["database"]["id"].as_str().unwrap();
    let path = format!("/v1/databases/{id}");
    until_settled(&berth, id, "running");
    let login = Login::of(&berth, id);
    let table = "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('first')";
    login.query(table).unwrap();
    let engine = berth.containers(Some("engine")).remove(0);
    let name = docker.inspect(&engine, "{{.Name}}");
    assert!(name.starts_with("/tstrange-db-orders-"), "{name}");

    // A paused engine is neither ready nor gone.
    docker.run(&["pause", &engine]);
    until("it is seen that nothing answers", || {
        match ready(&berth, &path) {
            seen if seen["status"] != "True" => Ok(()),
            seen => Err(seen.to_string()),
        }
    });
    // Whoever is first: berthd may have helped itself.
    let _ = docker.try_run(&["unpause", &engine]);
    assert_eq!(login.query_patiently(ROWS), ["1"]);

    let aside = berth.data_root().join("not-mounted");
    let place = take_the_data_away(&mut berth, &docker, &aside);
    let seen = until("the loss is told", || {
        let database = berth.get(&path)["database"].clone();
        match database["status"].as_str() {
            Some("error") => Ok(database),
            _ => Err(database.to_string()),
        }
    });
    let place_text = place.to_string_lossy().into_owned();
    assert!(
        seen["conditions"].to_string().contains(&place_text),
        "{seen}"
    );
    let in_other_words = berth.get(&format!("/api/v1/databases/{id}"));
    assert_eq!(in_other_words["status"], "error", "{in_other_words}");
    assert!(!place.join("data").exists(), "no other data in its place");
    assert_eq!(berth.containers(Some("engine")), Vec::<String>::new());

    berth.stop();
    let _ = std::fs::remove_dir_all(&place);
    std::fs::rename(&aside, &place).unwrap();
    berth.resume();
    assert_eq!(login.query_patiently(ROWS), ["1"]);
    until("it is ready again", || match ready(&berth, &path) {
        seen if seen["status"] == "True" => Ok(()),
        seen => Err(seen.to_string()),
    });

    let (status, answer) = berth.call("DELETE", &path, None);
    assert_eq!(status, 200, "{answer}");
    until("everything of ours is gone", || {
        match (berth.containers(None), instances(&berth)) {
            (containers, data) if containers.is_empty() && data.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        }
    });
    assert!(stranger.is_there(), "what is not ours stays");
}
