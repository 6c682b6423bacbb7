//! Where is searched beside files: what Docker shows, and what processes show.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::harness::places::{Place, files};
use crate::harness::{Docker, TestBerth};

/// Milliseconds between two looks at the host's processes.
const LOOK_MILLIS: u64 = 40;

/// What Docker shows of this berthd's containers and of the networks, and what it keeps of them.
pub fn containers(docker: &Docker, berth: &TestBerth) -> Vec<Place> {
    let mut places = Vec::new();
    let kept = docker.run(&["info", "-f", "{{.DockerRootDir}}"]);
    for id in berth.containers(None) {
        // A container that initialises data is gone soon.
        let Some(inspect) = docker.look(&id, "{{json .}}") else {
            continue;
        };
        places.push(Place::new(format!("inspect of {id}"), inspect));
        let logs = docker.try_run(&["logs", &id]).unwrap();
        let logs = [logs.stdout, logs.stderr].concat();
        places.push(Place::new(format!("logs of {id}"), logs));
        places.extend(files(&Path::new(&kept).join("containers").join(&id)));
    }
    let networks = docker.run(&["network", "ls", "-q"]);
    for id in networks.lines() {
        // A network of another test may be gone meanwhile.
        let inspect = docker.try_run(&["network", "inspect", id]).unwrap();
        places.push(Place::new(format!("network {id}"), inspect.stdout));
    }
    let events = docker.run(&["events", "--since", "30m", "--until", "0s"]);
    places.push(Place::new("events", events));
    places
}

/// Whether a folder is held in memory.
pub fn is_memory(folder: &Path) -> bool {
    let kind = Command::new("stat")
        .args(["-f", "-c", "%T"])
        .arg(folder)
        .output()
        .unwrap();
    String::from_utf8_lossy(&kind.stdout).trim() == "tmpfs"
}

#[derive(Default)]
struct Seen {
    command_lines: BTreeSet<Vec<u8>>,
    environments: BTreeSet<Vec<u8>>,
}

/// Looks at the host's processes again and again: every command line, and the environments of
/// berthd and of whatever runs in containers.
pub struct Watcher {
    seen: Arc<Mutex<Seen>>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Begins.
    pub fn start(berthd: u32) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let done = Arc::new(AtomicBool::new(false));
        let (into, until) = (Arc::clone(&seen), Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::SeqCst) {
                look(berthd, &mut into.lock().unwrap());
                std::thread::sleep(Duration::from_millis(LOOK_MILLIS));
            }
        });
        Self {
            seen,
            done,
            thread: Some(thread),
        }
    }

    /// All that was seen so far.
    pub fn seen(&self) -> Vec<Place> {
        let seen = self.seen.lock().unwrap();
        let joined = |set: &BTreeSet<Vec<u8>>| {
            let all: Vec<_> = set.iter().cloned().collect();
            all.join(&b'\n')
        };
        vec![
            Place::new("command lines", joined(&seen.command_lines)),
            Place::new("environments", joined(&seen.environments)),
        ]
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn look(berthd: u32, seen: &mut Seen) {
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end between two of these lines.
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        seen.command_lines.insert(read("cmdline"));
        let group = String::from_utf8_lossy(&read("cgroup")).into_owned();
        if id == berthd || group.contains("docker") {
            seen.environments.insert(read("environ"));
        }
    }
}
