//! What an edit waits for, and what it leaves to others.

use super::*;
use crate::fake::Fault;
use serde_json::json;

/// Changes the database as another client would.
fn another_clients_change(stage: &Stage, instance: &Instance, body: &serde_json::Value) {
    let id = instance.state.as_ref().unwrap().require_string("id");
    let target = format!("/v1/databases/{}", id.unwrap());
    let (status, _) = stage
        .fake
        .change(|world| world.answer("PATCH", &target, body));
    assert_eq!(status, 200);
}

fn tagged(stage: &Stage, value: &'static str) -> Object {
    stage.database(&[
        ("deletion_protection", false.into()),
        ("recovery_window_days", 3.into()),
        ("tags", Value::map([("team", value)])),
    ])
}

#[tokio::test]
async fn an_edit_that_orders_nothing_waits_for_nobody() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&tagged(&stage, "a")).await;
    for (ending, storage_gb) in [("failed", 20), ("pending", 30)] {
        stage.fake.change(|world| match ending {
            "failed" => drop(
                world
                    .failing
                    .insert("orders".into(), "the disk is full".into()),
            ),
            _ => {
                world.failing.clear();
                world.hanging.push("orders".into());
            }
        });
        another_clients_change(&stage, &instance, &json!({"storage_gb": storage_gb}));
        let run = stage.next_run().await;
        run.host.refresh(&mut instance).await.unwrap();
        run.fake.requests();
        let config = tagged(&run, ending);
        let plan = run.host.apply(&mut instance, &config).await.unwrap();
        assert_eq!(plan.action, Action::Update, "{ending}");
        let state = instance.state.as_ref().unwrap();
        assert_eq!(state.integer("storage_gb").unwrap(), Some(storage_gb));
        let asked = run.fake.requests();
        let followed = asked.iter().any(|line| line.contains("/v1/operations/"));
        assert!(!followed, "{ending}: {asked:?}");
        run.assert_settled(&mut instance, &config).await;
    }
}

/// Answers more requests that begin so than one is sent again, as while berthd is away.
fn stays_away(stage: &Stage, request: &'static str) {
    for status in [503, 502, 500, 429, 503, 504] {
        let away = Fault::refusal(request, status, "away");
        stage.fake.fail(away.with_header("retry-after", "0"));
    }
}

#[tokio::test]
async fn a_project_that_is_made_is_claimed_when_berthd_is_back() {
    let stage = Stage::start().await;
    stays_away(&stage, "POST /v1/projects/");
    let config = stage.config("berth_project", &[("name", "shop".into())]);
    let mut project = stage.host.instance("berth_project");
    stage.host.apply(&mut project, &config).await.unwrap();
    assert!(!project.tainted);
    let rows = stage.fake.change(|world| world.projects.clone());
    assert_eq!(rows.len(), 1);
    assert!(rows.values().all(|row| row["claimed"] == json!(true)));
}

#[tokio::test]
async fn a_database_that_goes_is_waited_for_when_berthd_is_back() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&tagged(&stage, "a")).await;
    stays_away(&stage, "GET /v1/databases/");
    stage.host.destroy(&mut instance).await.unwrap();
    assert_eq!(instance.state, None);
    let asked = stage.fake.requests();
    let followed = asked.iter().any(|line| line.contains("/v1/operations/"));
    assert!(followed, "{asked:?}");
}

#[tokio::test]
async fn an_edit_that_orders_work_hears_how_it_ends() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&tagged(&stage, "a")).await;
    stage.fake.change(|world| {
        world
            .failing
            .insert("orders".into(), "the disk is full".into());
    });
    let larger = stage.database(&[
        ("deletion_protection", false.into()),
        ("storage_gb", 20.into()),
    ]);
    let reason = told(stage.host.apply(&mut instance, &larger).await);
    assert!(reason.contains("The disk is full."), "{reason}");
}
