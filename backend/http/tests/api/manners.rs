use crate::support::{TestBerth, postgres, request};
use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use berth_http::Config;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;
use tower::ServiceExt;

#[tokio::test]
async fn every_answer_has_an_id_and_every_error_its_shape() {
    let berth = TestBerth::start().await;
    let sent = Request::builder()
        .uri("/v1/nothing")
        .header("x-request-id", "abc-1")
        .body(Body::empty())
        .unwrap();
    let reply = berth.send(sent).await;
    assert_eq!(reply.line(), "404 route_not_found");
    assert_eq!(reply.header("x-request-id"), "abc-1");
    assert_eq!(reply.body["request_id"], "abc-1");
    let mut keys: Vec<_> = reply.body.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["code", "details", "error", "request_id"]);
    let fine = berth.get("/v1/projects").await;
    assert_eq!(fine.header("x-request-id").len(), 24);
    // An id that could break a log line is not taken over.
    let odd = Request::builder()
        .uri("/healthz")
        .header("x-request-id", "a b\tc")
        .body(Body::empty())
        .unwrap();
    assert_ne!(berth.send(odd).await.header("x-request-id"), "a b\tc");
    let reply = berth
        .call(&berth.admin, Method::PUT, "/v1/projects", None)
        .await;
    assert_eq!(reply.line(), "405 method_not_allowed");
}

#[tokio::test]
async fn bodies_that_are_no_objects_are_refused() {
    let berth = TestBerth::start().await;
    let raw = |body: &'static str, kind: &'static str| {
        Request::builder()
            .method(Method::POST)
            .uri("/v1/projects")
            .header("authorization", format!("Bearer {}", berth.admin))
            .header("content-type", kind)
            .body(Body::from(body))
            .unwrap()
    };
    assert_eq!(
        berth
            .send(raw("{\"name\": ", "application/json"))
            .await
            .line(),
        "400 invalid_request"
    );
    assert_eq!(
        berth.send(raw("[]", "application/json")).await.line(),
        "400 invalid_request"
    );
    assert_eq!(
        berth.send(raw("name=x", "text/plain")).await.line(),
        "415 unsupported_media_type"
    );
    let reply = berth
        .post(
            "/v1/projects",
            json!({"project": {"name": "shop"}, "name": "shop"}),
        )
        .await;
    assert_eq!(reply.line(), "422 invalid_field [name]");
    let small = TestBerth::start_with(
        Config {
            body_bytes_max: 100,
            ..Config::default()
        },
        "127.0.0.1",
    )
    .await;
    let reply = small
        .post("/v1/projects", json!({"name": "x".repeat(200)}))
        .await;
    assert_eq!(reply.line(), "413 body_too_large");
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let config = Config {
        request_seconds_max: 0,
        ..Config::default()
    };
    let berth = TestBerth::start_with(config, "127.0.0.1").await;
    let never = futures_util::stream::pending::<Result<Bytes, Infallible>>();
    let sent = Request::builder()
        .method(Method::POST)
        .uri("/v1/projects")
        .header("authorization", format!("Bearer {}", berth.admin))
        .body(Body::from_stream(never))
        .unwrap();
    let reply = berth.send(sent).await;
    assert_eq!(reply.line(), "503 timeout");
    assert_eq!(reply.header("retry-after"), "1");
}

#[tokio::test]
async fn no_body_and_an_empty_object_are_the_same_request() {
    let berth = TestBerth::start().await;
    let id = berth.database(postgres("orders")).await["id"].clone();
    berth.settle(id.as_str().unwrap()).await;
    for (body, replayed) in [(None, ""), (Some(json!({})), "true")] {
        let mut sent = request(
            &berth.admin,
            Method::POST,
            "/v1/databases/orders/stop",
            body,
        );
        sent.headers_mut()
            .insert("idempotency-key", "stop".parse().unwrap());
        let reply = berth.send(sent).await;
        assert_eq!(reply.header("idempotency-replayed"), replayed);
        reply.expect(202);
    }
}

const DAY_SECONDS: i64 = 86_400;

#[tokio::test]
async fn the_same_key_gets_the_same_answer() {
    let berth = TestBerth::start().await;
    let keyed = |path: &str, body: serde_json::Value, token: &str| {
        let mut sent = request(token, Method::POST, path, Some(body));
        sent.headers_mut()
            .insert("idempotency-key", "k1".parse().unwrap());
        sent
    };
    let first = berth
        .send(keyed("/v1/databases", postgres("orders"), &berth.admin))
        .await;
    assert_eq!(
        (first.status.as_u16(), first.header("idempotency-replayed")),
        (201, "")
    );
    let again = berth
        .send(keyed("/v1/databases", postgres("orders"), &berth.admin))
        .await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotency-replayed")),
        (201, "true")
    );
    assert_eq!(again.body, first.body);
    let other = berth
        .send(keyed("/v1/databases", postgres("bills"), &berth.admin))
        .await;
    assert_eq!(other.line(), "422 idempotency_key_reused");
    // Another token's key is another key.
    let apply = berth.token("apply", None).await;
    let theirs = berth
        .send(keyed("/v1/databases", postgres("bills"), &apply))
        .await;
    assert_eq!(theirs.status, 201);
    // It is kept for a day, and no longer.
    berth.pass_seconds(DAY_SECONDS - 60);
    let still = berth
        .send(keyed("/v1/databases", postgres("orders"), &berth.admin))
        .await;
    assert_eq!(still.header("idempotency-replayed"), "true");
    assert_eq!(still.body, first.body);
    berth.pass_seconds(61);
    let late = berth
        .send(keyed("/v1/databases", postgres("orders"), &berth.admin))
        .await;
    assert_eq!(late.line(), "409 name_taken [name]");
    // A token's secret comes back too, so that a lost answer is not a lost token.
    let made = berth
        .send(keyed(
            "/v1/tokens",
            json!({"name": "t", "preset": "plan"}),
            &apply,
        ))
        .await;
    assert_eq!(made.line(), "403 scope_missing");
    berth.pass_days(2);
    let made = berth
        .send(keyed(
            "/v1/tokens",
            json!({"name": "t", "preset": "plan"}),
            &berth.admin,
        ))
        .await;
    let same = berth
        .send(keyed(
            "/v1/tokens",
            json!({"name": "t", "preset": "plan"}),
            &berth.admin,
        ))
        .await;
    assert_eq!(made.body["secret"], same.body["secret"]);
}

#[tokio::test]
async fn a_token_makes_so_many_requests_and_then_waits() {
    let config = Config {
        requests_per_second: 1,
        requests_burst: 3,
        ..Config::default()
    };
    let berth = TestBerth::start_with(config, "127.0.0.1").await;
    let mut refused = None;
    for _ in 0..5 {
        let reply = berth.get("/v1/projects").await;
        assert_eq!(reply.header("x-ratelimit-limit"), "3");
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("five requests passed a limit of three");
    assert_eq!(refused.line(), "429 rate_limited");
    assert_eq!(
        (
            refused.header("retry-after"),
            refused.header("x-ratelimit-remaining")
        ),
        ("1", "0")
    );
    assert_eq!(refused.body["request_id"], refused.header("x-request-id"));
    assert_eq!(
        berth.call("", Method::GET, "/healthz", None).await.status,
        200
    );
}

#[tokio::test]
async fn an_operation_is_answered_when_it_ends() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let path = format!(
        "/v1/operations/{}?wait=60",
        made["operation_id"].as_str().unwrap()
    );
    let waiting = berth.get(&path);
    let ending = async {
        tokio::task::yield_now().await;
        berth.settle(made["id"].as_str().unwrap()).await;
    };
    let (reply, ()) = tokio::join!(waiting, ending);
    assert_eq!(reply.expect(200)["state"], "succeeded");
    assert_eq!(
        berth.get("/v1/operations/op_ffff").await.line(),
        "404 operation_not_found"
    );
}

#[tokio::test]
async fn a_stop_answers_those_who_wait_and_ends_streams() {
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let berth = TestBerth::start_with(
        Config {
            stopping,
            ..Config::default()
        },
        "127.0.0.1",
    )
    .await;
    let made = berth.database(postgres("orders")).await;
    let path = format!(
        "/v1/operations/{}?wait=60",
        made["operation_id"].as_str().unwrap()
    );
    let mut sent = request(&berth.admin, Method::GET, "/v1/events", None);
    sent.headers_mut()
        .insert("accept", "text/event-stream".parse().unwrap());
    let stopped = async {
        tokio::task::yield_now().await;
        stop.send(true).unwrap();
    };
    let (operation, stream, ()) = tokio::join!(berth.get(&path), berth.send(sent), stopped);
    assert_eq!(operation.expect(200)["state"], "pending");
    assert_eq!(stream.status, 200);
}

#[tokio::test]
async fn events_come_as_pages_and_as_a_stream() {
    let berth = TestBerth::start().await;
    let before = berth.get("/v1/events").await.expect(200);
    // All of it was read; where it ended is where the next question goes on.
    assert_eq!(before["next_page_token"], json!(null));
    let last = before["last_sequence"].as_i64().unwrap();
    let mut sent = request(&berth.admin, Method::GET, "/v1/events", None);
    sent.headers_mut()
        .insert("accept", "text/event-stream".parse().unwrap());
    let router = berth_http::router(std::sync::Arc::clone(&berth.services), Config::default());
    let response = router.oneshot(sent).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let made = berth.database(postgres("orders")).await;
    let first = tokio::time::timeout(Duration::from_secs(20), stream.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let first = String::from_utf8(first.to_vec()).unwrap();
    assert!(
        first.contains("event: database.created") && first.contains(made["id"].as_str().unwrap()),
        "{first}"
    );
    let page = berth
        .get(&format!("/v1/events?after={last}"))
        .await
        .expect(200);
    assert_eq!(page["events"].as_array().unwrap().len(), 1);
    assert_eq!(
        (
            &page["events"][0]["kind"],
            &page["events"][0]["actor"]["token_name"]
        ),
        (&json!("database.created"), &json!("admin"))
    );
    // From an event on, the stream begins with the one after it.
    let id = page["events"][0]["sequence"].as_i64().unwrap();
    let mut sent = request(&berth.admin, Method::GET, "/v1/events", None);
    sent.headers_mut()
        .insert("accept", "text/event-stream".parse().unwrap());
    sent.headers_mut()
        .insert("last-event-id", (id - 1).to_string().parse().unwrap());
    let router = berth_http::router(std::sync::Arc::clone(&berth.services), Config::default());
    let mut stream = router
        .oneshot(sent)
        .await
        .unwrap()
        .into_body()
        .into_data_stream();
    let again = stream.next().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&again).starts_with(&format!("id: {id}\n")));
}

#[tokio::test]
async fn a_snapshot_is_one_version_with_a_tag() {
    let berth = TestBerth::start().await;
    berth.database(postgres("orders")).await;
    let reply = berth.get("/v1/snapshot?kind=database").await;
    let etag = reply.header("etag").to_owned();
    let body = reply.expect(200);
    assert_eq!(body["databases"].as_array().unwrap().len(), 1);
    assert_eq!(body["version"], berth.store.version().await.unwrap());
    let mut sent = request(
        &berth.admin,
        Method::GET,
        "/v1/snapshot?kind=database",
        None,
    );
    sent.headers_mut()
        .insert("if-none-match", etag.parse().unwrap());
    assert_eq!(berth.send(sent).await.status, 304);
    let projects = berth.get("/v1/snapshot?kind=project").await.expect(200);
    assert_eq!(projects["projects"][0]["id"], "proj_default");
    assert_eq!(
        berth.get("/v1/snapshot?kind=bucket").await.line(),
        "422 invalid_field [kind]"
    );
    assert_eq!(
        berth
            .get("/v1/snapshot?kind=project&page_token=9.9")
            .await
            .line(),
        "400 page_gone"
    );
}

#[tokio::test]
async fn the_catalogue_says_what_can_be_had() {
    let berth = TestBerth::start().await;
    berth.host.missing.lock().unwrap().push("18".to_owned());
    let catalogue = berth.get("/v1/catalogue").await.expect(200);
    let engine = &catalogue["engines"][0];
    assert_eq!(
        (&engine["name"], &engine["default_version"]),
        (&json!("postgresql"), &json!("17"))
    );
    let unavailable: Vec<_> = engine["versions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|v| !v["unavailable"].is_null())
        .map(|v| v["version"].as_str().unwrap())
        .collect();
    assert_eq!(unavailable, ["18"]);
    assert_eq!(catalogue["plans"][0]["name"], "small");
    assert_eq!(
        catalogue["regions"],
        json!([{"name": "local"}, {"name": "nyc1"}])
    );
    let version = berth
        .call("", Method::GET, "/v1/version", None)
        .await
        .expect(200);
    assert_eq!(
        version,
        json!({"version": "0.1.0", "api": {"minimum": 1, "current": 1}})
    );
}

#[tokio::test]
async fn metrics_count_routes_and_not_requests() {
    let berth = TestBerth::start().await;
    berth.database(postgres("orders")).await;
    for _ in 0..2 {
        berth.get("/v1/databases/orders").await.expect(200);
    }
    let reply = berth.call("", Method::GET, "/metrics", None).await;
    assert!(reply.header("content-type").starts_with("text/plain"));
    let line = "berth_http_requests_total{method=\"GET\",path=\"/v1/databases/{database}\",status=\"200\"} 2";
    assert!(reply.text.contains(line), "{}", reply.text);
    assert!(!reply.text.contains("orders"), "{}", reply.text);
    let page = include_str!("../../../../docs/reference/metrics-and-events.md");
    let types = reply
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let rows: Vec<_> = types
        .map(|line| line.replacen(' ', "` | ", 1))
        .map(|cells| format!("| `{cells} |"))
        .collect();
    assert!(rows.len() > 5, "{rows:?}");
    for row in rows {
        assert!(page.contains(&row), "{row} is missing");
    }
}

#[tokio::test]
async fn metrics_count_living_databases_by_status() {
    let berth = TestBerth::start().await;
    for name in ["bills", "carts", "drafts", "orders"] {
        let made = berth.database(postgres(name)).await;
        if name != "bills" {
            berth.settle(made["id"].as_str().unwrap()).await;
        }
    }
    berth.delete("/v1/databases/orders").await.expect(200);
    let text = berth.call("", Method::GET, "/metrics", None).await.text;
    let of_status = |line: &&str| line.starts_with("berth_databases");
    let found: Vec<_> = text.lines().filter(of_status).collect();
    assert_eq!(
        found,
        [
            "berth_databases{status=\"provisioning\"} 1",
            "berth_databases{status=\"running\"} 2",
            "berth_databases{status=\"stopped\"} 0",
            "berth_databases{status=\"error\"} 0",
        ]
    );
}

#[tokio::test]
async fn made_up_methods_and_paths_add_no_series() {
    let berth = TestBerth::start().await;
    let count = async || {
        let text = berth.call("", Method::GET, "/metrics", None).await.text;
        (text.lines().count(), text)
    };
    for number in 0..20 {
        let method = Method::from_bytes(format!("FOO{number}").as_bytes()).unwrap();
        for path in ["/v1/projects".to_owned(), format!("/nowhere/{number}")] {
            berth.call(&berth.admin, method.clone(), &path, None).await;
        }
    }
    // The first look counts itself from the second on.
    count().await;
    let (before, text) = count().await;
    assert!(
        text.contains("method=\"OTHER\"") && !text.contains("FOO") && !text.contains("nowhere"),
        "{text}"
    );
    for method in ["BAR", "get"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        berth.call("", method, "/elsewhere", None).await;
    }
    assert_eq!(count().await.0, before);
}

#[tokio::test]
async fn a_head_has_no_body() {
    let berth = TestBerth::start().await;
    let sent = request(&berth.admin, Method::HEAD, "/v1/databases/nothing", None);
    let router = berth_http::router(std::sync::Arc::clone(&berth.services), Config::default());
    let response = router.oneshot(sent).await.unwrap();
    assert_eq!(response.status(), 404);
    assert!(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );
}
