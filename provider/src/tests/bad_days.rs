//! What happens when the backend is wrong, slow, strange or away.

use super::*;
use crate::fake::Fault;
use serde_json::json;

fn protected_off(stage: &Stage) -> Object {
    stage.database(&[("deletion_protection", false.into())])
}

#[tokio::test]
async fn a_failed_create_leaves_the_id_and_the_reason() {
    let stage = Stage::start().await;
    stage.fake.change(|world| {
        world
            .failing
            .insert("orders".into(), "the image cannot be pulled".into());
    });
    let config = protected_off(&stage);
    let mut instance = stage.host.instance("berth_database");
    let reason = told(stage.host.apply(&mut instance, &config).await);
    assert!(reason.contains("The image cannot be pulled."), "{reason}");
    assert!(instance.tainted);
    assert!(
        instance
            .state
            .as_ref()
            .unwrap()
            .string("id")
            .unwrap()
            .unwrap()
            .starts_with("db_")
    );

    // The next apply replaces it, and there is one database in the end.
    stage.fake.change(|world| world.failing.clear());
    let run = stage.next_run().await;
    run.host.refresh(&mut instance).await.unwrap();
    run.host.apply(&mut instance, &config).await.unwrap();
    let living = stage.fake.change(|world| {
        world
            .databases
            .values()
            .filter(|row| row["status"] == json!("running"))
            .count()
    });
    assert_eq!(living, 1);
}

#[tokio::test]
async fn a_create_that_takes_too_long_leaves_the_id() {
    let stage = Stage::start().await;
    stage
        .fake
        .change(|world| world.hanging.push("orders".into()));
    let config = stage.database(&[("timeouts", Value::object([("create", "1s")]))]);
    let mut instance = stage.host.instance("berth_database");
    let reason = told(stage.host.apply(&mut instance, &config).await);
    assert!(reason.contains("not finished after 1 seconds"), "{reason}");
    assert!(reason.contains("terraform untaint ADDRESS"), "{reason}");
    assert!(instance.state.is_some() && instance.tainted);
    assert_eq!(living(&stage).len(), 1);

    // It is protected and nobody has it: the next apply makes it anew, and its plan says so
    // instead of promising to go on with it.
    stage.fake.change(|world| world.hanging.clear());
    let run = stage.next_run().await;
    run.host.refresh(&mut instance).await.unwrap();
    let plan = run.host.plan(&instance, &config).await.unwrap();
    let warned = warnings(&plan.diagnostics).join("\n");
    assert!(warned.contains("will be destroyed"), "{warned}");
    assert!(warned.contains("untaint"), "{warned}");
    assert!(!warned.contains("made twice"), "{warned}");
    run.host
        .apply_plan(&mut instance, &plan, &config)
        .await
        .unwrap();
    let left = living(&stage);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["claimed"], json!(true));
    run.assert_settled(&mut instance, &config).await;
}

pub(super) fn living(stage: &Stage) -> Vec<serde_json::Map<String, serde_json::Value>> {
    stage.fake.change(|world| {
        let rows = world.databases.values();
        rows.filter(|row| row["status"] != json!("destroyed"))
            .cloned()
            .collect()
    })
}

#[tokio::test]
async fn an_update_claims_what_a_create_left() {
    let stage = Stage::start().await;
    let tags = Value::map([("a", "b")]);
    let longer = Value::object([("create", "1h")]);
    let wishes = [
        protected_off(&stage),
        stage.database(&[("deletion_protection", false.into()), ("tags", tags)]),
        stage.database(&[("deletion_protection", false.into()), ("timeouts", longer)]),
    ];
    let mut instance = stage.created(&wishes[0]).await;
    for wish in wishes[1..].iter().chain(&wishes[..1]) {
        stage.fake.change(|world| {
            for row in world.databases.values_mut() {
                row.insert("claimed".into(), json!(false));
            }
        });
        stage.host.apply(&mut instance, wish).await.unwrap();
        assert_eq!(living(&stage)[0]["claimed"], json!(true));
    }
}

#[tokio::test]
async fn an_import_claims_where_it_may() {
    let stage = Stage::start().await;
    stage.created(&protected_off(&stage)).await;
    let unclaimed = || {
        stage.fake.change(|world| {
            for row in world.databases.values_mut() {
                row.insert("claimed".into(), json!(false));
            }
        });
    };
    unclaimed();
    let denied = Fault::refusal("POST /v1/databases/", 403, "scope_missing");
    stage.fake.fail(denied);
    stage.host.import("berth_database", "orders").await.unwrap();
    assert_eq!(living(&stage)[0]["claimed"], json!(false));
    stage.host.import("berth_database", "orders").await.unwrap();
    assert_eq!(living(&stage)[0]["claimed"], json!(true));
}

#[tokio::test]
async fn a_change_that_was_not_waited_for_is_not_forgotten() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&protected_off(&stage)).await;
    stage
        .fake
        .change(|world| world.hanging.push("orders".into()));
    let larger = stage.database(&[
        ("deletion_protection", false.into()),
        ("storage_gb", 20.into()),
        ("timeouts", Value::object([("update", "1s")])),
    ]);
    let reason = told(stage.host.apply(&mut instance, &larger).await);
    assert!(reason.contains("The change goes on in berthd"), "{reason}");
    for (status, phase, expected) in [
        ("running", "starting", "is under way"),
        ("error", "failed", "is not well"),
    ] {
        stage.fake.change(|world| {
            for row in world.databases.values_mut() {
                row.insert("status".into(), json!(status));
                row.insert("phase".into(), json!(phase));
            }
        });
        let run = stage.next_run().await;
        let warned = warnings(&run.host.refresh(&mut instance).await.unwrap());
        assert!(
            warned.len() == 1 && warned[0].contains(expected),
            "{warned:?}"
        );
    }
}

#[tokio::test]
async fn a_name_that_another_resource_keeps_is_refused_at_plan() {
    let stage = Stage::start().await;
    let config = protected_off(&stage);
    let mut first = stage.created(&config).await;
    for holder_is_first in [true, false] {
        let run = stage.next_run().await;
        run.host.refresh(&mut first).await.unwrap();
        let second = run.host.instance("berth_database");
        let refused = if holder_is_first {
            run.host.plan(&first, &config).await.unwrap();
            told(run.host.plan(&second, &config).await)
        } else {
            run.host.plan(&second, &config).await.unwrap();
            told(run.host.plan(&first, &config).await)
        };
        assert!(refused.contains("The name is used twice"), "{refused}");
    }
    // One that gives its name away is in nobody's way.
    let renamed = stage.database(&[
        ("name", "archive".into()),
        ("deletion_protection", false.into()),
    ]);
    let run = stage.next_run().await;
    run.host.refresh(&mut first).await.unwrap();
    run.host.plan(&first, &renamed).await.unwrap();
    let second = run.host.instance("berth_database");
    let plan = run.host.plan(&second, &config).await.unwrap();
    assert!(warnings(&plan.diagnostics)[0].contains("still in use"));
}

#[tokio::test]
async fn a_create_whose_run_died_is_taken_up_again() {
    let stage = Stage::start().await;
    let config = protected_off(&stage);
    // The run that died got as far as the order; nothing of it reached a state.
    let mut lost = stage.host.instance("berth_database");
    stage
        .fake
        .fail(Fault::refusal("GET /v1/operations", 400, "died"));
    told(stage.host.apply(&mut lost, &config).await);
    let run = stage.next_run().await;
    let instance = run.created(&config).await;
    assert_eq!(stage.fake.change(|world| world.databases.len()), 1);
    assert!(stage.fake.change(|world| {
        world
            .databases
            .values()
            .all(|row| row["claimed"] == json!(true))
    }));
    assert!(instance.state.is_some());
}

#[tokio::test]
async fn a_tainted_object_does_not_stand_in_its_own_way() {
    let stage = Stage::start().await;
    let config = protected_off(&stage);
    let mut instance = stage.created(&config).await;
    instance.tainted = true;
    let run = stage.next_run().await;
    run.host.refresh(&mut instance).await.unwrap();
    let plan = run.host.plan(&instance, &config).await.unwrap();
    assert!(warnings(&plan.diagnostics)[0].contains("still in use"));
    run.host
        .apply_plan(&mut instance, &plan, &config)
        .await
        .unwrap();
    // A name that nobody of this state has is refused.
    let other = run.next_run().await;
    let refused = told(
        other
            .host
            .plan(&other.host.instance("berth_database"), &config)
            .await,
    );
    assert!(refused.contains("error at name"), "{refused}");
}

#[tokio::test]
async fn what_may_be_repeated_is_repeated_and_nothing_else() {
    let stage = Stage::start().await;
    let config = protected_off(&stage);
    let again = |request| Fault::refusal(request, 500, "internal").with_header("retry-after", "0");
    for request in [
        "GET /v1/version",
        "POST /v1/plan",
        "POST /v1/databases",
        "GET /v1/operations",
    ] {
        stage.fake.fail(again(request));
    }
    let mut instance = stage.created(&config).await;
    // A plan writes nothing, so that nothing is kept of it under a key.
    let keyed = stage.fake.keyed();
    assert!(
        keyed.iter().all(|line| line != "POST /v1/plan"),
        "{keyed:?}"
    );
    assert!(
        keyed.iter().any(|line| line == "POST /v1/databases"),
        "{keyed:?}"
    );
    let tagged = stage.database(&[
        ("deletion_protection", false.into()),
        ("tags", Value::map([("a", "b")])),
    ]);
    stage.fake.fail(again("PATCH /v1/databases"));
    stage.fake.requests();
    let refused = told(stage.host.apply(&mut instance, &tagged).await);
    assert!(refused.contains("berthd failed"), "{refused}");
    assert_eq!(stage.fake.count("PATCH"), 1, "a change is not sent twice");

    // Told to come later, nothing was done yet, so that a change may come again.
    stage
        .fake
        .fail(Fault::refusal("PATCH", 429, "rate_limited").with_header("retry-after", "0"));
    stage.host.apply(&mut instance, &tagged).await.unwrap();
    assert_eq!(stage.fake.count("PATCH"), 2);

    stage.fake.fail(again("DELETE /v1/databases"));
    stage.host.destroy(&mut instance).await.unwrap();
}

#[tokio::test]
async fn a_backend_that_is_away_during_a_create_is_waited_for() {
    let stage = Stage::start().await;
    let config = stage.database(&[
        ("deletion_protection", false.into()),
        ("expose_credentials_in_state", true.into()),
    ]);
    // More often than one request is repeated, and with other words than a restart has.
    for request in [
        "GET /v1/operations",
        "POST /v1/databases/",
        "GET /v1/databases/",
    ] {
        for status in [503, 502, 500, 429, 503, 504] {
            let away = Fault::refusal(request, status, "away");
            stage.fake.fail(away.with_header("retry-after", "0"));
        }
    }
    let instance = stage.created(&config).await;
    assert!(!instance.tainted);
    assert_eq!(living(&stage)[0]["claimed"], json!(true));
    let orders = stage.fake.requests();
    let orders = orders.iter().filter(|line| *line == "POST /v1/databases");
    assert_eq!(orders.count(), 1);
}

#[tokio::test]
async fn a_backend_that_stays_away_is_named_when_the_time_is_over() {
    let stage = Stage::start().await;
    for _ in 0..50 {
        let away = Fault::refusal("GET /v1/operations", 503, "away");
        stage.fake.fail(away.with_header("retry-after", "0"));
    }
    let config = stage.database(&[("timeouts", Value::object([("create", "1s")]))]);
    let mut instance = stage.host.instance("berth_database");
    let reason = told(stage.host.apply(&mut instance, &config).await);
    assert!(reason.contains("not finished after 1 second"), "{reason}");
    assert!(reason.contains("refused for a test with 503"), "{reason}");
    assert!(reason.contains("terraform untaint ADDRESS"), "{reason}");
    assert!(instance.tainted);
}

#[tokio::test]
async fn a_lost_answer_does_not_make_a_second_database() {
    let stage = Stage::start().await;
    let lost = Fault {
        after: true,
        ..Fault::refusal("POST /v1/databases", 502, "gone")
    };
    stage.fake.fail(lost.with_header("retry-after", "0"));
    stage.created(&protected_off(&stage)).await;
    assert_eq!(stage.fake.change(|world| world.databases.len()), 1);
}

#[tokio::test]
async fn a_pause_beyond_reason_is_an_error_at_once() {
    let stage = Stage::start().await;
    stage.fake.fail(
        Fault::refusal("POST /v1/plan", 429, "rate_limited").with_header("retry-after", "3600"),
    );
    let instance = stage.host.instance("berth_database");
    let refused = told(stage.host.plan(&instance, &stage.database(&[])).await);
    assert!(refused.contains("Too many requests"), "{refused}");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let cases = [
        (
            Fault::refusal("POST /v1/plan", 401, "unauthenticated"),
            "Token not accepted",
        ),
        (
            Fault::refusal("POST /v1/plan", 403, "scope_missing"),
            "Not allowed",
        ),
        (
            Fault {
                body: "<html>Bad gateway".into(),
                ..Fault::refusal("POST /v1/plan", 418, "")
            },
            "418",
        ),
        (
            Fault {
                body: "not json".into(),
                status: 200,
                ..Fault::refusal("POST /v1/plan", 200, "")
            },
            "Answer cannot be read",
        ),
    ];
    for (fault, expected) in cases {
        let stage = Stage::start().await;
        stage.fake.fail(fault);
        let instance = stage.host.instance("berth_database");
        let refused = told(stage.host.plan(&instance, &stage.database(&[])).await);
        assert!(refused.contains(expected), "{refused}");
    }
}

#[tokio::test]
async fn errors_of_a_plan_stand_at_their_attributes() {
    let stage = Stage::start().await;
    let instance = stage.host.instance("berth_database");
    let config = stage.database(&[("plan", "huge".into())]);
    let refused = told(stage.host.plan(&instance, &config).await);
    assert_eq!(
        refused,
        "error at plan: Invalid value: Use one of db-s-1vcpu-1gb."
    );
}

#[tokio::test]
async fn a_backend_that_speaks_another_revision_is_told_apart() {
    for (api, side) in [((2, 3), "Upgrade the provider"), ((0, 0), "Upgrade berthd")] {
        let stage = Stage::start().await;
        stage.fake.change(|world| world.api = Some(api));
        let instance = stage.host.instance("berth_database");
        let refused = told(stage.host.plan(&instance, &stage.database(&[])).await);
        assert!(refused.contains(side), "{refused}");
        stage.fake.requests();
        told(stage.host.plan(&instance, &stage.database(&[])).await);
        assert_eq!(stage.fake.requests(), [""; 0], "it is asked once");
    }
}

#[tokio::test]
async fn a_backend_that_is_down_is_named() {
    let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let endpoint = format!("http://127.0.0.1:{port}");
    host.configure([
        ("endpoint", endpoint.as_str().into()),
        ("token", TOKEN.into()),
    ])
    .await
    .unwrap();
    let config = host
        .config("berth_project", [("name", "shop".into())])
        .unwrap();
    let refused = told(host.plan(&host.instance("berth_project"), &config).await);
    assert!(
        refused.contains("berthd cannot be reached") && refused.contains(&endpoint),
        "{refused}"
    );
}

#[tokio::test]
async fn an_endpoint_that_is_not_known_yet_leaves_the_plan_open() {
    let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
    host.configure([("endpoint", Value::unknown())])
        .await
        .unwrap();
    let config = host
        .config("berth_project", [("name", "shop".into())])
        .unwrap();
    let mut instance = host.instance("berth_project");
    let plan = host.plan(&instance, &config).await.unwrap();
    assert!(open(&plan).contains(&"slug"));
    let refused = told(host.apply_plan(&mut instance, &plan, &config).await);
    assert!(refused.contains("not known yet"), "{refused}");
}

#[tokio::test]
async fn no_error_and_no_debug_output_shows_the_token() {
    let stage = Stage::start().await;
    stage
        .fake
        .fail(Fault::refusal("POST /v1/plan", 401, "unauthenticated"));
    let instance = stage.host.instance("berth_database");
    let refused = told(stage.host.plan(&instance, &stage.database(&[])).await);
    assert!(!refused.contains(TOKEN), "{refused}");
    assert_eq!(
        berth_plugin::secrets::mask(TOKEN),
        berth_plugin::secrets::MASK
    );
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_and_no_other() {
    let (fake, authority) = Fake::start_tls().await;
    let plan = |block: Vec<(&'static str, Value)>| {
        let mut block = block;
        block.push(("endpoint", fake.endpoint.as_str().into()));
        block.push(("token", TOKEN.into()));
        async move {
            let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
            let told = host.configure(block).await.unwrap();
            let config = host
                .config("berth_project", [("name", "shop".into())])
                .unwrap();
            let instance = host.instance("berth_project");
            (host.plan(&instance, &config).await, told)
        }
    };
    let (trusted, quiet) = plan(vec![("ca_cert_pem", authority.as_str().into())]).await;
    trusted.unwrap();
    assert!(quiet.is_empty(), "{quiet}");
    let (blind, warned) = plan(vec![("insecure_skip_verify", true.into())]).await;
    blind.unwrap();
    assert!(warnings(&warned)[0].contains("not verified"));
    let (_, other) = Fake::start_tls().await;
    let (refused, _) = plan(vec![("ca_cert_pem", other.as_str().into())]).await;
    assert!(told(refused).contains("berthd cannot be reached"));
    let (broken, _) = plan(vec![("ca_cert_pem", "not a certificate".into())]).await;
    let broken = told(broken);
    assert!(broken.contains("ca_cert_pem"), "{broken}");
}
