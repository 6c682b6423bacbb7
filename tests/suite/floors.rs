//! Nothing is lost by a pipeline's token: whatever it says, in whatever order and on whatever
//! state, every database that ever was is back by `undelete`, with its id, login and password.
//!
//! `BERTH_FLOORS_SEED` says another sequence; the seed of a run is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::harness::{Docker, Runtime, Stack, TestBerth};

/// Steps on the fake runtime.
const STEPS: u32 = 10_000;
/// Steps on containers.
const STEPS_ON_DOCKER: u32 = 100;
/// Databases that may live for long: half of them stay when room is made.
const LIVING_MAX: usize = 40;
/// The same on containers.
const LIVING_MAX_ON_DOCKER: usize = 4;
/// Steps after which room is made again.
const LOOK_EVERY: u32 = 20;
/// The floor, in seconds.
const FLOOR_SECONDS: i64 = 24 * 3600;
/// How long one database may take until it runs again.
const BACK_SECONDS_MAX: u64 = 120;
/// How often a request is said again that came too soon after others.
const TRIES_MAX: u32 = 200;

/// Numbers that a seed determines.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.below(from.len())])
    }
}

/// What a database had when it was first seen.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    username: String,
    password: String,
}

/// The pipeline, what it has seen, and what it believes.
struct Pipeline<'a> {
    berth: &'a TestBerth,
    token: String,
    dice: Dice,
    seen: BTreeMap<String, Seen>,
    /// Ids of databases that lived at some time, oldest first.
    databases: Vec<String>,
    projects: Vec<String>,
    refused: BTreeMap<(String, u16, String), u32>,
    living_max: usize,
    number: u32,
}

impl<'a> Pipeline<'a> {
    fn new(berth: &'a TestBerth, seed: u64, living_max: usize) -> Self {
        Self {
            berth,
            token: token(berth, "apply"),
            dice: Dice(seed),
            seen: BTreeMap::new(),
            databases: Vec::new(),
            projects: vec!["proj_default".to_owned()],
            refused: BTreeMap::new(),
            living_max,
            number: 0,
        }
    }

    /// Asks with the pipeline's token; whatever is said, it is no failure of the server's.
    #[track_caller]
    fn ask(&mut self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        for _ in 0..TRIES_MAX {
            let (status, answer) = self.berth.call_as(&self.token, method, path, body);
            if status == 429 {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            assert!(status < 500, "{method} {path} {body:?}: {status} {answer}");
            if status >= 400 {
                let route: Vec<_> = path.split('/').map(plain).collect();
                let code = answer["code"].as_str().unwrap_or_default().to_owned();
                let key = (format!("{method} {}", route.join("/")), status, code);
                *self.refused.entry(key).or_default() += 1;
            }
            return (status, answer);
        }
        panic!("{method} {path} came too soon {TRIES_MAX} times");
    }

    fn name(&mut self) -> String {
        // Few enough to meet each other again and again.
        format!("name-{}", self.dice.below(60))
    }

    fn any_database(&mut self) -> String {
        // More often one of the latest: what lives is among them.
        let from = match self.dice.one_in(3) {
            true => 0,
            false => self.databases.len().saturating_sub(self.living_max * 2),
        };
        let known = self.dice.pick(&self.databases[from..]).cloned();
        known.unwrap_or_else(|| "db_unknown".to_owned())
    }

    fn any_project(&mut self) -> String {
        let known = self.dice.pick(&self.projects).cloned();
        known.unwrap_or_else(|| "proj_default".to_owned())
    }

    /// Some of what may be said of a database, by whom nothing is sacred to.
    fn words(&mut self) -> Json {
        let mut words = json!({});
        if self.dice.one_in(2) {
            words["recovery_window_days"] = self.dice.below(4).into();
        }
        if self.dice.one_in(2) {
            words["deletion_protection"] = self.dice.one_in(6).into();
        }
        if self.dice.one_in(4) {
            words["tags"] = json!({"step": self.dice.below(9).to_string()});
        }
        if self.dice.one_in(8) {
            words["storage_gb"] = (10 + self.dice.below(20)).into();
        }
        if self.dice.one_in(8) {
            words["desired_status"] = json!(["running", "stopped"][self.dice.below(2)]);
        }
        if self.dice.one_in(8) {
            words["sleep_after_minutes"] = (1 + self.dice.below(9)).into();
        }
        words
    }

    /// What a whole configuration says of a new database.
    fn order(&mut self) -> Json {
        let mut order = self.words();
        order["name"] = self.name().into();
        order["engine"] = "postgresql".into();
        if self.dice.one_in(2) {
            order["project_id"] = self.any_project().into();
        }
        order
    }

    /// Learns of a database that was just made, and keeps what must come back one day.
    fn learn(&mut self, answer: &Json) {
        let id = answer["database"]["id"].as_str().unwrap().to_owned();
        let seen = self.credentials(&id);
        match self.seen.get(&id) {
            Some(before) => assert_eq!(*before, seen, "{id} is another than it was"),
            None => {
                self.seen.insert(id.clone(), seen);
                self.databases.push(id);
            }
        }
    }

    fn credentials(&mut self, id: &str) -> Seen {
        let path = format!("/v1/databases/{id}/credentials");
        let (status, answer) = self.ask("GET", &path, None);
        assert_eq!(status, 200, "{id}: {answer}");
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Seen {
            username: text("username"),
            password: text("password"),
        }
    }

    fn create(&mut self, more: Json) {
        let mut order = self.order();
        for (name, value) in more.as_object().unwrap() {
            order[name] = value.clone();
        }
        let (status, answer) = self.ask("POST", "/v1/databases", Some(&order));
        if status == 201 {
            self.learn(&answer);
            if self.dice.one_in(2) {
                let id = answer["database"]["id"].as_str().unwrap();
                let path = format!("/v1/databases/{id}/claim");
                self.ask("POST", &path, Some(&json!({})));
            }
        }
    }

    /// One request of a dry run, from lost or old state: ids that are gone, or none at all.
    fn plan(&mut self) {
        let mut resources = Vec::new();
        for _ in 0..=self.dice.below(3) {
            let id = self.any_database();
            resources.push(match self.dice.below(5) {
                0 => json!({"kind": "database", "config": self.order()}),
                1 => json!({"kind": "database", "id": id, "destroy": true}),
                2 => json!({"kind": "project", "id": self.any_project(), "destroy": true}),
                3 => json!({"kind": "database", "replaces": id, "config": self.order()}),
                _ => json!({"kind": "database", "id": id, "config": self.order()}),
            });
        }
        let body = json!({"resources": resources});
        self.ask("POST", "/v1/plan", Some(&body));
    }

    fn destroy_one(&mut self) {
        let id = self.any_database();
        self.ask("DELETE", &format!("/v1/databases/{id}"), None);
    }

    fn make_project(&mut self) {
        let name = format!("project-{}", self.dice.below(8));
        let mut body = json!({"name": name, "deletion_protection": self.dice.one_in(6)});
        body["unclaimed"] = self.dice.one_in(3).into();
        let (status, answer) = self.ask("POST", "/v1/projects", Some(&body));
        if status == 201 {
            let id = answer["project"]["id"].as_str().unwrap().to_owned();
            if !self.projects.contains(&id) {
                self.projects.push(id);
            }
        }
    }

    fn undelete(&mut self) {
        let id = self.any_database();
        let body = match self.dice.one_in(2) {
            true => json!({"name": self.name()}),
            false => json!({}),
        };
        let path = format!("/v1/databases/{id}/undelete");
        let (status, answer) = self.ask("POST", &path, Some(&body));
        if status < 300 {
            self.learn(&answer);
        }
    }

    /// What a token for applies must not be let do, however it is asked.
    fn try_to_lose(&mut self) {
        let id = self.any_database();
        let (method, path, body) = match self.dice.below(4) {
            0 => ("DELETE", format!("/v1/trash/{id}"), None),
            1 => (
                "POST",
                "/v1/tokens".to_owned(),
                Some(json!({"name": "more", "scopes": ["unprotect"]})),
            ),
            2 => (
                "PATCH",
                format!("/v1/databases/{id}"),
                Some(json!({"recovery_window_days": 0, "deletion_protection": false})),
            ),
            _ => (
                "DELETE",
                format!("/v1/databases/{id}?purge=true&recovery_window_days=0"),
                None,
            ),
        };
        let (status, answer) = self.ask(method, &path, body.as_ref());
        if method == "DELETE" || path == "/v1/tokens" {
            assert!(status >= 400, "{method} {path}: {status} {answer}");
        }
    }

    /// Destroys the oldest of too many. A person turns the protection of those off.
    fn make_room(&mut self) {
        let living = self.berth.databases();
        for row in living.iter().rev().skip(self.living_max / 2) {
            let path = format!("/v1/databases/{}", row["id"].as_str().unwrap());
            if row["deletion_protection"] == true {
                let free = json!({"deletion_protection": false});
                self.berth.call("PATCH", &path, Some(&free));
            }
            let (status, answer) = self.ask("DELETE", &path, None);
            assert!(status < 300, "{path}: {status} {answer}");
        }
    }

    fn step(&mut self) {
        if self.number.is_multiple_of(LOOK_EVERY) {
            self.make_room();
        }
        self.number += 1;
        let (id, project) = (self.any_database(), self.any_project());
        match self.dice.below(100) {
            0..=6 => self.create(json!({})),
            7..=9 => self.create(json!({"unclaimed": true})),
            10..=25 => self.plan(),
            // A restore from the configuration, that may never be finished.
            26..=30 => {
                let unclaimed = self.dice.one_in(2);
                self.create(json!({
                    "restore_from": {"deleted_database_id": id}, "unclaimed": unclaimed,
                }));
            }
            31..=45 => self.destroy_one(),
            46..=55 => self.undelete(),
            56..=65 => {
                let mut words = self.words();
                if self.dice.one_in(3) {
                    words["name"] = self.name().into();
                }
                self.ask("PATCH", &format!("/v1/databases/{id}"), Some(&words));
            }
            66..=75 => self.plan(),
            76..=80 => self.make_project(),
            81..=84 => {
                let tail = ["", "?if_empty=true"][self.dice.below(2)];
                self.ask("DELETE", &format!("/v1/projects/{project}{tail}"), None);
            }
            85..=88 => {
                let name = format!("project-{}", self.dice.below(8));
                let body = json!({"name": name, "quota": {"databases": 5 + self.dice.below(40)}});
                self.ask("PATCH", &format!("/v1/projects/{project}"), Some(&body));
            }
            89..=92 => {
                let verb = ["sleep", "wake"][self.dice.below(2)];
                self.ask("POST", &format!("/v1/projects/{project}/{verb}"), None);
            }
            93..=94 => {
                let verb = ["start", "stop", "restart"][self.dice.below(3)];
                self.ask("POST", &format!("/v1/databases/{id}/{verb}"), None);
            }
            _ => self.try_to_lose(),
        }
    }

    /// Asks for one back, if it is gone.
    fn bring_back(&mut self, id: &str, number: usize) {
        let (status, answer) = self.ask("GET", &format!("/v1/databases/{id}"), None);
        assert_eq!(status, 200, "{id} is lost: {answer}");
        let row = &answer["database"];
        let (path, body) = if row["status"] == "destroyed" {
            let (gone, until) = (&row["destroyed_at"], &row["recoverable_until"]);
            let kept = seconds(until) - seconds(gone);
            assert!(kept >= FLOOR_SECONDS, "{id} is kept for {kept} s: {row}");
            let path = format!("/v1/databases/{id}/undelete");
            (path, json!({"name": format!("back-{number}")}))
        } else {
            (format!("/v1/databases/{id}/start"), json!({}))
        };
        let (status, answer) = self.ask("POST", &path, Some(&body));
        assert!(status < 300, "{id} does not come back: {status} {answer}");
        assert_eq!(answer["database"]["id"], *id);
    }

    /// Waits until all run again, and looks whether they are what they were.
    fn expect_back(&mut self, ids: &[String], first: usize) {
        for (number, id) in ids.iter().enumerate() {
            self.bring_back(id, first + number);
        }
        for id in ids {
            self.await_running(id);
            assert_eq!(self.credentials(id), self.seen[id], "{id} is another");
        }
        for id in ids {
            self.leave(id);
        }
    }

    fn await_running(&mut self, id: &str) {
        let patience = Instant::now() + Duration::from_secs(BACK_SECONDS_MAX);
        loop {
            let (_, answer) = self.ask("GET", &format!("/v1/databases/{id}"), None);
            let row = &answer["database"];
            if row["status"] == "running" {
                return;
            }
            assert!(Instant::now() < patience, "{id} does not run: {row}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Makes room, as the administrator: what was seen back need not stay.
    fn leave(&self, id: &str) {
        let path = format!("/v1/databases/{id}");
        let free = json!({"deletion_protection": false, "recovery_window_days": 7});
        let (status, answer) = self.berth.call("PATCH", &path, Some(&free));
        assert_eq!(status, 200, "{answer}");
        self.berth.call("DELETE", &path, None);
    }
}

/// A path's part without what differs from object to object.
fn plain(part: &str) -> &str {
    let part = part.split('?').next().unwrap_or(part);
    match part.split_once('_') {
        Some(("db" | "proj", _)) => "ID",
        _ => part,
    }
}

/// The seconds of a time on the wire, counted from the first of March of the year 0.
fn seconds(time: &Json) -> i64 {
    let text = time.as_str().unwrap();
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let (mut year, mut month) = (number(0, 4), number(5, 7));
    if month <= 2 {
        (year, month) = (year - 1, month + 12);
    }
    let days = 365 * year + year / 4 - year / 100
        + year / 400
        + (153 * (month - 3) + 2) / 5
        + number(8, 10);
    ((days * 24 + number(11, 13)) * 60 + number(14, 16)) * 60 + number(17, 19)
}

/// A token for that purpose, made by the command line.
fn token(berth: &TestBerth, purpose: &str) -> String {
    let name = format!("floors-{purpose}");
    let made = berth.cli(&["token", "create", "--name", &name, "--for", purpose]);
    assert!(made.status.success(), "{made:?}");
    String::from_utf8_lossy(&made.stdout).trim().to_owned()
}

fn seed() -> u64 {
    let named = std::env::var("BERTH_FLOORS_SEED").ok();
    named.and_then(|text| text.parse().ok()).unwrap_or(4)
}

/// Walks and looks what is left of everything that ever was.
fn walk(berth: &TestBerth, steps: u32, living_max: usize) {
    let seed = seed();
    println!("floors: seed {seed}, {steps} steps");
    let mut pipeline = Pipeline::new(berth, seed, living_max);
    for _ in 0..steps {
        pipeline.step();
    }
    let all = pipeline.databases.clone();
    println!(
        "floors: {} databases; refused: {:#?}",
        all.len(),
        pipeline.refused
    );
    assert!(!all.is_empty());
    let living = berth.databases();
    let living: BTreeSet<_> = living
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    // Whatever stands in the way of others goes first.
    let (first, rest): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|id| living.contains(id.as_str()));
    let mut number = 0;
    for ids in first.chunks(living_max).chain(rest.chunks(living_max)) {
        pipeline.expect_back(ids, number);
        number += ids.len();
    }
}

#[test]
fn ten_thousand_steps_of_a_pipeline_lose_nothing() {
    let Some(berth) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    walk(&berth, STEPS, LIVING_MAX);
}

#[test]
fn a_hundred_steps_on_containers_lose_nothing() {
    let ground = [
        "--prefix",
        "tfloor",
        "--network-range",
        "10.224.0.0/17",
        "--publish-ports",
        "16140-16159",
    ];
    let Some(berth) = TestBerth::start_with(Runtime::Docker, Docker::default(), &ground) else {
        return;
    };
    walk(&berth, STEPS_ON_DOCKER, LIVING_MAX_ON_DOCKER);
}

/// What is in the store: its version, its events, and its bytes as they lie on the disk.
fn store(berth: &TestBerth) -> (Json, Json, Vec<(String, Vec<u8>)>) {
    let version = berth.get("/v1/snapshot?kind=project")["version"].clone();
    let events = berth.get("/v1/events");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(berth.data_root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        // The shared memory beside the log is written by readers.
        if name.starts_with("berth.sqlite") && !name.ends_with("-shm") {
            files.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no store in {:?}", berth.data_root());
    (version, events, files)
}

#[test]
fn a_plan_with_a_plan_token_writes_nothing() {
    let Some(berth) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    let Some(owner) = Stack::new(&berth) else {
        return;
    };
    let text = |more: &str| {
        format!(
            r#"
resource "berth_project" "shop" {{
  name                = "shop"
  deletion_protection = false
}}
resource "berth_database" "orders" {{
  name                = "orders"
  project_id          = berth_project.shop.id
  engine              = "postgresql"
  deletion_protection = false
  {more}
}}
ephemeral "berth_database_credentials" "orders" {{
  database_id = berth_database.orders.id
}}
"#
        )
    };
    owner.write(&text(""));
    owner.apply().ok();
    let reviewer = Stack::new(&berth)
        .unwrap()
        .with_token(&token(&berth, "plan"));
    let state = std::fs::read(owner.folder().join("terraform.tfstate")).unwrap();
    std::fs::write(reviewer.folder().join("terraform.tfstate"), state).unwrap();
    let settled = until_quiet(&berth);
    let more = "storage_gb = 20\n  tags = { a = \"b\" }\n  sleep_after_minutes = 5";
    for (text, code) in [
        (text(""), 0),
        (text(more), 2),
        // With lost state everything is made anew, which its names forbid.
        (
            format!(
                "{}\nresource \"berth_project\" \"more\" {{\n name = \"more\"\n}}",
                text(more)
            ),
            2,
        ),
        (String::new(), 2),
    ] {
        reviewer.write(&text);
        let plan = reviewer.plan();
        assert_eq!(plan.code, Some(code), "{}", plan.output);
        assert_eq!(store(&berth), settled, "a plan of:\n{text}");
    }
}

/// The store once berthd itself has nothing more to write into it.
fn until_quiet(berth: &TestBerth) -> (Json, Json, Vec<(String, Vec<u8>)>) {
    let patience = Instant::now() + Duration::from_secs(BACK_SECONDS_MAX);
    loop {
        let before = store(berth);
        std::thread::sleep(Duration::from_secs(6));
        if store(berth) == before {
            return before;
        }
        assert!(Instant::now() < patience, "the store is never quiet");
    }
}
