//! A backend for tests: speaks the API over real HTTP, keeps everything in memory, and can be
//! told to answer wrongly.
//!
//! It has as few rules as the tests need. That the real backend has the same ones is for the
//! acceptance tests to say.

mod people;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value as Json, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use world::World;

/// The token that the fake takes.
pub const TOKEN: &str = "fake-token-0123456789";

/// A running fake; ends with the test's runtime.
#[derive(Clone)]
pub struct Fake {
    pub endpoint: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    world: World,
    requests: Vec<String>,
    keyed: Vec<String>,
    faults: Vec<Fault>,
    silent: Option<&'static str>,
}

/// What is answered instead, once.
pub struct Fault {
    /// The beginning of `METHOD /path`.
    pub request: &'static str,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// Whether the request is carried out all the same, as when the answer is lost.
    pub after: bool,
}

impl Fault {
    /// A refusal in the API's shape.
    pub fn refusal(request: &'static str, status: u16, code: &str) -> Self {
        let body = json!({
            "error": format!("refused for a test with {status}"), "code": code,
            "request_id": "req_fault", "details": [],
        });
        Self {
            request,
            status,
            headers: Vec::new(),
            body: body.to_string(),
            after: false,
        }
    }

    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self {
            endpoint,
            inner: Arc::default(),
        };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        fake
    }

    /// As [`Fake::start`], behind TLS with a certificate of an authority of its own; the
    /// authority comes with it, as PEM.
    pub async fn start_tls() -> (Self, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let certificate = rcgen::CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://{}", listener.local_addr().unwrap());
        let fake = Self {
            endpoint,
            inner: Arc::default(),
        };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, serving) = (acceptor.clone(), serving.clone());
                tokio::spawn(async move {
                    // A client that does not trust the certificate ends the handshake.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serving.serve(stream).await;
                    }
                });
            }
        });
        (fake, certificate.pem())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Answers one coming request wrongly.
    pub fn fail(&self, fault: Fault) {
        self.inner().faults.push(fault);
    }

    /// Takes the requests that begin so, and never answers them.
    pub fn silence(&self, request: &'static str) {
        self.inner().silent = Some(request);
    }

    fn swallows(&self, request: &Request) -> bool {
        let line = format!("{} {}", request.method, request.target);
        let mut inner = self.inner();
        let swallows = inner.silent.is_some_and(|silent| line.starts_with(silent));
        if swallows {
            inner.requests.push(line);
        }
        swallows
    }

    /// Changes what is there, as another client would.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.inner().world)
    }

    /// The requests since the last time, as `METHOD /path?query`.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.inner().requests)
    }

    /// The requests of all time that had an idempotency key.
    pub fn keyed(&self) -> Vec<String> {
        self.inner().keyed.clone()
    }

    /// How many of the requests since the last time began so.
    pub fn count(&self, request: &str) -> usize {
        self.requests()
            .iter()
            .filter(|have| have.starts_with(request))
            .count()
    }

    async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut buffer = Vec::new();
        while let Some(request) = read_request(&mut stream, &mut buffer).await {
            if self.swallows(&request) {
                std::future::pending::<()>().await;
            }
            let answer = self.answer(&request);
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> Vec<u8> {
        let line = format!("{} {}", request.method, request.target);
        let mut inner = self.inner();
        inner.requests.push(line.clone());
        if request.headers.contains_key("idempotency-key") {
            inner.keyed.push(line.clone());
        }
        let fault = inner
            .faults
            .iter()
            .position(|fault| line.starts_with(fault.request));
        if let Some(at) = fault {
            let fault = inner.faults.remove(at);
            if fault.after {
                inner
                    .world
                    .answer(&request.method, &request.target, &request.body);
            }
            return encode(fault.status, &fault.headers, &fault.body);
        }
        let bearer = request.headers.get("authorization").map(String::as_str);
        if bearer != Some(&format!("Bearer {TOKEN}")) {
            let body = world::refusal(401, "unauthenticated", "the token is not valid", &[]).1;
            return encode(401, &[], &body.to_string());
        }
        let (status, body) = inner
            .world
            .answer(&request.method, &request.target, &request.body);
        encode(status, &[], &body.to_string())
    }
}

struct Request {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: Json,
}

async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Option<Request> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..head_end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(0, |n| n.parse().unwrap());
    let end = head_end + 4 + length;
    while buffer.len() < end {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = serde_json::from_slice(&buffer[head_end + 4..end]).unwrap_or(Json::Null);
    buffer.drain(..end);
    Some(Request {
        method,
        target,
        headers,
        body,
    })
}

fn encode(status: u16, headers: &[(&'static str, String)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{text}\r\n{body}").into_bytes()
}
