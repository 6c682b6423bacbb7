//! What a test says that cannot run here.

use std::io::Write as _;

/// Says why something is not tested, past libtest, which hides what a passing test prints. Where
/// `BERTH_TESTS_MUST_RUN` promises all that a test may ask for, as `scripts/test` does, it fails.
pub fn not_run(reason: &str) {
    let promised = std::env::var_os("BERTH_TESTS_MUST_RUN").is_some();
    assert!(!promised, "not run: {reason}");
    // Whole, so that the line stays one; nothing is left to be done where nobody listens.
    let _ = std::io::stderr().write_all(format!("not run: {reason}\n").as_bytes());
}
