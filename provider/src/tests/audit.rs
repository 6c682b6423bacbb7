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
    assert_eq!(run.fake.count("GET /v1/events"), 1);
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
        "Who changed tls_mode is not among the last events.",
    ] {
        assert!(told.contains(part), "{told}");
    }
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
    assert_eq!(run.fake.count("GET /v1/events"), 5);
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
