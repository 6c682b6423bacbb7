//! Where the password of a database is, and where none is.

use super::*;
use crate::fake::Fault;
use serde_json::json;

#[tokio::test]
async fn secrets_are_in_the_state_on_request_only() {
    let stage = Stage::start().await;
    let exposed = |version: i64| {
        stage.database(&[
            ("expose_credentials_in_state", true.into()),
            ("credential_version", version.into()),
        ])
    };
    let told = stage
        .host
        .validate("berth_database", &exposed(1))
        .await
        .unwrap();
    assert!(warnings(&told)[0].contains("in the state"));
    let mut instance = stage.created(&exposed(1)).await;
    let password = |instance: &Instance| {
        let state = instance.state.as_ref().unwrap();
        state.string("password").unwrap().map(str::to_owned)
    };
    assert_eq!(password(&instance).as_deref(), Some("secret-orders-1"));
    stage.assert_settled(&mut instance, &exposed(1)).await;
    stage.host.apply(&mut instance, &exposed(2)).await.unwrap();
    assert_eq!(password(&instance).as_deref(), Some("secret-orders-2"));

    // Rotated by another client.
    stage.fake.change(|world| {
        world.databases.values_mut().next().unwrap()["credential_version"] = json!(3);
    });
    let run = stage.next_run().await;
    run.host.refresh(&mut instance).await.unwrap();
    assert_eq!(password(&instance).as_deref(), Some("secret-orders-3"));

    run.host
        .apply(&mut instance, &stage.database(&[]))
        .await
        .unwrap();
    assert_eq!(password(&instance), None);
}

fn in_state(stage: &Stage, more: &[(&'static str, Value)]) -> Object {
    let switch = ("expose_credentials_in_state", true.into());
    let all: Vec<_> = [switch].into_iter().chain(more.iter().cloned()).collect();
    stage.database(&all)
}

/// The secrets of a state, which stand there together or not at all.
fn secrets(instance: &Instance) -> Option<[String; 3]> {
    let state = instance.state.as_ref().unwrap();
    let text = |name| state.string(name).unwrap().map(str::to_owned);
    let all = ["password", "uri", "pooled_uri"].map(text);
    let there = all.iter().flatten().count();
    assert!(there == 0 || there == 3, "{all:?}");
    (there == 3).then(|| all.map(Option::unwrap))
}

fn set_row(stage: &Stage, field: &str, value: serde_json::Value) {
    stage.fake.change(|world| {
        let row = world.databases.values_mut().next().unwrap();
        row.insert(field.to_owned(), value);
    });
}

#[tokio::test]
async fn a_password_that_opens_nothing_is_in_no_state() {
    let stage = Stage::start().await;
    let config = in_state(&stage, &[]);
    // One that may change and not read credentials gets those of a plan, or is refused.
    for refused in [false, true] {
        stage.fake.change(|world| {
            world.databases.clear();
            world.inert = true;
        });
        if refused {
            let at = "GET /v1/databases/db_0003/credentials";
            stage.fake.fail(Fault::refusal(at, 403, "scope_missing"));
        }
        let run = stage.next_run().await;
        let mut instance = run.host.instance("berth_database");
        let plan = run.host.plan(&instance, &config).await.unwrap();
        let told = run.host.apply_plan(&mut instance, &plan, &config).await;
        let told = warnings(&told.unwrap()).join("\n");
        assert!(told.contains("The credentials of orders are not"), "{told}");
        assert_eq!(secrets(&instance), None);

        // The next token that may read them writes them.
        stage.fake.change(|world| world.inert = false);
        let run = stage.next_run().await;
        run.host.refresh(&mut instance).await.unwrap();
        assert!(secrets(&instance).unwrap()[0].starts_with("secret-"));
        stage.assert_settled(&mut instance, &config).await;
    }
}

#[tokio::test]
async fn a_sound_database_is_not_tainted_for_want_of_its_password() {
    let stage = Stage::start().await;
    let config = in_state(&stage, &[]);
    let odd = Fault::refusal("GET /v1/databases/", 409, "odd");
    let garbled = Fault {
        status: 200,
        body: "not json".into(),
        ..Fault::refusal("GET /v1/databases/", 200, "")
    };
    for (fault, reason) in [(odd, "refused for a test"), (garbled, "cannot be read")] {
        stage.fake.change(|world| world.databases.clear());
        stage.fake.fail(fault);
        let run = stage.next_run().await;
        let mut instance = run.host.instance("berth_database");
        let plan = run.host.plan(&instance, &config).await.unwrap();
        let told = run.host.apply_plan(&mut instance, &plan, &config).await;
        let told = warnings(&told.unwrap()).join("\n");
        assert!(told.contains(reason), "{told}");
        assert!(!instance.tainted);
        assert_eq!(secrets(&instance), None);

        let run = stage.next_run().await;
        run.host.refresh(&mut instance).await.unwrap();
        assert!(secrets(&instance).is_some());
        stage.assert_settled(&mut instance, &config).await;
    }
}

#[tokio::test]
async fn the_password_of_a_change_is_waited_for() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&stage.database(&[])).await;
    // Only the provider's own attribute changes, so that the credentials are all that is read.
    // It is away longer than one request is repeated.
    for status in [503, 502, 500, 429, 503, 504] {
        let away = Fault::refusal("GET /v1/databases/", status, "away");
        stage.fake.fail(away.with_header("retry-after", "0"));
    }
    let config = in_state(&stage, &[]);
    stage.host.apply(&mut instance, &config).await.unwrap();
    assert_eq!(secrets(&instance).unwrap()[0], "secret-orders-1");
}

#[tokio::test]
async fn a_plan_without_the_password_leaves_it_to_its_apply() {
    let stage = Stage::start().await;
    let config = in_state(&stage, &[]);
    let mut instance = stage.created(&config).await;
    set_row(&stage, "credential_version", json!(2));
    stage.fake.change(|world| world.inert = true);
    let reviewer = stage.next_run().await;
    let told = reviewer.host.refresh(&mut instance).await.unwrap();
    assert!(warnings(&told).join("\n").contains("may not read"));
    assert_eq!(secrets(&instance), None);
    let plan = reviewer.host.plan(&instance, &config).await.unwrap();
    assert_eq!(open(&plan), ["password", "pooled_uri", "uri"]);

    stage.fake.change(|world| world.inert = false);
    let run = stage.next_run().await;
    run.host
        .apply_plan(&mut instance, &plan, &config)
        .await
        .unwrap();
    assert_eq!(secrets(&instance).unwrap()[0], "secret-orders-2");
    stage.assert_settled(&mut instance, &config).await;
}

#[tokio::test]
async fn a_password_that_is_on_its_way_out_is_in_no_state() {
    let stage = Stage::start().await;
    let config = in_state(&stage, &[]);
    let mut instance = stage.created(&config).await;
    set_row(&stage, "credential_version", json!(2));
    stage.fake.change(|world| world.version_in_force = Some(1));
    let run = stage.next_run().await;
    run.host.refresh(&mut instance).await.unwrap();
    assert_eq!(secrets(&instance), None);
    stage.fake.change(|world| world.version_in_force = None);
    let run = stage.next_run().await;
    run.host.refresh(&mut instance).await.unwrap();
    assert_eq!(secrets(&instance).unwrap()[0], "secret-orders-2");
}

#[tokio::test]
async fn uris_follow_what_others_change() {
    let stage = Stage::start().await;
    let config = in_state(&stage, &[("expose", true.into())]);
    let mut instance = stage.created(&config).await;
    assert!(secrets(&instance).unwrap()[1].contains(":15000/"));
    set_row(&stage, "public_port", json!(15_009));
    let run = stage.next_run().await;
    run.host.refresh(&mut instance).await.unwrap();
    for uri in &secrets(&instance).unwrap()[1..] {
        assert!(uri.contains(":15009/"), "{uri}");
    }
    stage.assert_settled(&mut instance, &config).await;
}

#[tokio::test]
async fn credentials_are_handed_over_without_being_stored() {
    let stage = Stage::start().await;
    let instance = stage.created(&stage.database(&[])).await;
    let id = Value::from(instance.state.unwrap().string("id").unwrap().unwrap());
    let open = || {
        stage
            .host
            .open("berth_database_credentials", [("database_id", id.clone())])
    };
    let opened = open().await.unwrap();
    let result = opened.result.as_object().unwrap();
    assert_eq!(result.string("password").unwrap(), Some("secret-orders-1"));
    assert_eq!(result.string("network").unwrap(), Some("project"));
    assert_eq!(
        berth_plugin::secrets::mask("secret-orders-1"),
        berth_plugin::secrets::MASK
    );

    stage.fake.change(|world| world.inert = true);
    stage.fake.requests();
    let told = warnings(&open().await.unwrap().diagnostics);
    assert!(
        told.len() == 1 && told[0].contains("open nothing"),
        "{told:?}"
    );
    assert_eq!(stage.fake.requests().len(), 1, "there is no login to check");
}

#[tokio::test]
async fn credentials_that_let_nobody_in_are_told_as_such() {
    let stage = Stage::start().await;
    let instance = stage.created(&stage.database(&[])).await;
    let id = Value::from(instance.state.unwrap().string("id").unwrap().unwrap());
    let opened = async || {
        let given = [("database_id", id.clone())];
        let opened = stage.host.open("berth_database_credentials", given).await;
        let opened = opened.unwrap();
        let password = opened.result.as_object().unwrap().string("password");
        assert_eq!(password, Ok(Some("secret-orders-1")));
        warnings(&opened.diagnostics).join("\n")
    };
    assert_eq!(opened().await, "");

    set_row(&stage, "status", json!("stopped"));
    set_row(&stage, "stop_reason", json!("sleep"));
    assert_eq!(opened().await, "", "the next client wakes it");
    set_row(&stage, "stop_reason", json!("user"));
    assert_eq!(opened().await, "", "it is as it was wanted");

    set_row(&stage, "status", json!("error"));
    set_row(&stage, "stop_reason", json!("sleep"));
    let full = json!([{
        "type": "Ready", "status": "False", "reason": "DiskFull",
        "message": "The disk is full.", "since": "t",
    }]);
    set_row(&stage, "conditions", full);
    let told = opened().await;
    assert!(told.contains("Nobody can log in to orders now"), "{told}");
    assert!(told.contains("The disk is full."), "{told}");

    set_row(&stage, "status", json!("running"));
    set_row(&stage, "stop_reason", json!(null));
    set_row(&stage, "credential_version", json!(2));
    stage.fake.change(|world| world.version_in_force = Some(1));
    let told = opened().await;
    assert!(
        told.contains("orders is about to get another password"),
        "{told}"
    );
    assert!(told.contains("Version 2 is ordered"), "{told}");

    // They are handed over also where the database cannot be read; who may read credentials and
    // nothing else hears nothing of that.
    let path = "/v1/databases/db_0001/credentials";
    for (refused, code, expected) in [
        (403, "scope_missing", ""),
        (409, "odd", "could not be asked"),
    ] {
        let (status, read) = stage
            .fake
            .change(|world| world.answer("GET", path, &json!(null)));
        stage.fake.fail(Fault {
            status,
            body: read.to_string(),
            ..Fault::refusal("GET /v1/databases/db_0001/credentials", 200, "")
        });
        let fault = Fault::refusal("GET /v1/databases/db_0001", refused, code);
        stage.fake.fail(fault);
        let told = opened().await;
        assert!(told.contains(expected), "{told}");
        assert_eq!(told.is_empty(), expected.is_empty(), "{told}");
    }
}
