//! What is asked for back, and has to be what it was.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::BACK_SECONDS_MAX;
use super::pipeline::Pipeline;

/// The floor, in seconds.
const FLOOR_SECONDS: i64 = 24 * 3600;

impl Pipeline<'_> {
    /// Asks for one back that is gone.
    fn bring_back(&mut self, id: &str, number: usize) {
        let (status, answer) = self.ask("GET", &format!("/v1/databases/{id}"), None);
        assert_eq!(status, 200, "{id} is lost: {answer}");
        let row = &answer["database"];
        assert_eq!(row["status"], "destroyed", "{row}");
        let (gone, until) = (&row["destroyed_at"], &row["recoverable_until"]);
        let kept = seconds(until) - seconds(gone);
        assert!(kept >= FLOOR_SECONDS, "{id} is kept for {kept} s: {row}");
        let path = format!("/v1/databases/{id}/undelete");
        let body = json!({"name": format!("back-{number}")});
        let (status, answer) = self.ask("POST", &path, Some(&body));
        assert!(status < 300, "{id} does not come back: {status} {answer}");
        assert_eq!(answer["database"]["id"], *id);
        self.expect_rotations(&answer);
    }

    /// Waits until all run again, and looks whether they are what they were.
    pub(super) fn expect_back(&mut self, ids: &[String], first: usize) {
        for (number, id) in ids.iter().enumerate() {
            self.bring_back(id, first + number);
        }
        let mut rows = Vec::new();
        for id in ids {
            let row = self.await_running(id);
            self.await_last_password(id);
            self.expect_mark(&row);
            rows.push(row);
        }
        for row in &rows {
            self.leave(row);
        }
    }

    pub(super) fn await_running(&mut self, id: &str) -> Json {
        let patience = Instant::now() + Duration::from_secs(BACK_SECONDS_MAX);
        loop {
            let (_, answer) = self.ask("GET", &format!("/v1/databases/{id}"), None);
            let row = &answer["database"];
            if row["status"] == "running" {
                return row.clone();
            }
            assert!(Instant::now() < patience, "{id} does not run: {row}");
            // Answered when it has ended.
            let operation = row["operation_id"].as_str().unwrap_or_default();
            self.ask("GET", &format!("/v1/operations/{operation}?wait=30"), None);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Makes room, as the administrator: what was seen back need not stay.
    fn leave(&self, row: &Json) {
        let path = format!("/v1/databases/{}", row["id"].as_str().unwrap());
        if row["deletion_protection"] == true {
            let free = json!({"deletion_protection": false});
            let (status, answer) = self.berth.call("PATCH", &path, Some(&free));
            assert_eq!(status, 200, "{answer}");
        }
        let (status, answer) = self.berth.call("DELETE", &path, None);
        assert!(status < 300, "{path}: {status} {answer}");
    }
}

/// The seconds of a time on the wire, counted from the first of March of the year 0.
fn seconds(time: &Json) -> i64 {
    let text = time.as_str().unwrap();
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let (mut year, mut month) = (number(0, 4), number(5, 7));
    if month <= 2 {
        (year, month) = (year - 1, month + 12);
    }
    let days = 365 * year + year / 4 - year / 100
        + year / 400
        + (153 * (month - 3) + 2) / 5
        + number(8, 10);
    ((days * 24 + number(11, 13)) * 60 + number(14, 16)) * 60 + number(17, 19)
}
