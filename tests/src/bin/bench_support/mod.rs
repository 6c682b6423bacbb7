//! What the provider benches share: where binaries are, medians, and a verdict.

#![allow(dead_code, reason = "each bench uses the part it needs")]

pub mod api;
pub mod berthd;
pub mod constants;
pub mod counter;
pub mod plain;

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The Go provider that benches measure against, and its import path.
const BASELINE: &str = "terraform-provider-time";
const BASELINE_MODULE: &str = "github.com/hashicorp/terraform-provider-time@latest";

/// What a bench needs and cannot find.
#[derive(Debug)]
pub struct Missing(pub String);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// The top of the repository.
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// A binary of ours, built in release mode.
pub fn release_binary(name: &str) -> Result<PathBuf, Missing> {
    let path = repository().join("target/release").join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Missing(format!("{} is not built", path.display())))
}

/// The Go provider; built on the first run, where Go is there. Without it what needs it is not
/// measured, which is no failure.
pub fn baseline_provider() -> Result<PathBuf, Missing> {
    let directory = repository().join(".cache/bench");
    let path = directory.join(BASELINE);
    if path.is_file() {
        return Ok(path);
    }
    eprintln!("building {BASELINE} to measure against …");
    let built = Command::new("go")
        .args(["install", BASELINE_MODULE])
        .env("GOBIN", &directory)
        // Read-only files in a module cache are in the way of whoever cleans up.
        .env("GOFLAGS", "-modcacherw")
        .status();
    match built {
        Ok(status) if status.success() => Ok(path),
        Ok(status) => Err(Missing(format!(
            "go install {BASELINE_MODULE} ended with {status}"
        ))),
        Err(error) => Err(Missing(format!("go cannot be run: {error}"))),
    }
}

/// What a process has in memory.
pub fn resident_bytes(process: u32) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok())
        .map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("the process does not say how much memory it has"))
}

/// The middle one of the measured values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median of what `measured` takes of `baseline` in the same round: what slows a machine for a
/// while slows a whole round, and leaves the ratio in it alone.
pub fn ratio(measured: &[f64], baseline: &[f64]) -> f64 {
    let rounds = measured.iter().zip(baseline);
    median(
        rounds
            .map(|(measured, baseline)| measured / baseline)
            .collect(),
    )
}

/// Compares ratios with what they may be at most, prints both, and remembers failures.
#[derive(Default)]
pub struct Verdict {
    failed: bool,
}

impl Verdict {
    /// Says whether `measured` is at most `limit` times `baseline`.
    pub fn ratio(&mut self, what: &str, measured: f64, baseline: f64, limit: f64) {
        let ratio = measured / baseline;
        let within = ratio <= limit;
        self.failed |= !within;
        let word = if within { "ok  " } else { "FAIL" };
        println!("{word} {what}: {ratio:.3} (at most {limit})");
    }

    /// Says whether `count` lies within `limits`.
    pub fn count(&mut self, what: &str, count: u64, limits: RangeInclusive<u64>) {
        let within = limits.contains(&count);
        self.failed |= !within;
        let word = if within { "ok  " } else { "FAIL" };
        let (least, most) = limits.into_inner();
        println!("{word} {what}: {count} (at least {least}, at most {most})");
    }

    /// How the bench ends.
    pub fn end(self) -> ExitCode {
        if self.failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}
