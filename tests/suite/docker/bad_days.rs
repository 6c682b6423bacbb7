//! What may happen to a host: a lost key, two daemons, a crash, strangers, a reboot, an engine
//! that goes and comes back. Nothing is lost, and nobody has to repair anything.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::Login;
use super::engine::Engine;
use crate::harness::{Docker, Runtime, TestBerth, not_run, until, until_settled};

const ROWS: &str = "SELECT count(*) FROM kept";

/// Orders a database through the API; its id.
fn order(berth: &TestBerth, name: &str) -> String {
    order_with(berth, name, &json!({}))
}

/// Orders a database through the API and waits for it; its id.
fn provision(berth: &TestBerth, name: &str, more: &Json) -> String {
    let id = order_with(berth, name, more);
    until_settled(berth, &id, "running");
    id
}

fn order_with(berth: &TestBerth, name: &str, more: &Json) -> String {
    let mut wish = json!({"name": name, "engine": "postgresql", "recovery_window_days": 0});
    wish.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let (status, answer) = berth.call("POST", "/v1/databases", Some(&wish));
    assert_eq!(status, 201, "{answer}");
    answer["database"]["id"].as_str().unwrap().to_owned()
}

/// Which containers there are and since when they run.
fn lives(berth: &TestBerth) -> Vec<String> {
    let docker = Docker::default();
    let containers = berth.containers(None);
    let template = "{{.Id}} {{.State.StartedAt}} {{.State.Status}}";
    let mut lives: Vec<String> = containers
        .iter()
        .filter_map(|id| docker.look(id, template))
        .filter(|life| life.ends_with("running"))
        .collect();
    lives.sort();
    lives
}

#[test]
fn a_lost_or_wrong_root_key_and_a_second_berthd_are_refused() {
    let Some(mut berth) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    let id = provision(&berth, "orders", &json!({}));
    let refused = |berth: &TestBerth, sentence: &str| {
        let ended = berth.served_again(&[]);
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success(), "{told}");
        assert!(told.contains(sentence), "{told}");
        let errors = told.lines().filter(|line| line.starts_with("berthd: "));
        assert_eq!(errors.count(), 1, "one sentence: {told}");
    };
    refused(&berth, "another berthd works on");
    berth.get(&format!("/v1/databases/{id}"));
    berth.stop();

    let file = berth.data_root().join("root.key");
    let right = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{}\n", "ab".repeat(32))).unwrap();
    refused(&berth, "root key");
    std::fs::write(&file, "short\n").unwrap();
    refused(&berth, "64 hexadecimal digits");
    std::fs::remove_file(&file).unwrap();
    refused(&berth, "root.key is missing");
    assert!(!file.exists(), "no other key is made");

    std::fs::write(&file, right).unwrap();
    berth.resume();
    let login = berth.get(&format!("/v1/databases/{id}/credentials"));
    assert_eq!(login["password"].as_str().unwrap().len(), 32);
}

/// A file system of a few megabytes, in memory.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("berth-disk-").tempdir();
        let disk = Self {
            folder: folder.unwrap(),
        };
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "berth-test"]);
        let mounted = mount.arg(disk.folder.path()).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            not_run("no file system can be mounted");
            return None;
        }
        Some(disk)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut filler = File::create(self.path("filler")).unwrap();
        // It ends with an error: that there is no room.
        let _ = std::io::copy(&mut std::io::repeat(b'x'), &mut filler);
    }

    fn free(&self) {
        std::fs::remove_file(self.path("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).output();
    }
}

#[test]
fn a_full_disk_under_the_store_is_told_and_outlasted() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let store = format!("sqlite://{}", disk.path("berth.sqlite").display());
    let arguments = ["--store", store.as_str()];
    let Some(berth) = TestBerth::start_with(Runtime::Fake, Docker::default(), &arguments) else {
        return;
    };
    let id = provision(&berth, "orders", &json!({}));
    let change = |word: &str| berth.call("PATCH", &path(&id), Some(&json!({"tags": {"a": word}})));
    assert_eq!(change("before").0, 200);
    disk.fill();
    for _ in 0..3 {
        let (status, answer) = change("lost");
        assert_eq!(status, 503, "{answer}");
        assert_eq!(answer["code"], "storage_full", "{answer}");
    }
    let kept = &berth.get(&path(&id))["database"];
    assert_eq!(kept["tags"]["a"], "before", "{kept}");
    disk.free();
    // The store needs no new start.
    assert_eq!(change("after").0, 200);
    order(&berth, "second");
    until_settled(&berth, "second", "running");
}

#[test]
fn a_database_outlives_crashes_strangers_and_reboots() {
    let Some(mut berth) = TestBerth::start(Runtime::Docker) else {
        return;
    };
    let docker = Docker::default();
    let id = provision(&berth, "orders", &json!({"expose": true}));
    let login = Login::of(&berth, &id);
    let table = "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('first')";
    login.query(table).unwrap();

    // A crash of berthd is nothing to those it has started: they go on and stay as they are.
    let before = lives(&berth);
    berth.kill();
    login.query("INSERT INTO kept VALUES ('alone')").unwrap();
    berth.resume();
    until_settled(&berth, &id, "running");
    login.query_patiently(ROWS);
    // Whatever a start puts right, it has done so once it took up a change.
    let (status, answer) = berth.call("PATCH", &path(&id), Some(&json!({"tags": {"a": "b"}})));
    assert_eq!(status, 200, "{answer}");
    until_settled(&berth, &id, "running");
    let mine = |all: Vec<String>| -> Vec<String> {
        let known = |life: &String| before.contains(life);
        all.into_iter().filter(known).collect()
    };
    assert_eq!(mine(lives(&berth)), before, "adopted as they were");

    // Somebody kills the engine; what was committed is there.
    login.query("INSERT INTO kept VALUES ('killed')").unwrap();
    docker.run(&["kill", "-s", "KILL", &engine(&berth)]);
    assert_eq!(login.query_patiently(ROWS), ["3"]);

    // Somebody removes both containers, as no administrator should.
    login.query_patiently("INSERT INTO kept VALUES ('removed')");
    let removed = engine(&berth);
    docker.run(&["rm", "-f", &removed, &berth.containers(Some("pooler"))[0]]);
    assert_eq!(login.query_patiently(ROWS), ["4"]);
    assert_ne!(engine(&berth), removed);

    // Somebody empties the directories of sockets and keys under those that run.
    berth.kill();
    lose_mounted(&berth);
    berth.resume();
    let (status, answer) = berth.call("PATCH", &path(&id), Some(&json!({"tags": {"a": "c"}})));
    assert_eq!(status, 200, "{answer}");
    until_settled(&berth, &id, "running");
    // Both are started anew, which cuts off whoever asks just then.
    assert_eq!(login.query_patiently(ROWS), ["4"]);

    reboot(&mut berth, &docker);
    assert_eq!(login.query_patiently(ROWS), ["4"]);
    until_settled(&berth, &id, "running");
    assert_eq!(berth.containers(Some("engine")).len(), 1);
    assert_eq!(berth.containers(Some("pooler")).len(), 1);

    // What is stopped on purpose stays so, whatever happens.
    let stop = format!("{}/stop", path(&id));
    let (status, answer) = berth.call("POST", &stop, Some(&json!({})));
    assert_eq!(status, 202, "{answer}");
    until_settled(&berth, &id, "stopped");
    reboot(&mut berth, &docker);
    let (status, answer) = berth.call("PATCH", &path(&id), Some(&json!({"tags": {}})));
    assert_eq!(status, 200, "{answer}");
    until_settled(&berth, &id, "stopped");
    assert_eq!(lives(&berth), Vec::<String>::new());

    // An application is still in the project's network when the database goes.
    let network = berth.get("/v1/projects/default")["project"]["network_name"].clone();
    let application = Application::join(&docker, network.as_str().unwrap());
    let (status, answer) = berth.call("DELETE", &path(&id), None);
    assert_eq!(status, 200, "{answer}");
    until("everything is gone", || match berth.containers(None) {
        none if none.is_empty() => Ok(()),
        some => Err(format!("{some:?}")),
    });
    let network_is_there = || docker.look(&application.network, "{{.Name}}").is_some();
    assert!(network_is_there(), "taken away from under an application");
    application.leave();
    berth.kill();
    berth.resume();
    until("the network is gone", || match network_is_there() {
        false => Ok(()),
        true => Err("it is there".to_owned()),
    });
}

/// A container of somebody else in a project's network.
struct Application<'a> {
    docker: &'a Docker,
    id: String,
    network: String,
}

impl<'a> Application<'a> {
    fn join(docker: &'a Docker, network: &str) -> Self {
        let run = ["run", "-d", "--network", network, "berth/postgresql:17"];
        let id = docker.run(&[run.as_slice(), &["sleep", "600"]].concat());
        let network = network.to_owned();
        Self {
            docker,
            id,
            network,
        }
    }

    fn leave(&self) {
        self.docker.run(&["rm", "-f", &self.id]);
    }
}

impl Drop for Application<'_> {
    fn drop(&mut self) {
        // It is gone already where all went well.
        let _ = self.docker.try_run(&["rm", "-f", &self.id]);
    }
}

/// Removes the directories that containers have mounted, as a cleaner of `/run` might.
fn lose_mounted(berth: &TestBerth) {
    let directories = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir()).collect()
    };
    for instance in directories(&berth.run_directory()) {
        for mounted in directories(&instance) {
            std::fs::remove_dir_all(mounted).unwrap();
        }
    }
}

fn path(id: &str) -> String {
    format!("/v1/databases/{id}")
}

/// The one engine container.
fn engine(berth: &TestBerth) -> String {
    let found = berth.containers(Some("engine"));
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

/// All that a reboot leaves: nothing runs, and memory is empty.
fn reboot(berth: &mut TestBerth, docker: &Docker) {
    berth.kill();
    for container in berth.containers(None) {
        docker.run(&["stop", "-t", "20", &container]);
    }
    let volatile = berth.run_directory();
    // That of the env files is mounted below it.
    let output = Command::new("umount").arg("-R").arg(&volatile).output();
    assert!(output.unwrap().status.success());
    std::fs::remove_dir_all(&volatile).unwrap();
    berth.resume();
}

/// Runs statements in an engine that only its own host reaches.
fn within(engine: &Docker, network: &str, login: &Json, statements: &str) -> String {
    let text = |name: &str| login[name].as_str().unwrap();
    let target = format!(
        "host={} user={} dbname={} connect_timeout=10",
        text("pooler_host"),
        text("username"),
        text("database")
    );
    let run = ["run", "--rm", "--network", network, "--env", "PGPASSWORD"];
    let psql = [
        "berth/postgresql:17",
        "psql",
        "-XAtq",
        &target,
        "-c",
        statements,
    ];
    let mut command = engine.command(&[run.as_slice(), psql.as_slice()].concat());
    let output = command
        .env("PGPASSWORD", text("password"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{statements}: {told}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn an_engine_that_is_silent_or_stops_in_the_middle_is_waited_for() {
    if !Runtime::Docker.is_there() {
        return;
    }
    let Some(mut engine) = Engine::start(&["berth/postgresql:17", "berth/pgbouncer:1"]) else {
        return;
    };
    let Some(mut berth) = TestBerth::start_with(Runtime::Docker, engine.docker(), &[]) else {
        return;
    };
    let first = provision(&berth, "orders", &json!({}));
    let network = berth.get("/v1/projects/default")["project"]["network_name"].clone();
    let network = network.as_str().unwrap();
    let login = berth.get(&format!("{}/credentials?network=project", path(&first)));
    let table = "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('first')";
    within(&engine.docker(), network, &login, table);

    // The engine takes requests and answers none: a berthd that starts then answers, takes
    // orders, and does not take silence for failure, neither of what runs nor of what is made.
    engine.freeze();
    berth.kill();
    berth.resume();
    order(&berth, "third");
    until_silence_is_told(&berth, &first, "running");
    until_silence_is_told(&berth, "third", "provisioning");
    engine.thaw();
    until_ready(&berth, &first);

    // A second one is under way when the engine stops.
    let second = order(&berth, "second");
    until("something of the second is there", || {
        let template = "{{.Name}}";
        let docker = engine.docker();
        let name = |id: &String| docker.look(id, template);
        let names: Vec<_> = berth.containers(None).iter().filter_map(name).collect();
        match names.iter().any(|name| name.ends_with("second")) {
            true => Ok(()),
            false => Err(format!("{names:?}")),
        }
    });
    engine.stop();

    // Nobody can be asked: the last status stands, and that it may be old is told.
    until_silence_is_told(&berth, &first, "running");
    let database = &berth.get(&path(&second))["database"];
    assert_ne!(database["status"], "error", "{database}");
    // Orders are taken down; they are carried out when there is somebody to ask.
    order(&berth, "fourth");

    engine.resume();
    for id in [first.as_str(), &second, "third", "fourth"] {
        let database = until_settled(&berth, id, "running");
        until_ready(&berth, database["id"].as_str().unwrap());
    }
    assert_eq!(berth.containers(Some("engine")).len(), 4);
    assert_eq!(berth.containers(Some("pooler")).len(), 4);
    assert_eq!(within(&engine.docker(), network, &login, ROWS), "1");
}

/// Waits until it is told that nobody can be asked; the status stands meanwhile.
fn until_silence_is_told(berth: &TestBerth, name: &str, status: &str) {
    until("Ready is Unknown", || {
        let database = &berth.get(&path(name))["database"];
        assert_eq!(database["status"], status, "{database}");
        match condition(database, "Ready") {
            Some(ready) if ready["status"] == "Unknown" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

fn until_ready(berth: &TestBerth, id: &str) {
    until("Ready is True", || {
        let database = &berth.get(&path(id))["database"];
        match condition(database, "Ready") {
            Some(ready) if ready["status"] == "True" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

fn condition<'a>(database: &'a Json, kind: &str) -> Option<&'a Json> {
    let conditions = database["conditions"].as_array().unwrap();
    conditions.iter().find(|found| found["type"] == kind)
}
