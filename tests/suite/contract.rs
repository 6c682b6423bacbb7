//! The requests of the documents that berth keeps to, replayed as they are written there.
//!
//! `tests/contract/<document>/<case>.http` is a request and `<case>.json` beside it what its
//! answer must be at least; the cases of a document run in the order of their names against one
//! berthd, which `server.toml` configures as the document presumes. `tests/contract/pending`
//! lists the cases whose capability is still to come, with how each fails for want of it, and
//! only shrinks.

mod case;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::harness::{Docker, Runtime, TestBerth, pooler_settings, root};
use case::{Answer, Case, Expected, Variables};
use shape::Difference;

/// Every document has its test below, by the name of its folder.
const DOCUMENTS: [&str; 5] = ["000", "001", "002", "003", "004"];

/// What a document presumes of an installation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    /// Further arguments of `berthd serve`.
    serve: Vec<String>,
    /// Projects that exist: the variable that stands for the id, and the project's name.
    projects: BTreeMap<String, String>,
    /// People: the variable that stands for a token of theirs, and that of the project which
    /// they are members of, as its viewers.
    #[serde(default)]
    collaborators: BTreeMap<String, String>,
}

fn folder() -> PathBuf {
    root().join("tests/contract")
}

/// The names of a document's cases, in order: those that have a request or an expectation.
fn cases_of(document: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder().join(document)).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| {
            path.extension()
                .is_some_and(|kind| kind == "http" || kind == "json")
        })
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// A case whose capability is still to come.
struct Pending {
    capability: String,
    /// How it fails for want of it, and of nothing else.
    absence: Absence,
}

/// What shows that something is not there yet.
enum Absence {
    /// The answer's status, code and wrong fields: `404 route_not_found`.
    Answered(String),
    /// A word that the answer would have: `without STORAGE_ENDPOINT`.
    Without(String),
    /// A variable that a case before it would have told: `untold redis_7_2`.
    Untold(String),
}

impl Absence {
    fn read(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("without", word)) => Self::Without(word.to_owned()),
            Some(("untold", variable)) => Self::Untold(variable.to_owned()),
            _ => Self::Answered(text.to_owned()),
        }
    }

    /// Whether that is how a case failed.
    fn explains(&self, failure: &Failure) -> bool {
        match (self, failure) {
            (Self::Answered(line), Failure::Differs { answer, .. }) => answer.line() == *line,
            (Self::Without(word), Failure::Differs { answer, .. }) => {
                answer.status < 300 && !answer.body.to_string().contains(word)
            }
            (Self::Untold(variable), Failure::Unsent(reason)) => *reason == case::untold(variable),
            _ => false,
        }
    }
}

/// The cases whose capability is still to come.
fn pending() -> BTreeMap<String, Pending> {
    let text = std::fs::read_to_string(folder().join("pending")).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut pending = BTreeMap::new();
    for line in lines {
        let [case, capability, absence] = line.splitn(3, ": ").collect::<Vec<_>>()[..] else {
            panic!("pending: \"{line}\" is not \"case: capability: how it fails\"");
        };
        let one = Pending {
            capability: capability.to_owned(),
            absence: Absence::read(absence),
        };
        let before = pending.insert(case.to_owned(), one);
        assert!(before.is_none(), "pending: {case} stands there twice");
    }
    pending
}

/// Tells something past libtest, which hides what a passing test prints.
fn tell(line: &str) {
    // Nothing is left to be done where nobody listens.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

#[test]
fn every_case_has_request_and_expectation_and_every_pending_line_a_case() {
    let mut known = BTreeSet::new();
    for document in DOCUMENTS {
        let path = folder().join(document);
        let _: Server = server(&path);
        for name in cases_of(document) {
            for kind in ["http", "json"] {
                let half = path.join(format!("{name}.{kind}"));
                assert!(half.is_file(), "{} is missing", half.display());
            }
            Case::read(&path, &name);
            known.insert(format!("{document}/{name}"));
        }
    }
    for entry in std::fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let is_replayed = DOCUMENTS.contains(&name.as_str()) || name == "pending";
        assert!(is_replayed, "tests/contract/{name} is replayed by no test");
    }
    for case in pending().keys() {
        assert!(
            known.contains(case),
            "pending: there is no case {case}: take the line out"
        );
    }
}

#[test]
fn a_pending_case_fails_for_want_of_its_capability_and_of_nothing_else() {
    let answered = |status, body: Json| Failure::Differs {
        answer: Answer::of(status, body),
        reasons: Vec::new(),
    };
    let no_engine = || {
        let body = json!({"code": "invalid_field", "details": [{"field": "engine"}]});
        answered(422, body)
    };
    let failure = |text: &str| Failure::from(text.to_owned());
    for (absence, failure, explains) in [
        ("422 invalid_field [engine]", no_engine(), true),
        ("422 invalid_field [version]", no_engine(), false),
        ("404 route_not_found", no_engine(), false),
        ("404 route_not_found", failure("no connection"), false),
        ("untold redis", failure(&case::untold("redis")), true),
        ("untold redis", failure(&case::untold("mysql")), false),
        ("untold redis", no_engine(), false),
        ("without KEY", answered(200, json!({"name": "URL"})), true),
        ("without KEY", answered(200, json!({"name": "KEY"})), false),
        ("without KEY", answered(401, json!({})), false),
    ] {
        let found = Absence::read(absence).explains(&failure);
        assert_eq!(found, explains, "{absence}: {failure}");
    }
}

fn server(document: &Path) -> Server {
    let text = std::fs::read_to_string(document.join("server.toml")).unwrap();
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", document.display()))
}

#[test]
fn document_000_one_database_a_project() {
    replay("000");
}

#[test]
fn document_001_databases_without_envelopes() {
    replay("001");
}

#[test]
fn document_002_dedicated_databases() {
    replay("002");
}

#[test]
fn document_003_a_database_for_a_project() {
    replay("003");
}

#[test]
fn document_004_dedicated_databases_by_another_word() {
    replay("004");
}

/// Sends every case of a document; what fails must be pending, and what is pending must fail.
fn replay(document: &str) {
    let path = folder().join(document);
    let server = server(&path);
    let arguments: Vec<&str> = server.serve.iter().map(String::as_str).collect();
    let Some(berth) = TestBerth::start_with(Runtime::Docker, Docker::default(), &arguments) else {
        return;
    };
    let mut variables = presumed(&berth, &server);
    let pending = pending();
    let mut wrong = Vec::new();
    let mut met = 0;
    for name in cases_of(document) {
        let case = Case::read(&path, &name);
        let full = format!("{document}/{name}");
        let pending = pending.get(&full);
        let outcome = play(&berth, &case, &mut variables, pending.is_none());
        match (outcome, pending) {
            (Ok(()), None) => met += 1,
            (Ok(()), Some(pending)) => wrong.push(format!(
                "{full} works, so {} is there: take its line out of tests/contract/pending",
                pending.capability
            )),
            // What is not there yet is absent; nothing answers that it is still to come.
            (Err(failure), Some(pending)) if pending.absence.explains(&failure) => {
                tell(&format!("pending: {full}: {}", pending.capability));
            }
            (Err(failure), Some(_)) => wrong.push(format!(
                "{full} fails, and not as tests/contract/pending says: {failure}"
            )),
            (Err(failure), None) => wrong.push(format!("{full}: {failure}")),
        }
    }
    tell(&format!("contract: {document}: {met} cases are met"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Makes what the document presumes, and gives the variables that stand for it.
fn presumed(berth: &TestBerth, server: &Server) -> Variables {
    let made = |method: &str, path: &str, body: Json| {
        let (status, answer) = berth.call(method, path, Some(&body));
        assert_eq!(status, 201, "{method} {path}: {answer}");
        answer
    };
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let mut variables = Variables::from([("token".to_owned(), berth.token())]);
    for (variable, name) in &server.projects {
        let answer = made("POST", "/v1/projects", json!({"name": name}));
        variables.insert(variable.clone(), text(&answer["project"]["id"]));
    }
    for (variable, project) in &server.collaborators {
        let answer = made("POST", "/v1/users", json!({"name": variable}));
        let user = text(&answer["user"]["id"]);
        let member = format!("/v1/projects/{}/members/{user}", variables[project]);
        made("PUT", &member, json!({"role": "viewer"}));
        let token = json!({"name": variable, "preset": "plan", "user_id": user});
        let answer = made("POST", "/v1/tokens", token);
        variables.insert(variable.clone(), text(&answer["secret"]));
    }
    variables
}

/// Why a case is not met.
enum Failure {
    /// Nothing could be sent, or nothing came back.
    Unsent(String),
    /// The answer is not what it must be.
    Differs {
        answer: Answer,
        reasons: Vec<String>,
    },
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Unsent(reason)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsent(reason) => formatter.write_str(reason),
            Self::Differs { answer, reasons } => write!(
                formatter,
                "{}\n  the answer: {} {}",
                reasons.join("; "),
                answer.status,
                answer.body
            ),
        }
    }
}

/// Sends one case until its answer is as expected; why it never was. Only a status that is on its
/// way is waited for, and what runs: another answer is wrong the first time that it is given.
fn play(
    berth: &TestBerth,
    case: &Case,
    variables: &mut Variables,
    is_patient: bool,
) -> Result<(), Failure> {
    let expected = case.expected(variables)?;
    let seconds_max = if is_patient {
        expected.repeat_seconds_max
    } else {
        0
    };
    let patience = Instant::now() + Duration::from_secs(seconds_max);
    loop {
        let answer = case.send(berth.address(), variables)?;
        let mut differences = answer.differences(&expected);
        if shape::all_may_pass(&differences) {
            let missing = missing_containers(berth, &expected).into_iter();
            differences.extend(missing.map(Difference::passing));
        }
        if differences.is_empty() {
            differences.extend(other_rows(berth, &expected).map(Difference::passing));
            differences.extend(other_settings(&expected).map(Difference::passing));
        }
        if differences.is_empty() {
            return Ok(capture(&expected, &answer.body, variables)?);
        }
        if Instant::now() >= patience || !shape::all_may_pass(&differences) {
            let reasons = differences.into_iter().map(|one| one.reason).collect();
            return Err(Failure::Differs { answer, reasons });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Runs the statements of a case in its database; what they gave when it was not as expected.
fn other_rows(berth: &TestBerth, expected: &Expected) -> Option<String> {
    let statements = expected.sql.as_ref()?;
    let path = format!("/v1/databases/{}/credentials", statements.database);
    let login = berth.get(&path);
    let text = |field: &str| login[field].as_str().unwrap();
    // From within its own container: nothing of it is published.
    let client = [
        "psql",
        text("uri"),
        "-qtA",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        &statements.run,
    ];
    let mut exec = vec!["exec", text("host")];
    exec.extend(client);
    let told = Docker::default().run(&exec);
    let rows: Vec<&str> = told.lines().filter(|line| !line.is_empty()).collect();
    (rows != statements.rows).then(|| format!("{} gives {rows:?}", statements.run))
}

/// Asks a pooler what it goes by; what that is where it is not as expected.
fn other_settings(expected: &Expected) -> Option<String> {
    let pooler = expected.pooler.as_ref()?;
    let told = match pooler_settings(&pooler.container) {
        Ok(told) => told,
        Err(error) => return Some(format!("{} says nothing: {error}", pooler.container)),
    };
    let other = |(name, wanted): (&String, &String)| {
        let found = told.get(name);
        (found != Some(wanted)).then(|| format!("{name} is {found:?}, not {wanted}"))
    };
    let others: Vec<_> = pooler.settings.iter().filter_map(other).collect();
    (!others.is_empty()).then(|| format!("in {}, {}", pooler.container, others.join(", ")))
}

/// What has to run by a name that the document tells, and does not.
fn missing_containers(berth: &TestBerth, expected: &Expected) -> Vec<String> {
    if expected.containers.is_empty() {
        return Vec::new();
    }
    let filter = format!("label=berth.installation={}", berth.installation());
    let listed = Docker::default().run(&["ps", "--format", "{{.Names}}", "--filter", &filter]);
    let running: BTreeSet<&str> = listed.lines().collect();
    expected
        .containers
        .iter()
        .filter(|name| !running.contains(name.as_str()))
        .map(|name| format!("no container {name} runs"))
        .collect()
}

/// Keeps for later cases what this answer was the first to tell.
fn capture(expected: &Expected, body: &Json, variables: &mut Variables) -> Result<(), String> {
    for (variable, path) in &expected.capture {
        let found = shape::at(body, path).and_then(Json::as_str);
        let text = found.ok_or_else(|| format!("{path} is no text to keep"))?;
        variables.insert(variable.clone(), text.to_owned());
    }
    Ok(())
}
