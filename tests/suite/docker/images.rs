//! Images that are missing, and what a stop takes with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value as Json, json};

use super::engine::Engine;
use crate::harness::{Docker, Runtime, TestBerth, until, until_settled};

const IMAGE: &str = "berth/postgresql:17";
/// Under which the story's builder finds the image.
const ASIDE: &str = "aside/postgresql:17";
/// What stands in for the recipes' tool: it waits for a sign and gives the image its name.
const BUILDER: &str = "#!/bin/sh
cd \"$(dirname \"$0\")\" || exit 1
echo \"$1\" >>begun
until [ -e go ]; do sleep 0.05; done
exec docker tag aside/postgresql:17 berth/postgresql:17
";

#[test]
fn an_image_that_is_missing_is_built_when_a_database_needs_it() {
    if !Runtime::Docker.is_there() {
        return;
    }
    let Some(engine) = Engine::start(&[IMAGE, "berth/pgbouncer:1"]) else {
        return;
    };
    engine.docker().run(&["tag", IMAGE, ASIDE]);
    engine.docker().run(&["rmi", IMAGE]);
    let recipes = tempfile::tempdir().unwrap();
    fs::create_dir(recipes.path().join("postgresql-17")).unwrap();
    fs::write(recipes.path().join("postgresql-17/recipe"), "").unwrap();
    let builder = recipes.path().join("build");
    fs::write(&builder, BUILDER).unwrap();
    fs::set_permissions(&builder, fs::Permissions::from_mode(0o755)).unwrap();
    let folder = recipes.path().to_str().unwrap();
    let arguments = ["--recipes", folder, "--spares", "2"];
    let Some(mut berth) = TestBerth::start_with(Runtime::Docker, engine.docker(), &arguments)
    else {
        return;
    };

    let wish = |name: &str| json!({"name": name, "engine": "postgresql"});
    let (status, plan) = berth.call("POST", "/v1/plan", Some(&body_of(&wish("orders"))));
    assert_eq!(status, 200, "{plan}");
    assert!(
        plan.to_string().contains("is not on the host yet"),
        "{plan}"
    );
    for name in ["orders", "bills"] {
        let (status, answer) = berth.call("POST", "/v1/databases", Some(&wish(name)));
        assert_eq!(status, 201, "{answer}");
    }
    let waits = |berth: &TestBerth, name: &str| {
        until("it waits for its image", || {
            let found = berth.get(&format!("/v1/databases/{name}"))["database"].clone();
            let waits = found["phase"] == "obtaining_image" && found["status"] == "provisioning";
            if waits {
                Ok(())
            } else {
                Err(found.to_string())
            }
        });
    };
    waits(&berth, "orders");
    waits(&berth, "bills");
    let begun = || fs::read_to_string(recipes.path().join("begun")).unwrap_or_default();
    until("it is built", || {
        if begun().is_empty() {
            Err(String::new())
        } else {
            Ok(())
        }
    });
    assert_eq!(begun(), "postgresql-17\n", "once, for both");
    assert_eq!(berth.containers(None), Vec::<String>::new());

    // A berthd that stops meanwhile takes the build with it, and its successor begins again.
    berth.stop();
    berth.resume();
    waits(&berth, "orders");
    until("it is built anew", || {
        if begun().lines().count() == 2 {
            Ok(())
        } else {
            Err(begun())
        }
    });
    fs::write(recipes.path().join("go"), "").unwrap();
    for name in ["orders", "bills"] {
        until_settled(&berth, name, "running");
    }
    assert_eq!(begun().lines().count(), 2, "{}", begun());
    let (_, plan) = berth.call("POST", "/v1/plan", Some(&body_of(&wish("more"))));
    let errors: Vec<&Json> = plan["resources"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|resource| resource["errors"].as_array().unwrap())
        .collect();
    assert_eq!(errors, Vec::<&Json>::new());
}

fn body_of(wish: &Json) -> Json {
    json!({"resources": [{"kind": "database", "config": wish}]})
}

#[test]
fn spares_are_made_from_the_first_start_and_a_stop_leaves_none_half_made() {
    let Some(mut berth) =
        TestBerth::start_with(Runtime::Docker, Docker::default(), &["--spares", "2"])
    else {
        return;
    };
    let initialisations = |berth: &TestBerth| {
        until("an initialisation", || {
            let found = berth.containers(Some("initialise"));
            if found.is_empty() {
                Err(String::new())
            } else {
                Ok(())
            }
        });
    };
    initialisations(&berth);
    berth.stop();
    assert_eq!(berth.containers(None), Vec::<String>::new());

    berth.resume();
    let spares = berth.data_root().join("spares/postgresql-17");
    until("two spares", || {
        match fs::read_dir(&spares).map_or(0, Iterator::count) {
            2 => Ok(()),
            other => Err(format!("there are {other}")),
        }
    });
    until("the last initialisation is cleared", || {
        let left = berth.containers(None);
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
}
