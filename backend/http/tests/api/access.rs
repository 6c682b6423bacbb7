use crate::calls::{CALLS, Scene};
use crate::support::{TestBerth, postgres, read, request};
use axum::http::Method;
use serde_json::json;
use tower::ServiceExt;

const OPEN: [&str; 5] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/v1/version",
];

#[tokio::test]
async fn every_documented_route_is_closed_or_on_the_list_of_open_ones() {
    let berth = TestBerth::start().await;
    let document = berth.get("/openapi.json").await.expect(200);
    let mut found = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            found += 1;
            let mut calls = CALLS.iter();
            let closed = calls.any(|call| call.method == method && call.path == path);
            let open = OPEN.contains(&path.as_str());
            assert!(closed != open, "{method} {path}");
        }
    }
    assert_eq!(found, CALLS.len() + OPEN.len());
    for path in OPEN {
        assert!(
            berth
                .call("", Method::GET, path, None)
                .await
                .status
                .is_success(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_closed_route_needs_a_token_and_its_right() {
    let berth = TestBerth::start().await;
    // Everything but the right in question, where that is not contained in another.
    let scopes = |without: &str| match without {
        "read" => json!(["credentials", "fork", "unprotect"]),
        "plan" => json!(["read", "credentials", "fork", "unprotect"]),
        "write" => json!(["read", "plan", "credentials", "fork", "unprotect"]),
        "credentials" => json!(["read", "fork", "unprotect"]),
        "unprotect" => json!(["read", "plan", "write", "credentials", "fork"]),
        _ => json!(["read", "plan", "write", "credentials", "fork", "unprotect"]),
    };
    for (number, call) in CALLS.iter().enumerate() {
        let right = call.right;
        let what = format!("{} {}", call.method, call.path);
        let scene = Scene::set(&berth, &berth.admin, number, call).await;
        let made = berth
            .post(
                "/v1/tokens",
                json!({"name": "less", "scopes": scopes(right)}),
            )
            .await;
        let less = made.expect(201)["secret"].as_str().unwrap().to_owned();
        let before = berth.store.version().await.unwrap();
        let none = scene.send(&berth, "", call).await;
        assert_eq!(none.line(), "401 unauthenticated", "{what}");
        assert_eq!(none.header("www-authenticate"), "Bearer");
        let wrong = scene.send(&berth, "berth_0", call).await;
        assert_eq!(wrong.line(), "401 unauthenticated", "{what}");
        let refused = scene.send(&berth, &less, call).await;
        assert_eq!(
            refused.line(),
            "403 scope_missing",
            "{what} without {right}"
        );
        assert!(
            refused.text.contains(&format!("\\\"{right}\\\"")),
            "{}",
            refused.text
        );
        let after = berth.store.version().await.unwrap();
        assert_eq!(after, before, "{what} changed something");
    }
}

#[tokio::test]
async fn a_revoked_or_expired_token_opens_nothing() {
    let berth = TestBerth::start().await;
    let made = berth
        .post(
            "/v1/tokens",
            json!({"name": "t", "preset": "admin", "expires_at": "2026-02-27T00:00:00Z"}),
        )
        .await
        .expect(201);
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(
        berth
            .call(secret, Method::GET, "/v1/projects", None)
            .await
            .status,
        200
    );
    berth.pass_days(3);
    let reply = berth.call(secret, Method::GET, "/v1/projects", None).await;
    assert!(reply.text.contains("expired"), "{}", reply.text);
    let made = berth
        .post("/v1/tokens", json!({"name": "t", "preset": "admin"}))
        .await
        .expect(201);
    let path = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    berth.delete(&path).await.expect(204);
    berth.delete(&path).await.expect(204);
    let reply = berth
        .call(
            made["secret"].as_str().unwrap(),
            Method::GET,
            "/v1/projects",
            None,
        )
        .await;
    assert_eq!(reply.line(), "401 unauthenticated");
    assert_eq!(
        berth.delete("/v1/tokens/tok_ffff").await.line(),
        "404 token_not_found"
    );
    let listed = berth.get("/v1/tokens").await;
    assert!(
        !listed.text.contains("secret") && !listed.text.contains("hash"),
        "{}",
        listed.text
    );
}

#[tokio::test]
async fn wrong_tokens_are_refused_with_the_words_that_exist() {
    let berth = TestBerth::start().await;
    for (body, line) in [
        (json!({"preset": "plan"}), "422 invalid_field [name]"),
        (json!({"name": "t"}), "422 invalid_field [scopes]"),
        (
            json!({"name": "t", "preset": "owner"}),
            "422 invalid_field [preset]",
        ),
        (
            json!({"name": "t", "scopes": ["raed"]}),
            "422 invalid_field [scopes]",
        ),
        (
            json!({"name": "t", "scopes": ["read"], "preset": "plan"}),
            "422 invalid_field [preset]",
        ),
        (
            json!({"name": "t", "preset": "plan", "project_id": "nope"}),
            "404 project_not_found [project_id]",
        ),
        (
            json!({"name": "t", "preset": "plan", "expires_at": "tomorrow"}),
            "422 invalid_field [expires_at]",
        ),
        (
            json!({"name": "t", "preset": "plan", "expires_at": "2020-01-01T00:00:00Z"}),
            "422 invalid_field [expires_at]",
        ),
        (
            json!({"name": "t", "presets": "plan"}),
            "422 invalid_field [presets]",
        ),
    ] {
        assert_eq!(
            berth.post("/v1/tokens", body.clone()).await.line(),
            line,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_bound_token_sees_nothing_of_other_projects() {
    let berth = TestBerth::start().await;
    berth
        .post("/v1/projects", json!({"name": "shop"}))
        .await
        .expect(201);
    let other = berth.database(postgres("orders")).await;
    let bound = berth.token("admin", Some("shop")).await;
    let own = berth
        .call(
            &bound,
            Method::POST,
            "/v1/databases",
            Some(postgres("orders")),
        )
        .await;
    let own = own.expect(201)["database"].clone();
    assert_ne!(own["project_id"], "proj_default");
    let id = other["id"].as_str().unwrap();
    let operation = other["operation_id"].as_str().unwrap();
    for (method, path) in [
        (Method::GET, format!("/v1/databases/{id}")),
        (Method::PATCH, format!("/v1/databases/{id}")),
        (Method::DELETE, format!("/v1/databases/{id}")),
        (Method::GET, format!("/v1/databases/{id}/credentials")),
        (Method::POST, format!("/v1/databases/{id}/rotate")),
        (Method::GET, format!("/v1/operations/{operation}")),
        (Method::GET, "/v1/projects/default".to_owned()),
        (Method::PATCH, "/v1/projects/default".to_owned()),
        (Method::DELETE, "/v1/projects/default".to_owned()),
        (
            Method::GET,
            "/v1/snapshot?kind=database&project_id=default".to_owned(),
        ),
        (Method::GET, "/v1/events?project_id=default".to_owned()),
    ] {
        let reply = berth.call(&bound, method.clone(), &path, None).await;
        assert_eq!(reply.status, 404, "{method} {path}: {}", reply.text);
    }
    for path in [
        "/v1/databases",
        "/v1/snapshot?kind=database",
        "/v1/snapshot?kind=project",
        "/v1/projects",
        "/v1/events",
        "/v1/trash",
        "/v1/tokens",
    ] {
        let reply = berth.call(&bound, Method::GET, path, None).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(
            !reply.text.contains(id) && !reply.text.contains("proj_default"),
            "{path}: {}",
            reply.text
        );
    }
    let named = berth
        .call(&bound, Method::GET, "/v1/databases/orders", None)
        .await
        .expect(200);
    assert_eq!(named["database"]["id"], own["id"]);
    let reply = berth
        .call(
            &bound,
            Method::POST,
            "/v1/projects",
            Some(json!({"name": "more"})),
        )
        .await;
    assert_eq!(reply.line(), "403 project_forbidden");
    let body = json!({"name": "x-y", "engine": "postgresql", "project_id": "default"});
    let reply = berth
        .call(&bound, Method::POST, "/v1/databases", Some(body))
        .await;
    assert_eq!(reply.line(), "404 project_not_found [project_id]");
    // What it makes is bound as well.
    let made = berth
        .call(
            &bound,
            Method::POST,
            "/v1/tokens",
            Some(json!({"name": "t", "preset": "admin"})),
        )
        .await;
    assert_eq!(made.expect(201)["project_id"], own["project_id"]);
}

#[tokio::test]
async fn the_local_socket_is_the_administrators() {
    let berth = TestBerth::start().await;
    let response = berth
        .local
        .clone()
        .oneshot(request("", Method::GET, "/v1/tokens", None))
        .await
        .unwrap();
    let reply = read(response).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-ratelimit-limit"), "");
}
