//! A database that outgrows what was ordered: it can be read and not written, until there is
//! room or more was ordered.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::Login;
use crate::harness::{Runtime, TestBerth, until, until_settled};

const WRITE: &str = "INSERT INTO kept VALUES ('more')";
const GIGABYTE: u64 = 1 << 30;

/// Makes the database's own folder larger, without writing anything: a file with a hole in it
/// counts as the engine counts.
fn grow(berth: &TestBerth, login: &Login, bytes: u64) -> PathBuf {
    let number = "SELECT oid::text FROM pg_database WHERE datname = current_database()";
    let number = login.query(number).unwrap().remove(0);
    let instances = std::fs::read_dir(berth.data_root().join("instances")).unwrap();
    let instance = instances.map(|entry| entry.unwrap().path()).next().unwrap();
    let file = instance.join("data/base").join(number).join("padding");
    File::create(&file).unwrap().set_len(bytes).unwrap();
    file
}

fn pressure(berth: &TestBerth, path: &str) -> Option<Json> {
    let database = &berth.get(path)["database"];
    let conditions = database["conditions"].as_array().unwrap().iter();
    let mut found = conditions.filter(|found| found["type"] == "DiskPressure");
    found.next().cloned()
}

/// Starts berthd anew, which measures at once and not within a minute.
fn measure(berth: &mut TestBerth) {
    berth.stop();
    berth.resume();
}

#[track_caller]
fn until_refused(login: &Login) {
    until("writes are refused", || match login.query(WRITE) {
        Ok(_) => Err("one was taken".to_owned()),
        Err(error) => match error.code() {
            Some(code) if code.code() == "25006" => Ok(()),
            _ => Err(error.to_string()),
        },
    });
}

#[track_caller]
fn until_taken(login: &Login) {
    until("writes are taken", || {
        login.query(WRITE).map_err(|error| error.to_string())
    });
}

#[test]
fn a_full_database_is_read_until_there_is_room() {
    let Some(mut berth) = TestBerth::start(Runtime::Docker) else {
        return;
    };
    let wish = json!({
        "name": "orders",
        "engine": "postgresql",
        "expose": true,
        "storage_gb": 1,
        "recovery_window_days": 0,
    });
    let (status, answer) = berth.call("POST", "/v1/databases", Some(&wish));
    assert_eq!(status, 201, "{answer}");
    let id = answer["database"]["id"].as_str().unwrap();
    let path = format!("/v1/databases/{id}");
    until_settled(&berth, id, "running");
    let login = Login::of(&berth, id);
    login.query("CREATE TABLE kept (word text)").unwrap();
    assert_eq!(pressure(&berth, &path), None);

    let padding = grow(&berth, &login, GIGABYTE * 85 / 100);
    measure(&mut berth);
    until("it is told that it fills up", || {
        pressure(&berth, &path).ok_or_else(|| "no pressure".to_owned())
    });
    until_taken(&login);

    resize(&padding, GIGABYTE);
    measure(&mut berth);
    until_refused(&login);
    let told = pressure(&berth, &path).unwrap();
    assert_eq!(told["reason"], "StorageFull", "{told}");
    let seen = &berth.get(&path)["database"];
    assert_eq!(seen["status"], "running", "it can be read: {seen}");
    login.query_patiently("SELECT count(*) FROM kept");

    // More is ordered, and then more is used.
    let (status, answer) = berth.call("PATCH", &path, Some(&json!({"storage_gb": 2})));
    assert_eq!(status, 200, "{answer}");
    until_settled(&berth, id, "running");
    until_taken(&login);
    resize(&padding, GIGABYTE * 2);
    measure(&mut berth);
    until_refused(&login);
    std::fs::remove_file(&padding).unwrap();
    measure(&mut berth);
    until_taken(&login);
    until("nothing presses any more", || {
        match pressure(&berth, &path) {
            None => Ok(()),
            Some(told) => Err(told.to_string()),
        }
    });
}

fn resize(file: &Path, bytes: u64) {
    let file = File::options().write(true).open(file).unwrap();
    file.set_len(bytes).unwrap();
}
