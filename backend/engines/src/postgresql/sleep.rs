//! What is said to PgBouncer and PostgreSQL so that an engine sleeps unnoticed.

use crate::PoolerActivity;
use berth_domain::Statement;
use std::collections::BTreeMap;

/// The pooler's own administration, which is no client.
const ADMINISTRATION: &str = "pgbouncer";
/// The columns of `SHOW POOLS` that are read. The first four stand there since there are
/// pools, the fifth since version 1.18.
const DATABASE: usize = 0;
const USER: usize = 1;
const CLIENTS_ACTIVE: usize = 2;
const CLIENTS_WAITING: usize = 3;
const SERVERS_ACTIVE: usize = 6;

pub(super) fn ask_paused() -> Statement {
    Statement::new("tell whether it holds its clients", "SHOW STATE")
}

/// Rows are `active`, `paused`, `suspended`, each with `yes` or `no`.
pub(super) fn is_paused(answer: &[Vec<Option<String>>]) -> bool {
    answer.iter().any(|row| {
        let mut words = row.iter().flatten().map(String::as_str);
        words.next() == Some("paused") && words.next() == Some("yes")
    })
}

pub(super) fn pause() -> Statement {
    Statement::new("hold its clients", "PAUSE")
}

pub(super) fn resume() -> Statement {
    Statement::new("let its clients through", "RESUME")
}

pub(super) fn ask_activity() -> Vec<Statement> {
    vec![
        Statement::new("tell its pools", "SHOW POOLS"),
        Statement::new("tell what passed through it", "SHOW STATS_TOTALS"),
    ]
}

/// Reads pools, and totals where they were asked for.
pub(super) fn activity(answers: &[Vec<Vec<Option<String>>>]) -> PoolerActivity {
    let mut found = PoolerActivity::default();
    let mut all_clients = 0;
    let text = |row: &[Option<String>], column: usize| {
        row.get(column).cloned().flatten().unwrap_or_default()
    };
    let number = |row: &[Option<String>], column| text(row, column).parse::<u64>().unwrap_or(0);
    let rows = |answer: usize| {
        let rows = answers.get(answer).into_iter().flatten();
        rows.filter(move |row| text(row, DATABASE) != ADMINISTRATION)
    };
    for row in rows(0) {
        found.waiting += number(row, CLIENTS_WAITING);
        found.busy += number(row, SERVERS_ACTIVE);
        let key = format!("pool {} {}", text(row, DATABASE), text(row, USER));
        let clients = number(row, CLIENTS_ACTIVE) + number(row, CLIENTS_WAITING);
        all_clients += clients;
        found.trace.insert(key, vec![clients.to_string()]);
    }
    for row in rows(1) {
        let totals = row.iter().map(|cell| cell.clone().unwrap_or_default());
        let key = format!("totals {}", text(row, DATABASE));
        found.trace.insert(key, totals.collect());
    }
    // A pool without clients says no more than one that is not there.
    found.trace = std::mem::take(&mut found.trace)
        .into_iter()
        .filter(|(_, values)| values.iter().any(|v| v != "0"))
        .collect::<BTreeMap<_, _>>();
    // Always there, so that the last client who goes is seen, too.
    let clients = ("clients".to_owned(), vec![all_clients.to_string()]);
    found.trace.extend([clients]);
    found
}

/// Clients past the pooler come by network, the pooler itself by socket.
pub(super) fn ask_blockers() -> Statement {
    Statement::new(
        "tell what must not be interrupted",
        "SELECT (SELECT count(*) FROM pg_stat_activity \
          WHERE backend_type = 'client backend' AND client_addr IS NOT NULL) \
         + (SELECT count(*) FROM pg_prepared_xacts) \
         + (SELECT count(*) FROM pg_replication_slots WHERE active) \
         + (SELECT count(*) FROM pg_stat_replication)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: &[&str]) -> Vec<Vec<Option<String>>> {
        let cells = |row: &&str| row.split(' ').map(|cell| Some(cell.to_owned())).collect();
        table.iter().map(cells).collect()
    }

    #[test]
    fn a_paused_pooler_says_so() {
        assert!(is_paused(&rows(&[
            "active no",
            "paused yes",
            "suspended no"
        ])));
        assert!(!is_paused(&rows(&[
            "active yes",
            "paused no",
            "suspended no"
        ])));
        assert!(!is_paused(&[]));
    }

    #[test]
    fn who_administers_the_pooler_is_no_client() {
        let found = activity(&[
            rows(&[
                "orders app_orders 3 2 0 0 1 0 0",
                "pgbouncer pgbouncer 1 0 0 0 0 0 0",
            ]),
            rows(&["orders 17 9", "pgbouncer 99 99"]),
        ]);
        assert_eq!((found.waiting, found.busy), (2, 1));
        assert!(found.trace.keys().all(|key| !key.contains("pgbouncer")));
    }

    #[test]
    fn what_the_pooler_forgets_is_no_use_of_it() {
        let before = activity(&[rows(&["orders app 0 0 0 0 0"]), rows(&["orders 17 9"])]);
        // Its servers were closed, then the database itself was forgotten with its totals.
        let forgotten = activity(&[rows(&[]), rows(&[])]);
        assert!(!forgotten.is_used_since(&before));
        let comes_back = activity(&[rows(&["orders app 0 0 0 0 0"]), rows(&["orders 1 1"])]);
        assert!(comes_back.is_used_since(&forgotten));
    }

    #[test]
    fn the_last_client_that_goes_is_seen() {
        let before = activity(&[rows(&["orders app 1 0 0 0 0"]), rows(&["orders 17 9"])]);
        let gone = activity(&[rows(&["orders app 0 0 0 0 0"]), rows(&["orders 17 9"])]);
        assert!(gone.is_used_since(&before));
        let forgotten = activity(&[rows(&[]), rows(&[])]);
        assert!(forgotten.is_used_since(&before), "and at once forgotten");
    }

    #[test]
    fn whatever_a_client_does_leaves_a_trace() {
        let quiet = || activity(&[rows(&["orders app 3 0 0 0 0"]), rows(&["orders 17 9"])]);
        assert!(!quiet().is_used_since(&quiet()));
        let one_more = activity(&[rows(&["orders app 4 0 0 0 0"]), rows(&["orders 17 9"])]);
        assert!(one_more.is_used_since(&quiet()));
        let asked = activity(&[rows(&["orders app 3 0 0 0 0"]), rows(&["orders 18 9"])]);
        assert!(asked.is_used_since(&quiet()));
        let long = activity(&[rows(&["orders app 3 0 0 0 1"]), rows(&["orders 17 9"])]);
        assert!(
            long.is_used_since(&long.clone()),
            "a long transaction goes on"
        );
    }
}
