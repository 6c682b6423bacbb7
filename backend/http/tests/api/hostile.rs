//! Bodies and queries that nobody should send: refused, with a sentence and never a failure.

use crate::support::{Reply, TestBerth, postgres, request};
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

/// Values that fit nowhere, or fit badly.
fn odd_values() -> Vec<Value> {
    let mut deep = json!("x");
    for _ in 0..60 {
        deep = json!([deep]);
    }
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        serde_json::from_str("1e400").unwrap(),
        json!(""),
        json!("\u{0}"),
        json!("ä".repeat(300)),
        json!("../../etc/passwd"),
        json!("'; DROP TABLE databases; --"),
        json!("{password}\n[pgbouncer]"),
        json!([]),
        json!(["x", 1, null]),
        json!({}),
        json!({"enabled": "yes", "parameters": {"listen_addr": "*"}}),
        json!({"deleted_database_id": "db_"}),
        json!({"\u{0}": "\u{0}"}),
        deep,
    ]
}

fn is_an_answer(reply: &Reply, what: &str) {
    let status = reply.status.as_u16();
    assert!(status < 500, "{what}: {status} {}", reply.text);
    if status >= 400 {
        assert!(
            reply.body["code"].is_string() && reply.body["request_id"].is_string(),
            "{what}: {}",
            reply.text
        );
    }
}

#[tokio::test]
async fn no_value_of_any_field_makes_berth_fail() {
    let berth = TestBerth::start().await;
    berth.database(postgres("orders")).await;
    let fields = [
        "name",
        "project_id",
        "projectId",
        "engine",
        "db_type",
        "version",
        "plan",
        "plan_id",
        "region",
        "storage_gb",
        "replicas",
        "desired_status",
        "database_name",
        "username",
        "pooler",
        "credential_version",
        "expose",
        "public_port",
        "allow_list",
        "tls_mode",
        "restore_from",
        "deletion_protection",
        "recovery_window_days",
        "tags",
        "unclaimed",
        "database",
        "description",
        "default_region",
        "on_destroy",
        "scopes",
        "preset",
        "expires_at",
    ];
    let values = odd_values();
    for field in fields {
        for (number, value) in values.iter().enumerate() {
            let what = format!("{field} = value {number}");
            let mut body = json!({"name": format!("{field}-{number}").replace('_', "-").to_lowercase(), "engine": "postgresql"});
            body[field] = value.clone();
            let item = json!({"resources": [{"kind": "database", "config": body}]});
            is_an_answer(&berth.post("/v1/plan", item).await, &what);
            is_an_answer(&berth.post("/v1/databases", body).await, &what);
            let alone = json!({ field: value });
            is_an_answer(
                &berth.patch("/v1/databases/orders", alone.clone()).await,
                &what,
            );
            is_an_answer(&berth.post("/v1/projects", alone.clone()).await, &what);
            is_an_answer(
                &berth.patch("/v1/projects/default", alone.clone()).await,
                &what,
            );
            is_an_answer(&berth.post("/v1/tokens", alone.clone()).await, &what);
            is_an_answer(&berth.post("/v1/plan", alone).await, &what);
        }
    }
}

#[tokio::test]
async fn acts_take_no_fields() {
    let berth = TestBerth::start().await;
    let id = berth.database(postgres("orders")).await["id"].clone();
    let id = id.as_str().unwrap();
    berth.settle(id).await;
    let acts = ["rotate", "start", "stop", "restart", "claim"];
    let paths = acts.map(|act| format!("/v1/databases/{id}/{act}"));
    for path in paths
        .iter()
        .chain([&"/v1/projects/default/claim".to_owned()])
    {
        let reply = berth.post(path, json!({"x": 1})).await;
        assert_eq!(reply.line(), "422 invalid_field [x]", "{path}");
    }
    berth.post(&paths[2], json!({})).await.expect(202);
}

#[tokio::test]
async fn no_plan_item_makes_berth_fail() {
    let berth = TestBerth::start().await;
    for field in ["kind", "id", "replaces", "destroy", "config", "unknown"] {
        for value in odd_values() {
            for kind in ["project", "database"] {
                let mut item = json!({"kind": kind, "config": {"name": "orders"}});
                item[field] = value.clone();
                is_an_answer(
                    &berth.post("/v1/plan", json!({"resources": [item]})).await,
                    field,
                );
            }
        }
    }
    let paths = json!([
        "",
        ".",
        "pooler.",
        "pooler..mode",
        "tags[0]",
        "tags.a.b",
        "restore_from.x",
        "ä",
        "allow_list[0].x"
    ]);
    let item = json!({"kind": "database", "config": {"pooler": 1}, "unknown": paths});
    is_an_answer(
        &berth.post("/v1/plan", json!({"resources": [item]})).await,
        "paths",
    );
    let many: Vec<Value> = (0..1001).map(|_| json!({"kind": "project"})).collect();
    let reply = berth.post("/v1/plan", json!({"resources": many})).await;
    assert_eq!(reply.line(), "422 invalid_field [resources]");
}

#[tokio::test]
async fn no_path_or_query_makes_berth_fail() {
    let berth = TestBerth::start().await;
    for word in [
        "%00",
        "%ff",
        "..",
        "%2e%2e%2f",
        "a%20b",
        "db_%00",
        "'",
        "db_x",
        "proj_x",
        &"a".repeat(5000),
    ] {
        for path in ["databases", "projects", "operations", "trash", "tokens"] {
            for method in [Method::GET, Method::PATCH, Method::DELETE, Method::POST] {
                let path = format!("/v1/{path}/{word}");
                is_an_answer(&berth.call(&berth.admin, method, &path, None).await, &path);
            }
        }
        for path in [
            format!("/v1/databases?project_id={word}"),
            format!("/v1/databases?name={word}"),
            format!("/v1/databases?page_token={word}"),
            format!("/v1/databases?page_size={word}"),
            format!("/v1/snapshot?kind=database&page_token={word}"),
            format!("/v1/events?page_token={word}&database_id={word}"),
            format!("/v1/operations/op_1?wait={word}"),
        ] {
            is_an_answer(&berth.get(&path).await, &path);
        }
    }
}

#[tokio::test]
async fn nested_beyond_measure_is_not_read() {
    let berth = TestBerth::start().await;
    let deep = format!("{{\"tags\": {}{}}}", "[".repeat(5000), "]".repeat(5000));
    let mut sent = request(&berth.admin, Method::POST, "/v1/databases", None);
    *sent.body_mut() = Body::from(deep);
    assert_eq!(berth.send(sent).await.line(), "400 invalid_request");
}

#[tokio::test]
async fn no_header_makes_berth_fail() {
    let berth = TestBerth::start().await;
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Basic dTpw",
        "bearer  x",
        "Bearer \u{1f600}",
    ] {
        let sent = Request::builder()
            .uri("/v1/projects")
            .header("authorization", value)
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            berth.send(sent).await.line(),
            "401 unauthenticated",
            "{value:?}"
        );
    }
    for key in [String::new(), "x".repeat(256), "ä".to_owned()] {
        let mut sent = request(
            &berth.admin,
            Method::POST,
            "/v1/projects",
            Some(json!({"name": "shop"})),
        );
        sent.headers_mut()
            .insert("idempotency-key", key.parse().unwrap());
        assert_eq!(
            berth.send(sent).await.line(),
            "400 invalid_request",
            "{key:?}"
        );
    }
}
