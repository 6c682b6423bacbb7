//! A berth in memory but for its store: real rows, real services, the router called in-process.

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use berth_domain::{
    Addresses, Catalogue, Clock, EngineName, InstallationId, Observation, Observed,
    OperationFailure, Plan, Secret, Timestamp,
};
use berth_engines::Registry;
use berth_http::Config;
use berth_services::databases::{Limits, Rules};
use berth_services::{
    Caller, Entropy, HostCapacity, ImageState, NewToken, Outside, Parts, Services,
};
use berth_store::{Keys, Store};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tower::ServiceExt;

/// A clock that stands until it is moved.
pub struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Bytes that never repeat and are the same in each run.
#[derive(Default)]
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            chunk.copy_from_slice(
                &next.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[..chunk.len()],
            );
        }
    }
}

/// A host, and versions that cannot be had on it.
pub struct Host {
    pub capacity: Mutex<Option<HostCapacity>>,
    pub missing: Mutex<Vec<String>>,
    /// Ports on which strangers listen.
    pub held_ports: Mutex<Vec<u16>>,
}

#[async_trait]
impl Outside for Host {
    async fn image(&self, _: &EngineName, version: &str) -> ImageState {
        if self.missing.lock().unwrap().iter().any(|v| v == version) {
            ImageState::Unavailable {
                reason: "build it with berthd images build".to_owned(),
            }
        } else {
            ImageState::Available
        }
    }

    async fn host(&self) -> Option<HostCapacity> {
        *self.capacity.lock().unwrap()
    }

    fn port_is_free(&self, port: u16) -> bool {
        !self.held_ports.lock().unwrap().contains(&port)
    }
}

pub struct TestBerth {
    pub store: Store,
    pub services: Arc<Services>,
    pub host: Arc<Host>,
    pub local: Router,
    network: Router,
    hands: Arc<Hands>,
    /// A token with every right.
    pub admin: String,
    _directory: tempfile::TempDir,
}

/// A person, and what it sends.
pub struct Person {
    pub id: String,
    pub token: String,
}

/// An answer.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Reply {
    /// Status, code and wrong fields on one line.
    pub fn line(&self) -> String {
        let fields: Vec<_> = self.body["details"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|d| d["field"].as_str().unwrap_or_default())
            .collect();
        let code = self.body["code"].as_str().unwrap_or("-");
        format!("{} {code} [{}]", self.status.as_u16(), fields.join(", ")).replace(" []", "")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.body
    }
}

pub fn plan(name: &str, memory_mb: u32, max_connections: u32) -> Plan {
    Plan {
        name: name.to_owned(),
        description: name.to_owned(),
        cpu_millis: 1000,
        memory_mb,
        storage_gb_default: 10,
        storage_gb_min: 1,
        storage_gb_max: 500,
        max_connections,
    }
}

fn rules(bind: &str) -> Rules {
    let installation = InstallationId::parse("0123abcd").unwrap();
    Rules {
        engines: Registry::all(),
        catalogue: Catalogue {
            plans: vec![
                plan("small", 1024, 100),
                plan("large", 4096, 200),
                plan("tiny", 256, 30),
            ],
            regions: vec!["local".to_owned(), "nyc1".to_owned()],
        },
        addresses: Addresses::new("berth", installation, bind).unwrap(),
        limits: Limits {
            public_ports: 15_000..=15_002,
            ..Limits::default()
        },
        ca_certificate: "-----BEGIN CERTIFICATE-----".to_owned(),
    }
}

impl TestBerth {
    pub async fn start() -> Self {
        Self::start_with(Config::default(), "127.0.0.1").await
    }

    pub async fn start_with(config: Config, bind: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("berth.sqlite").display());
        Self::start_on(&url, directory, config, bind).await
    }

    /// One over a PostgreSQL server's store; none, with the reason printed, where there is no
    /// such server.
    pub async fn start_on_postgresql() -> Option<Self> {
        let url = crate::cluster::Cluster::shared()?.new_database();
        let directory = tempfile::tempdir().unwrap();
        Some(Self::start_on(&url, directory, Config::default(), "127.0.0.1").await)
    }

    async fn start_on(url: &str, directory: tempfile::TempDir, config: Config, bind: &str) -> Self {
        let rules = rules(bind);
        let installation = rules.addresses.installation();
        let store = Store::open(url, installation, Keys::from_root([7; 32]))
            .await
            .unwrap();
        let hands = Arc::new(Hands(AtomicI64::new(1_772_013_600_000)));
        let host = Arc::new(Host {
            capacity: Mutex::new(Some(HostCapacity {
                cpu_millis: 4000,
                memory_mb: 8192,
            })),
            missing: Mutex::default(),
            held_ports: Mutex::default(),
        });
        let services = Arc::new(Services::new(Parts {
            store: store.clone(),
            rules,
            clock: Arc::clone(&hands) as Arc<dyn Clock>,
            entropy: Arc::new(Counted::default()),
            outside: Arc::clone(&host) as Arc<dyn Outside>,
            wake: Arc::new(Notify::new()),
            runtime: "fake".to_owned(),
            version: "0.1.0".to_owned(),
        }));
        services.prepare().await.unwrap();
        let mut berth = Self {
            local: berth_http::local_router(Arc::clone(&services), config.clone()),
            network: berth_http::router(Arc::clone(&services), config),
            store,
            services,
            host,
            hands,
            admin: String::new(),
            _directory: directory,
        };
        berth.admin = berth.token("admin", None).await;
        berth
    }

    /// A token of a preset, bound to a project when one is named.
    pub async fn token(&self, preset: &str, project: Option<&str>) -> String {
        let wish = NewToken {
            name: Some(preset.to_owned()),
            preset: Some(preset.to_owned()),
            project: project.map(str::to_owned),
            ..NewToken::default()
        };
        match self
            .services
            .create_token(&Caller::local(), &wish, None)
            .await
            .unwrap()
        {
            berth_services::Answered::Fresh(made) => made.secret.reveal().to_owned(),
            berth_services::Answered::Replayed(_) => panic!("nothing was asked before"),
        }
    }

    /// A person who is that in a project, and a token of the person's with a preset.
    pub async fn person(&self, name: &str, place: Option<(&str, &str)>, preset: &str) -> Person {
        let made = self.post("/v1/users", json!({"name": name})).await;
        let id = made.expect(201)["user"]["id"].as_str().unwrap().to_owned();
        if let Some((project, role)) = place {
            let path = format!("/v1/projects/{project}/members/{name}");
            let body = Some(json!({"role": role}));
            self.call(&self.admin, Method::PUT, &path, body)
                .await
                .expect(201);
        }
        let body = json!({"name": preset, "preset": preset, "user_id": id});
        let made = self.post("/v1/tokens", body).await.expect(201);
        Person {
            id,
            token: made["secret"].as_str().unwrap().to_owned(),
        }
    }

    pub fn pass_days(&self, days: i64) {
        self.pass_seconds(days * 86_400);
    }

    pub fn pass_seconds(&self, seconds: i64) {
        self.hands.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        read(self.network.clone().oneshot(request).await.unwrap()).await
    }

    pub async fn call(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Reply {
        self.send(request(token, method, path, body)).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(&self.admin, Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(&self.admin, Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call(&self.admin, Method::PATCH, path, Some(body))
            .await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.call(&self.admin, Method::DELETE, path, None).await
    }

    /// Orders a database and answers with it.
    pub async fn database(&self, body: Value) -> Value {
        self.post("/v1/databases", body).await.expect(201)["database"].clone()
    }

    /// What the loop would do: the operation has succeeded and the database was seen ready.
    pub async fn settle(&self, id: &str) {
        self.end(id, None).await;
    }

    /// What the loop would do where it could do no more; the database is still seen ready.
    pub async fn fail(&self, id: &str, message: &str) {
        let failure = OperationFailure {
            code: "test".to_owned(),
            message: message.to_owned(),
        };
        self.end(id, Some(&failure)).await;
    }

    async fn end(&self, id: &str, failure: Option<&OperationFailure>) {
        let id = berth_domain::DatabaseId::parse(id).unwrap();
        let now = self.hands.now();
        let mut tx = self.store.begin().await.unwrap();
        let leased = tx
            .lease_due_operations(now, "test", 60_000, 100)
            .await
            .unwrap();
        for operation in leased {
            let held = tx
                .finish_operation(&operation.id, "test", now, failure)
                .await
                .unwrap();
            assert_eq!(held, berth_store::LeaseStatus::Held);
        }
        let observation = Observation {
            observed: Observed::Ready,
            storage_used_bytes: Some(12_300_000),
            connections: Some(3),
            version_actual: Some("17.2".to_owned()),
            ..Observation::none_yet(now)
        };
        tx.put_observation(&id, &observation).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The outcome of one resource of a plan.
    pub async fn plan_one(&self, token: &str, item: Value) -> Value {
        let body = json!({"resources": [item]});
        let reply = self.call(token, Method::POST, "/v1/plan", Some(body)).await;
        reply.expect(200)["resources"][0].clone()
    }
}

pub fn request(token: &str, method: Method, path: &str, body: Option<Value>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    match body {
        None => request.body(Body::empty()).unwrap(),
        Some(body) => request
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap(),
    }
}

pub async fn read(response: axum::response::Response) -> Reply {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Reply {
        status: parts.status,
        headers: parts.headers,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    }
}

/// A secret of the store, for tests that look whether it shows up somewhere.
pub async fn password_of(berth: &TestBerth, id: &str) -> Secret {
    let id = berth_domain::DatabaseId::parse(id).unwrap();
    berth.store.credentials(&id).await.unwrap()[0]
        .password
        .clone()
}

pub fn postgres(name: &str) -> Value {
    json!({"name": name, "engine": "postgresql"})
}
