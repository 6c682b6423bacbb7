//! The document against the program: whatever it allows and whatever it forbids is sent, and no
//! answer is a failure or one that the document does not tell of.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use crate::harness::{Docker, Runtime, TestBerth, not_run};

/// As `scripts/prerequisites` installs it.
const VERSION: &str = "4.32.5";
/// How many cases are made up of each operation, beside those that the document itself gives.
const CASES: &str = "15";
/// What may end the rights of the one who asks.
const ON_TOKENS: &str = "^/v1/(tokens|users)/";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";
/// The document itself, which is read and not tried.
const DOCUMENT: &str = "GET /openapi.json";
/// Operations on what only an id names, which the document cannot know, and one on the
/// administrator, whom nobody deletes: all that is sent to them is refused.
const REFUSED: [&str; 7] = [
    "POST /v1/projects/{project}/undelete",
    "DELETE /v1/trash/{database}",
    "GET /v1/tokens/{token}",
    "PATCH /v1/tokens/{token}",
    "DELETE /v1/tokens/{token}",
    "GET /v1/tokens/{token}/secret",
    "DELETE /v1/users/{user}",
];

/// What became of the cases of one operation.
#[derive(Debug, Default)]
struct Tried {
    answered: usize,
    done: usize,
}

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

/// Runs it on some of the operations; what it says must be that all is well. Tells what became
/// of each of them; none where it cannot run.
fn tried(berth: &TestBerth, arguments: &[&str]) -> Option<BTreeMap<String, Tried>> {
    let report = berth.data_root().join("schemathesis.ndjson");
    let output = Command::new(schemathesis()?)
        .current_dir(berth.data_root())
        .arg("run")
        .arg(format!("{}/openapi.json", berth.endpoint()))
        .args(["-H", &format!("Authorization: Bearer {}", berth.token())])
        .args(["--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--max-examples", CASES])
        // A choice of its own each time would make a failure that nobody can repeat.
        .args(["--seed", "1", "--request-timeout", "90", "--no-shrink"])
        // One at a time: CPython 3.11 fails now and then when two threads read source at once
        // ("AST constructor recursion depth mismatch").
        .args(["--workers", "1", "--warnings", "off"])
        .args(["--report", "ndjson", "--report-ndjson-path"])
        .arg(&report)
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
    Some(told_in(&std::fs::read_to_string(report).unwrap()))
}

/// What a report tells of each operation, by method and path.
fn told_in(report: &str) -> BTreeMap<String, Tried> {
    let mut tried = BTreeMap::<_, Tried>::new();
    for line in report.lines() {
        let event: Json = serde_json::from_str(line).unwrap();
        let told = &event["ScenarioFinished"]["recorder"];
        for (id, case) in told["cases"].as_object().into_iter().flatten() {
            let text = |field: &str| case["value"][field].as_str().unwrap();
            let operation = format!("{} {}", text("method"), text("path"));
            let status = told["interactions"][id]["response"]["status_code"].as_u64();
            let of_it = tried.entry(operation).or_default();
            of_it.answered += usize::from(status.is_some());
            of_it.done += usize::from(status.is_some_and(|status| status < 300));
        }
    }
    tried
}

/// The operations of the document that the program serves, by method and path.
fn operations(berth: &TestBerth) -> Vec<String> {
    let document = berth.get("/openapi.json");
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys();
        found.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    found
}

#[test]
fn the_document_and_the_program_agree() {
    let limits = ["--requests-per-second=100000", "--requests-burst=100000"];
    let berth = TestBerth::start_with(Runtime::Fake, Docker::default(), &limits);
    let Some(berth) = berth else {
        return;
    };
    // What the document's examples name: a database, and a variable that had other values.
    let orders = json!({"name": "orders", "engine": "postgresql"});
    let (status, answer) = berth.call("POST", "/v1/databases", Some(&orders));
    assert_eq!(status, 201, "{answer}");
    for value in ["1", "2", "3", "4"] {
        let path = "/v1/projects/default/env/MAIL_FROM";
        let (status, answer) = berth.call("PUT", path, Some(&json!({"value": value})));
        assert!(status < 300, "{answer}");
    }
    let rest = tried(&berth, &["--exclude-path-regex", ON_TOKENS]);
    let Some(mut tried_all) = rest else { return };
    let on_tokens = tried(&berth, &["--include-path-regex", ON_TOKENS]);
    tried_all.extend(on_tokens.into_iter().flatten());

    let operations = operations(&berth);
    for named in REFUSED.into_iter().chain([DOCUMENT]) {
        assert!(operations.iter().any(|one| one == named), "{named}");
    }
    for operation in operations.iter().filter(|one| *one != DOCUMENT) {
        let of_it = tried_all.get(operation);
        let of_it = of_it.unwrap_or_else(|| panic!("{operation} was not tried"));
        let is_done = of_it.done > 0 || REFUSED.contains(&operation.as_str());
        assert!(of_it.answered > 0 && is_done, "{operation}: {of_it:?}");
    }
}
