use crate::support::TestBerth;
use axum::http::Method;
use serde_json::json;

#[tokio::test]
async fn an_equal_request_of_the_same_token_resumes_an_unclaimed_create() {
    let berth = TestBerth::start().await;
    let apply = berth.token("apply", None).await;
    let other = berth.token("apply", None).await;
    let body = json!({"name": "orders", "engine": "postgresql", "expose": true, "unclaimed": true});
    let post = async |token: &str, body: &serde_json::Value| {
        berth
            .call(token, Method::POST, "/v1/databases", Some(body.clone()))
            .await
    };
    let first = post(&apply, &body).await.expect(201)["database"].clone();
    assert_eq!(first["claimed"], false);
    let again = post(&apply, &body).await.expect(201)["database"].clone();
    assert_eq!(again, first);
    // The same in other words is the same.
    let spelt = json!({"name": "orders", "engine": "postgresql", "version": "17", "expose": true, "unclaimed": true, "tags": {}});
    assert_eq!(
        post(&apply, &spelt).await.expect(201)["database"]["id"],
        first["id"]
    );
    let different = json!({"name": "orders", "engine": "postgresql", "unclaimed": true});
    assert_eq!(
        post(&apply, &different).await.line(),
        "409 name_taken [name]"
    );
    assert_eq!(post(&other, &body).await.line(), "409 name_taken [name]");

    let claim = format!("/v1/databases/{}/claim", first["id"].as_str().unwrap());
    let reply = berth.call(&other, Method::POST, &claim, None).await;
    assert_eq!(reply.line(), "409 claim_refused");
    for _ in 0..2 {
        let claimed = berth
            .call(&apply, Method::POST, &claim, None)
            .await
            .expect(200);
        assert_eq!(claimed["database"]["claimed"], true);
    }
    let reply = post(&apply, &body).await;
    assert_eq!(reply.line(), "409 name_taken [name]");
    assert!(reply.text.contains("terraform import"));
}

#[tokio::test]
async fn a_plan_says_that_it_will_resume() {
    let berth = TestBerth::start().await;
    let body = json!({"name": "orders", "engine": "postgresql", "unclaimed": true});
    berth.post("/v1/databases", body).await.expect(201);
    let item = json!({"kind": "database", "config": {"name": "orders", "engine": "postgresql"}});
    let planned = berth.plan_one(&berth.admin, item).await;
    assert_eq!(planned["errors"], json!([]));
    assert!(
        planned["notes"].to_string().contains("resumed"),
        "{planned}"
    );
    let item = json!({"kind": "database", "config": {"name": "orders", "engine": "postgresql", "plan": "large"}});
    let planned = berth.plan_one(&berth.admin, item).await;
    assert_eq!(planned["errors"][0]["field"], "name");
    // As long as something is unknown, it may be the same request.
    let item = json!({"kind": "database", "config": {"name": "orders", "engine": "postgresql"}, "unknown": ["plan"]});
    assert_eq!(
        berth.plan_one(&berth.admin, item).await["errors"],
        json!([])
    );
}

#[tokio::test]
async fn an_unclaimed_restore_is_resumed_too() {
    let berth = TestBerth::start().await;
    let made = berth
        .database(json!({"name": "orders", "engine": "postgresql"}))
        .await;
    berth.delete("/v1/databases/orders").await.expect(200);
    let body = json!({"name": "orders", "restore_from": {"deleted_database_id": made["id"]}, "unclaimed": true});
    let first = berth.database(body.clone()).await;
    assert_eq!(
        (&first["id"], &first["claimed"]),
        (&made["id"], &json!(false))
    );
    assert_eq!(berth.database(body).await, first);
}

#[tokio::test]
async fn projects_are_claimed_alike() {
    let berth = TestBerth::start().await;
    let body = json!({"name": "shop", "unclaimed": true});
    let first = berth.post("/v1/projects", body.clone()).await.expect(201)["project"].clone();
    assert_eq!(
        berth.post("/v1/projects", body.clone()).await.expect(201)["project"],
        first
    );
    let different = json!({"name": "shop", "description": "x", "unclaimed": true});
    assert_eq!(
        berth.post("/v1/projects", different).await.line(),
        "409 name_taken [name]"
    );
    berth
        .post("/v1/projects/shop/claim", json!({}))
        .await
        .expect(200);
    assert_eq!(
        berth.post("/v1/projects", body).await.line(),
        "409 name_taken [name]"
    );
}

#[tokio::test]
async fn an_unclaimed_restore_returns_to_the_trash_as_it_was() {
    let berth = TestBerth::start().await;
    let made = berth
        .database(json!({"name": "orders", "engine": "postgresql"}))
        .await;
    let path = format!("/v1/databases/{}", made["id"].as_str().unwrap());
    let destroy =
        async || berth.delete(&path).await.expect(200)["database"]["recoverable_until"].clone();
    let before = destroy().await;
    assert_eq!(before, "2026-03-04T10:00:00Z");
    berth.pass_days(3);
    let body = json!({
        "name": "orders", "restore_from": {"deleted_database_id": made["id"]},
        "recovery_window_days": 0, "deletion_protection": true, "unclaimed": true,
    });
    let back = berth.database(body.clone()).await;
    assert_eq!(
        (&back["status"], &back["recoverable_until"]),
        (&json!("provisioning"), &json!(null))
    );
    let item = json!({"kind": "database", "id": made["id"], "destroy": true, "config": {}});
    let planned = berth.plan_one(&berth.admin, item).await;
    assert_eq!(planned["errors"], json!([]));
    assert!(
        planned["notes"]
            .to_string()
            .contains("former recovery window"),
        "{planned}"
    );
    assert_eq!(destroy().await, before);

    // A create that outlives the window loses nothing either.
    berth.database(body.clone()).await;
    berth.pass_days(10);
    assert_eq!(destroy().await, "2026-03-11T10:00:00Z");

    // Claimed, it is destroyed as it says itself.
    berth.database(body).await;
    berth
        .post(&format!("{path}/claim"), json!({}))
        .await
        .expect(200);
    berth
        .patch(&path, json!({"deletion_protection": false}))
        .await
        .expect(200);
    assert_eq!(destroy().await, "2026-03-10T10:00:00Z");
}

#[tokio::test]
async fn what_nobody_took_over_is_not_protected_from_who_ordered_it() {
    let berth = TestBerth::start().await;
    let apply = berth.token("apply", None).await;
    let plan = berth.token("plan", None).await;
    let body = json!({
        "name": "orders", "engine": "postgresql", "deletion_protection": true,
        "recovery_window_days": 0, "unclaimed": true,
    });
    let made = berth
        .call(&apply, Method::POST, "/v1/databases", Some(body))
        .await
        .expect(201)["database"]
        .clone();
    let item = json!({"kind": "database", "id": made["id"], "destroy": true, "config": {}});
    for (token, refused) in [(&apply, false), (&plan, false), (&berth.admin, true)] {
        let planned = berth.plan_one(token, item.clone()).await;
        assert_eq!(planned["errors"] != json!([]), refused, "{planned}");
        assert!(
            planned["notes"].to_string().contains("not finished"),
            "{planned}"
        );
    }
    assert_eq!(
        berth.delete("/v1/databases/orders").await.line(),
        "409 protected [deletion_protection]"
    );
    let gone = berth
        .call(&apply, Method::DELETE, "/v1/databases/orders", None)
        .await
        .expect(200);
    assert_eq!(
        gone["database"]["recoverable_until"],
        "2026-02-26T10:00:00Z"
    );
}

#[tokio::test]
async fn a_change_takes_over_and_a_look_does_not() {
    let berth = TestBerth::start().await;
    let apply = berth.token("apply", None).await;
    for change in [json!({}), json!({"tags": {"a": "b"}})] {
        let body = json!({"name": "orders", "engine": "postgresql", "unclaimed": true});
        let post = async || {
            berth
                .call(&apply, Method::POST, "/v1/databases", Some(body.clone()))
                .await
        };
        let first = post().await.expect(201)["database"].clone();
        berth
            .call(
                &apply,
                Method::GET,
                "/v1/databases/orders/credentials",
                None,
            )
            .await
            .expect(200);
        assert_eq!(post().await.expect(201)["database"]["id"], first["id"]);
        let changed = berth
            .patch("/v1/databases/orders", change)
            .await
            .expect(200);
        assert_eq!(changed["database"]["claimed"], true);
        assert_eq!(post().await.line(), "409 name_taken [name]");
        berth.delete("/v1/databases/orders").await.expect(200);
    }
    let body = json!({"name": "shop", "unclaimed": true});
    berth.post("/v1/projects", body.clone()).await.expect(201);
    let changed = berth
        .patch("/v1/projects/shop", json!({}))
        .await
        .expect(200);
    assert_eq!(changed["project"]["claimed"], true);
    assert_eq!(
        berth.post("/v1/projects", body).await.line(),
        "409 name_taken [name]"
    );
}

#[tokio::test]
async fn what_is_replaced_is_not_resumed() {
    let berth = TestBerth::start().await;
    let plan = berth.token("plan", None).await;
    let made = berth
        .database(json!({"name": "orders", "engine": "postgresql", "unclaimed": true}))
        .await;
    let item = json!({
        "kind": "database", "replaces": made["id"],
        "config": {"name": "orders", "engine": "postgresql"},
    });
    let planned = berth.plan_one(&berth.admin, item).await;
    assert_eq!(planned["errors"], json!([]));
    assert!(
        !planned["notes"].to_string().contains("resumed"),
        "{planned}"
    );
    // One that was brought back goes into the trash before it is brought back again.
    berth
        .post("/v1/databases/orders/claim", json!({}))
        .await
        .expect(200);
    berth.delete("/v1/databases/orders").await.expect(200);
    let config = json!({"name": "orders", "restore_from": {"deleted_database_id": made["id"]}});
    let mut body = config.clone();
    body["unclaimed"] = json!(true);
    berth.database(body).await;
    let item = json!({"kind": "database", "replaces": made["id"], "config": config});
    for token in [&berth.admin, &plan] {
        let planned = berth.plan_one(token, item.clone()).await;
        assert_eq!(planned["errors"], json!([]));
        assert_eq!(planned["planned"]["id"], made["id"]);
        assert!(
            !planned["notes"].to_string().contains("resumed"),
            "{planned}"
        );
    }
}
