//! What is answered stands in the document: status, kind of content and headers.

use crate::support::{TestBerth, postgres, request};
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use berth_http::Config;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

/// Headers that say how an answer is carried and kept, and nothing of what it means.
const OF_TRANSPORT: [&str; 7] = [
    "content-type",
    "content-length",
    "cache-control",
    "vary",
    "allow",
    "x-accel-buffering",
    "transfer-encoding",
];

struct Document(Value);

impl Document {
    async fn of(berth: &TestBerth) -> Self {
        Self(berth.get("/openapi.json").await.expect(200))
    }

    /// An operation's answer of a status.
    fn answer(&self, method: &str, path: &str, status: StatusCode) -> &Value {
        let responses = &self.0["paths"][path][method]["responses"];
        let told = &responses[status.as_str()];
        match told["$ref"]
            .as_str()
            .and_then(|place| place.strip_prefix('#'))
        {
            Some(place) => self.0.pointer(place).unwrap(),
            None => told,
        }
    }

    /// What an answer has and the document does not know of it.
    fn unknown(&self, what: &str, status: StatusCode, headers: &HeaderMap) -> Vec<String> {
        let (method, path) = what.split_once(' ').unwrap();
        let told = self.answer(&method.to_lowercase(), path, status);
        if !told.is_object() {
            return vec![format!("{what}: {status}")];
        }
        let mut unknown = Vec::new();
        if let Some(kind) = headers.get("content-type") {
            let kind = kind.to_str().unwrap().split(';').next().unwrap();
            if told["content"].get(kind).is_none() {
                unknown.push(format!("{what}: {status} as {kind}"));
            }
        }
        let known = told["headers"].as_object();
        let is_told = |name: &str| {
            let mut names = known.into_iter().flatten().map(|(known, _)| known);
            names.any(|known| known.eq_ignore_ascii_case(name))
        };
        let names = headers.keys().map(|name| name.as_str());
        let odd = names.filter(|name| !OF_TRANSPORT.contains(name) && !is_told(name));
        unknown.extend(odd.map(|name| format!("{what}: {status} with {name}")));
        unknown
    }

    /// The operations of a method: their paths as they stand here, and as they are asked.
    fn paths(&self, method: &str, names: &[(&str, &str)]) -> Vec<(String, String)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        let of_method = paths.filter(|(_, item)| item[method].is_object());
        of_method
            .map(|(path, _)| {
                let asked = names.iter().fold(path.clone(), |asked, (name, value)| {
                    asked.replace(&format!("{{{name}}}"), value)
                });
                (path.clone(), asked)
            })
            .collect()
    }
}

fn with(mut sent: Request<Body>, headers: &[(&'static str, &str)]) -> Request<Body> {
    for (name, value) in headers {
        sent.headers_mut().insert(*name, value.parse().unwrap());
    }
    sent
}

const NAMES: [(&str, &str); 6] = [
    ("project", "default"),
    ("database", "orders"),
    ("user", "usr_admin"),
    ("name", "REGION"),
    ("operation", "op_0123456789abcdef"),
    ("token", "tok_0123456789abcdef"),
];

#[tokio::test]
async fn every_reading_is_answered_as_documented() {
    let berth = TestBerth::start().await;
    berth.database(postgres("orders")).await;
    let document = Document::of(&berth).await;
    let mut unknown = Vec::new();
    for (path, asked) in document.paths("get", &NAMES) {
        let what = format!("GET {path}");
        for query in ["", "?kind=database", "?page_size=0", "?no_such=parameter"] {
            let reply = berth.get(&format!("{asked}{query}")).await;
            unknown.extend(document.unknown(&what, reply.status, &reply.headers));
        }
        let nobody = berth.call("", Method::GET, &asked, None).await;
        unknown.extend(document.unknown(&what, nobody.status, &nobody.headers));
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[tokio::test]
async fn a_delete_that_says_something_is_answered_as_documented() {
    let config = Config {
        body_bytes_max: 100,
        ..Config::default()
    };
    let berth = TestBerth::start_with(config, "127.0.0.1").await;
    let document = Document::of(&berth).await;
    let mut unknown = Vec::new();
    for (path, asked) in document.paths("delete", &NAMES) {
        let what = format!("DELETE {path}");
        let long = "x".repeat(200);
        for (kind, body, status) in [
            ("text/plain", "all of it", 415),
            ("application/json", "[1", 400),
            ("application/json", long.as_str(), 413),
            ("application/json", r#"{"really": true}"#, 422),
        ] {
            let mut sent = request(&berth.admin, Method::DELETE, &asked, None);
            *sent.body_mut() = Body::from(body.to_owned());
            let reply = berth.send(with(sent, &[("content-type", kind)])).await;
            assert_eq!(reply.status, status, "{what}: {}", reply.text);
            unknown.extend(document.unknown(&what, reply.status, &reply.headers));
        }
        // That of a body which does not arrive comes from the same reading of it.
        let late = document.answer("delete", &path, StatusCode::REQUEST_TIMEOUT);
        assert!(late.is_object(), "{what}");
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[tokio::test]
async fn streams_conditions_and_keys_are_answered_as_documented() {
    let config = Config {
        requests_per_second: 1,
        requests_burst: 20,
        ..Config::default()
    };
    let berth = TestBerth::start_with(config, "127.0.0.1").await;
    let document = Document::of(&berth).await;
    let router = berth_http::router(Arc::clone(&berth.services), Config::default());
    let asked = |method: Method, path: &str, body: Option<Value>, more: &[(&'static str, &str)]| {
        let sent = with(request(&berth.admin, method, path, body), more);
        let router = router.clone();
        async move {
            // Of a stream only the beginning is looked at.
            let (parts, _) = router.oneshot(sent).await.unwrap().into_parts();
            (parts.status, parts.headers)
        }
    };
    let mut unknown = Vec::new();
    let mut look = |what: &str, answered: &(StatusCode, HeaderMap), status: u16| {
        assert_eq!(answered.0, status, "{what}");
        unknown.extend(document.unknown(what, answered.0, &answered.1));
    };
    let stream = [("accept", "text/event-stream"), ("last-event-id", "0")];
    let stream = asked(Method::GET, "/v1/events", None, &stream).await;
    assert_eq!(stream.1["content-type"], "text/event-stream");
    look("GET /v1/events", &stream, 200);

    let path = "/v1/snapshot?kind=database";
    let first = asked(Method::GET, path, None, &[]).await;
    let tag = first.1["etag"].to_str().unwrap().to_owned();
    look("GET /v1/snapshot", &first, 200);
    let same = asked(Method::GET, path, None, &[("if-none-match", &tag)]).await;
    look("GET /v1/snapshot", &same, 304);

    let key = [("idempotency-key", "k1")];
    for replayed in [false, true] {
        let body = Some(postgres("orders"));
        let made = asked(Method::POST, "/v1/databases", body, &key).await;
        assert_eq!(made.1.contains_key("idempotency-replayed"), replayed);
        look("POST /v1/databases", &made, 201);
    }
    let (what, path) = ("PATCH /v1/databases/{database}", "/v1/databases/orders");
    for (tag, status) in [("*", 200), ("\"99\"", 412)] {
        let tag = [("if-match", tag)];
        let changed = asked(Method::PATCH, path, Some(json!({})), &tag).await;
        look(what, &changed, status);
    }
    for _ in 0..40 {
        let reply = berth.get("/v1/projects").await;
        let answered = (reply.status, reply.headers);
        let status = reply.status.as_u16();
        look("GET /v1/projects", &answered, status);
        if status == 429 {
            break;
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[tokio::test]
async fn what_writes_nothing_takes_no_key_and_all_else_does() {
    let berth = TestBerth::start().await;
    let document = Document::of(&berth).await;
    let mut without = Vec::new();
    for (path, item) in document.0["paths"].as_object().unwrap() {
        let post = &item["post"];
        let mut known = post["parameters"].as_array().into_iter().flatten();
        if post.is_object() && !known.any(|one| one["name"] == "Idempotency-Key") {
            without.push(path.as_str());
        }
    }
    assert_eq!(without, ["/v1/plan"]);
    // There a key is no promise: another plan under it is another plan.
    let before = berth.store.version().await.unwrap();
    for name in ["orders", "carts"] {
        let item = json!({"kind": "database", "config": postgres(name)});
        let body = Some(json!({"resources": [item]}));
        let sent = request(&berth.admin, Method::POST, "/v1/plan", body);
        let reply = berth.send(with(sent, &[("idempotency-key", "k1")])).await;
        assert_eq!(reply.header("idempotency-replayed"), "");
        let planned = &reply.expect(200)["resources"][0]["planned"];
        assert_eq!(planned["name"], name);
    }
    assert_eq!(berth.store.version().await.unwrap(), before);
}
