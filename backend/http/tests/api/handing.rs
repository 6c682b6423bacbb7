//! What a token may hand on: no right, and no life, that it does not have itself.

use crate::support::{Reply, TestBerth, postgres};
use axum::http::Method;
use serde_json::{Value, json};

async fn make(berth: &TestBerth, token: &str, body: Value) -> Reply {
    berth
        .call(token, Method::POST, "/v1/tokens", Some(body))
        .await
}

/// The secret and the id of a token that the administrator made.
async fn made(berth: &TestBerth, body: Value) -> (String, String) {
    let made = make(berth, &berth.admin, body).await.expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["secret"]), text(&made["id"]))
}

/// A pipeline that manages tokens.
async fn pipeline(berth: &TestBerth) -> String {
    let scopes = ["read", "plan", "write", "credentials", "admin"];
    made(berth, json!({"name": "pipeline", "scopes": scopes}))
        .await
        .0
}

#[tokio::test]
async fn whoever_makes_tokens_does_not_thereby_make_data_unrecoverable() {
    let berth = TestBerth::start().await;
    let pipeline = pipeline(&berth).await;
    let mut order = postgres("orders");
    order["deletion_protection"] = json!(true);
    let id = berth.database(order).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/databases/{id}");
    let free = Some(json!({"deletion_protection": false}));
    let reply = berth.call(&pipeline, Method::PATCH, &path, free).await;
    assert_eq!(reply.line(), "403 scope_missing [deletion_protection]");
    let purge = format!("/v1/trash/{id}");
    let reply = berth.call(&pipeline, Method::DELETE, &purge, None).await;
    assert_eq!(reply.line(), "403 scope_missing");
    // Nor does it make, read or keep alive a token that could.
    for (body, line) in [
        (
            json!({"name": "t", "scopes": ["read", "unprotect"]}),
            "403 scope_missing [scopes]",
        ),
        (
            json!({"name": "t", "preset": "admin"}),
            "403 scope_missing [preset]",
        ),
    ] {
        let reply = make(&berth, &pipeline, body.clone()).await;
        assert_eq!(reply.line(), line, "{body}");
        assert!(reply.text.contains("unprotect"), "{}", reply.text);
    }
    make(&berth, &pipeline, json!({"name": "t", "preset": "apply"}))
        .await
        .expect(201);
    let person = json!({
        "name": "person", "preset": "admin", "keep_secret": true,
        "expires_at": "2026-12-31T00:00:00Z",
    });
    let (_, person) = made(&berth, person).await;
    let secret = format!("/v1/tokens/{person}/secret");
    let reply = berth.call(&pipeline, Method::GET, &secret, None).await;
    assert_eq!(reply.line(), "403 scope_missing");
    assert!(!reply.text.contains("berth_"), "{}", reply.text);
    let path = format!("/v1/tokens/{person}");
    for (end, line) in [
        (json!(null), "403 scope_missing [expires_at]"),
        (
            json!("2027-12-31T00:00:00Z"),
            "403 scope_missing [expires_at]",
        ),
        (json!("2026-11-30T00:00:00Z"), "200 -"),
    ] {
        let body = Some(json!({"expires_at": end}));
        let reply = berth.call(&pipeline, Method::PATCH, &path, body).await;
        assert_eq!(reply.line(), line, "{end}");
    }
    berth.get(&secret).await.expect(200);
    let revoked = berth.call(&pipeline, Method::DELETE, &path, None).await;
    revoked.expect(204);
}

#[tokio::test]
async fn no_token_outlives_the_one_that_made_it() {
    let berth = TestBerth::start().await;
    let end = "2026-12-31T00:00:00Z";
    let body = json!({"name": "short", "preset": "admin", "expires_at": end});
    let (short, id) = made(&berth, body).await;
    let later = json!("2027-01-01T00:00:00Z");
    for (end, line) in [
        (json!(null), "422 invalid_field [expires_at]"),
        (later.clone(), "422 invalid_field [expires_at]"),
        (json!(end), "201 -"),
    ] {
        let body = json!({"name": "t", "preset": "plan", "expires_at": end});
        assert_eq!(make(&berth, &short, body).await.line(), line, "{end}");
    }
    for end in [json!(null), later] {
        let path = format!("/v1/tokens/{id}");
        let body = Some(json!({"expires_at": end}));
        let reply = berth.call(&short, Method::PATCH, &path, body).await;
        assert_eq!(reply.line(), "422 invalid_field [expires_at]", "{end}");
        assert!(
            reply.text.contains("when the token that asks ends"),
            "{}",
            reply.text
        );
    }
}

#[tokio::test]
async fn whoever_applies_gets_no_credentials_that_open_nothing() {
    let berth = TestBerth::start().await;
    let id = berth.database(postgres("orders")).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/databases/{id}/credentials");
    for (scopes, line) in [
        (json!(["plan"]), "200 -"),
        (json!(["plan", "write"]), "403 scope_missing"),
        (json!(["write"]), "403 scope_missing"),
        (json!(["plan", "write", "credentials"]), "200 -"),
    ] {
        let body = json!({"name": "t", "scopes": scopes});
        let (token, _) = made(&berth, body).await;
        let reply = berth.call(&token, Method::GET, &path, None).await;
        assert_eq!(reply.line(), line, "{scopes}");
    }
}
