//! Finding and ending processes that a test has started, by their ids.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a process may take to end by itself.
const END_SECONDS_MAX: u64 = 20;

/// The processes below `ancestor` whose program's name begins with `name`.
pub fn descendants(ancestor: u32, name: &str) -> Vec<u32> {
    let mut parents: BTreeMap<u32, (u32, String)> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may end between the listing and the reading.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let Some((head, tail)) = stat.rsplit_once(')') else {
            continue;
        };
        let program = head.split_once('(').map_or("", |(_, program)| program);
        if let Some(parent) = tail
            .split_whitespace()
            .nth(1)
            .and_then(|id| id.parse().ok())
        {
            parents.insert(id, (parent, program.to_owned()));
        }
    }
    let is_below = |mut id: u32| loop {
        match parents.get(&id) {
            Some((parent, _)) if *parent == ancestor => break true,
            Some((parent, _)) if *parent != 0 => id = *parent,
            _ => break false,
        }
    };
    // The kernel cuts names after fifteen characters.
    let name: String = name.chars().take(15).collect();
    parents
        .iter()
        .filter(|(id, (_, program))| program.starts_with(&name) && is_below(**id))
        .map(|(id, _)| *id)
        .collect()
}

/// Sends a signal, such as `KILL`. A process that is gone already is none to worry about.
pub fn signal(id: u32, signal: &str) {
    let sent = Command::new("kill")
        .args([format!("-{signal}"), id.to_string()])
        .output();
    if let Err(error) = sent {
        println!("could not send {signal} to {id}: {error}");
    }
}

/// Ends a process that a test has started, kindly at first.
pub fn end(child: &mut Child) {
    signal(child.id(), "TERM");
    let patience = Instant::now() + Duration::from_secs(END_SECONDS_MAX);
    while Instant::now() < patience {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}
