//! What sleeps is there for whoever comes, and nobody notices but by the wait.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::{Login, shop, stage};
use crate::harness::{Docker, Stack, TestBerth, pooler_settings, until, until_settled};

const ADDRESS: &str = "berth_database.orders";
const ROWS: &str = "SELECT word FROM kept ORDER BY word";
/// What sleeps as soon as anything may, behind a pooler that goes by other rules than usual.
const IMPATIENT: &str = "sleep_after_minutes = 1
  pooler = { mode = \"session\", default_pool_size = 7, max_client_connections = 321 }";
const MINUTE: Duration = Duration::from_secs(60);
/// More than the moments between two looks for what nobody uses, in which a minute may begin.
const USED_AGAIN_AFTER: Duration = Duration::from_secs(20);

/// A database of which `more` is said, with rows in it, and its login.
fn kept(more: &str) -> Option<(TestBerth, Stack, String, Login)> {
    let (berth, stack) = stage(&[])?;
    stack.write(&shop(more));
    stack.apply().ok();
    let id = stack.resource(ADDRESS)["id"].as_str().unwrap().to_owned();
    let login = Login::of(&berth, &id);
    let table = "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('a'), ('b')";
    login.query(table).unwrap();
    Some((berth, stack, id, login))
}

fn database(berth: &TestBerth, id: &str) -> Json {
    berth.get(&format!("/v1/databases/{id}"))["database"].clone()
}

#[track_caller]
fn say(berth: &TestBerth, path: &str) {
    let (status, answer) = berth.call("POST", path, None);
    assert_eq!(status, 202, "{path}: {answer}");
}

/// Whether each container of a role runs.
fn run(berth: &TestBerth, role: &str) -> Vec<String> {
    let containers = berth.containers(Some(role));
    let state = |id: &String| Docker::default().inspect(id, "{{.State.Running}}");
    containers.iter().map(state).collect()
}

#[track_caller]
fn assert_asleep(berth: &TestBerth, id: &str) {
    let row = until_settled(berth, id, "stopped");
    assert_eq!(row["stop_reason"], "sleep", "{row}");
    assert_eq!(row["desired_status"], "running", "{row}");
    assert_eq!(run(berth, "engine"), ["false"]);
    assert_eq!(run(berth, "pooler"), ["true"]);
}

#[test]
fn a_client_wakes_what_sleeps_and_a_crash_of_berthd_loses_no_client() {
    let Some((mut berth, stack, id, login)) = kept("") else {
        return;
    };
    say(&berth, "/v1/projects/shop/sleep");
    assert_asleep(&berth, &id);
    // To Terraform it runs.
    stack.assert_settled();
    assert_asleep(&berth, &id);

    // The first client waits and is served; no error reaches it.
    assert_eq!(login.query(ROWS).unwrap(), ["a", "b"]);
    let row = until_settled(&berth, &id, "running");
    assert_eq!(row["stop_reason"], Json::Null);

    say(&berth, "/v1/projects/shop/sleep");
    assert_asleep(&berth, &id);
    say(&berth, "/v1/projects/shop/wake");
    until_settled(&berth, &id, "running");
    assert_eq!(login.query(ROWS).unwrap(), ["a", "b"], "after /wake");

    // A client comes while there is no berthd, and one more while the next one starts.
    say(&berth, "/v1/projects/shop/sleep");
    assert_asleep(&berth, &id);
    berth.kill();
    let early = std::thread::spawn(move || login.query(ROWS).map_err(|error| format!("{error:?}")));
    std::thread::sleep(Duration::from_millis(500));
    berth.resume();
    assert_eq!(early.join().unwrap().unwrap(), ["a", "b"]);
    until_settled(&berth, &id, "running");

    // A pooler that came up anew while its engine slept holds clients as well.
    say(&berth, "/v1/projects/shop/sleep");
    assert_asleep(&berth, &id);
    let pooler = berth.containers(Some("pooler"));
    Docker::default().run(&["restart", &pooler[0]]);
    let login = Login::of(&berth, &id);
    assert_eq!(login.query_patiently(ROWS), ["a", "b"]);
    until_settled(&berth, &id, "running");

    // What a user stopped is woken by nobody.
    let path = format!("/v1/databases/{id}");
    let (status, answer) = berth.call("PATCH", &path, Some(&json!({"desired_status": "stopped"})));
    assert_eq!(status, 200, "{answer}");
    let row = until_settled(&berth, &id, "stopped");
    assert_eq!(row["stop_reason"], "user");
    for verb in ["sleep", "wake"] {
        say(&berth, &format!("/v1/projects/shop/{verb}"));
        assert_eq!(database(&berth, &id)["stop_reason"], "user", "{verb}");
    }
    login.query("SELECT 1").unwrap_err();
}

#[test]
fn what_nobody_uses_for_a_minute_sleeps_by_itself() {
    let Some((berth, stack, id, login)) = kept(IMPATIENT) else {
        return;
    };
    // Before it waits, the pooler goes by what it was told.
    let settings = pooler_settings(&berth.containers(Some("pooler"))[0]).unwrap();
    for (name, value) in [
        ("pool_mode", "session"),
        ("default_pool_size", "7"),
        ("max_client_conn", "321"),
    ] {
        assert_eq!(settings[name], value, "{name}");
    }
    // The minute begins anew with each client: had it not with this one, the database would
    // sleep before a minute has passed from now on.
    std::thread::sleep(USED_AGAIN_AFTER);
    let used = Instant::now();
    login.query(ROWS).unwrap();
    until("it sleeps", || {
        let row = database(&berth, &id);
        match row["stop_reason"] == "sleep" && row["status"] == "stopped" {
            true => Ok(()),
            false => Err(row.to_string()),
        }
    });
    let awake = used.elapsed();
    assert!(awake >= MINUTE, "it slept {awake:?} after it was used");
    assert_asleep(&berth, &id);
    stack.assert_settled();
    assert_eq!(login.query(ROWS).unwrap(), ["a", "b"]);
}

#[test]
fn who_takes_too_long_is_cut_off_and_the_next_one_is_served() {
    let Some((berth, _stack, id, login)) = kept("") else {
        return;
    };
    let endless = Login::of(&berth, &id);
    let endless = std::thread::spawn(move || endless.query("SELECT pg_sleep(600)").is_err());
    until("it is under way", || {
        let busy =
            "SELECT count(*)::text FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'";
        let found = login.query(busy).map_err(|error| error.to_string())?;
        match found == ["1"] {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    });
    say(&berth, "/v1/projects/shop/sleep");
    assert_asleep(&berth, &id);
    assert!(endless.join().unwrap(), "it was answered");
    assert_eq!(login.query(ROWS).unwrap(), ["a", "b"]);
}
