//! Bodies of more than anybody means: refused with an answer that is small, and in nobody's way.

use crate::support::{Reply, TestBerth, postgres, request};
use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use berth_http::Config;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;
use tower::ServiceExt;

const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// One that reads whatever is sent, so that the answer is what is looked at.
async fn patient() -> TestBerth {
    let config = Config {
        body_bytes_max: 16 * 1024 * 1024,
        plan_bytes_max: 16 * 1024 * 1024,
        ..Config::default()
    };
    TestBerth::start_with(config, "127.0.0.1").await
}

fn many(count: usize, name: impl Fn(usize) -> String, value: &Value) -> Map<String, Value> {
    (0..count).map(|n| (name(n), value.clone())).collect()
}

fn is_short(reply: &Reply, what: &str) {
    assert!(
        reply.text.len() <= ANSWER_BYTES_MAX,
        "{what}: {} bytes: {}",
        reply.text.len(),
        &reply.text[..400]
    );
}

fn details(reply: &Reply) -> Vec<Value> {
    reply.body["details"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_hundred_thousand_wrong_fields_are_a_short_answer() {
    let berth = patient().await;
    let wrong = many(100_000, |n| format!("k{n}"), &json!(1));
    for path in ["/v1/databases", "/v1/projects", "/v1/users", "/v1/tokens"] {
        let reply = berth.post(path, json!(wrong)).await;
        assert_eq!(reply.status, 422, "{path}");
        assert_eq!(details(&reply).len(), 50, "{path}");
        is_short(&reply, path);
        let message = reply.body["error"].as_str().unwrap();
        assert!(message.contains("the first 50 fields"), "{message}");
        // What can stand there is said once.
        assert_eq!(reply.text.matches(": use ").count(), 2, "{path}");
    }
    for (path, body) in [
        ("/v1/databases", json!({"database": {}, "x": wrong})),
        ("/v1/projects/default/claim", json!(wrong)),
        ("/v1/databases", json!({"pooler": wrong})),
    ] {
        let reply = berth.post(path, body).await;
        assert_eq!(reply.status, 422, "{path}");
        is_short(&reply, path);
    }
    let item = json!({"kind": "database", "config": wrong});
    let reply = berth.post("/v1/plan", json!({"resources": [item]})).await;
    is_short(&reply, "plan");
    let errors = reply.expect(200)["resources"][0]["errors"].clone();
    assert_eq!(errors.as_array().unwrap().len(), 50);
    let last = errors[49]["message"].as_str().unwrap();
    assert!(last.contains("more is wrong"), "{last}");
}

#[tokio::test]
async fn every_resource_of_a_plan_hears_why_it_is_refused_and_few_hear_it_all() {
    let berth = patient().await;
    let item = json!({"kind": "database", "config": many(100, |n| format!("k{n}"), &json!(1))});
    let reply = berth
        .post("/v1/plan", json!({"resources": vec![item; 1000]}))
        .await;
    assert!(reply.text.len() < 1024 * 1024, "{}", reply.text.len());
    let body = reply.expect(200);
    let told: Vec<usize> = body["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["errors"].as_array().unwrap().len())
        .collect();
    assert_eq!((told.len(), told[0]), (1000, 50));
    assert!(told[1..].iter().all(|told| *told == 1));
}

#[tokio::test]
async fn entries_are_counted_before_they_are_looked_at() {
    let berth = patient().await;
    let entries = 50_000;
    let names = many(entries, |n| format!("K{n}"), &json!("1 2"));
    let list: Vec<String> = (0..entries).map(|n| format!("net-{n}")).collect();
    for (field, value) in [
        ("inject_env", json!(names)),
        ("allow_list", json!(list)),
        (
            "tags",
            json!(many(entries, |n| format!("\u{1}{n}"), &json!(""))),
        ),
    ] {
        let mut body = postgres("orders");
        body[field] = value;
        let reply = berth.post("/v1/databases", body).await;
        assert_eq!(reply.line(), format!("422 invalid_field [{field}]"));
        let message = details(&reply)[0]["message"].to_string();
        assert!(message.contains("has 50000"), "{message}");
    }
    let mut body = postgres("orders");
    body["pooler"] = json!({"parameters": names});
    let reply = berth.post("/v1/databases", body).await;
    assert_eq!((reply.status.as_u16(), details(&reply).len()), (422, 50));
    is_short(&reply, "parameters");
    let item = json!({"kind": "database", "config": {}, "unknown": list});
    let reply = berth.post("/v1/plan", json!({"resources": [item]})).await;
    is_short(&reply, "unknown");
    reply.expect(200);
}

#[tokio::test]
async fn long_words_are_shown_by_their_beginning() {
    let berth = patient().await;
    let long = "x".repeat(1024 * 1024);
    for body in [
        json!({ &long: 1 }),
        json!({"name": "orders", "storage_gb": long}),
        json!({"name": "orders", "engine": long}),
        json!({"name": "orders", "plan": long, "region": long, "version": long}),
        json!({"name": "orders", "project_id": long}),
        json!({"name": "orders", "pooler": {"mode": long, "parameters": {&long: "1"}}}),
        json!({"name": "orders", "tags": {&long: 5}}),
        json!({"name": long, "tls_mode": long, "database_name": long, "username": long}),
    ] {
        let reply = berth.post("/v1/databases", body.clone()).await;
        assert!(reply.status.is_client_error(), "{}", reply.status);
        is_short(&reply, "create");
        let item = json!({"kind": "database", "config": body});
        is_short(
            &berth.post("/v1/plan", json!({"resources": [item]})).await,
            "plan",
        );
    }
    for field in ["kind", "id", "replaces"] {
        let mut item = json!({"kind": "project", "config": {"name": "shop"}});
        item[field] = json!(long);
        let reply = berth.post("/v1/plan", json!({"resources": [item]})).await;
        is_short(&reply, field);
    }
}

#[tokio::test]
async fn only_a_plan_may_be_large() {
    let berth = TestBerth::start().await;
    let padding = "x".repeat(300 * 1024);
    let body = json!({"name": "orders", "description": padding});
    let reply = berth.post("/v1/databases", body.clone()).await;
    assert_eq!(reply.line(), "413 body_too_large");
    let item = json!({"kind": "project", "config": body});
    let reply = berth.post("/v1/plan", json!({"resources": [item]})).await;
    reply.expect(200);
}

/// A body that is large and never ends; it says when it is read.
fn trickling(token: &str, read: mpsc::UnboundedSender<()>) -> Request<Body> {
    let first = stream::once(async move {
        let _ = read.send(());
        Ok::<_, Infallible>(Bytes::from(vec![b' '; 70 * 1024]))
    });
    let mut sent = request(token, Method::POST, "/v1/projects", None);
    *sent.body_mut() = Body::from_stream(first.chain(stream::pending()));
    sent
}

#[tokio::test]
async fn waiting_for_a_turn_is_not_slowness() {
    let config = Config {
        body_seconds_max: 1,
        ..Config::default()
    };
    let berth = TestBerth::start_with(config.clone(), "127.0.0.1").await;
    let router = berth_http::router(Arc::clone(&berth.services), config);
    let (read, mut reading) = mpsc::unbounded_channel();
    // Two at a time, a second each.
    let mut uploads = Vec::new();
    for _ in 0..4 {
        let sent = trickling(&berth.admin, read.clone());
        uploads.push(tokio::spawn(router.clone().oneshot(sent)));
        reading.recv().await.unwrap();
    }
    let body = json!({"name": "orders", "description": "x".repeat(70 * 1024)});
    let sent = request(&berth.admin, Method::POST, "/v1/databases", Some(body));
    let reply = crate::support::read(router.oneshot(sent).await.unwrap()).await;
    assert_eq!(reply.line(), "422 invalid_field [description]");
    for upload in join_all(uploads).await {
        assert_eq!(upload.unwrap().unwrap().status(), 408);
    }
}
