//! The provider and its berthd with a reverse proxy between them, below a path of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::shop;
use crate::harness::{Front, Runtime, Stack, TestBerth};

/// Whom the proxy says that it asks for.
const CLIENT: &str = "203.0.113.7";
/// The origin whose pages may ask.
const CONSOLE: &str = "https://console.example.com";
/// How long a story waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a request without a body, whose answer ends with its connection.
fn sent(address: &str, request: &str, headers: &[(&str, &str)]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    stream
}

/// The addresses from which projects of that name were made, as the journal has it.
fn makers(berth: &TestBerth, project: &str) -> Vec<Json> {
    let found = berth.get("/v1/events?kind=project.created");
    let events = found["events"].as_array().unwrap().iter();
    events
        .filter(|event| event["message"].as_str().unwrap().contains(project))
        .map(|event| event["actor"]["address"].clone())
        .collect()
}

/// Asks before a page of that origin does what it wants.
fn preflight(front: &Front, origin: &str) -> String {
    let asked = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    let mut answer = String::new();
    sent(front.address(), "OPTIONS /berth/v1/projects", &asked)
        .read_to_string(&mut answer)
        .unwrap();
    answer.to_lowercase()
}

#[test]
fn behind_a_reverse_proxy_all_is_as_without_one() {
    let arguments = [
        ["--base-path", "/berth"],
        ["--trusted-proxies", "127.0.0.1"],
        ["--cors-origins", CONSOLE],
    ];
    let Some((berth, stack)) = Stack::staged(Runtime::Fake, arguments.as_flattened()) else {
        return;
    };
    let front = Front::start(berth.address(), CLIENT);
    stack.goes_to(format!("http://{}/berth", front.address()));
    stack.write(&shop(""));
    stack.apply().ok();
    // The same place, as some write it.
    stack.goes_to(format!("http://{}/berth/", front.address()));
    stack.assert_settled();
    assert_eq!(makers(&berth, "shop"), [json!(CLIENT)]);

    let authorization = format!("Bearer {}", berth.token());
    let listening = [
        ("accept", "text/event-stream"),
        ("authorization", authorization.as_str()),
    ];
    let stream = sent(front.address(), "GET /berth/v1/events", &listening);
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 200 OK"));
    // Its head has come: what happens from here on is in the stream.
    lines.find(String::is_empty).unwrap();
    let body = json!({"name": "late"});
    let (status, made) = berth.call("POST", "/v1/projects", Some(&body));
    assert_eq!(status, 201, "{made}");
    let event = lines.find(|line| line.starts_with("data:")).unwrap();
    assert!(event.contains("project.created"), "{event}");
    assert!(event.contains("late"), "{event}");
    // Whoever comes past the proxy is known by its own address.
    assert_eq!(makers(&berth, "late"), [json!("127.0.0.1")]);

    let allowed = format!("access-control-allow-origin: {CONSOLE}\r\n");
    assert!(preflight(&front, CONSOLE).contains(&allowed));
    let refused = preflight(&front, "https://elsewhere.example.com");
    assert!(
        !refused.contains("access-control-allow-origin"),
        "{refused}"
    );
}
