//! What a berthd with a hundred databases costs while nobody asks anything of it.
//!
//! The fake runtime runs the databases, so that what is measured is berthd alone.

#![expect(clippy::print_stdout, reason = "what was measured is what it says")]

mod bench_support;

use bench_support::api::Api;
use bench_support::berthd::{Berthd, Place};
use bench_support::{Verdict, release_binary, resident_bytes};
use serde_json::json;
use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

const DATABASES: usize = 100;
const SETTLE: Duration = Duration::from_secs(15);
const WATCH: Duration = Duration::from_secs(75);
const MEMORY_MB_MAX: u64 = 60;
const CPU_SHARE_MAX: f64 = 0.01;
/// The kernel counts a process's time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let program = release_binary("berthd")?;
    let options = ["--runtime", "fake", "--overcommit", "100"];
    let berthd = Berthd::start_with(&program, Place::Memory, &options)?;
    let api = Api::of(&berthd)?;
    let mut ordered = Vec::new();
    for number in 0..DATABASES {
        ordered.push(
            api.order(&json!({"name": format!("idle-{number}"), "engine": "postgresql"}))
                .await?,
        );
    }
    for database in &ordered {
        api.await_done(database).await?;
    }
    tokio::time::sleep(SETTLE).await;
    let before = cpu_seconds(berthd.pid())?;
    tokio::time::sleep(WATCH).await;
    let used = cpu_seconds(berthd.pid())? - before;
    let mut verdict = Verdict::default();
    verdict.count(
        "berthd with 100 databases, resident MB",
        resident_bytes(berthd.pid())?.div_ceil(1_000_000),
        1..=MEMORY_MB_MAX,
    );
    verdict.ratio(
        "berthd with 100 databases, CPU of one core",
        used,
        WATCH.as_secs_f64(),
        CPU_SHARE_MAX,
    );
    Ok(verdict.end())
}

/// Time on a processor so far, of the process and the kernel for it.
fn cpu_seconds(pid: u32) -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses and may hold blanks.
    let after_name = stat.rsplit(") ").next().ok_or("no name in stat")?;
    let fields: Vec<_> = after_name.split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS_PER_SECOND),
        _ => Err("no times in stat".into()),
    }
}
