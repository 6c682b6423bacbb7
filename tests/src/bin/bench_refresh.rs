//! How long a plan takes that refreshes 1,000 objects and finds nothing to do.
//!
//! Against 1,000 objects of a provider made with the same framework that only echoes: what is
//! above that floor is what the provider itself costs. And, where Go is there to build it, against
//! 1,000 of a Go provider that does no input or output at all. Needs the client that BERTH_CLIENT
//! names, or `terraform` or `tofu` on the path; no registry is asked.

#![expect(clippy::print_stdout, reason = "what was measured is what it says")]

mod bench_support;

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::Instant;

use bench_support::berthd::Berthd;
use bench_support::counter::Counter;
use bench_support::{Missing, Verdict, baseline_provider, median, ratio, release_binary};
use tempfile::TempDir;

const OBJECTS: u32 = 1_000;
const PLANS: usize = 7;
const AGAINST_BASELINE_MAX: f64 = 0.4;
const AGAINST_ECHO_MAX: f64 = 1.15;
/// A plan that asks nothing has refreshed nothing.
const REQUESTS_A_PLAN_MIN: u64 = 1;
const REQUESTS_A_PLAN_MAX: u64 = 3;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let programs = Programs::find()?;
    let server = Berthd::start(&programs.server)?;
    let program = BERTH
        .replace("ENDPOINT", server.endpoint())
        .replace("TOKEN_FILE", &server.token_file());
    let stack =
        |source, provider, program| Workspace::new(&programs.client, source, provider, program);
    let berth = stack("berth-dev/berth", &programs.provider, &program)?;
    let echo = stack("berth-dev/echo", &programs.echo, ECHO)?;
    let baseline = match baseline_provider() {
        Ok(provider) => Some(stack("hashicorp/time", &provider, TIME)?),
        Err(missing) => {
            println!("refresh against the Go provider: not measured: {missing}");
            None
        }
    };
    let mut workspaces = vec![&berth, &echo];
    workspaces.extend(&baseline);
    let seconds = measure(&workspaces)?;

    let mut verdict = Verdict::default();
    let mut against = |what: &str, baseline: &[f64], limit| {
        verdict.ratio(what, ratio(&seconds[0], baseline), 1.0, limit);
    };
    against("refresh against the echo", &seconds[1], AGAINST_ECHO_MAX);
    if let Some(baseline) = seconds.get(2) {
        against(
            "refresh against the Go provider",
            baseline,
            AGAINST_BASELINE_MAX,
        );
    }
    let counter = Counter::before(server.address())?;
    berth.plan(&["-var", &format!("endpoint={}", counter.endpoint())])?;
    verdict.count(
        "requests a plan",
        counter.requests(),
        REQUESTS_A_PLAN_MIN..=REQUESTS_A_PLAN_MAX,
    );
    Ok(verdict.end())
}

/// What there has to be for anything to be measured.
struct Programs {
    client: PathBuf,
    provider: PathBuf,
    server: PathBuf,
    echo: PathBuf,
}

impl Programs {
    fn find() -> Result<Self, Missing> {
        Ok(Self {
            client: client()?,
            provider: release_binary("terraform-provider-berth")?,
            server: release_binary("berthd")?,
            echo: release_binary("terraform-provider-echo")?,
        })
    }
}

const TIME: &str = r#"
resource "time_static" "one" {
  count = COUNT
}
"#;

const ECHO: &str = r#"
resource "echo_value" "one" {
  count       = COUNT
  name        = "echo-${count.index}"
  description = "one of many"
  tags        = { bench = "refresh" }
}
"#;

const BERTH: &str = r#"
variable "endpoint" { default = "ENDPOINT" }

provider "berth" {
  endpoint   = var.endpoint
  token_file = "TOKEN_FILE"
}

resource "berth_project" "one" {
  count               = COUNT
  name                = "bench-${count.index}"
  description         = "one of many"
  deletion_protection = false
  tags                = { bench = "refresh" }
}
"#;

/// The seconds of a plan in each workspace, round by round: what slows a machine for a while
/// slows a whole round, and leaves the ratios in it alone.
fn measure(workspaces: &[&Workspace]) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let mut seconds = vec![Vec::new(); workspaces.len()];
    for _ in 0..PLANS {
        for (workspace, seconds) in workspaces.iter().zip(&mut seconds) {
            seconds.push(workspace.plan(&[])?);
        }
    }
    for (workspace, seconds) in workspaces.iter().zip(&seconds) {
        println!("{}: {:.2} s", workspace.source, median(seconds.clone()));
    }
    Ok(seconds)
}

fn client() -> Result<PathBuf, Missing> {
    if let Some(named) = std::env::var_os("BERTH_CLIENT") {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|directory| [directory.join("terraform"), directory.join("tofu")])
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Missing("neither terraform nor tofu is on the path".to_owned()))
}

/// A configuration that has been applied.
struct Workspace {
    directory: TempDir,
    client: PathBuf,
    source: String,
}

impl Workspace {
    fn new(
        client: &Path,
        source: &str,
        provider: &Path,
        program: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let (_, kind) = source.split_once('/').ok_or("a source has a namespace")?;
        let program = program.replace("COUNT", &OBJECTS.to_string());
        fs::write(
            directory.path().join("main.tf"),
            format!(
                "terraform {{\n  required_providers {{\n    {kind} = {{ source = \"{source}\" }}\n  }}\n}}\n{program}"
            ),
        )?;
        let binaries = provider.parent().ok_or("a provider is in a directory")?;
        fs::write(
            directory.path().join("client.tfrc"),
            format!(
                "provider_installation {{\n  dev_overrides {{\n    \"{source}\" = \"{}\"\n  }}\n}}\n",
                binaries.display()
            ),
        )?;
        let workspace = Self {
            directory,
            client: client.to_path_buf(),
            source: source.to_owned(),
        };
        workspace.run(["apply", "-auto-approve", "-no-color", "-input=false"])?;
        Ok(workspace)
    }

    /// Seconds that a plan without changes takes.
    fn plan(&self, variables: &[&str]) -> Result<f64, Box<dyn Error>> {
        let begun = Instant::now();
        let output = self.run([&["plan", "-no-color", "-input=false"], variables].concat())?;
        let taken = begun.elapsed();
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains("No changes.") {
            Ok(taken.as_secs_f64())
        } else {
            Err(format!("{} has something to do:\n{text}", self.source).into())
        }
    }

    fn run<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Output, Box<dyn Error>> {
        let output = Command::new(&self.client)
            .args(arguments)
            .current_dir(self.directory.path())
            .env(
                "TF_CLI_CONFIG_FILE",
                self.directory.path().join("client.tfrc"),
            )
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_LOG")
            .output()?;
        if output.status.success() {
            return Ok(output);
        }
        let told = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {}", self.source, told.trim()).into())
    }
}
