//! The journal: looked up, and told where a refresh finds what others changed.

use super::*;
use crate::fake::Fault;
use serde_json::json;

fn tagged(stage: &Stage, by: &str) -> Object {
    let tags = Value::map([("by", by)]);
    stage.database(&[("deletion_protection", false.into()), ("tags", tags)])
}

fn id(instance: &Instance) -> String {
    let state = instance.state.as_ref().unwrap();
    state.string("id").unwrap().unwrap().to_owned()
}

/// Somebody changes the tags of a database, and the journal says who.
fn tag(stage: &Stage, id: &str, who: &str) {
    stage.fake.change(|world| {
        let (from, to) = (json!({}), json!({"by": who}));
        let row = world.databases.get_mut(id).unwrap();
        row.insert("tags".into(), to.clone());
        let changes = [("tags", from, to)];
        world.people.happened(("database_id", id), who, &changes);
    });
}

#[tokio::test]
async fn a_change_by_hand_is_told_with_who_when_and_how() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&tagged(&stage, "us")).await;
    tag(&stage, &id(&instance), "berta");
    tag(&stage, &id(&instance), "anna");
    let run = stage.next_run().await;
    run.fake.requests();
    let told = run.host.refresh(&mut instance).await.unwrap().to_string();
    for part in [
        "orders was changed since this state was written",
        "anna with token annas laptop (tok_anna) from 10.0.0.7 changed tags at 2026-03-01T00:00:02Z.",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(
        !told.contains("berta"),
        "what was changed again is anna's: {told}"
    );
    assert_eq!(run.fake.count("GET /v1/events"), 2);
    // Once the state has it there is nothing to tell.
    let told = run.host.refresh(&mut instance).await.unwrap();
    assert!(told.is_empty(), "{told}");
    assert_eq!(run.fake.requests(), [""; 0]);
}

#[tokio::test]
async fn changes_by_several_people_are_told_apart() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&tagged(&stage, "us")).await;
    let key = id(&instance);
    tag(&stage, &key, "anna");
    stage.fake.change(|world| {
        let row = world.databases.get_mut(&key).unwrap();
        row.insert("storage_gb".into(), json!(30));
        row.insert("tls_mode".into(), json!("require"));
        row["pooler"]["mode"] = json!("session");
        let changes = [
            ("storage_gb", json!(10), json!(30)),
            ("pooler.mode", json!("transaction"), json!("session")),
        ];
        world
            .people
            .happened(("database_id", &key), "berta", &changes);
    });
    let run = stage.next_run().await;
    let told = run.host.refresh(&mut instance).await.unwrap().to_string();
    for part in [
        "berta with token bertas laptop (tok_berta) from 10.0.0.7 changed pooler, storage_gb",
        "anna with token annas laptop (tok_anna) from 10.0.0.7 changed tags",
        "Who changed tls_mode is not in the part of the journal",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

/// Whoever comes after those who have a sentence each is known all the same.
#[tokio::test]
async fn more_people_than_are_told_apart_are_not_unknown() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&tagged(&stage, "us")).await;
    let key = id(&instance);
    stage.fake.change(|world| {
        for (who, field, value) in [
            ("dora", "tls_mode", json!("require")),
            ("carla", "storage_gb", json!(30)),
            ("anna", "tags", json!({"by": "anna"})),
            ("berta", "recovery_window_days", json!(9)),
            ("anna", "credential_version", json!(2)),
        ] {
            let row = world.databases.get_mut(&key).unwrap();
            row.insert(field.into(), value.clone());
            let changes = [(field, json!(null), value)];
            world.people.happened(("database_id", &key), who, &changes);
        }
    });
    let run = stage.next_run().await;
    let told = run.host.refresh(&mut instance).await.unwrap().to_string();
    for part in [
        "anna with token annas laptop (tok_anna) from 10.0.0.7 changed credential_version at \
         2026-03-01T00:00:05Z and tags at 2026-03-01T00:00:03Z.",
        "changed recovery_window_days at 2026-03-01T00:00:04Z.",
        "changed storage_gb at 2026-03-01T00:00:02Z.",
        "Others changed tls_mode: the data source berth_audit tells who.",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("Who changed"), "{told}");
    assert!(!told.contains("dora"), "{told}");
}

#[tokio::test]
async fn what_nobody_did_is_not_told_and_a_failing_journal_is_no_failure() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&tagged(&stage, "us")).await;
    let key = id(&instance);
    stage.fake.change(|world| {
        world
            .databases
            .get_mut(&key)
            .unwrap()
            .insert("storage_gb".into(), json!(30));
    });
    let run = stage.next_run().await;
    let told = run.host.refresh(&mut instance).await.unwrap();
    assert!(told.is_empty(), "{told}");
    tag(&stage, &key, "anna");
    stage
        .fake
        .fail(Fault::refusal("GET /v1/events", 403, "scope_missing"));
    let run = stage.next_run().await;
    let told = run.host.refresh(&mut instance).await.unwrap().to_string();
    assert!(
        told.contains("Changed: tags. Who did it is not known"),
        "{told}"
    );
}

#[tokio::test]
async fn who_destroyed_it_is_told_with_the_way_back() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&tagged(&stage, "us")).await;
    let key = id(&instance);
    stage.fake.change(|world| {
        let row = world.databases.get_mut(&key).unwrap();
        row.insert("status".into(), json!("destroyed"));
        world.people.happened(("database_id", &key), "anna", &[]);
        world.people.events[0]["kind"] = json!("database.destroyed");
    });
    let told = stage.host.refresh(&mut instance).await.unwrap().to_string();
    assert!(told.contains("anna with token annas laptop"), "{told}");
    assert!(told.contains("destroyed it at 2026-03-01"), "{told}");
    assert!(told.contains("restore_from"), "{told}");
}

/// A token that is bound to another project, or whose user was taken out of this one, is answered
/// as if nothing had ever been there.
#[tokio::test]
async fn a_database_out_of_reach_is_told_before_an_empty_one_takes_its_place() {
    let stage = Stage::start().await;
    let config = tagged(&stage, "us");
    for known in [true, false] {
        let mut instance = stage.created(&config).await;
        let key = id(&instance);
        stage.fake.change(|world| {
            world.databases.clear();
            world.people.events.clear();
            if known {
                world.people.happened(("database_id", &key), "anna", &[]);
                world.people.events[0]["kind"] = json!("database.destroyed");
            }
        });
        // Where it was last, there is nothing to be seen of its project either.
        let hidden = Fault::refusal("GET /v1/snapshot", 404, "project_not_found");
        stage.fake.fail(hidden);
        let run = stage.next_run().await;
        let told = run.host.refresh(&mut instance).await.unwrap();
        let told = warnings(&told).join("\n");
        let by = match known {
            true => "anna with token annas laptop (tok_anna) from 10.0.0.7 destroyed it at 2026",
            false => "Who did it is not in the part of the journal that the provider's token may",
        };
        for part in [
            &format!("sees no database orders ({key})"),
            "is not bound to or its user is no member of",
            by,
            "makes a new one, which is empty",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(instance.state, None);
        let plan = run.host.plan(&instance, &config).await.unwrap();
        assert_eq!(plan.action, Action::Create);
    }
}

/// What befalls it by itself does not push out who changed it.
#[tokio::test]
async fn a_database_that_sleeps_and_falls_hides_nobody() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&tagged(&stage, "us")).await;
    let key = id(&instance);
    tag(&stage, &key, "anna");
    stage.fake.change(|world| {
        for kind in [
            "database.down",
            "database.recovered",
            "database.sleep_ordered",
        ] {
            for _ in 0..100 {
                world.people.happened(("database_id", &key), "nobody", &[]);
                world.people.events.last_mut().unwrap()["kind"] = json!(kind);
            }
        }
    });
    let run = stage.next_run().await;
    let told = run.host.refresh(&mut instance).await.unwrap().to_string();
    assert!(told.contains("anna with token annas laptop"), "{told}");
}

#[tokio::test]
async fn a_change_before_all_that_was_looked_at_is_told_as_one() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&tagged(&stage, "us")).await;
    let key = id(&instance);
    tag(&stage, &key, "anna");
    stage.fake.change(|world| {
        for size in 0..100 {
            let changes = [("storage_gb", json!(size), json!(size + 1))];
            world
                .people
                .happened(("database_id", &key), "berta", &changes);
        }
    });
    let run = stage.next_run().await;
    let told = run.host.refresh(&mut instance).await.unwrap().to_string();
    let expected = "Who changed tags is not among the last 100 events of that kind.";
    assert!(told.contains(expected), "{told}");
}

/// A restore brings tags of its own; whoever changed them before that did not make these.
#[tokio::test]
async fn the_newest_of_several_kinds_of_changes_counts() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&tagged(&stage, "us")).await;
    let key = id(&instance);
    tag(&stage, &key, "anna");
    tag(&stage, &key, "berta");
    stage.fake.change(|world| {
        world.people.events.last_mut().unwrap()["kind"] = json!("database.restored");
    });
    let run = stage.next_run().await;
    let told = run.host.refresh(&mut instance).await.unwrap().to_string();
    assert!(
        told.contains("berta with token") && !told.contains("anna"),
        "{told}"
    );
}

#[tokio::test]
async fn who_destroyed_a_project_is_told() {
    let stage = Stage::start().await;
    let config = stage.config("berth_project", &[("name", "shop".into())]);
    for known in [true, false] {
        let mut instance = stage.host.instance("berth_project");
        stage.host.apply(&mut instance, &config).await.unwrap();
        let key = id(&instance);
        stage.fake.change(|world| {
            world.projects.clear();
            world.people.events.clear();
            if known {
                world.people.happened(("project_id", &key), "anna", &[]);
                world.people.events[0]["kind"] = json!("project.destroyed");
            }
        });
        let run = stage.next_run().await;
        let told = run.host.refresh(&mut instance).await.unwrap().to_string();
        assert_eq!(instance.state, None);
        let by = match known {
            true => "anna with token annas laptop (tok_anna) from 10.0.0.7 destroyed it at 2026",
            false => "Who did it is not in the part of the journal that the provider's token may",
        };
        assert!(told.contains(by), "{told}");
        assert!(told.contains(&format!("projects/{key}/undelete")), "{told}");
    }
}

#[tokio::test]
async fn who_changed_or_removed_a_member_is_told() {
    let stage = Stage::start().await;
    let config = stage.config(
        "berth_project_member",
        &[
            ("project_id", "proj_shop".into()),
            ("user_id", "usr_anna".into()),
            ("role", "editor".into()),
        ],
    );
    let mut instance = stage.host.instance("berth_project_member");
    stage.host.apply(&mut instance, &config).await.unwrap();
    let key = ("proj_shop".to_owned(), "usr_anna".to_owned());
    let role = |from: serde_json::Value, to: serde_json::Value| [("role", from, to)];
    stage.fake.change(|world| {
        world.people.members.insert(key.clone(), "owner".to_owned());
        let changes = role(json!("editor"), json!("owner"));
        let people = &mut world.people;
        people.did("berta", "member.changed", "usr_anna is owner now", &changes);
        people.did(
            "carla",
            "member.changed",
            "usr_annabel is owner now",
            &changes,
        );
    });
    let told = stage.host.refresh(&mut instance).await.unwrap().to_string();
    assert!(
        told.contains("The part of usr_anna in project proj_shop was changed"),
        "{told}"
    );
    assert!(
        told.contains("berta with token") && told.contains("changed role at"),
        "{told}"
    );
    assert!(!told.contains("carla"), "{told}");
    let told = stage.host.refresh(&mut instance).await.unwrap();
    assert!(told.is_empty(), "{told}");

    stage.fake.change(|world| {
        world.people.members.clear();
        let sentence = "usr_anna is no member any more";
        let changes = role(json!("owner"), json!(null));
        world
            .people
            .did("dora", "member.removed", sentence, &changes);
    });
    let told = stage.host.refresh(&mut instance).await.unwrap().to_string();
    assert!(
        told.contains("dora with token") && told.contains("removed it at"),
        "{told}"
    );
    // Whether the user is still there the answer does not say.
    assert!(told.contains("When berthd has deleted the user"), "{told}");
    assert_eq!(instance.state, None);

    // With its project a member goes without a word: that is said of the project.
    stage.host.apply(&mut instance, &config).await.unwrap();
    let gone = Fault::refusal(
        "GET /v1/projects/proj_shop/members",
        404,
        "project_not_found",
    );
    stage.fake.fail(gone);
    let told = stage.host.refresh(&mut instance).await.unwrap();
    assert!(told.is_empty() && instance.state.is_none(), "{told}");
}

#[tokio::test]
async fn who_changed_or_revoked_a_token_is_told() {
    let stage = Stage::start().await;
    let config = stage.config(
        "berth_token",
        &[
            ("name", "ci".into()),
            ("scopes", Value::set(["read"])),
            ("expires_at", "2099-01-01T02:00:00+02:00".into()),
        ],
    );
    let mut instance = stage.host.instance("berth_token");
    stage.host.apply(&mut instance, &config).await.unwrap();
    let key = id(&instance);
    let told = stage.host.refresh(&mut instance).await.unwrap();
    assert!(
        told.is_empty(),
        "another spelling of a moment is no change: {told}"
    );
    stage.fake.change(|world| {
        let row = world.people.tokens.get_mut(&key).unwrap();
        row.insert("name".into(), json!("deploy"));
        let changes = [("name", json!("ci"), json!("deploy"))];
        let people = &mut world.people;
        let own = format!("token deploy ({key}) was changed");
        people.did("anna", "token.changed", &own, &changes);
        // Whose name says something else is not it.
        let other = format!("token x ({key}) was changed (tok_9) was changed");
        people.did("berta", "token.changed", &other, &changes);
    });
    let told = stage.host.refresh(&mut instance).await.unwrap().to_string();
    assert!(told.contains("anna with token annas laptop"), "{told}");
    assert!(
        told.contains("changed name at") && !told.contains("berta"),
        "{told}"
    );

    // A moved end, of which the token may read nothing.
    stage.fake.change(|world| {
        let row = world.people.tokens.get_mut(&key).unwrap();
        row.insert("expires_at".into(), json!("2098-01-01T00:00:00Z"));
        world.people.events.clear();
    });
    let told = stage.host.refresh(&mut instance).await.unwrap().to_string();
    assert!(
        told.contains("Who changed expires_at is not in the part"),
        "{told}"
    );

    stage.fake.change(|world| {
        let row = world.people.tokens.get_mut(&key).unwrap();
        row.insert("revoked_at".into(), json!("2026-02-01T00:00:00Z"));
        let sentence = format!("token deploy ({key}) was revoked");
        world.people.did("carla", "token.revoked", &sentence, &[]);
    });
    let told = stage.host.refresh(&mut instance).await.unwrap().to_string();
    assert!(
        told.contains("carla with token") && told.contains("revoked it at"),
        "{told}"
    );
}

#[tokio::test]
async fn of_many_changed_objects_a_few_are_explained() {
    let stage = Stage::start().await;
    let mut all = Vec::new();
    for index in 0..8 {
        let name = Value::from(format!("project-{index}"));
        let config = stage.config("berth_project", &[("name", name)]);
        let mut instance = stage.host.instance("berth_project");
        stage.host.apply(&mut instance, &config).await.unwrap();
        let key = id(&instance);
        stage.fake.change(|world| {
            world.projects.get_mut(&key).unwrap()["description"] = json!("by hand");
            let changes = [("description", json!(null), json!("by hand"))];
            world
                .people
                .happened(("project_id", &key), "anna", &changes);
        });
        all.push(instance);
    }
    let run = stage.next_run().await;
    run.fake.requests();
    let mut told = Vec::new();
    for instance in &mut all {
        let diagnostics = run.host.refresh(instance).await.unwrap();
        told.extend(warnings(&diagnostics));
    }
    assert_eq!(run.fake.count("GET /v1/events"), 10);
    assert_eq!(told.len(), 6, "{told:#?}");
    assert!(
        told[4].contains("anna") && told[5].contains("berth_audit"),
        "{told:#?}"
    );
}

#[tokio::test]
async fn the_journal_is_looked_up_newest_first_and_to_its_limit() {
    let stage = Stage::start().await;
    stage.fake.change(|world| {
        for at in 0..250 {
            let changes = [("tags", json!({}), json!({"at": at}))];
            world
                .people
                .happened(("database_id", "db_1"), "anna", &changes);
        }
        let secret = &mut world.people.events[249]["changes"][0];
        *secret = json!({"field": "password", "from": null, "to": null, "sensitive": true});
    });
    let sequences = |found: &Object| -> Vec<i64> {
        let events = found.elements("events").unwrap().unwrap().iter();
        let sequence = |event: &Value| event.as_object().unwrap().integer("sequence");
        events
            .map(|event| sequence(event).unwrap().unwrap())
            .collect()
    };
    let found = stage.host.read_data("berth_audit", []).await.unwrap();
    assert_eq!(sequences(&found), (151..=250).rev().collect::<Vec<_>>());
    stage.fake.requests();
    let limited = [
        ("limit", Value::from(220)),
        ("database_id", "db_1".into()),
        ("since", "2026-03-01T02:00:00+02:00".into()),
    ];
    let found = stage.host.read_data("berth_audit", limited).await.unwrap();
    assert_eq!(sequences(&found), (31..=250).rev().collect::<Vec<_>>());
    let asked = stage.fake.requests();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(
        asked[0].contains("since=2026-03-01T00%3A00%3A00Z"),
        "{asked:?}"
    );

    let event = |at: usize| {
        let events = found.elements("events").unwrap().unwrap();
        events[at].as_object().unwrap().clone()
    };
    assert_eq!(event(0).string("actor"), Ok(Some("anna (annas laptop)")));
    assert_eq!(event(0).string("address"), Ok(Some("10.0.0.7")));
    let change = |at: usize| {
        event(at).elements("changes").unwrap().unwrap()[0]
            .as_object()
            .unwrap()
            .clone()
    };
    assert_eq!(change(0).boolean("sensitive"), Ok(Some(true)));
    assert_eq!(change(0).string("to"), Ok(None));
    assert_eq!(change(1).string("to"), Ok(Some("{\"at\":248}")));
}

#[tokio::test]
async fn filters_that_let_nothing_through_are_refused_before_anybody_is_asked() {
    let stage = Stage::start().await;
    for (filters, complaint) in [
        (vec![("since", "yesterday")], "RFC 3339"),
        (vec![("database_id", "orders")], "db_"),
        (
            vec![
                ("since", "2026-01-02T00:00:00Z"),
                ("until", "2026-01-01T00:00:00Z"),
            ],
            "not later",
        ),
    ] {
        let filters = filters
            .into_iter()
            .map(|(name, value)| (name, Value::from(value)));
        let refused = told(stage.host.read_data("berth_audit", filters).await);
        assert!(refused.contains(complaint), "{refused}");
    }
    assert_eq!(stage.fake.requests(), [""; 0]);
}
