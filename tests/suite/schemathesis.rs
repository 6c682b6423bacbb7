//! The document against the program: whatever it allows and whatever it forbids is sent, and no
//! answer is a failure or one that the document does not tell of.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{Docker, Runtime, TestBerth, not_run};

/// As `scripts/prerequisites` installs it.
const VERSION: &str = "4.32.5";
/// How long everything is tried, and the few operations that may take the token away.
const SECONDS: &str = "50";
const SECONDS_ON_TOKENS: &str = "10";
/// What may end the rights of the one who asks.
const ON_TOKENS: &str = "^/v1/(tokens|users)/";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance";

/// The program; none, with the reason printed, where it is not installed.
fn schemathesis() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("BERTH_CACHE").or_else(|| {
        let all = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        Some(all?.join("berth"))
    });
    let place = cache?.join(format!("schemathesis-{VERSION}/bin/schemathesis"));
    if place.is_file() {
        return Some(place);
    }
    not_run(&format!(
        "{} is not there: scripts/prerequisites test installs it from PyPI",
        place.display()
    ));
    None
}

/// Runs it on some of the operations; what it says must be that all is well.
fn tried(berth: &TestBerth, arguments: &[&str]) {
    let Some(program) = schemathesis() else {
        return;
    };
    let output = Command::new(program)
        .current_dir(berth.data_root())
        .arg("run")
        .arg(format!("{}/openapi.json", berth.endpoint()))
        .args(["-H", &format!("Authorization: Bearer {}", berth.token())])
        .args(["--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing,stateful"])
        // A choice of its own each time would make a failure that nobody can repeat.
        .args(["--seed", "1", "--request-timeout", "90", "--no-shrink"])
        // One at a time: CPython 3.11 fails now and then when two threads read source at once
        // ("AST constructor recursion depth mismatch").
        .args(["--workers", "1", "--warnings", "off"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_document_and_the_program_agree() {
    let limits = ["--requests-per-second=100000", "--requests-burst=100000"];
    let berth = TestBerth::start_with(Runtime::Fake, Docker::default(), &limits);
    let Some(berth) = berth else {
        return;
    };
    // What the document's examples name.
    let body = json!({"name": "orders", "engine": "postgresql"});
    let (status, answer) = berth.call("POST", "/v1/databases", Some(&body));
    assert_eq!(status, 201, "{answer}");
    let rest = ["--exclude-path-regex", ON_TOKENS, "--max-time", SECONDS];
    tried(&berth, &rest);
    let tokens = [
        "--include-path-regex",
        ON_TOKENS,
        "--max-time",
        SECONDS_ON_TOKENS,
    ];
    tried(&berth, &tokens);
}
