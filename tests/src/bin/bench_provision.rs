//! From the request for a PostgreSQL to the first row through its pooler, against the same
//! image doing what the usual image's entrypoint does.
//!
//! Both are asked at the address of their container, as a program in the same network would,
//! by a new connection every now and then. In each round both are, so that a busy machine slows
//! both, and it is the rounds' ratios that count. The first round with a spare directory is left out. Both keep their data on the disk of
//! the engine's volumes: there both sides wait for the same disk.
//!
//! A virtual machine may give memory that it does not use back to its host, and then waits for
//! every page that is used again: what is measured right after something that needed memory is
//! up to three times as fast. So each round begins with memory that has just been used.

#![expect(clippy::print_stdout, reason = "what was measured is what it says")]

mod bench_support;

use bench_support::api::{Api, text};
use bench_support::berthd::{Berthd, Place};
use bench_support::{Verdict, ratio, release_binary, repository};
use reqwest::Client;
use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const IMAGE: &str = "berth/postgresql:17";
const DOCKER_SOCKET: &str = "/var/run/docker.sock";
const ROUNDS: usize = 5;
const SPARES: usize = 2;
/// A login costs both ends some milliseconds of work; asked for more often, the answers to the
/// bench are what is measured.
const POLL: Duration = Duration::from_millis(20);
/// More than an engine, its pooler and their files touch.
const MEMORY_BYTES: usize = 1 << 30;
const PATIENCE: Duration = Duration::from_secs(120);
const SPARES_PATIENCE: Duration = Duration::from_secs(120);
const WITH_SPARE_MAX: f64 = 0.35;
const WITHOUT_SPARE_MAX: f64 = 0.9;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<ExitCode> {
    let program = release_binary("berthd")?;
    let (mut without, mut beside_without) = (Vec::new(), Vec::new());
    {
        let Installation { berthd, .. } = &Installation::start(&program, "0", 'a')?;
        let api = Api::of(berthd)?;
        for round in 0..ROUNDS {
            beside_without.push(official(round).await?);
            without.push(ours(&api, round).await?);
        }
    }
    let (mut with, mut beside_with) = (Vec::new(), Vec::new());
    {
        let Installation { berthd, .. } = &Installation::start(&program, "2", 'b')?;
        let api = Api::of(berthd)?;
        // A version is in use from its first database on; only then are spares kept for it.
        ours(&api, ROUNDS).await?;
        for round in 0..ROUNDS {
            await_spares(berthd).await?;
            beside_with.push(official(round).await?);
            with.push(ours(&api, round).await?);
        }
    }
    for (what, rounds) in [
        ("without a spare", &without),
        ("the baseline beside it", &beside_without),
        ("with a spare", &with),
        ("the baseline beside it", &beside_with),
    ] {
        println!("{what}: {rounds:.2?} s");
    }
    let mut verdict = Verdict::default();
    verdict.ratio(
        "create to first row, with a spare directory",
        ratio(&with, &beside_with),
        1.0,
        WITH_SPARE_MAX,
    );
    verdict.ratio(
        "create to first row, without",
        ratio(&without, &beside_without),
        1.0,
        WITHOUT_SPARE_MAX,
    );
    Ok(verdict.end())
}

/// Uses memory and frees it again.
fn touch_memory() {
    let touched = vec![1_u8; MEMORY_BYTES];
    std::hint::black_box(&touched);
}

/// Seconds from `docker run` to the first row.
async fn official(round: usize) -> Outcome<f64> {
    let name = format!("berth-bench-official-{}-{round}", std::process::id());
    let script = repository().join("tests/bench/official-entrypoint");
    let container = Container(name.clone());
    touch_memory();
    let begun = Instant::now();
    let mut command = Command::new("docker");
    command
        .args([
            "run",
            "-d",
            "--name",
            &name,
            "--shm-size",
            "256m",
            "--user",
            "999:999",
        ])
        .args(["-e", "POSTGRES_PASSWORD=bench", "--tmpfs", "/tmp:mode=1777"])
        .args([
            "--tmpfs",
            "/run/postgresql:uid=999,mode=0755",
            "-v",
            "/var/lib/berth",
        ])
        .arg("-v")
        .arg(format!("{}:/official-entrypoint:ro", script.display()))
        .args(["--entrypoint", "/official-entrypoint", IMAGE]);
    run(&mut command)?;
    let target = Target {
        container: name,
        login: "app:bench".to_owned(),
        database: "app".to_owned(),
    };
    first_row(&target, begun).await?;
    let taken = begun.elapsed().as_secs_f64();
    drop(container);
    Ok(taken)
}

/// Seconds from the request to the first row through the pooler.
async fn ours(api: &Api, round: usize) -> Outcome<f64> {
    touch_memory();
    let begun = Instant::now();
    let order = json!({"name": format!("bench-{round}"), "engine": "postgresql", "version": "17"});
    let database = api.order(&order).await?;
    // What a client waits for anyway: the password is asked for while the operation goes on.
    let credentials = api
        .get(&format!(
            "/v1/databases/{}/credentials?network=project",
            text(&database, "id")?
        ))
        .await?;
    let credentials = credentials.get("credentials").unwrap_or(&credentials);
    let target = Target {
        container: text(&database, "pooler_host")?.to_owned(),
        login: format!(
            "{}:{}",
            text(credentials, "username")?,
            text(credentials, "password")?
        ),
        database: text(&database, "database_name")?.to_owned(),
    };
    first_row(&target, begun).await?;
    let taken = begun.elapsed().as_secs_f64();
    api.await_done(&database).await?;
    api.destroy(&database).await?;
    Ok(taken)
}

/// Where the first row is asked for.
struct Target {
    container: String,
    login: String,
    database: String,
}

async fn first_row(target: &Target, begun: Instant) -> Outcome<()> {
    let docker = Client::builder().unix_socket(DOCKER_SOCKET).build()?;
    let mut address = None;
    loop {
        let tried = try_row(&docker, target, &mut address).await;
        match tried {
            Ok(()) => return Ok(()),
            Err(error) if begun.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

async fn try_row(docker: &Client, target: &Target, address: &mut Option<String>) -> Outcome<()> {
    let host = match address {
        Some(known) => known,
        None => address.insert(container_address(docker, &target.container).await?),
    };
    let uri = format!(
        "postgresql://{}@{host}:5432/{}?sslmode=disable",
        target.login, target.database
    );
    let (client, connection) = tokio_postgres::connect(&uri, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let rows = client.simple_query("SELECT 1").await?;
    if rows.is_empty() {
        Err("no row".into())
    } else {
        Ok(())
    }
}

/// The address of a running container, in whichever network it is.
async fn container_address(docker: &Client, name: &str) -> Outcome<String> {
    let found: Value = docker
        .get(format!("http://docker/v1.41/containers/{name}/json"))
        .send()
        .await?
        .json()
        .await?;
    let networks = found["NetworkSettings"]["Networks"]
        .as_object()
        .ok_or("no such container yet")?;
    let address = networks
        .values()
        .filter_map(|n| n["IPAddress"].as_str())
        .find(|a| !a.is_empty());
    Ok(address.ok_or("no address yet")?.to_owned())
}

/// Waits until two spare directories are there again. One that is still being made has a name
/// that begins with a dot.
async fn await_spares(berthd: &Berthd) -> Outcome<()> {
    let spares = berthd.data_root().join("spares/postgresql-17");
    let begun = Instant::now();
    loop {
        let whole = match std::fs::read_dir(&spares) {
            Ok(entries) => entries
                .filter_map(Result::ok)
                .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
                .count(),
            Err(_) => 0,
        };
        if whole >= SPARES {
            return Ok(());
        }
        if begun.elapsed() > SPARES_PATIENCE {
            return Err(format!("{whole} of {SPARES} spare directories are there").into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A berthd of one phase. What a round that failed leaves behind goes after the berthd, which
/// would otherwise make anew what goes.
struct Installation {
    berthd: Berthd,
    _leftovers: Leftovers,
}

impl Installation {
    /// The prefix is this run's own: containers are found by name here.
    fn start(program: &Path, spares: &str, phase: char) -> Outcome<Self> {
        let prefix = format!("b{phase}{:x}", std::process::id() & 0xf_ffff);
        let options = ["--spares", spares, "--prefix", &prefix];
        let berthd = Berthd::start_with(program, Place::EngineDisk, &options)?;
        let installation = std::fs::read_to_string(berthd.data_root().join("installation"))?;
        let label = format!("label=berth.installation={}", installation.trim());
        Ok(Self {
            berthd,
            _leftovers: Leftovers(label),
        })
    }
}

/// The containers with a label; they end with the value.
struct Leftovers(String);

impl Drop for Leftovers {
    fn drop(&mut self) {
        let listed = Command::new("docker")
            .args(["ps", "-aq", "--filter", &self.0])
            .output();
        let names = listed
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        for name in names.lines() {
            drop(Container(name.to_owned()));
        }
    }
}

/// Ends with the value, and its volume with it.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        let removed = run(Command::new("docker").args(["rm", "-f", "-v", &self.0]));
        if let Err(error) = removed {
            eprintln!("{} is left behind: {error}", self.0);
        }
    }
}

fn run(command: &mut Command) -> Outcome<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}
