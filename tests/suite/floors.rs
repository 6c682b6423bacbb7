//! Nothing is lost by a pipeline's token: whatever it says, in whatever order and on whatever
//! state, every database that ever was is back by `undelete`, with its id, login, password and
//! rows, and so is every project, with its members and each value that a variable of it ever had.
//!
//! `BERTH_FLOORS_SEED` says another sequence; the seed of a run is printed.

mod back;
mod dice;
mod gifts;
mod logins;
mod marks;
mod pipeline;

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::harness::{Runtime, Stack, TestBerth, flat};
use marks::Marks;
use pipeline::Pipeline;

/// Steps on the fake runtime.
const STEPS: u32 = 10_000;
/// Steps on containers.
const STEPS_ON_DOCKER: u32 = 100;
/// Databases that may live for long: half of them stay when room is made.
const LIVING_MAX: usize = 40;
/// The same on containers.
const LIVING_MAX_ON_DOCKER: usize = 4;
/// How long one database may take until it runs again.
const BACK_SECONDS_MAX: u64 = 120;

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

/// Walks and looks what is left of everything that ever was; how many databases were destroyed
/// right after a new password was ordered.
fn walk(berth: &TestBerth, steps: u32, living_max: usize, marks: Option<Marks>) -> u32 {
    let seed = seed();
    println!("floors: seed {seed}, {steps} steps");
    let mut pipeline = Pipeline::new(berth, seed, living_max, marks);
    for _ in 0..steps {
        pipeline.step();
    }
    // The last word of a pipeline that means ill.
    pipeline.make_room(0);
    let all = pipeline.databases.clone();
    println!(
        "floors: {} databases; {} destroyed with a new password ordered; refused: {:#?}",
        all.len(),
        pipeline.rotations_cut_short,
        pipeline.refused
    );
    assert!(!all.is_empty());
    for (round, ids) in all.chunks(living_max).enumerate() {
        pipeline.expect_back(ids, round * living_max);
    }
    pipeline.expect_gifts_back();
    if let Some(marks) = &pipeline.marks {
        let (left, found) = marks.counted();
        println!("floors: rows of {found} databases are back, of {left} that had any");
        assert_eq!(found, left, "rows that nobody looked for");
        assert!(left * 2 > all.len(), "most databases never had rows");
    }
    pipeline.rotations_cut_short
}

#[test]
fn ten_thousand_steps_of_a_pipeline_lose_nothing() {
    let Some(berth) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    let cut_short = walk(&berth, STEPS, LIVING_MAX, None);
    assert!(cut_short > 0, "no rotation was cut short");
}

#[test]
fn a_hundred_steps_on_containers_lose_nothing() {
    let Some(berth) = TestBerth::start(Runtime::Docker) else {
        return;
    };
    let marks = Some(Marks::default());
    walk(&berth, STEPS_ON_DOCKER, LIVING_MAX_ON_DOCKER, marks);
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
    let body = serde_json::json!({"name": "anna"});
    let (_, made) = berth.call("POST", "/v1/users", Some(&body));
    let anna = made["user"]["id"].as_str().unwrap();
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
resource "berth_token" "ci" {{
  name   = "ci"
  scopes = ["read", "plan"]
}}
resource "berth_project_member" "anna" {{
  project_id = berth_project.shop.id
  user_id    = "{anna}"
  role       = "viewer"
}}
data "berth_project" "shop" {{
  id = berth_project.shop.id
}}
data "berth_database" "orders" {{
  id = berth_database.orders.id
}}
data "berth_audit" "orders" {{
  database_id = berth_database.orders.id
}}
data "berth_engines" "all" {{}}
data "berth_plans" "all" {{}}
data "berth_regions" "all" {{}}
data "berth_server" "here" {{}}
ephemeral "berth_database_credentials" "orders" {{
  database_id = berth_database.orders.id
}}
ephemeral "berth_project_env" "shop" {{
  project_id = berth_project.shop.id
}}
ephemeral "berth_token_secret" "ci" {{
  token_id = berth_token.ci.id
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
    // With lost state everything would be made anew, which its names forbid.
    std::fs::remove_file(reviewer.folder().join("terraform.tfstate")).unwrap();
    reviewer.write(&text(more));
    let plan = reviewer.plan();
    let told = flat(&plan.refused());
    assert!(told.contains("shop exists already"), "{told}");
    assert_eq!(store(&berth), settled, "a plan from lost state");
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
