//! Where a berthd of a test has its names, networks and ports on an engine that others use at
//! the same time.

use std::sync::atomic::{AtomicU16, Ordering};

/// How many there are; each is handed out once in a run.
const GROUNDS_MAX: u16 = 64;
/// Ports of each.
const PORTS: u16 = 20;
const FIRST_PORT: u16 = 16_000;
/// The second number of the first network range.
const FIRST_RANGE: u16 = 128;

/// The arguments of a `serve` that shall share no name, no address and no port with any other of
/// this process: those of its ground that `arguments` do not choose themselves.
pub fn arguments(arguments: &[&str]) -> Vec<String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(number < GROUNDS_MAX, "there are {GROUNDS_MAX} grounds");
    let port = FIRST_PORT + number * PORTS;
    let ground = [
        ("--prefix", format!("t{number}")),
        (
            "--network-range",
            format!("10.{}.0.0/16", FIRST_RANGE + number),
        ),
        ("--publish-ports", format!("{port}-{}", port + PORTS - 1)),
    ];
    let chosen = |name: &str| arguments.contains(&name);
    let open = ground.into_iter().filter(|(name, _)| !chosen(name));
    let open = open.flat_map(|(name, value)| [name.to_owned(), value]);
    let said = arguments.iter().map(|&word| word.to_owned());
    open.chain(said).collect()
}
