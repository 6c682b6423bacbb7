//! Waiting for what comes in its own time, with a bound and the last reason why it did not.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::TestBerth;

/// How long anything may take that a story waits for, beside all the others that run.
const WAIT_SECONDS_MAX: u64 = 180;
/// Milliseconds between two looks.
const LOOK_MILLIS: u64 = 50;

/// Asks until there is an answer; the last reason why not goes into the panic.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let patience = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) if Instant::now() > patience => panic!("{what}: {last}"),
            Err(_) => std::thread::sleep(Duration::from_millis(LOOK_MILLIS)),
        }
    }
}

/// Waits until the database has that status and its operation is over; the database.
#[track_caller]
pub fn until_settled(berth: &TestBerth, database: &str, status: &str) -> Json {
    until(&format!("{database} is {status}"), || {
        let found = berth.get(&format!("/v1/databases/{database}"))["database"].clone();
        let operation = found["operation_id"].as_str().unwrap_or_default();
        let operation = berth.get(&format!("/v1/operations/{operation}"));
        if found["status"] == status && operation["state"] == "succeeded" {
            Ok(found)
        } else {
            Err(format!("{found}\n{operation}"))
        }
    })
}
