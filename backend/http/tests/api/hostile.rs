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

/// One of each kind of store: they refuse different things.
async fn berths() -> Vec<TestBerth> {
    let mut berths = vec![TestBerth::start().await];
    berths.extend(TestBerth::start_on_postgresql().await);
    berths
}

#[tokio::test]
async fn no_value_of_any_field_makes_berth_fail() {
    for berth in berths().await {
        every_field(&berth).await;
    }
}

async fn every_field(berth: &TestBerth) {
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
        "user_id",
        "keep_secret",
        "email",
        "role",
        "value",
        "sensitive",
        "inject_env",
        "quota",
        "sleep_after_minutes",
        "auto_provision",
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
            let mut token = json!({"name": "t", "preset": "plan"});
            token[field] = value.clone();
            for (path, body) in [
                ("/v1/tokens", alone.clone()),
                ("/v1/tokens", token),
                ("/v1/users", alone.clone()),
                (
                    "/v1/users",
                    json!({"name": format!("u{number}"), field: value}),
                ),
                ("/v1/projects/default/database", alone.clone()),
                ("/v1/plan", alone.clone()),
            ] {
                is_an_answer(&berth.post(path, body).await, &what);
            }
            for (method, path) in [
                (Method::PATCH, "/v1/users/usr_admin"),
                (Method::PUT, "/v1/projects/default/members/usr_admin"),
                (Method::PUT, "/v1/projects/default/env/SECRET"),
            ] {
                let body = Some(alone.clone());
                let reply = berth.call(&berth.admin, method, path, body).await;
                is_an_answer(&reply, &what);
            }
        }
    }
}

#[tokio::test]
async fn what_is_said_twice_or_where_nothing_is_to_be_said_is_refused() {
    let berth = TestBerth::start().await;
    berth.database(postgres("orders")).await;
    let mut twice = request(&berth.admin, Method::POST, "/v1/projects", None);
    *twice.body_mut() = Body::from(r#"{"name": "abc", "name": "abd"}"#);
    let reply = berth.send(twice).await;
    assert_eq!(reply.line(), "400 invalid_request");
    assert!(reply.text.contains("name"), "{}", reply.text);

    let mut two = request(&berth.admin, Method::GET, "/v1/projects", None);
    let other = "Bearer berth_0".parse().unwrap();
    two.headers_mut().append("authorization", other);
    assert_eq!(berth.send(two).await.line(), "400 invalid_request");

    let path = "/v1/databases/orders";
    let body = Some(json!({"if_empty": true}));
    let reply = berth.call(&berth.admin, Method::DELETE, path, body).await;
    assert_eq!(reply.line(), "422 invalid_field [if_empty]");
    berth.get(path).await.expect(200);
    let nothing = Some(json!({}));
    let gone = berth
        .call(&berth.admin, Method::DELETE, path, nothing)
        .await;
    // It is told as what becomes of it, not as it was last seen.
    assert_eq!(gone.expect(200)["database"]["status"], "destroyed");
}

#[tokio::test]
async fn a_destroyed_database_is_not_ready() {
    let berth = TestBerth::start().await;
    let id = berth.database(postgres("orders")).await["id"].clone();
    berth.settle(id.as_str().unwrap()).await;
    let gone = berth.delete("/v1/databases/orders").await.expect(200);
    let gone = &gone["database"];
    assert_eq!(
        (&gone["status"], &gone["phase"]),
        (&json!("destroyed"), &json!("removing"))
    );
}

#[tokio::test]
async fn refusals_are_in_words_for_people() {
    let berth = TestBerth::start().await;
    for (path, words) in [
        ("/v1/projects?page_size=-1", "use a whole number"),
        ("/v1/projects?page_size=", "use a whole number"),
        (
            "/v1/projects/default/env?provision=maybe",
            "use true or false",
        ),
    ] {
        let reply = berth.get(path).await;
        assert_eq!(reply.line(), "400 invalid_request", "{path}");
        assert!(reply.text.contains(words), "{path}: {}", reply.text);
    }
    // -1, as a page token would say it.
    let reply = berth.get("/v1/events?page_token=LTE").await;
    assert_eq!(reply.line(), "422 invalid_field [page_token]");
    let body = json!({"name": "shop", "description": "a\u{0}"});
    let reply = berth.post("/v1/projects", body).await;
    assert!(reply.text.contains("control characters"), "{}", reply.text);
    for (slip, meant) in [("plan_idd", "plan_id"), ("dbtype", "db_type")] {
        let body = json!({"name": "orders", slip: "x"});
        let reply = berth.post("/v1/databases", body).await;
        let hint = format!("did you mean \\\"{meant}\\\"");
        assert!(reply.text.contains(&hint), "{}", reply.text);
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
    for berth in berths().await {
        every_path(&berth).await;
    }
}

async fn every_path(berth: &TestBerth) {
    let long = "a".repeat(5000);
    for word in [
        "%00",
        "%01",
        "a%00b",
        "%ff",
        "..",
        "%2e%2e%2f",
        "a%20b",
        "db_%00",
        "usr_%00",
        "'",
        "db_x",
        "proj_x",
        "usr_x",
        "LTE",
        &long,
    ] {
        for path in [
            "/v1/databases/",
            "/v1/projects/",
            "/v1/operations/",
            "/v1/trash/",
            "/v1/tokens/",
            "/v1/users/",
            "/v1/projects/default/members/",
            "/v1/projects/default/env/",
            "/api/v1/databases/",
        ] {
            let path = format!("{path}{word}");
            for method in [Method::GET, Method::PATCH, Method::DELETE, Method::POST] {
                let reply = berth.call(&berth.admin, method, &path, None).await;
                is_an_answer(&reply, &path);
            }
            let role = Some(json!({"role": "viewer"}));
            let reply = berth.call(&berth.admin, Method::PUT, &path, role).await;
            is_an_answer(&reply, &path);
        }
        for (list, parameters) in [
            (
                "databases",
                &["project_id", "name", "engine", "page_token", "page_size"][..],
            ),
            ("projects", &["page_token", "page_size"]),
            ("tokens", &["page_token"]),
            ("users", &["page_token"]),
            ("trash", &["page_token"]),
            (
                "events",
                &[
                    "page_token",
                    "project_id",
                    "database_id",
                    "kind",
                    "actor",
                    "since",
                    "order",
                ],
            ),
            ("snapshot", &["kind"]),
            ("databases/x/operations", &["page_token", "project_id"]),
            ("projects/default/members", &["page_token"]),
            ("projects/default/env", &["format", "network", "provision"]),
            ("operations/op_1", &["wait"]),
        ] {
            for parameter in parameters {
                let path = format!("/v1/{list}?{parameter}={word}");
                is_an_answer(&berth.get(&path).await, &path);
            }
        }
        for parameter in ["page_token", "project_id"] {
            let path = format!("/v1/snapshot?kind=database&{parameter}={word}");
            is_an_answer(&berth.get(&path).await, &path);
        }
    }
    // A name that nobody can have is nobody's.
    for (path, line) in [
        ("/v1/users/%00", "404 user_not_found"),
        ("/v1/projects/default/members/%00", "404 member_not_found"),
        ("/v1/events?kind=%00", "422 invalid_field [kind]"),
        (
            "/v1/events?kind=Database.changed",
            "422 invalid_field [kind]",
        ),
    ] {
        assert_eq!(berth.get(path).await.line(), line, "{path}");
    }
    let nobody = json!({"name": "t", "preset": "plan", "user_id": "\u{0}"});
    let reply = berth.post("/v1/tokens", nobody).await;
    assert_eq!(reply.line(), "404 user_not_found [user_id]");
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
