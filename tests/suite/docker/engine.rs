//! A Docker engine of a test's own, which it may stop: with its own data, its own sockets and
//! its own network namespace, so that it cannot touch the networks of the host's.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{Docker, not_run, processes};

/// How long an engine may take to answer.
const START_SECONDS_MAX: u64 = 60;
/// How long an engine may take to stop its containers and end.
const STOP_SECONDS_MAX: u64 = 60;

/// A private engine, with the images that databases need.
pub struct Engine {
    folder: TempDir,
    process: Option<Child>,
}

impl Engine {
    /// Starts one and copies images of the host's engine into it; none, with the reason printed,
    /// where a network namespace or a second engine cannot be had.
    pub fn start(images: &[&str]) -> Option<Self> {
        let mut own_namespace = Command::new("unshare");
        own_namespace.args(["--net", "dockerd", "--version"]);
        if !own_namespace.output().is_ok_and(|o| o.status.success()) {
            not_run("no dockerd in a network namespace of its own can be had");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("berth-engine-").tempdir();
        let mut engine = Self {
            folder: folder.unwrap(),
            process: None,
        };
        engine.resume();
        let archive = engine.path("images.tar");
        let mut save = vec!["save", "-o", archive.to_str().unwrap()];
        save.extend(images);
        Docker::default().run(&save);
        let load = ["load", "-q", "-i", archive.to_str().unwrap()];
        engine.docker().run(&load);
        std::fs::remove_file(&archive).unwrap();
        Some(engine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// By which it is asked.
    pub fn docker(&self) -> Docker {
        Docker::at(&self.path("docker.sock"))
    }

    /// Starts it again on the same data.
    pub fn resume(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let process = Command::new("unshare")
            .args(["--net", "dockerd"])
            .arg("--data-root")
            .arg(self.path("data"))
            .arg("--exec-root")
            .arg(self.path("exec"))
            .arg("--pidfile")
            .arg(self.path("pid"))
            .arg("-H")
            .arg(format!("unix://{}", self.path("docker.sock").display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.process = Some(process.unwrap());
        let patience = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while !self.answers() {
            let told = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(Instant::now() < patience, "no engine:\n{told}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn answers(&self) -> bool {
        let asked = self.docker().try_run(&["version"]);
        asked.is_ok_and(|output| output.status.success())
    }

    /// Makes it silent: it takes requests and answers none. What runs in it goes on.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it answer again.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        if let Some(process) = &self.process {
            processes::signal(process.id(), signal);
        }
    }

    /// Stops it, with all that runs in it.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        processes::signal(process.id(), "TERM");
        let patience = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while matches!(process.try_wait(), Ok(None)) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(50));
        }
        // Ends one that did not, and is no more than a look at one that did.
        let _ = process.kill();
        let _ = process.wait();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // One that is frozen would not hear that it shall stop.
        self.thaw();
        self.stop();
        for mount in mounts_below(self.folder.path()) {
            let _ = Command::new("umount").arg("-l").arg(mount).output();
        }
    }
}

/// The deepest first.
fn mounts_below(folder: &Path) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(1));
    let below = points.filter(|point| Path::new(point).starts_with(folder));
    let mut below: Vec<String> = below.map(str::to_owned).collect();
    below.reverse();
    below
}
