//! Sleep, wake, quotas, and what the end of a project means for what is in it.

use super::support::TestBerth;
use serde_json::{Value, json};

fn order(name: &str, project: &str) -> Value {
    json!({"name": name, "engine": "postgresql", "project_id": project})
}

/// Makes the project; answers with its id.
async fn shop(berth: &TestBerth, more: Value) -> Value {
    let mut body = json!({"name": "shop"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = berth.post("/v1/projects", body).await.expect(201);
    made["project"]["id"].clone()
}

fn text_of<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

async fn row(berth: &TestBerth, name: &str) -> Value {
    berth
        .get(&format!("/v1/databases/{name}"))
        .await
        .expect(200)["database"]
        .clone()
}

#[tokio::test]
async fn a_project_sleeps_and_wakes_and_what_a_user_stopped_stays_so() {
    let berth = TestBerth::start().await;
    shop(&berth, json!({})).await;
    for name in ["orders", "bills"] {
        berth.database(order(name, "shop")).await;
    }
    berth.database(order("other", "default")).await;
    let stop = json!({"desired_status": "stopped"});
    berth.patch("/v1/databases/bills", stop).await.expect(200);
    for _ in 0..2 {
        let slept = berth.post("/v1/projects/shop/sleep", json!({})).await;
        assert_eq!(slept.expect(202)["project"]["name"], "shop");
    }
    let orders = row(&berth, "orders").await;
    assert_eq!(orders["stop_reason"], "sleep");
    assert_eq!(orders["desired_status"], "running");
    assert_eq!(row(&berth, "bills").await["stop_reason"], "user");
    assert_eq!(row(&berth, "other").await["stop_reason"], Value::Null);
    // A change of something else, and what a client plans that wants it running, wake nobody.
    let tags = json!({"tags": {"a": "b"}, "desired_status": "running"});
    berth.patch("/v1/databases/orders", tags).await.expect(200);
    assert_eq!(row(&berth, "orders").await["stop_reason"], "sleep");
    berth
        .post("/v1/projects/shop/wake", json!({}))
        .await
        .expect(202);
    assert_eq!(row(&berth, "orders").await["stop_reason"], Value::Null);
    assert_eq!(row(&berth, "bills").await["stop_reason"], "user");
    // What is under way says that nobody changed anything.
    berth
        .settle(text_of(&row(&berth, "orders").await, "id"))
        .await;
    for (verb, kind) in [("sleep", "sleep"), ("wake", "wake")] {
        let path = format!("/v1/projects/shop/{verb}");
        berth.post(&path, json!({})).await.expect(202);
        let orders = row(&berth, "orders").await;
        let path = format!("/v1/operations/{}", text_of(&orders, "operation_id"));
        assert_eq!(berth.get(&path).await.expect(200)["kind"], kind);
        berth.settle(text_of(&orders, "id")).await;
    }
    let events = berth.get("/v1/events").await.expect(200);
    let kinds: Vec<_> = events["events"].as_array().unwrap().iter().collect();
    let count = |kind: &str| kinds.iter().filter(|event| event["kind"] == kind).count();
    assert_eq!(count("database.sleep_ordered"), 2);
    assert_eq!(count("database.wake_ordered"), 2);
}

#[tokio::test]
async fn whoever_starts_it_or_wants_a_new_password_wakes_it() {
    let berth = TestBerth::start().await;
    for verb in ["start", "restart", "rotate"] {
        let name = format!("for-{verb}");
        berth.database(order(&name, "default")).await;
        berth
            .post("/v1/projects/default/sleep", json!({}))
            .await
            .expect(202);
        assert_eq!(row(&berth, &name).await["stop_reason"], "sleep");
        let path = format!("/v1/databases/{name}/{verb}");
        berth.post(&path, json!({})).await.expect(202);
        assert_eq!(
            row(&berth, &name).await["stop_reason"],
            Value::Null,
            "{verb}"
        );
    }
}

#[tokio::test]
async fn what_loses_its_pooler_in_its_sleep_wakes_since_no_client_can_wake_it() {
    let berth = TestBerth::start().await;
    berth.database(order("orders", "default")).await;
    berth
        .post("/v1/projects/default/sleep", json!({}))
        .await
        .expect(202);
    let mode = json!({"pooler": {"mode": "session"}});
    berth.patch("/v1/databases/orders", mode).await.expect(200);
    assert_eq!(row(&berth, "orders").await["stop_reason"], "sleep");
    let off = json!({"pooler": {"enabled": false}});
    berth.patch("/v1/databases/orders", off).await.expect(200);
    assert_eq!(row(&berth, "orders").await["stop_reason"], Value::Null);
    // Whoever wants it stopped in the same breath gets that.
    berth.database(order("bills", "default")).await;
    berth
        .post("/v1/projects/default/sleep", json!({}))
        .await
        .expect(202);
    let stopped = json!({"pooler": {"enabled": false}, "desired_status": "stopped"});
    berth
        .patch("/v1/databases/bills", stopped)
        .await
        .expect(200);
    assert_eq!(row(&berth, "bills").await["desired_status"], "stopped");
}

#[tokio::test]
async fn sleep_after_minutes_needs_a_pooler_and_a_sensible_number() {
    let berth = TestBerth::start().await;
    let mut body = order("orders", "default");
    // The same bounds are told, whichever of them is left.
    for wrong in [-1, 43_201] {
        body["sleep_after_minutes"] = wrong.into();
        let reply = berth.post("/v1/databases", body.clone()).await;
        assert_eq!(reply.line(), "422 invalid_field [sleep_after_minutes]");
        let told = format!("is {wrong}: use a whole number from 0 to 43200");
        assert!(reply.text.contains(&told), "{}", reply.text);
    }
    body["sleep_after_minutes"] = 5.into();
    body["pooler"] = json!({"enabled": false});
    let reply = berth.post("/v1/databases", body.clone()).await;
    assert_eq!(reply.line(), "422 invalid_field [sleep_after_minutes]");
    body["pooler"] = json!({});
    let made = berth.database(body).await;
    assert_eq!(made["sleep_after_minutes"], 5);
    let path = format!("/v1/databases/{}", made["id"].as_str().unwrap());
    let never = json!({"sleep_after_minutes": null});
    let changed = berth.patch(&path, never).await.expect(200);
    assert_eq!(changed["database"]["sleep_after_minutes"], Value::Null);
    // Never, whatever its project says, which no pooler is needed for.
    let never = json!({"sleep_after_minutes": 0, "pooler": {"enabled": false}});
    let changed = berth.patch(&path, never).await.expect(200);
    assert_eq!(changed["database"]["sleep_after_minutes"], 0);
}

#[tokio::test]
async fn a_quota_is_raised_by_the_plan_that_needs_it() {
    let berth = TestBerth::start().await;
    let made = shop(&berth, json!({"quota": {"databases": 1}})).await;
    berth.database(order("orders", "shop")).await;
    let project = |quota: Value| {
        let config = json!({"name": "shop", "quota": quota});
        json!({"kind": "project", "id": made, "config": config})
    };
    let new = |name: &str| json!({"kind": "database", "config": order(name, "shop")});
    let plan = async |resources: Value| {
        let answer = berth
            .post("/v1/plan", json!({"resources": resources}))
            .await
            .expect(200);
        let resources = answer["resources"].as_array().unwrap().iter();
        let told = resources.map(|one| {
            one["errors"][0]["message"]
                .as_str()
                .unwrap_or("")
                .to_owned()
        });
        told.collect::<Vec<_>>()
    };
    let raised = project(json!({"databases": 3}));
    assert_eq!(
        plan(json!([raised, new("bills"), new("carts")])).await,
        ["", "", ""]
    );
    // Wherever the project stands among them.
    let told = plan(json!([new("bills"), new("carts"), new("users"), raised])).await;
    assert_eq!(
        (told[0].as_str(), told[1].as_str(), told[3].as_str()),
        ("", "", "")
    );
    assert!(
        told[2].starts_with(
            "shop may have 3 databases and has 1, and this plan makes 2 more before this one: "
        ),
        "{}",
        told[2]
    );
    let told = plan(json!([new("bills")])).await;
    assert!(
        told[0].starts_with("shop may have 1 database and has 1: "),
        "{}",
        told[0]
    );
    // What is not known yet is looked at when it is applied.
    let mut unknown = project(json!({}));
    unknown["unknown"] = json!(["quota.databases"]);
    assert_eq!(plan(json!([unknown, new("bills")])).await, ["", ""]);
    // A quota that is lowered holds for what stands beside it. Below what is there a plan warns,
    // since that may go first, and the apply is refused while it has not.
    berth
        .patch("/v1/projects/shop", json!({"quota": null}))
        .await
        .expect(200);
    let told = plan(json!([project(json!({"databases": 1})), new("bills")])).await;
    assert!(
        told[0].is_empty() && told[1].starts_with("shop may have 1 database"),
        "{told:?}"
    );
    for (quota, line) in [
        (
            json!({"databases": 0}),
            "is 0, and the project has 1 database: ",
        ),
        (
            json!({"storage_gb": 9}),
            "is 9, and the project has databases with 10 GB in all: ",
        ),
    ] {
        let told = berth.plan_one(&berth.admin, project(quota.clone())).await;
        assert_eq!(told["errors"], json!([]));
        let note = &told["notes"][0];
        assert_eq!(
            (&note["severity"], &note["field"]),
            (&json!("warning"), &json!("quota"))
        );
        let message = note["message"].as_str().unwrap();
        assert!(
            message.contains(line) && message.ends_with("the apply is refused."),
            "{message}"
        );
        let field = quota.as_object().unwrap().keys().next().unwrap().clone();
        let reply = berth
            .patch("/v1/projects/shop", json!({"quota": quota}))
            .await;
        assert_eq!(reply.line(), format!("409 quota_exceeded [quota.{field}]"));
    }
    let least = json!({"quota": {"databases": 1, "storage_gb": 10}});
    berth.patch("/v1/projects/shop", least).await.expect(200);
    // What goes first makes room for a lower one.
    berth
        .patch(
            "/v1/databases/orders",
            json!({"deletion_protection": false}),
        )
        .await
        .expect(200);
    berth.delete("/v1/databases/orders").await.expect(200);
    let none = json!({"quota": {"databases": 0}});
    berth.patch("/v1/projects/shop", none).await.expect(200);
}

#[tokio::test]
async fn a_quota_refuses_what_is_too_much_at_plan_and_at_apply() {
    let berth = TestBerth::start().await;
    shop(&berth, json!({"quota": {"databases": 2, "storage_gb": 50}})).await;
    let mut first = order("orders", "shop");
    first["storage_gb"] = 20.into();
    berth.database(first).await;
    let plan = |resources: Value| berth.post("/v1/plan", json!({"resources": resources}));
    let wish = |name: &str, storage_gb: u32| {
        let mut config = order(name, "shop");
        config["storage_gb"] = storage_gb.into();
        json!({"kind": "database", "config": config})
    };
    // Each fits; both do not.
    let answer = plan(json!([wish("a-one", 20), wish("a-two", 20)]))
        .await
        .expect(200);
    let errors = |at: usize| answer["resources"][at]["errors"].clone();
    assert_eq!(errors(0), json!([]));
    let codes: Vec<_> = errors(1)
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(codes, ["project_id", "storage_gb"]);
    let mut large = order("large", "shop");
    large["storage_gb"] = 31.into();
    let reply = berth.post("/v1/databases", large.clone()).await;
    assert_eq!(reply.line(), "409 quota_exceeded [storage_gb]");
    large["storage_gb"] = 30.into();
    berth.database(large).await;
    let reply = berth.post("/v1/databases", order("third", "shop")).await;
    assert!(
        reply.line().starts_with("409 quota_exceeded"),
        "{}",
        reply.line()
    );
    // What is there may be edited, may not grow, and comes back out of the trash.
    let tags = json!({"tags": {"a": "b"}});
    berth.patch("/v1/databases/large", tags).await.expect(200);
    let grow = json!({"storage_gb": 31});
    let reply = berth.patch("/v1/databases/large", grow).await;
    assert_eq!(reply.line(), "409 quota_exceeded [storage_gb]");
    let gone = row(&berth, "large").await;
    berth.delete("/v1/databases/large").await;
    berth.database(order("instead", "shop")).await;
    let path = format!("/v1/databases/{}/undelete", gone["id"].as_str().unwrap());
    berth.post(&path, json!({})).await.expect(202);
}

#[tokio::test]
async fn a_project_goes_with_what_is_in_it_unless_something_is_protected() {
    let berth = TestBerth::start().await;
    shop(&berth, json!({})).await;
    let orders = berth.database(order("orders", "shop")).await;
    let mut kept = order("bills", "shop");
    kept["deletion_protection"] = true.into();
    berth.database(kept).await;
    let reply = berth.delete("/v1/projects/shop").await;
    assert!(
        reply.line().starts_with("409 protected"),
        "{}",
        reply.line()
    );
    assert!(reply.body["details"].to_string().contains("bills"));
    assert_eq!(
        row(&berth, "orders").await["id"],
        orders["id"],
        "nothing went"
    );
    let free = json!({"deletion_protection": false});
    berth.patch("/v1/databases/bills", free).await.expect(200);
    let reply = berth.delete("/v1/projects/shop?if_empty=true").await;
    assert_eq!(reply.line(), "409 project_not_empty");
    berth.delete("/v1/projects/shop").await.expect(204);
    let path = format!("/v1/databases/{}", orders["id"].as_str().unwrap());
    let gone = berth.get(&path).await.expect(200);
    assert_eq!(gone["database"]["status"], "destroyed");
    assert_ne!(gone["database"]["recoverable_until"], Value::Null);
}
