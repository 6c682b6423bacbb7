//! What was kept after a create that was cut short, and who takes it over when.

use super::bad_days::living;
use super::*;
use serde_json::json;

/// A database whose create was cut short and that was kept, as `untaint` leaves it: the
/// configuration and the object agree, nobody has it, and berthd goes on.
async fn kept(stage: &Stage, config: &Object) -> Instance {
    stage
        .fake
        .change(|world| world.hanging.push("orders".into()));
    let mut instance = stage.host.instance("berth_database");
    told(stage.host.apply(&mut instance, config).await);
    instance.tainted = false;
    instance
}

fn impatient(stage: &Stage) -> Object {
    let patience = Value::object([("create", "1s"), ("update", "1s")]);
    stage.database(&[("timeouts", patience)])
}

/// The create that was cut short ends.
fn ends(stage: &Stage, state: &str, message: Option<&str>) {
    stage.fake.change(|world| {
        world.hanging.clear();
        for operation in world.operations.values_mut() {
            operation.insert("state".into(), json!(state));
            let failure = message.map(|message| json!({"code": "x", "message": message}));
            operation.insert("failure".into(), json!(failure));
        }
    });
}

#[tokio::test]
async fn what_was_kept_after_a_cut_short_create_is_taken_over_by_the_next_apply() {
    let stage = Stage::start().await;
    let config = impatient(&stage);
    let mut instance = kept(&stage, &config).await;
    ends(&stage, "succeeded", None);

    let run = stage.next_run().await;
    let warned = run.host.refresh(&mut instance).await.unwrap().to_string();
    assert!(warned.contains("orders is not taken over yet"), "{warned}");
    let plan = run.host.plan(&instance, &config).await.unwrap();
    assert_eq!(plan.action, Action::Update, "{:?}", plan.planned);
    assert_eq!(open(&plan), [""; 0]);
    run.host
        .apply_plan(&mut instance, &plan, &config)
        .await
        .unwrap();
    assert_eq!(living(&stage)[0]["claimed"], json!(true));
    let run = stage.next_run().await;
    let warned = run.host.refresh(&mut instance).await.unwrap();
    assert!(warned.is_empty(), "{warned}");
    run.assert_settled(&mut instance, &config).await;
}

/// A claim says that it runs; while it does not, and when it never will, nothing is said.
#[tokio::test]
async fn what_is_not_made_yet_is_not_taken_over() {
    let stage = Stage::start().await;
    let config = impatient(&stage);
    let patience = Value::object([("create", "1s"), ("update", "1s")]);
    let tags = Value::map([("team", "a")]);
    let tagged = stage.database(&[("timeouts", patience), ("tags", tags)]);
    let mut instance = kept(&stage, &config).await;
    for (state, expected) in [
        ("pending", "Apply again, which waits for it once more"),
        ("failed", "orders was not taken over"),
    ] {
        if state == "failed" {
            ends(&stage, state, Some("the disk is full"));
        }
        for wish in [&config, &tagged] {
            let run = stage.next_run().await;
            run.host.refresh(&mut instance).await.unwrap();
            let refused = told(run.host.apply(&mut instance, wish).await);
            assert!(refused.contains(expected), "{refused}");
            if state == "failed" {
                assert!(refused.contains("The disk is full."), "{refused}");
            }
            assert_eq!(living(&stage)[0]["claimed"], json!(false), "{refused}");
            assert!(stage.fake.change(|world| world.patches.is_empty()));
            assert!(!instance.tainted);
            let state = instance.state.as_ref().unwrap();
            assert_eq!(state.boolean("claimed"), Ok(Some(false)));
        }
    }
    ends(&stage, "succeeded", None);
    let run = stage.next_run().await;
    run.host.refresh(&mut instance).await.unwrap();
    run.host.apply(&mut instance, &tagged).await.unwrap();
    assert_eq!(living(&stage)[0]["claimed"], json!(true));
    run.assert_settled(&mut instance, &tagged).await;
}
