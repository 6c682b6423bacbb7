//! What the stories are told with: a berthd of their own, a client of their own, and a proxy
//! between the two that can misbehave.

mod berth;
mod docker;
mod front;
mod ground;
pub mod http;
pub mod needles;
pub mod places;
mod pooler;
pub mod processes;
mod proxy;
pub mod sql;
mod stack;
mod wait;

use std::io::Write as _;
use std::path::{Path, PathBuf};

pub use berth::{Runtime, TestBerth, data_root};
pub use docker::Docker;
pub use front::Front;
pub use pooler::pooler_settings;
pub use proxy::{Moment, Proxy, Verdict};
pub use stack::{Ran, Stack, flat};
pub use wait::{until, until_settled};

/// The root of the repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .map_or_else(|| tests.to_owned(), Path::to_owned)
}

/// Says why something is not tested, past libtest, which hides what a passing test prints. Where
/// `BERTH_TESTS_MUST_RUN` promises all that a test may ask for, as `scripts/test` does, it fails.
pub fn not_run(reason: &str) {
    let promised = std::env::var_os("BERTH_TESTS_MUST_RUN").is_some();
    assert!(!promised, "not run: {reason}");
    not_to_be_had(reason);
}

/// Says why something is not tested that no script can provide for, past libtest.
pub fn not_to_be_had(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Whole, so that the line stays one; nothing is left to be done where nobody listens.
    let _ = std::io::stderr().write_all(format!("not run: {test}: {reason}\n").as_bytes());
}

/// A program that this workspace builds; none, with the reason printed, before it was built.
/// `BERTH_PROGRAMS` names another folder than the debug build's.
pub fn program(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BERTH_PROGRAMS");
    let folder = folder.map_or_else(|| root().join("target/debug"), PathBuf::from);
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    not_run(&format!("{} is not built yet", path.display()));
    None
}

/// The Terraform client; none, with the reason printed, where there is none.
pub fn client() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("BERTH_CLIENT") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .flat_map(|folder| [folder.join("terraform"), folder.join("tofu")])
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        not_run("neither terraform nor tofu is on the path");
    }
    found
}
