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
