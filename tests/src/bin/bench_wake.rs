//! From a client's knock at the pooler of a sleeping PostgreSQL to its first row, against
//! `docker start` of the same engine's container to the first row from the engine itself.
//!
//! What is compared is what sleep costs beyond starting the process: noticing the client,
//! writing down who wants what, setting up and proving, letting the client through. While the
//! baseline is measured there is no berthd that could meddle; rounds alternate.

#![expect(clippy::print_stdout, reason = "what was measured is what it says")]

mod bench_support;

use bench_support::api::{Api, text};
use bench_support::berthd::{Berthd, Place};
use bench_support::{Verdict, median, release_binary};
use serde_json::{Value, json};
use std::error::Error;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;
/// How soon a start is looked at again; what an application would do.
const POLL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);
/// Wake to first row may take this much of what a bare start takes.
const WAKE_MAX: f64 = 1.5;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<ExitCode> {
    let program = release_binary("berthd")?;
    // The prefix is this run's own: containers are found by name here.
    let prefix = format!("bw{:x}", std::process::id() & 0xf_ffff);
    let options = ["--spares", "0", "--prefix", &prefix];
    let mut berthd = Berthd::start_with(&program, Place::EngineDisk, &options)?;
    let installation = std::fs::read_to_string(berthd.data_root().join("installation"))?;
    let _leftovers = Leftovers(format!("label=berth.installation={}", installation.trim()));
    let measured = measure(&mut berthd).await;
    // Before the containers, which it would make anew.
    drop(berthd);
    let (wake, start) = measured?;
    println!("wake to first row: {wake:.3?} s");
    println!("docker start to first row: {start:.3?} s");
    let mut verdict = Verdict::default();
    verdict.ratio("wake to first row", median(wake), median(start), WAKE_MAX);
    Ok(verdict.end())
}

async fn measure(berthd: &mut Berthd) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let api = Api::of(berthd)?;
    let order = json!({"name": "sleeper", "engine": "postgresql", "version": "17"});
    let database = api.order(&order).await?;
    api.await_done(&database).await?;
    let path = format!("/v1/databases/{}", text(&database, "id")?);
    let credentials = api
        .get(&format!("{path}/credentials?network=project"))
        .await?;
    let pooler = Door::of(text(&database, "pooler_host")?, &credentials, &database)?;
    let engine = text(&database, "host")?.to_owned();
    let (mut wake, mut start) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        api.post("/v1/projects/default/sleep").await?;
        await_status(&api, &path, "stopped").await?;
        let begun = Instant::now();
        first_row(&pooler, begun).await?;
        wake.push(begun.elapsed().as_secs_f64());
        await_status(&api, &path, "running").await?;
        start.push(bare_start(berthd, &engine, &credentials, &database).await?);
        await_status(&api, &path, "running").await?;
    }
    api.destroy(&database).await?;
    Ok((wake, start))
}

/// Seconds from `docker start` to a row from the engine itself, while berthd stands still.
async fn bare_start(
    berthd: &Berthd,
    engine: &str,
    credentials: &Value,
    database: &Value,
) -> Outcome<f64> {
    let still = Still::of(berthd.pid())?;
    docker(&["stop", engine])?;
    let begun = Instant::now();
    docker(&["start", engine])?;
    let door = Door::of(engine, credentials, database)?;
    first_row(&door, begun).await?;
    let taken = begun.elapsed().as_secs_f64();
    drop(still);
    Ok(taken)
}

/// A process that stands still until this goes.
struct Still(u32);

impl Still {
    fn of(pid: u32) -> Outcome<Self> {
        signal(pid, "STOP")?;
        Ok(Self(pid))
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        if let Err(error) = signal(self.0, "CONT") {
            eprintln!("process {} stands still: {error}", self.0);
        }
    }
}

fn signal(pid: u32, name: &str) -> Outcome<()> {
    run(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]))?;
    Ok(())
}

/// Where rows are asked for.
struct Door {
    uri: String,
}

impl Door {
    fn of(container: &str, credentials: &Value, database: &Value) -> Outcome<Self> {
        let credentials = credentials.get("credentials").unwrap_or(credentials);
        let template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = docker(&["inspect", "-f", template, container])?;
        Ok(Self {
            uri: format!(
                "postgresql://{}:{}@{}:5432/{}?sslmode=disable",
                text(credentials, "username")?,
                text(credentials, "password")?,
                address.trim(),
                text(database, "database_name")?
            ),
        })
    }
}

async fn first_row(door: &Door, begun: Instant) -> Outcome<()> {
    loop {
        match try_row(door).await {
            Ok(()) => return Ok(()),
            Err(error) if begun.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

async fn try_row(door: &Door) -> Outcome<()> {
    let (client, connection) = tokio_postgres::connect(&door.uri, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let rows = client.simple_query("SELECT 1").await?;
    if rows.is_empty() {
        Err("no row".into())
    } else {
        Ok(())
    }
}

/// Waits until a database has a status and nothing of it is under way.
async fn await_status(api: &Api, path: &str, status: &str) -> Outcome<()> {
    let begun = Instant::now();
    loop {
        let found = api.get(path).await?["database"].clone();
        if found["status"] == status {
            return api.await_done(&found).await;
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("it does not get {status}: {found}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The containers with a label; they end with the value.
struct Leftovers(String);

impl Drop for Leftovers {
    fn drop(&mut self) {
        let listed = docker(&["ps", "-aq", "--filter", &self.0]).unwrap_or_default();
        for name in listed.lines() {
            if let Err(error) = docker(&["rm", "-f", "-v", name]) {
                eprintln!("{name} is left behind: {error}");
            }
        }
    }
}

fn docker(arguments: &[&str]) -> Outcome<String> {
    run(Command::new("docker").args(arguments))
}

fn run(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}
