//! `kill -9` of a writer loses nothing that was answered.

use crate::bench::{Bench, on_both, open};
use crate::samples::{event, project};
use berth_domain::{Name, ProjectId, Slug};
use berth_store::{EventFilter, Reach};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Tells the child, which is this program again, what to write to.
const STORE_URL: &str = "BERTH_STORE_TEST_URL";
/// The child is killed once it has announced so many commits.
const COMMITS_MIN: usize = 40;
const KILLS: usize = 3;

/// Commits a project and its event, says so, and goes on until it is killed. Does nothing in an
/// ordinary run.
#[tokio::test]
async fn writes_until_it_is_killed() {
    let Ok(url) = std::env::var(STORE_URL) else {
        return;
    };
    let store = open(&url).await.unwrap();
    let start = store.last_event().await.unwrap();
    for number in start + 1.. {
        let mut tx = store.begin().await.unwrap();
        let mut row = project("template");
        row.id = ProjectId::parse(&format!("proj_{number}")).unwrap();
        row.name = Name::parse(&format!("project-{number}")).unwrap();
        row.slug = Slug::of(&row.name);
        tx.insert_project(&row).await.unwrap();
        let mut about = event("project.created");
        about.project_id = Some(row.id);
        assert_eq!(tx.append_event(&about).await.unwrap(), number);
        tx.commit().await.unwrap();
        // Past the test harness, which would keep it to itself.
        let mut out = std::io::stderr();
        writeln!(out, "committed {number}").unwrap();
        out.flush().unwrap();
    }
}

/// Starts the writer, kills it in the middle, and tells the last commit that it announced.
fn killed_writer(url: &str) -> i64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::writes_until_it_is_killed", "--nocapture"])
        .env(STORE_URL, url)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let announced = |line: std::io::Result<String>| {
        line.unwrap()
            .strip_prefix("committed ")
            .map(|n| n.parse::<i64>().unwrap())
    };
    let before: Vec<i64> = lines
        .by_ref()
        .filter_map(announced)
        .take(COMMITS_MIN)
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(before.len(), COMMITS_MIN, "the writer ended by itself");
    // What it said between the last line read and its end.
    lines
        .filter_map(announced)
        .last()
        .unwrap_or(before[COMMITS_MIN - 1])
}

on_both! {
    async fn no_committed_transaction_is_lost(bench) {
        bench.store.close().await;
        for _ in 0..KILLS {
            let announced = killed_writer(&bench.url);
            let store = open(&bench.url).await.unwrap();
            let last = store.last_event().await.unwrap();
            // The one that was under way may have been committed before it could be announced.
            assert!(last == announced || last == announced + 1, "{last} {announced}");
            // Row, event and version were one transaction each time.
            let mut tx = store.begin().await.unwrap();
            assert_eq!(tx.version().await.unwrap(), last);
            let events = tx.events_after(0, &EventFilter::default(), 100_000).await.unwrap();
            let rows = tx.projects_page(&Reach::ALL, None, 100_000).await.unwrap();
            tx.rollback().await.unwrap();
            let sequence: Vec<i64> = events.rows.iter().map(|e| e.sequence).collect();
            assert_eq!(sequence, (1..=last).collect::<Vec<_>>());
            let mut written: Vec<i64> = rows
                .rows
                .iter()
                .map(|row| row.id.as_str()["proj_".len()..].parse().unwrap())
                .collect();
            written.sort_unstable();
            assert_eq!(written, sequence);
            store.close().await;
        }
    }
}

#[tokio::test]
async fn a_file_whose_writer_was_killed_passes_its_own_check() {
    let bench = Bench::sqlite().await;
    bench.store.close().await;
    killed_writer(&bench.url);
    let store = open(&bench.url).await.unwrap();
    store.close().await;
    // `integrity_check` answers with one row, "ok", when nothing is wrong.
    let wrong = bench
        .tamper("DELETE FROM projects WHERE 'ok' <> (SELECT * FROM pragma_integrity_check)")
        .await;
    assert_eq!(wrong, 0);
    let store = open(&bench.url).await.unwrap();
    assert!(store.last_event().await.unwrap() >= COMMITS_MIN as i64);
}
