//! Between the network and the routes: proxies, pages of other origins, conditions, bodies that
//! are too large or too slow.

use crate::support::{TestBerth, postgres, read, request};
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Method, Request};
use berth_domain::{Actor, Intent};
use berth_http::{Config, UnclearHost};
use futures_util::future::select;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tower::ServiceExt;

fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    let peer: SocketAddr = format!("{address}:4000").parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

fn get(berth: &TestBerth, path: &str) -> Request<Body> {
    request(&berth.admin, Method::GET, path, None)
}

fn never() -> Body {
    Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>())
}

#[tokio::test]
async fn a_change_is_only_made_of_what_was_read() {
    let berth = TestBerth::start().await;
    berth.database(postgres("orders")).await;
    let token = json!({"name": "ci", "preset": "plan"});
    let token = berth.post("/v1/tokens", token).await.expect(201);
    let token = format!("/v1/tokens/{}", token["id"].as_str().unwrap());
    for (path, body) in [
        ("/v1/databases/orders", json!({"storage_gb": 20})),
        ("/v1/projects/default", json!({"description": "x"})),
        ("/v1/users/admin", json!({"email": "ada@example.com"})),
        (&token, json!({"name": "other"})),
    ] {
        let tag = berth.get(path).await.header("etag").to_owned();
        let change = |tag: &str| {
            let sent = request(&berth.admin, Method::PATCH, path, Some(body.clone()));
            with(sent, "if-match", tag)
        };
        let before = berth.store.version().await.unwrap();
        for other in ["\"99\"", "W/\"99\"", "\"never-given\"", "\"98\", \"99\""] {
            let reply = berth.send(change(other)).await;
            assert_eq!(reply.line(), "412 precondition_failed", "{path} {other}");
        }
        assert_eq!(
            berth.send(change("99")).await.line(),
            "400 invalid_request",
            "{path}"
        );
        assert_eq!(berth.store.version().await.unwrap(), before, "{path}");
        let changed = berth.send(change(&format!("\"99\", {tag}"))).await;
        let next = changed.header("etag").to_owned();
        changed.expect(200);
        assert_ne!(next, tag, "{path}");
        assert_eq!(berth.get(path).await.header("etag"), next, "{path}");
        // Who read the old one has to read again.
        let late = berth.send(change(&tag)).await;
        assert_eq!(late.line(), "412 precondition_failed", "{path}");
        berth.send(change("*")).await.expect(200);
    }
    // What is only observed does not stand in a change's way.
    let found = berth.get("/v1/databases/orders").await;
    let tag = found.header("etag").to_owned();
    let id = found.body["database"]["id"].as_str().unwrap().to_owned();
    berth.settle(&id).await;
    assert_eq!(berth.get("/v1/databases/orders").await.header("etag"), tag);
}

#[tokio::test]
async fn what_falls_asleep_or_is_woken_is_still_what_was_read() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let id = berth_domain::DatabaseId::parse(made["id"].as_str().unwrap()).unwrap();
    let found = berth.get("/v1/databases/orders").await;
    let tag = found.header("etag").to_owned();
    // As the loop does it, when nobody uses the database and when somebody comes.
    for intent in [Intent::Sleep, Intent::Run, Intent::Sleep] {
        let mut tx = berth.store.begin().await.unwrap();
        let mut row = tx.database_by_id(&id).await.unwrap().unwrap();
        row.intent = intent;
        row.generation += 1;
        tx.update_database(&row).await.unwrap();
        tx.commit().await.unwrap();
        let found = berth.get("/v1/databases/orders").await;
        assert_eq!(found.header("etag"), tag, "{intent:?}");
    }
    let change = || {
        let body = Some(json!({"storage_gb": 20}));
        let sent = request(&berth.admin, Method::PATCH, "/v1/databases/orders", body);
        with(sent, "if-match", &tag)
    };
    let changed = berth.send(change()).await;
    assert_ne!(changed.header("etag"), tag);
    changed.expect(200);
    assert_eq!(berth.send(change()).await.line(), "412 precondition_failed");
}

#[tokio::test]
async fn every_patch_of_the_document_is_conditional() {
    let berth = TestBerth::start().await;
    let database = berth.database(postgres("orders")).await;
    let token = json!({"name": "ci", "preset": "plan"});
    let token = berth.post("/v1/tokens", token).await.expect(201);
    let id = |object: &serde_json::Value| object["id"].as_str().unwrap().to_owned();
    let document = berth.get("/openapi.json").await.expect(200);
    let paths = document["paths"].as_object().unwrap();
    let mut seen = 0;
    for (path, _) in paths.iter().filter(|(_, item)| item["patch"].is_object()) {
        let path = path
            .replace("{database}", &id(&database))
            .replace("{project}", "default")
            .replace("{user}", "admin")
            .replace("{token}", &id(&token));
        let sent = |tag: &str| {
            let sent = request(&berth.admin, Method::PATCH, &path, Some(json!({})));
            with(sent, "if-match", tag)
        };
        for tag in ["W/\"99\"", "\"99\""] {
            let reply = berth.send(sent(tag)).await;
            assert_eq!(reply.line(), "412 precondition_failed", "{path} {tag}");
        }
        let tag = berth.get(&path).await.header("etag").to_owned();
        berth.send(sent(&tag)).await.expect(200);
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

#[tokio::test]
async fn a_body_that_says_that_it_is_too_large_is_not_read() {
    let berth = TestBerth::start().await;
    let mut sent = request(&berth.admin, Method::POST, "/v1/projects", None);
    *sent.body_mut() = never();
    let sent = with(sent, "content-length", "104857600");
    assert_eq!(berth.send(sent).await.line(), "413 body_too_large");
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let config = Config {
        body_seconds_max: 0,
        ..Config::default()
    };
    let berth = TestBerth::start_with(config, "127.0.0.1").await;
    let mut sent = request(&berth.admin, Method::POST, "/v1/projects", None);
    *sent.body_mut() = never();
    let reply = berth.send(sent).await;
    assert_eq!(reply.line(), "408 body_timeout");
    assert_eq!(reply.header("connection"), "close");
}

#[tokio::test]
async fn large_answers_are_compressed_for_who_asks_and_secrets_are_not() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    berth.settle(made["id"].as_str().unwrap()).await;
    let router = berth_http::router(Arc::clone(&berth.services), Config::default());
    let encoding = async |path: &str| {
        let sent = with(get(&berth, path), "accept-encoding", "gzip");
        let response = router.clone().oneshot(sent).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let named = response.headers().get("content-encoding").cloned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (named, bytes)
    };
    let (named, bytes) = encoding("/openapi.json").await;
    assert_eq!(named.unwrap(), "gzip");
    assert_eq!(bytes[..2], [0x1f, 0x8b]);
    let plain = berth.get("/openapi.json").await;
    assert!(bytes.len() * 3 < plain.text.len() && plain.header("content-encoding").is_empty());
    let id = made["id"].as_str().unwrap();
    for path in ["/healthz", &format!("/v1/databases/{id}/credentials")] {
        assert_eq!(encoding(path).await.0, None, "{path}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_ask_when_they_are_named() {
    let closed = TestBerth::start().await;
    let preflight = || {
        let sent = request("", Method::OPTIONS, "/v1/databases", None);
        let sent = with(sent, "origin", "https://console.example.com");
        with(sent, "access-control-request-method", "POST")
    };
    let reply = closed.send(preflight()).await;
    assert_eq!(reply.line(), "405 method_not_allowed");
    assert!(!reply.headers.contains_key("access-control-allow-origin"));

    let config = Config {
        cors_origins: vec![HeaderValue::from_static("https://console.example.com")],
        ..Config::default()
    };
    let open = TestBerth::start_with(config, "127.0.0.1").await;
    let reply = open.send(preflight()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("access-control-allow-origin"),
        "https://console.example.com"
    );
    assert_eq!(reply.header("x-request-id").len(), 24);
    let allowed = reply.header("access-control-allow-headers").to_lowercase();
    assert!(
        allowed.contains("authorization") && allowed.contains("if-match"),
        "{allowed}"
    );
    // Errors can be read by the page too; another origin is told nothing.
    let asked = |origin: &str| {
        let sent = request("", Method::GET, "/v1/databases", None);
        with(sent, "origin", origin)
    };
    let reply = open.send(asked("https://console.example.com")).await;
    assert_eq!(reply.line(), "401 unauthenticated");
    assert_eq!(
        reply.header("access-control-allow-origin"),
        "https://console.example.com"
    );
    let reply = open.send(asked("https://evil.example.com")).await;
    assert_eq!(reply.header("access-control-allow-origin"), "");

    // Nor is an answer that no route gave kept from the page.
    let config = Config {
        request_seconds_max: 0,
        cors_origins: vec![HeaderValue::from_static("https://console.example.com")],
        ..Config::default()
    };
    let slow = TestBerth::start_with(config, "127.0.0.1").await;
    let mut sent = request(&slow.admin, Method::POST, "/v1/projects", None);
    *sent.body_mut() = never();
    let reply = slow
        .send(with(sent, "origin", "https://console.example.com"))
        .await;
    assert_eq!(reply.line(), "503 timeout");
    assert_eq!(
        reply.header("access-control-allow-origin"),
        "https://console.example.com"
    );
}

#[tokio::test]
async fn a_request_for_two_hosts_is_refused_like_any_other() {
    let berth = TestBerth::start().await;
    let before = berth.store.version().await.unwrap();
    let body = json!({"name": "shop"});
    for path in ["/v1/projects", "/v1/nothing"] {
        let mut sent = request(&berth.admin, Method::POST, path, Some(body.clone()));
        sent.extensions_mut().insert(UnclearHost);
        let reply = berth.send(sent).await;
        assert_eq!(reply.line(), "400 invalid_request", "{path}");
        assert_eq!(reply.body["request_id"], reply.header("x-request-id"));
    }
    assert_eq!(berth.store.version().await.unwrap(), before);
}

#[tokio::test]
async fn the_journal_names_the_client_behind_a_trusted_proxy() {
    let config = Config {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..Config::default()
    };
    let berth = TestBerth::start_with(config, "127.0.0.1").await;
    for (number, (peer, address)) in [("10.0.0.1", "1.2.3.4"), ("192.0.2.1", "192.0.2.1")]
        .into_iter()
        .enumerate()
    {
        let body = json!({"name": format!("shop-{number}")});
        let sent = request(&berth.admin, Method::POST, "/v1/projects", Some(body));
        let sent = with(from(peer, sent), "x-forwarded-for", "9.9.9.9, 1.2.3.4");
        berth.send(sent).await.expect(201);
        let events = berth
            .store
            .events_after(0, &berth_store::EventFilter::default(), 100)
            .await
            .unwrap();
        match &events.rows.last().unwrap().actor {
            Actor::Token { address: found, .. } => assert_eq!(found.as_deref(), Some(address)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn who_has_no_token_asks_so_often_by_address() {
    let config = Config {
        requests_per_second: 1,
        requests_burst: 3,
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..Config::default()
    };
    let berth = TestBerth::start_with(config, "127.0.0.1").await;
    let behind_proxy =
        |sent: Request<Body>| with(from("10.0.0.1", sent), "x-forwarded-for", "1.2.3.4");
    let fresh = berth.token("plan", None).await;
    berth
        .send(behind_proxy(get(&berth, "/v1/projects")))
        .await
        .expect(200);
    let wrong = |client: &str| {
        let sent = request("berth_0", Method::GET, "/v1/projects", None);
        with(from("10.0.0.1", sent), "x-forwarded-for", client)
    };
    let mut lines = Vec::new();
    for _ in 0..5 {
        lines.push(berth.send(wrong("1.2.3.4")).await.line());
    }
    assert_eq!(lines[0], "401 unauthenticated");
    assert_eq!(lines[4], "429 rate_limited");
    // Its neighbour behind the same proxy is not slowed down, nor is a token from there that is
    // known, nor whoever watches from there.
    let neighbour = berth.send(wrong("1.2.3.5")).await;
    assert_eq!(neighbour.line(), "401 unauthenticated");
    for path in ["/v1/projects", "/healthz", "/readyz"] {
        let reply = berth.send(behind_proxy(get(&berth, path))).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    }
    // What is not known is not looked for.
    let unknown = request(&fresh, Method::GET, "/v1/projects", None);
    let unknown = berth.send(behind_proxy(unknown)).await;
    assert_eq!(unknown.line(), "429 rate_limited");
    let open = behind_proxy(request("", Method::GET, "/metrics", None));
    assert_eq!(berth.send(open).await.line(), "429 rate_limited");
}

#[tokio::test]
async fn a_token_that_opens_nothing_any_more_is_a_stranger_again() {
    let config = Config {
        requests_per_second: 1,
        requests_burst: 2,
        ..Config::default()
    };
    let berth = TestBerth::start_with(config, "127.0.0.1").await;
    let made = json!({"name": "ci", "preset": "plan"});
    let made = berth.post("/v1/tokens", made).await.expect(201);
    let secret = made["secret"].as_str().unwrap();
    let sent = || {
        from(
            "192.0.2.1",
            request(secret, Method::GET, "/v1/projects", None),
        )
    };
    berth.send(sent()).await.expect(200);
    let path = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    berth.delete(&path).await.expect(204);
    let mut lines = Vec::new();
    for _ in 0..5 {
        lines.push(berth.send(sent()).await.line());
    }
    assert_eq!(lines[0], "401 unauthenticated");
    assert_eq!(lines[4], "429 rate_limited");
}

#[tokio::test]
async fn a_proxy_may_pass_a_path_on_as_it_is() {
    let config = Config {
        base_path: "/tools/berth".to_owned(),
        ..Config::default()
    };
    let berth = TestBerth::start_with(config, "127.0.0.1").await;
    berth.database(postgres("orders")).await;
    let found = berth.get("/tools/berth/v1/databases/orders?project_id=default");
    found.await.expect(200);
    berth.get("/v1/databases/orders").await.expect(200);
    for path in ["/tools/berthed/v1/projects", "/tools/berth", "/tools"] {
        assert_eq!(
            berth.get(path).await.line(),
            "404 route_not_found",
            "{path}"
        );
    }
    let wrong = request("berth_0", Method::GET, "/tools/berth/v1/projects", None);
    assert_eq!(berth.send(wrong).await.line(), "401 unauthenticated");
    let document = berth.get("/tools/berth/openapi.json").await.expect(200);
    assert_eq!(document["servers"], json!([{"url": "/tools/berth"}]));
}

#[tokio::test]
async fn a_proxy_is_told_not_to_gather_a_stream() {
    let berth = TestBerth::start().await;
    let router = berth_http::router(Arc::clone(&berth.services), Config::default());
    let sent = with(get(&berth, "/v1/events"), "accept", "text/event-stream");
    let sent = with(sent, "accept-encoding", "gzip");
    let response = router.oneshot(sent).await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap());
    assert_eq!(header("x-accel-buffering"), Some("no"));
    assert_eq!(header("cache-control"), Some("no-cache"));
    assert_eq!(header("content-encoding"), None);
    let page = read(
        berth_http::router(Arc::clone(&berth.services), Config::default())
            .oneshot(get(&berth, "/v1/events"))
            .await
            .unwrap(),
    );
    assert_eq!(page.await.header("x-accel-buffering"), "");
}

#[tokio::test]
async fn streams_of_one_token_leave_places_for_others() {
    let berth = TestBerth::start().await;
    let other = berth.token("admin", None).await;
    let router = berth_http::router(Arc::clone(&berth.services), Config::default());
    let stream = async |token: &str| {
        let sent = request(token, Method::GET, "/v1/events", None);
        let sent = with(sent, "accept", "text/event-stream");
        router.clone().oneshot(sent).await.unwrap()
    };
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(stream(&berth.admin).await);
    }
    assert!(held.iter().all(|response| response.status() == 200));
    let refused = read(stream(&berth.admin).await).await;
    assert_eq!(refused.line(), "429 too_many_at_once");
    assert_eq!(refused.header("retry-after"), "2");
    assert_eq!(stream(&other).await.status(), 200);
    // Pages are no streams, and a stream that has ended gives its place back.
    let page = router.clone().oneshot(get(&berth, "/v1/events")).await;
    assert_eq!(page.unwrap().status(), 200);
    drop(held.pop());
    assert_eq!(stream(&berth.admin).await.status(), 200);
}

#[tokio::test]
async fn who_waits_leaves_places_for_others() {
    let config = Config {
        connections_max: 8,
        ..Config::default()
    };
    let berth = TestBerth::start_with(config.clone(), "127.0.0.1").await;
    let made = berth.database(postgres("orders")).await;
    let path = format!("/v1/operations/{}", made["operation_id"].as_str().unwrap());
    let router = berth_http::router(Arc::clone(&berth.services), config);
    // A quarter of the places is for those who wait, and half of these for one token: one.
    let wait = |token: &str| {
        let sent = request(token, Method::GET, &format!("{path}?wait=60"), None);
        Box::pin(router.clone().oneshot(sent))
    };
    let (refused, held) = select(wait(&berth.admin), wait(&berth.admin))
        .await
        .factor_first();
    let refused = read(refused.unwrap()).await;
    assert_eq!(refused.line(), "429 too_many_at_once");
    let plain = router.clone().oneshot(get(&berth, &path)).await.unwrap();
    assert_eq!(plain.status(), 200);
    // What is sent whole is read as ever, and what is still to come has places of its own.
    let shop = json!({"name": "shop"});
    let sent = request(&berth.admin, Method::POST, "/v1/projects", Some(shop));
    let made_shop = router.clone().oneshot(sent).await.unwrap();
    assert_eq!(made_shop.status(), 201);
    let slow = || {
        let mut sent = request(&berth.admin, Method::POST, "/v1/projects", None);
        *sent.body_mut() = never();
        Box::pin(router.clone().oneshot(sent))
    };
    let (refused, slow) = select(slow(), slow()).await.factor_first();
    let refused = read(refused.unwrap()).await;
    assert_eq!(refused.line(), "429 too_many_at_once");
    let other = berth.token("admin", None).await;
    berth.settle(made["id"].as_str().unwrap()).await;
    assert_eq!(wait(&other).await.unwrap().status(), 200);
    drop((held, slow));
}

#[tokio::test]
async fn large_answers_that_nobody_reads_are_in_their_own_callers_way() {
    let config = Config {
        answers_bytes_max: 128 * 1024,
        ..Config::default()
    };
    let berth = TestBerth::start_with(config.clone(), "127.0.0.1").await;
    let other = berth.token("admin", None).await;
    let shop = json!({"name": "shop"});
    berth.post("/v1/projects", shop).await.expect(201);
    let put = async |name: &str, bytes: usize| {
        let path = format!("/v1/projects/shop/env/{name}");
        let value = json!({"value": "x".repeat(bytes)});
        berth
            .call(&berth.admin, Method::PUT, &path, Some(value))
            .await
    };
    for name in ["ONE", "TWO"] {
        assert!(put(name, 60_000).await.status.is_success());
    }
    let router = berth_http::router(Arc::clone(&berth.services), config);
    let ask = async |token: &str, method: Method, path: &str, body: Option<Value>| {
        let sent = request(token, method, path, body);
        router.clone().oneshot(sent).await.unwrap()
    };
    let large = async |token: &str| ask(token, Method::GET, "/v1/projects/shop/env", None).await;
    // One is answered, however large it is.
    let unread = large(&berth.admin).await;
    assert_eq!(unread.status(), 200);
    let refused = read(large(&berth.admin).await).await;
    assert_eq!(refused.line(), "429 too_many_at_once");
    assert_eq!(refused.header("retry-after"), "2");
    let refused = read(large(&other).await).await;
    assert_eq!(refused.line(), "503 answers_busy");
    // What would write is refused before it does.
    let carts = || Some(json!({"name": "carts"}));
    let refused = ask(&berth.admin, Method::POST, "/v1/projects", carts()).await;
    assert_eq!(read(refused).await.line(), "429 too_many_at_once");
    let made = ask(&other, Method::POST, "/v1/projects", carts()).await;
    assert_eq!(made.status(), 201);
    // Small answers are for everybody, and what was read makes room.
    let small = ask(&berth.admin, Method::GET, "/v1/projects", None).await;
    assert_eq!(small.status(), 200);
    let read_now = read(unread).await;
    assert_eq!(read_now.header("content-type"), "application/json");
    assert!(read_now.text.len() > 120_000 && read_now.body.is_object());
    assert_eq!(large(&other).await.status(), 200);
}
