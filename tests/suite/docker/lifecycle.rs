//! A database's whole life, with rows in it: changed in place, destroyed, brought back, and kept
//! from those who may not lose it.

use std::process::Output;

use serde_json::{Value as Json, json};

use super::{Login, shop, stage};
use crate::harness::{Docker, Runtime, Stack, TestBerth, flat, until, until_settled};

const ADDRESS: &str = "berth_database.orders";
const ROWS: &str = "SELECT word FROM kept ORDER BY word";

/// Whether the server says that it is the wrong password, which is another thing than silence.
fn is_refused(login: &Login) -> bool {
    let error = login.query("SELECT 1").unwrap_err();
    let said = error.as_db_error().map(|error| error.message().to_owned());
    println!("{error}: {said:?}");
    said.is_some_and(|said| said.contains("authentication failed"))
}

/// Applies a change that has to be made in place, and gives the resource as it is then.
#[track_caller]
fn change(stack: &Stack, more: &str) -> Json {
    stack.write(&shop(more));
    let plan = stack.planned();
    let changes = plan["resource_changes"].as_array().unwrap();
    let database = changes.iter().find(|change| change["address"] == ADDRESS);
    assert_eq!(
        database.unwrap()["change"]["actions"],
        json!(["update"]),
        "{more}"
    );
    stack.apply().ok();
    stack.assert_settled();
    stack.resource(ADDRESS)
}

/// The limits of the engine's container: processor time and memory.
fn limits(berth: &TestBerth) -> String {
    let engines = berth.containers(Some("engine"));
    assert_eq!(engines.len(), 1, "{engines:?}");
    Docker::default().inspect(
        &engines[0],
        "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}}",
    )
}

fn told(output: &Output) -> String {
    let all = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8_lossy(&all).trim().to_owned()
}

/// What a command of berthd's printed, which must succeed.
#[track_caller]
fn cli(berth: &TestBerth, arguments: &[&str]) -> String {
    let output = berth.cli(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn entries(berth: &TestBerth, name: &str) -> usize {
    std::fs::read_dir(berth.data_root().join(name)).map_or(0, Iterator::count)
}

#[test]
fn rows_live_through_every_change_a_destruction_and_a_restart() {
    let Some((mut berth, stack)) = stage(&[]) else {
        return;
    };
    stack.write(&shop(""));
    stack.apply().ok();
    let created = stack.resource(ADDRESS);
    let id = created["id"].as_str().unwrap();
    let old = Login::of(&berth, id);
    let table = "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('a'), ('b')";
    old.query(table).unwrap();
    let rows = ["a", "b"];
    let path = format!("/v1/databases/{id}");
    let status = |berth: &TestBerth| berth.get(&path)["database"]["status"].clone();

    assert_eq!(limits(&berth), "1000000000 1073741824");
    let larger = "plan = \"db-s-2vcpu-4gb\"\n storage_gb = 30";
    change(&stack, larger);
    assert_eq!(limits(&berth), "2000000000 4294967296");
    assert_eq!(old.query(ROWS).unwrap(), rows, "after the resize");

    let stopped = change(&stack, &format!("{larger}\n desired_status = \"stopped\""));
    assert_eq!(stopped["id"], created["id"]);
    assert_eq!(status(&berth), "stopped");
    old.query("SELECT 1").unwrap_err();
    let unproven = format!("{larger}\n desired_status = \"stopped\"\n credential_version = 2");
    stack.write(&shop(&unproven));
    let plan = flat(&stack.plan().refused());
    assert!(plan.contains("cannot be raised while"), "{plan}");
    change(&stack, larger);
    assert_eq!(status(&berth), "running");
    assert_eq!(old.query(ROWS).unwrap(), rows, "after stop and start");

    // What is published is the engine itself then, under the same address.
    let direct = format!("{larger}\n pooler = {{ enabled = false }}");
    assert_eq!(change(&stack, &direct)["pooler_host"], Json::Null);
    assert_eq!(berth.containers(Some("pooler")), Vec::<String>::new());
    assert_eq!(old.query(ROWS).unwrap(), rows, "without a pooler");
    change(&stack, larger);
    assert_eq!(berth.containers(Some("pooler")).len(), 1);
    assert_eq!(old.query(ROWS).unwrap(), rows, "with a pooler again");

    let rotated = format!("{larger}\n credential_version = 2");
    change(&stack, &rotated);
    assert!(is_refused(&old), "the old password is refused at once");
    let new = Login::of(&berth, id);
    assert_eq!(new.query(ROWS).unwrap(), rows, "after the rotation");

    // Destroyed without the database's block; berthd is another process when it comes back.
    let project = shop("")
        .split("resource \"berth_database\"")
        .next()
        .unwrap()
        .to_owned();
    stack.write(&project);
    let told = flat(&stack.apply().ok());
    assert!(told.contains("orders will be destroyed"), "{told}");
    until("no container runs", || match berth.containers(None) {
        none if none.is_empty() => Ok(()),
        some => Err(format!("{some:?}")),
    });
    assert_eq!(entries(&berth, "trash"), 1);
    assert!(cli(&berth, &["trash", "list"]).contains(id));
    new.query("SELECT 1").unwrap_err();
    berth.stop();
    berth.resume();
    let returning = format!("{rotated}\n restore_from = {{ deleted_database_id = {id:?} }}");
    stack.write(&shop(&returning));
    stack.apply().ok();
    stack.assert_settled();
    let returned = stack.resource(ADDRESS);
    for same in [
        "id",
        "slug",
        "host",
        "username",
        "database_name",
        "public_port",
    ] {
        assert_eq!(returned[same], created[same], "{same}");
    }
    assert_eq!(new.query(ROWS).unwrap(), rows, "with the URI from before");
    assert!(is_refused(&old));

    // Out of the trash by hand, and out of the world.
    assert_eq!(berth.call("DELETE", &path, None).0, 200);
    until_data(&berth, "trash", 1);
    cli(&berth, &["trash", "restore", id]);
    until_settled(&berth, id, "running");
    assert_eq!(new.query(ROWS).unwrap(), rows, "restored by hand");
    assert_eq!(berth.call("DELETE", &path, None).0, 200);
    until_data(&berth, "trash", 1);
    let unsaid = berth.cli(&["trash", "purge", id]);
    assert!(!unsaid.status.success() && self::told(&unsaid).contains("--yes"));
    assert_eq!(entries(&berth, "trash"), 1);
    cli(&berth, &["trash", "purge", id, "--yes"]);
    until_data(&berth, "trash", 0);
    until("the trash is empty", || {
        match cli(&berth, &["trash", "list"]) {
            list if list.contains(id) => Err(list),
            _ => Ok(()),
        }
    });
    let gone = berth.cli(&["trash", "restore", id]);
    assert!(!gone.status.success(), "{}", self::told(&gone));

    // A window of no days: the data goes with the destruction.
    stack.write(&shop("recovery_window_days = 0"));
    stack.apply().ok();
    stack.destroy().ok();
    until_data(&berth, "instances", 0);
    until_data(&berth, "trash", 0);
    assert_eq!(berth.containers(Some("engine")), Vec::<String>::new());
}

/// Waits until that many directories are in the part of the data root of that name.
#[track_caller]
fn until_data(berth: &TestBerth, name: &str, count: usize) {
    until(&format!("{count} in {name}"), || {
        match entries(berth, name) {
            found if found == count => Ok(()),
            found => Err(format!("{found} are there")),
        }
    });
}

/// Makes a token by the command line: its id and its secret.
fn token(berth: &TestBerth, name: &str, preset: &str) -> (String, String) {
    let made = ["token", "create", "--name", name, "--for", preset];
    let secret = cli(berth, &made);
    let list = cli(berth, &["token", "list"]);
    assert!(!list.contains(&secret), "a list shows no secrets");
    let line = list.lines().find(|line| line.contains(name)).unwrap();
    (line.split_whitespace().next().unwrap().to_owned(), secret)
}

#[test]
fn whoever_has_the_pipelines_token_loses_nothing() {
    let Some(berth) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    let Some(stack) = Stack::new(&berth) else {
        return;
    };
    let (pipeline_id, pipeline) = token(&berth, "pipeline", "apply");
    let stack = stack.with_token(&pipeline);
    let protected = |more: &str| {
        format!(
            "resource \"berth_database\" \"orders\" {{\n name = \"orders\"\n engine = \"postgresql\"\n {more}\n}}"
        )
    };
    stack.write(&protected(""));
    stack.apply().ok();
    stack.assert_settled();
    let id = stack.resource(ADDRESS)["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/databases/{id}");
    let refused = |method: &str, path: &str, body: Option<Json>| {
        let (status, answer) = berth.call_as(&pipeline, method, path, body.as_ref());
        assert!((400..500).contains(&status), "{method} {path}: {answer}");
        answer.to_string()
    };

    // A protected database is refused at plan; lifting that is not the pipeline's right.
    let plan = stack.run(&["plan", "-destroy", "-no-color"]).refused();
    assert!(flat(&plan).contains("deletion_protection"), "{plan}");
    assert!(refused("DELETE", &path, None).contains("protected"));
    for more in ["deletion_protection = false", "recovery_window_days = 0"] {
        stack.write(&protected(more));
        let plan = flat(&stack.apply().refused());
        assert!(plan.contains("unprotect"), "{more}: {plan}");
        let (name, value) = more.split_once(" = ").unwrap();
        let value: Json = serde_json::from_str(value).unwrap();
        let answer = refused("PATCH", &path, Some(json!({ name: value })));
        assert!(answer.contains("unprotect"), "{answer}");
    }

    // What it may destroy stays recoverable for a day, whatever the attributes say.
    let open = json!({"deletion_protection": false, "recovery_window_days": 0});
    let (status, answer) = berth.call("PATCH", &path, Some(&open));
    assert_eq!(status, 200, "{answer}");
    stack.write("");
    stack.apply().ok();
    refused("DELETE", &format!("/v1/trash/{id}"), None);
    let destroyed = &berth.get(&path)["database"];
    assert_eq!(destroyed["status"], "destroyed");
    let day = |name: &str| destroyed[name].as_str().unwrap()[..10].to_owned();
    assert!(
        day("recoverable_until") > day("destroyed_at"),
        "{destroyed}"
    );
    cli(&berth, &["trash", "restore", &id]);
    until_settled(&berth, &id, "running");

    refused(
        "POST",
        "/v1/tokens",
        Some(json!({"name": "more", "preset": "admin"})),
    );
    cli(&berth, &["token", "revoke", &pipeline_id]);
    let (status, _) = berth.call_as(&pipeline, "GET", "/v1/databases", None);
    assert_eq!(status, 401, "a revoked token opens nothing");
    let list = cli(&berth, &["token", "list"]);
    let line = list
        .lines()
        .find(|line| line.contains(&pipeline_id))
        .unwrap();
    assert!(line.contains("revoked"), "{line}");
}
