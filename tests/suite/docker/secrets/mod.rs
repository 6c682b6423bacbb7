//! A password, its verifier, a token, the root key and the engines' keys are searched for in
//! everything that is written or shown while a database is made, rotated and destroyed.

mod places;

use std::collections::BTreeSet;

use places::{Watcher, containers, is_memory};

use super::{Login, shop, stage};
use crate::harness::needles::{self, Needle, Search};
use crate::harness::places::{Place, archives, files};
use crate::harness::{Docker, Stack, TestBerth, until};

/// What may stand where, each with its reason.
fn is_allowed(needle: &Needle, place: &Place, berth: &TestBerth) -> bool {
    let path = place.name.as_str();
    let data_root = berth.data_root().to_string_lossy().into_owned();
    let run = berth.run_directory().to_string_lossy().into_owned();
    match needle.secret {
        // Whoever sets a machine up takes its first token from this file.
        "admin token" => path == format!("{data_root}/admin.token"),
        "root key" => path == format!("{data_root}/root.key"),
        // The engine and the pooler compare logins with it; nobody can log in with it.
        "verifier" => {
            path.starts_with(&format!("{data_root}/instances/"))
                || (path.starts_with(&run) && path.ends_with("/pooler.conf/userlist.txt"))
        }
        // An application asked for them: its database's address is in its project's env files.
        "password" => path.starts_with(&format!("{run}/env/")),
        // Engine and pooler read their keys from a directory that is memory.
        "private key" => path.starts_with(&run) && path.ends_with("/server.key"),
        _ => false,
    }
}

fn found(search: &Search, places: &[Place], berth: &TestBerth) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for place in places {
        for needle in search.hits(&place.bytes) {
            if !is_allowed(needle, place, berth) {
                found.insert(format!(
                    "{} ({})  in {}",
                    needle.secret, needle.form, place.name
                ));
            }
        }
    }
    found
}

/// The secrets of the pooler's and the engine's directories, as they are now.
fn add_runtime_secrets(search: &mut Search, berth: &TestBerth) {
    let mut verifiers = 0;
    for file in files(&berth.run_directory()) {
        let text = String::from_utf8_lossy(&file.bytes);
        if file.name.ends_with("/userlist.txt") {
            for verifier in text
                .split('"')
                .filter(|word| word.starts_with("SCRAM-SHA-256"))
            {
                search.add("verifier", verifier);
                // The part that a leak would lose, whatever stands before it.
                let keys = verifier.rsplit('$').next().unwrap();
                search.add("verifier", keys);
                verifiers += 1;
            }
        }
        if file.name.ends_with("/server.key") {
            search.add_key("private key", &needles::secret_scalar(&text));
        }
    }
    assert!(verifiers > 0, "the pooler has a list of its users");
}

fn configuration(version: u32) -> String {
    format!(
        r#"{}
ephemeral "berth_database_credentials" "orders" {{
  database_id = berth_database.orders.id
}}
resource "terraform_data" "proof" {{
  triggers_replace = [berth_database.orders.id, berth_database.orders.credential_version]
  provisioner "local-exec" {{
    command     = "berthd check-login"
    environment = {{ BERTH_URI = ephemeral.berth_database_credentials.orders.pooled_uri }}
  }}
}}
"#,
        shop(&format!(
            "recovery_window_days = 0\n credential_version = {version}"
        ))
    )
}

/// Plans and applies, and gives all that was printed on the way and the plan as JSON.
fn planned_and_applied(stack: &Stack, version: u32) -> String {
    let plan = format!("saved-{version}.plan");
    stack.write(&configuration(version));
    let out = format!("-out={plan}");
    let mut printed = stack.run(&["plan", "-no-color", &out]).ok();
    printed += &stack.run(&["show", "-json", &plan]).ok();
    printed += &stack.run(&["apply", "-no-color", &plan]).ok();
    printed += &stack.run(&["show", "-json"]).ok();
    printed
}

/// The search itself finds what was put on purpose, in each form, and each place has in it what
/// is no secret: it was really looked at.
fn assert_the_search_works(search: &Search, places: &[Place], berth: &TestBerth, login: &Login) {
    let answer = login.body.to_string();
    assert!(
        search
            .hits(answer.as_bytes())
            .any(|n| n.secret == "password"),
        "the credentials' answer holds the password"
    );
    let password = login.text("password");
    let planted = [
        ("plain", format!("PGPASSWORD={password}\n")),
        (
            "base64",
            needles::base64(format!("u:{password}").as_bytes()),
        ),
        (
            "base64",
            needles::base64(format!("me:{password}").as_bytes()),
        ),
        (
            "base64",
            needles::base64(format!("you:{password}").as_bytes()),
        ),
    ];
    let file = berth.data_root().join("planted");
    for (form, text) in planted {
        std::fs::write(&file, &text).unwrap();
        let hits = found(search, &files(berth.data_root()), berth);
        let expected = format!("password ({form})  in {}", file.display());
        assert_eq!(hits, BTreeSet::from([expected]), "{text}");
    }
    std::fs::remove_file(&file).unwrap();
    // Nothing in a password needs URL encoding, and everything in a verifier does.
    let verifier = search.plain("verifier");
    let encoded = needles::url_encoded(&verifier);
    assert_ne!(encoded, verifier);
    assert!(
        search
            .hits(encoded.as_bytes())
            .any(|n| n.form == "URL-encoded")
    );
    let root_key = search.plain("root key");
    assert!(
        search
            .hits(&needles::unhex(&root_key))
            .any(|n| n.form == "raw")
    );

    for (kind, public) in [
        ("terraform.tfstate", "app_orders"),
        ("saved-1.plan!tfplan", "app_orders"),
        ("client.log", "berthd answered"),
        ("printed", "app_orders"),
        ("test.log", "TRACE"),
        ("inspect of ", "berth.installation"),
        ("logs of ", "LOG"),
        ("events", "container create"),
        ("command lines", "postgres"),
        ("environments", "PATH="),
        ("userlist.txt", "app_orders"),
        ("berth.sqlite", "app_orders"),
    ] {
        let there = places.iter().filter(|place| place.name.contains(kind));
        let seen = there
            .clone()
            .any(|place| needles::holds(&place.bytes, public));
        assert!(seen, "{kind} was looked at: {} of it", there.count());
    }
}

#[test]
fn secrets_are_nowhere() {
    let Some((berth, stack)) = stage(&["--log", "trace"]) else {
        return;
    };
    let docker = Docker::default();
    let log = stack.folder().join("client.log");
    let stack = stack
        .with_variable("TF_LOG", "TRACE")
        .with_variable("TF_LOG_PATH", log.to_str().unwrap());
    let watcher = Watcher::start(berth.process());
    let mut search = Search::default();
    search.add("admin token", &berth.token());
    let root_key = std::fs::read_to_string(berth.data_root().join("root.key")).unwrap();
    search.add_key("root key", root_key.trim());
    search.add_literal("private key", "PRIVATE KEY-----");
    let made = berth.cli(&["token", "create", "--name", "pipeline", "--for", "apply"]);
    assert!(made.status.success(), "{made:?}");
    search.add("token", String::from_utf8_lossy(&made.stdout).trim());

    let mut printed = planned_and_applied(&stack, 1);
    let id = stack.resource("berth_database.orders")["id"].clone();
    let id = id.as_str().unwrap();
    let first = Login::of(&berth, id);
    search.add("password", first.text("password"));
    add_runtime_secrets(&mut search, &berth);
    printed += &planned_and_applied(&stack, 2);
    let second = Login::of(&berth, id);
    assert_ne!(first.text("password"), second.text("password"));
    search.add("password", second.text("password"));
    add_runtime_secrets(&mut search, &berth);

    let gather = |printed: &str| {
        let mut places = files(berth.data_root());
        places.extend(files(&berth.run_directory()));
        places.extend(files(stack.folder()));
        places.extend(archives(stack.folder()));
        places.extend(containers(&docker, &berth));
        places.extend(watcher.seen());
        places.push(Place::new("printed", printed));
        places
    };
    let places = gather(&printed);
    assert_eq!(found(&search, &places, &berth), BTreeSet::new());
    assert_the_search_works(&search, &places, &berth, &second);
    assert!(is_memory(&berth.run_directory()));

    printed += &stack.destroy().ok();
    // An engine's data takes a moment to be deleted; nothing of it may stay.
    until("the data is gone", || {
        let left = ["instances", "trash", "rubbish"].map(|name| berth.data_root().join(name));
        match left.iter().flat_map(|folder| files(folder)).next() {
            None => Ok(()),
            Some(file) => Err(file.name),
        }
    });
    assert_eq!(found(&search, &gather(&printed), &berth), BTreeSet::new());
}
