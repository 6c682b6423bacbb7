//! What the API costs beside a handler that does nothing: a bare axum server in a process of its
//! own that answers constants of the same size, asked by the same client in the same run.
//!
//! On the fake runtime, with 10,000 databases in the store, which are ordered through the API;
//! one project is then filled up to a thousand of them in the store itself.
//! Needs `berthd` built in release mode, and python3.

#![expect(clippy::print_stdout, reason = "what was measured is what it says")]

mod bench_support;

use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bench_support::berthd::{Berthd, Place};
use bench_support::constants::{self, Constants};
use bench_support::plain::{Connection, Outcome, Target};
use bench_support::{Verdict, median, release_binary, resident_bytes};
use serde_json::{Value, json};

const DATABASES: u32 = 10_000;
/// A project's network has addresses for so many engines and poolers.
const DATABASES_A_PROJECT: u32 = 125;
/// Databases that are made after the first project's, over which memory is measured.
const GROWN_BY: u64 = (DATABASES - DATABASES_A_PROJECT) as u64;
/// Databases of the project whose snapshot is read.
const DATABASES_OF_ONE: usize = 1_000;
const CLIENTS: usize = 8;
/// Requests of one client in a round, of one object.
const REQUESTS: usize = 500;
const ROUNDS: usize = 7;
/// From one path to the next.
const STRIDE: usize = 7;
/// Requests in a round, of many objects.
const LARGE_REQUESTS: usize = 15;
/// How long berthd may take to make what was ordered.
const SETTLED_SECONDS_MAX: u64 = 1_200;

const RATE_MIN: f64 = 0.35;
const P99_MAX: f64 = 3.0;
const PAGE_MAX: f64 = 6.0;
const SNAPSHOT_MAX: f64 = 30.0;
const BYTES_A_DATABASE_MAX: u64 = 2 * 1024;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(constants::SERVE) {
        let folder = arguments.next().ok_or("the constants are in no folder")?;
        constants::serve(Path::new(&folder))?;
        return Ok(ExitCode::SUCCESS);
    }
    let program = release_binary("berthd")?;
    measured(&program).map_err(|error| error.to_string().into())
}

fn measured(program: &Path) -> Outcome<ExitCode> {
    let limits = [
        "--requests-per-second",
        "10000000",
        "--requests-burst",
        "100000000",
    ];
    let runtime = ["--runtime", "fake", "--overcommit", "100"];
    let options = [&runtime[..], &limits].concat();
    let berthd =
        Berthd::start_with(program, Place::Memory, &options).map_err(|error| error.to_string())?;
    let token = std::fs::read_to_string(berthd.token_file())?;
    let berth = Target {
        address: berthd.address().to_owned(),
        headers: format!("authorization: Bearer {}\r\n", token.trim()),
    };
    let filled = fill(&berthd, &berth)?;
    let mut verdict = Verdict::default();
    one_by_one(&berthd, &berth, &filled, &mut verdict)?;
    gather(&berthd, &filled.project)?;
    many_at_once(&berth, &filled.project, &mut verdict)?;
    Ok(verdict.end())
}

/// Requests for one database each, of all of them; and what berthd has in memory then.
fn one_by_one(
    berthd: &Berthd,
    berth: &Target,
    filled: &Filled,
    verdict: &mut Verdict,
) -> Outcome<()> {
    let one = filled.all.first().ok_or("there are no databases")?;
    let constants = constants_of(berth, &[("one", one)])?;
    let constant = ["/one".to_owned()];
    compared(&constants.target, &constant, berth, &filled.all, 3)?.say("of all, at first");
    let of_all = compared(&constants.target, &constant, berth, &filled.all, ROUNDS)?;
    of_all.say("of all, again and again");
    verdict.ratio(
        "the bare handler's rate over a GET by id's",
        1.0 / of_all.rate,
        1.0,
        1.0 / RATE_MIN,
    );
    verdict.ratio("p99 of a GET by id", of_all.p99, 1.0, P99_MAX);
    // With what is kept of each for those who read it.
    let grown = resident_bytes(berthd.pid())?.saturating_sub(filled.bytes_before);
    let limits = 1..=BYTES_A_DATABASE_MAX;
    verdict.count("bytes a database", grown / GROWN_BY, limits);
    Ok(())
}

/// Requests for a page, and for all of a large project.
fn many_at_once(berth: &Target, project: &str, verdict: &mut Verdict) -> Outcome<()> {
    let page = "/v1/databases?page_size=100";
    let snapshot = snapshot_of(project);
    assert_whole(&berth.connect()?.get(&snapshot)?)?;
    let constants = constants_of(berth, &[("page", page), ("snapshot", &snapshot)])?;
    for (name, path, limit) in [
        ("page", page, PAGE_MAX),
        ("snapshot", &snapshot, SNAPSHOT_MAX),
    ] {
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let bare = alone(&constants.target, &format!("/{name}"))?;
            ratios.push(alone(berth, path)? / bare);
        }
        verdict.ratio(name, median(ratios), 1.0, limit);
    }
    Ok(())
}

/// A server of what berthd answers to those paths now, under those names.
fn constants_of(berth: &Target, objects: &[(&str, &str)]) -> Outcome<Constants> {
    let folder = tempfile::tempdir()?;
    for (name, path) in objects {
        let body = berth.connect()?.get(path)?;
        println!("{name}: {} bytes", body.len());
        std::fs::write(folder.path().join(name), body)?;
    }
    Constants::start(&folder)
}

// --- what is asked --------------------------------------------------------------------

/// What several clients at once came to.
struct Crowd {
    rate: f64,
    p99_millis: f64,
}

/// What a GET by id costs beside the constant, each figure the median of all rounds.
struct Compared {
    rate: f64,
    p99: f64,
    rounds: Vec<(Crowd, Crowd)>,
}

impl Compared {
    fn say(&self, of_which: &str) {
        let figure = |of: fn(&(Crowd, Crowd)) -> f64| median(self.rounds.iter().map(of).collect());
        println!(
            "GET by id {of_which}: {:.0} a second of {:.0} ({:.2}); p99 {:.2} ms of {:.2} ms ({:.2})",
            figure(|(_, own)| own.rate),
            figure(|(bare, _)| bare.rate),
            self.rate,
            figure(|(_, own)| own.p99_millis),
            figure(|(bare, _)| bare.p99_millis),
            self.p99,
        );
    }
}

fn compared(
    bare: &Target,
    constant: &[String],
    berth: &Target,
    paths: &[String],
    rounds_count: usize,
) -> Outcome<Compared> {
    let mut rounds = Vec::new();
    for round in 0..rounds_count {
        rounds.push((crowd(bare, constant, round)?, crowd(berth, paths, round)?));
    }
    let ratio = |of: fn(&(Crowd, Crowd)) -> f64| median(rounds.iter().map(of).collect());
    Ok(Compared {
        rate: ratio(|(bare, own)| own.rate / bare.rate),
        p99: ratio(|(bare, own)| own.p99_millis / bare.p99_millis),
        rounds,
    })
}

/// Several clients, each of which asks for the paths one after another, from another place on;
/// a round begins where the one before it ended.
fn crowd(target: &Target, paths: &[String], round: usize) -> Outcome<Crowd> {
    let mut connections = Vec::new();
    for _ in 0..CLIENTS {
        let mut connection = target.connect()?;
        connection.get(&paths[0])?;
        connections.push(connection);
    }
    let paths: Arc<[String]> = paths.into();
    let begun = Instant::now();
    let clients: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(client, mut connection)| {
            let paths = Arc::clone(&paths);
            thread::spawn(move || -> Outcome<Vec<f64>> {
                let mut millis = Vec::with_capacity(REQUESTS);
                let first = client * paths.len() / CLIENTS + round * REQUESTS * STRIDE;
                // A stride without a factor in common with their number meets all of them.
                for number in 0..REQUESTS {
                    let path = &paths[(first + number * STRIDE) % paths.len()];
                    let begun = Instant::now();
                    connection.get(path)?;
                    millis.push(begun.elapsed().as_secs_f64() * 1000.0);
                }
                Ok(millis)
            })
        })
        .collect();
    let mut millis = Vec::new();
    for client in clients {
        millis.extend(client.join().map_err(|_| "a client ended in a panic")??);
    }
    let taken = begun.elapsed().as_secs_f64();
    millis.sort_by(f64::total_cmp);
    Ok(Crowd {
        rate: millis.len() as f64 / taken,
        p99_millis: millis[millis.len() * 99 / 100],
    })
}

/// The median time of one client that asks for much.
fn alone(target: &Target, path: &str) -> Outcome<f64> {
    let mut connection = target.connect()?;
    connection.get(path)?;
    let mut seconds = Vec::new();
    for _ in 0..LARGE_REQUESTS {
        let begun = Instant::now();
        connection.get(path)?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    Ok(median(seconds))
}

// --- what there is --------------------------------------------------------------------

struct Filled {
    project: String,
    /// The paths of all databases.
    all: Vec<String>,
    /// What berthd had in memory with the first project's databases.
    bytes_before: u64,
}

fn snapshot_of(project: &str) -> String {
    format!("/v1/snapshot?kind=database&project_id={project}")
}

/// Orders everything through the API and waits until it is there.
fn fill(berthd: &Berthd, berth: &Target) -> Outcome<Filled> {
    let mut connection = berth.connect()?;
    let mut projects = Vec::new();
    for number in 0..DATABASES.div_ceil(DATABASES_A_PROJECT) {
        let body = json!({"name": format!("bench-{number}")}).to_string();
        let made: Value =
            serde_json::from_slice(&connection.ask("POST", "/v1/projects", &body)?)?;
        projects.push(text(&made["project"]["id"])?);
    }
    // What the first ones bring with them, such as caches and the program's own pages, is no
    // growth; they are read like all the others later.
    let projects: Arc<[String]> = projects.into();
    order(berth, &projects, 0..DATABASES_A_PROJECT)?;
    let first = paths(&mut berth.connect()?)?;
    for round in 0..ROUNDS {
        crowd(berth, &first, round)?;
    }
    berth.connect()?.get(&snapshot_of(&projects[0]))?;
    let before = resident_bytes(berthd.pid())?;
    let begun = Instant::now();
    order(berth, &projects, DATABASES_A_PROJECT..DATABASES)?;
    println!("made after {:.0} s", begun.elapsed().as_secs_f64());
    let grown = resident_bytes(berthd.pid())?.saturating_sub(before);
    println!("{} bytes a database before any is read", grown / GROWN_BY);
    let all = paths(&mut berth.connect()?)?;
    Ok(Filled {
        project: projects[0].clone(),
        all,
        bytes_before: before,
    })
}

/// Orders the databases of those numbers, of several clients at once, and waits until they are
/// made.
fn order(berth: &Target, projects: &Arc<[String]>, numbers: Range<u32>) -> Outcome<()> {
    let next = Arc::new(AtomicU32::new(numbers.start));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (next, projects, berth) = (Arc::clone(&next), Arc::clone(projects), berth.clone());
            thread::spawn(move || order_until(&berth, &next, numbers.end, &projects))
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| "a client ended in a panic")??;
    }
    settled(berth)
}

/// The paths of all databases.
fn paths(connection: &mut Connection) -> Outcome<Vec<String>> {
    let mut paths = Vec::new();
    let mut next = String::new();
    loop {
        let asked = format!("/v1/databases?page_size=100{next}");
        let page: Value = serde_json::from_slice(&connection.get(&asked)?)?;
        for database in page["databases"].as_array().into_iter().flatten() {
            paths.push(format!("/v1/databases/{}", text(&database["id"])?));
        }
        match &page["next_page_token"] {
            Value::Null => return Ok(paths),
            token => next = format!("&page_token={}", text(token)?),
        }
    }
}

/// Fails unless a snapshot has all rows of the project that was filled up, and no other.
fn assert_whole(snapshot: &[u8]) -> Outcome<()> {
    let answer: Value = serde_json::from_slice(snapshot)?;
    let rows = answer["databases"].as_array().map_or(0, Vec::len);
    if rows == DATABASES_OF_ONE && answer["next_page_token"].is_null() {
        return Ok(());
    }
    Err(
        format!("the snapshot has {rows} databases in its first page, not {DATABASES_OF_ONE}")
            .into(),
    )
}

/// Fills one project up with databases of others, past the API: no network has room for as many,
/// and what is measured is how their rows are read.
fn gather(berthd: &Berthd, project: &str) -> Outcome<()> {
    let script = format!(
        "import sqlite3, sys\n\
         store = sqlite3.connect(sys.argv[1], timeout=30)\n\
         store.execute('UPDATE databases SET project_id = ?1 WHERE id IN (SELECT id FROM databases \
         WHERE project_id != ?1 ORDER BY id LIMIT {DATABASES_OF_ONE} - \
         (SELECT COUNT(*) FROM databases WHERE project_id = ?1))', (sys.argv[2],))\n\
         store.commit()\n"
    );
    let done = Command::new("python3")
        .args(["-c", &script])
        .arg(berthd.data_root().join("berth.sqlite"))
        .arg(project)
        .status()?;
    if done.success() {
        return Ok(());
    }
    Err(format!("moving databases into one project ended with {done}").into())
}

fn order_until(berth: &Target, next: &AtomicU32, end: u32, projects: &[String]) -> Outcome<()> {
    let mut connection = berth.connect()?;
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= end {
            return Ok(());
        }
        let project = &projects[(number / DATABASES_A_PROJECT) as usize];
        let body = json!({"name": format!("db-{number}"), "engine": "postgresql",
            "project_id": project, "desired_status": "running"});
        connection.ask("POST", "/v1/databases", &body.to_string())?;
    }
}

/// Waits until no operation is pending.
fn settled(berth: &Target) -> Outcome<()> {
    let patience = Instant::now() + Duration::from_secs(SETTLED_SECONDS_MAX);
    while Instant::now() < patience {
        let metrics = String::from_utf8(berth.connect()?.get("/metrics")?)?;
        let pending = metrics
            .lines()
            .find_map(|line| line.strip_prefix("berth_operations_pending "));
        if pending == Some("0") {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(500));
    }
    Err("what was ordered is not made".into())
}

fn text(value: &Value) -> Outcome<String> {
    let text = value
        .as_str()
        .ok_or("there is a text missing in an answer")?;
    Ok(text.to_owned())
}
