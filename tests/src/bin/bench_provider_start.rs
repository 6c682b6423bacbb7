//! How long a provider takes from its start to the line that tells the host where it listens,
//! and how much memory it holds then, against a small provider written in Go.
//!
//! The host gives a P-521 certificate; without one the provider would skip the part that costs
//! most. Starts alternate between the two, so that a busy machine slows both.

#![expect(clippy::print_stdout, reason = "what was measured is what it says")]

mod bench_support;

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use bench_support::{Verdict, baseline_provider, median, release_binary, resident_bytes};
use berth_plugin::handshake::{CLIENT_CERTIFICATE_VARIABLE, COOKIE, COOKIE_VARIABLE};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P521_SHA512};

const STARTS: usize = 41;
const TIME_RATIO_MAX: f64 = 0.3;
const MEMORY_RATIO_MAX: f64 = 0.6;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let ours = release_binary("terraform-provider-berth")?;
    let baseline = match baseline_provider() {
        Ok(baseline) => baseline,
        Err(missing) => {
            println!("provider start: not measured: {missing}");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let certificate = host_certificate()?;
    let mut of_ours = Samples::default();
    let mut of_baseline = Samples::default();
    for _ in 0..STARTS {
        of_ours.start(&ours, &certificate)?;
        of_baseline.start(&baseline, &certificate)?;
    }
    let (our_time, our_memory) = of_ours.medians(&ours);
    let (time, memory) = of_baseline.medians(&baseline);
    let mut verdict = Verdict::default();
    verdict.ratio("start, time", our_time, time, TIME_RATIO_MAX);
    verdict.ratio("start, memory", our_memory, memory, MEMORY_RATIO_MAX);
    Ok(verdict.end())
}

fn host_certificate() -> Result<String, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512)?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(params.self_signed(&key)?.pem())
}

#[derive(Default)]
struct Samples {
    milliseconds: Vec<f64>,
    megabytes: Vec<f64>,
}

impl Samples {
    /// Starts a provider once and stops it again.
    fn start(&mut self, program: &Path, certificate: &str) -> Result<(), Box<dyn Error>> {
        let mut command = Command::new(program);
        command
            .env(COOKIE_VARIABLE, COOKIE)
            .env(CLIENT_CERTIFICATE_VARIABLE, certificate)
            .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
            .env_remove("TF_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let begun = Instant::now();
        let mut child = command.spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let taken = begun.elapsed();
        let memory = resident_bytes(child.id());
        child.kill()?;
        child.wait()?;
        remove_socket(&line);
        if !line.starts_with("1|") {
            return Err(format!("{} said {line:?} instead of its line", program.display()).into());
        }
        self.milliseconds.push(taken.as_secs_f64() * 1_000.0);
        self.megabytes.push(memory? as f64 / 1_048_576.0);
        Ok(())
    }

    fn medians(self, program: &Path) -> (f64, f64) {
        let (time, memory) = (median(self.milliseconds), median(self.megabytes));
        println!("{}: {time:.2} ms, {memory:.1} MB", program.display());
        (time, memory)
    }
}

/// A provider that is killed leaves its socket, ours in a directory of its own.
fn remove_socket(line: &str) {
    let Some(socket) = line.split('|').nth(3).map(Path::new) else {
        return;
    };
    // Only for tidiness: what cannot be removed is not what is measured. A directory that is not
    // empty is not the socket's own, and stays.
    let _ = fs::remove_file(socket);
    let own = socket
        .parent()
        .filter(|directory| *directory != std::env::temp_dir());
    let _ = own.map(fs::remove_dir);
}
