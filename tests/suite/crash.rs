//! berthd dies before and after each thing it does to the outside while it makes a database and
//! while it takes one away, on a real engine; the next start ends at exactly one of each, or at
//! none.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::harness::{
    Docker, Runtime, TestBerth, not_run, program, root, sql, until, until_settled,
};

/// Places that a provision passes; `:2` is the second passing, of the pooler or of the network
/// for published ports.
const PROVISION: &[&str] = &[
    "spare.run.before",
    "spare.run.after",
    "spare.keep.before",
    "spare.keep.after",
    "data.await.before",
    "data.await.after",
    "data.claim.before",
    "data.claim.after",
    "data.confirm.before",
    "data.confirm.after",
    "spare.stop.before",
    "spare.stop.after",
    "spare.remove.before",
    "spare.remove.after",
    "record.write.before",
    "record.write.after",
    "network.create.before",
    "network.create.after",
    "network.create.before:2",
    "network.create.after:2",
    "memory.make.before",
    "memory.make.after",
    "memory.mount.before",
    "memory.mount.after",
    "files.write.before",
    "files.write.after",
    "container.create.before",
    "container.create.after",
    "container.create.before:2",
    "container.create.after:2",
    "container.attach.before",
    "container.attach.after",
    "container.start.before",
    "container.start.after",
    "container.start.before:2",
    "container.start.after:2",
    "control.bootstrap.before",
    "control.bootstrap.after",
    "control.settle.before",
    "control.settle.after",
];

/// Places that a destruction passes, its purge included, which settles after it.
const DESTROY: &[&str] = &[
    "container.stop.before",
    "container.stop.after",
    "container.stop.before:2",
    "container.stop.after:2",
    "container.remove.before",
    "container.remove.after",
    "container.remove.before:2",
    "container.remove.after:2",
    "files.remove.before",
    "files.remove.after",
    "network.remove.before",
    "network.remove.after",
    "network.remove.before:2",
    "network.remove.after:2",
    "memory.unmount.before",
    "memory.unmount.after",
    "memory.remove.before",
    "memory.remove.after",
    "data.trash.before",
    "data.trash.after",
    "data.purge.before",
    "data.purge.after",
    "control.settle.before",
    "control.settle.after",
    "control.settle.before:2",
    "control.settle.after:2",
];

const IN_MEMORY: &str = "the loop's own tests stop it there, and the effects of this step have \
                         places of their own, which are listed";

/// Places that are not passed here, each with the reason.
const EXEMPT: &[(&str, &str)] = &[
    (
        "container.signal.*",
        "a change of the configuration passes it; the fake engine's tests do",
    ),
    (
        "data.restore.*",
        "an undeletion passes it; the fake engine's tests do",
    ),
    ("control.store_credentials.*", IN_MEMORY),
    ("control.set_verifier.*", IN_MEMORY),
    ("control.stop_instance.*", IN_MEMORY),
    ("control.obtain_images.*", IN_MEMORY),
    ("control.ensure_instance.*", IN_MEMORY),
    ("control.await_engine.*", IN_MEMORY),
    ("control.prove_login.*", IN_MEMORY),
    ("control.pause_pooler.*", IN_MEMORY),
    ("control.hold_clients.*", IN_MEMORY),
    ("control.resume_pooler.*", IN_MEMORY),
    ("control.await_stopped.*", IN_MEMORY),
    ("control.remove_instance.*", IN_MEMORY),
    ("control.purge_data.*", IN_MEMORY),
];

/// How long a place may take to be passed.
const DEATH_SECONDS_MAX: u64 = 90;

/// What there is of an installation, counted from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    rows: usize,
    engines: usize,
    poolers: usize,
    containers: usize,
    networks: usize,
    instances: usize,
    trash: usize,
    /// Data directories that are being made, and what is being taken apart.
    unfinished: usize,
    /// The directory in memory, for keys, sockets and env files.
    memory: usize,
}

impl Count {
    /// One published database.
    const ONE: Self = Self {
        rows: 1,
        engines: 1,
        poolers: 1,
        containers: 2,
        networks: 2,
        instances: 1,
        trash: 0,
        unfinished: 0,
        memory: 1,
    };
    const NONE: Self = Self {
        rows: 0,
        engines: 0,
        poolers: 0,
        containers: 0,
        networks: 0,
        instances: 0,
        trash: 0,
        unfinished: 0,
        memory: 0,
    };

    fn of(berth: &TestBerth) -> Self {
        let label = format!("label=berth.installation={}", berth.installation());
        let docker = Docker::default();
        let networks = docker.run(&["network", "ls", "-q", "--filter", &label]);
        let role = "{{.Label \"berth.role\"}}";
        let roles = docker.run(&["ps", "-a", "--filter", &label, "--format", role]);
        let of_role = |name: &str| roles.lines().filter(|role| *role == name).count();
        let directories = |name: &str| entries(&berth.data_root().join(name));
        Self {
            rows: berth.databases().len(),
            engines: of_role("engine"),
            poolers: of_role("pooler"),
            containers: roles.lines().count(),
            networks: networks.lines().count(),
            instances: directories("instances"),
            trash: directories("trash"),
            unfinished: making(&berth.data_root().join("spares")) + directories("rubbish"),
            memory: usize::from(berth.run_directory().exists()),
        }
    }
}

/// What is being initialised, or was when berthd died.
fn making(spares: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(spares) else {
        return 0;
    };
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with(".making-"))
        .count()
}

fn entries(directory: &Path) -> usize {
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}

/// Starts berthd so that it dies at `point`, asks for something, and starts it again after its
/// death. Whether the request was heard is not known then.
fn die_while(berth: &mut TestBerth, point: &str, ask: impl FnOnce(&TestBerth)) {
    berth.stop();
    berth.dies_at(Some(point));
    berth.resume();
    ask(berth);
    assert!(
        berth.await_death(DEATH_SECONDS_MAX),
        "{point} was not passed"
    );
    berth.dies_at(None);
    berth.resume();
}

fn provision(berth: &mut TestBerth, name: &str, point: Option<&str>) -> Json {
    let wish = json!({
        "name": name,
        "engine": "postgresql",
        "expose": true,
        "recovery_window_days": 0,
    });
    if let Some(point) = point {
        die_while(berth, point, |berth| {
            // The answer may get lost with the process.
            let _ = berth.try_call("POST", "/v1/databases", Some(&wish));
        });
    }
    // An order is written before anything is done, so there is one unless nobody asked yet.
    if point.is_none() {
        let (status, answer) = berth.call("POST", "/v1/databases", Some(&wish));
        assert_eq!(status, 201, "{answer}");
    }
    let database = until_settled(berth, name, "running");
    // A spare may just be in the making, by a container that ends with it.
    until(&format!("there is one of each after {point:?}"), || {
        let found = Count::of(berth);
        (found == Count::ONE)
            .then_some(())
            .ok_or(format!("{found:?}"))
    });
    database
}

/// Writes and reads a row as an application does.
fn use_it(berth: &TestBerth, database: &Json, why: &str) {
    let id = database["id"].as_str().unwrap();
    let login = berth.get(&format!("/v1/databases/{id}/credentials"));
    let text = |name: &str| login[name].as_str().unwrap().to_owned();
    let authority = database["ca_certificate"].as_str().unwrap();
    let rows = sql::query(
        &text("pooled_uri"),
        authority,
        "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('here'); SELECT word FROM kept",
    );
    assert_eq!(rows.unwrap(), ["here"], "after {why}");
}

/// Destroys a database and waits until nothing of it is left, outside and in the rows.
fn destroy(berth: &mut TestBerth, database: &Json, point: Option<&str>) {
    let path = format!("/v1/databases/{}", database["id"].as_str().unwrap());
    match point {
        Some(point) => die_while(berth, point, |berth| {
            let _ = berth.try_call("DELETE", &path, None);
        }),
        None => {
            let (status, answer) = berth.call("DELETE", &path, None);
            assert!((200..300).contains(&status), "{answer}");
        }
    }
    until(&format!("it is gone after {point:?}"), || {
        let count = Count::of(berth);
        let trash = berth.get("/v1/trash")["databases"].clone();
        let done = berth.get(&format!("{path}/operations"))["operations"][0].clone();
        let is_purged = done["kind"] == "purge" && done["state"] == "succeeded";
        if count == Count::NONE && trash == json!([]) && is_purged {
            Ok(())
        } else {
            Err(format!("{count:?}, trash {trash}, last {done}"))
        }
    });
}

/// Whether the program that is tested has places to die at; the reason is printed when not.
fn can_die() -> bool {
    let Some(berthd) = program("berthd") else {
        return false;
    };
    let bytes = std::fs::read(berthd).unwrap();
    let can = bytes
        .windows(b"BERTH_CRASH_AT".len())
        .any(|window| window == b"BERTH_CRASH_AT");
    if !can {
        not_run("berthd is built without the feature failpoints");
    }
    can
}

/// The places that a crate lists. Its text is read, since its berthd is not imported here.
fn listed_in(file: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let (_, rest) = text.split_once("ALL_CRASH_POINTS: ").unwrap();
    let (list, _) = rest.split_once("];").unwrap();
    let points: BTreeSet<_> = list
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert!(points.len() > 10, "{file}: {points:?}");
    points
}

#[test]
fn each_place_is_passed_here_or_exempt() {
    let mut places = listed_in("backend/platform/containers/src/crash.rs");
    places.extend(listed_in("backend/control/src/failpoint.rs"));
    let mut answered = BTreeSet::new();
    for point in PROVISION.iter().chain(DESTROY) {
        let name = point.split(':').next().unwrap_or_default();
        answered.insert(name.to_owned());
    }
    for (pattern, reason) in EXEMPT {
        let step = pattern.strip_suffix('*').unwrap();
        for side in ["before", "after"] {
            let new = answered.insert(format!("{step}{side}"));
            assert!(new, "{step}{side} is both passed and exempt: {reason}");
        }
    }
    assert_eq!(answered, places);
}

#[test]
fn killed_at_any_effect_there_is_one_of_each_or_none_in_the_end() {
    if !can_die() {
        return;
    }
    // Each provision makes its own data directory, so that it passes those places too.
    let arguments = ["--spares", "0"];
    let Some(mut berth) = TestBerth::start_with(Runtime::Docker, Docker::default(), &arguments)
    else {
        return;
    };
    for at in 0..PROVISION.len().max(DESTROY.len()) {
        let (made, gone) = (PROVISION.get(at).copied(), DESTROY.get(at).copied());
        let name = format!("crash-{at}");
        let database = provision(&mut berth, &name, made);
        use_it(&berth, &database, made.unwrap_or("nothing"));
        destroy(&mut berth, &database, gone);
    }
}
