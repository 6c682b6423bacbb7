//! What happens when the backend takes requests and answers none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use berth_plugin::resource::Context;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;
use crate::client::{Client, Patience, Shared};
use crate::settings::Settings;
use crate::snapshot::Snapshots;

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(50);

/// Accepts connections and says nothing.
struct Mute {
    endpoint: String,
    connections: Arc<AtomicUsize>,
}

impl Mute {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                open.push(stream);
            }
        });
        Self {
            endpoint,
            connections,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    async fn is_asked(&self) {
        while self.connections() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn host(&self) -> TestHost {
        let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
        let block = [
            ("endpoint", self.endpoint.as_str().into()),
            ("token", TOKEN.into()),
        ];
        host.configure(block).await.unwrap();
        host
    }
}

fn client(endpoint: &str, patience: Patience) -> Client {
    let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
    let given = [("endpoint", endpoint), ("token", TOKEN)];
    let mut block = Object::null(host.server().catalogue().provider.object_type());
    for (name, value) in given {
        block.set(name, value).unwrap();
    }
    let mut settings = Settings::read(&block, &|_| None, "1.11.4").unwrap();
    settings.patience = patience;
    Client::new(settings)
}

fn patience() -> Patience {
    Patience {
        opening: LONG,
        answer: SHORT,
        silence: LONG,
        grace: Duration::ZERO,
    }
}

fn said<T>(result: Result<T, Shared>) -> String {
    match result {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it succeeded"),
    }
}

#[tokio::test]
async fn one_resource_waits_for_all() {
    let mute = Mute::start().await;
    let opening = SHORT;
    let client = client(
        &mute.endpoint,
        Patience {
            opening,
            ..patience()
        },
    );
    let expected = format!(
        "berthd at {} did not answer while asking for its version: it was asked twice, and \
         waited for 50 milliseconds each time",
        mute.endpoint
    );
    // A handler that is dropped does not take the opening with it.
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.catalogue().await }
    });
    mute.is_asked().await;
    first.abort();
    assert_eq!(said(client.server().await), expected);
    assert_eq!(said(client.catalogue().await), expected);
    assert_eq!(mute.connections(), 2);
}

#[tokio::test]
async fn after_one_request_in_vain_no_other_is_sent_for_a_while() {
    let stage = Stage::start().await;
    let impatient = client(&stage.fake.endpoint, patience());
    stage.fake.silence("GET /v1/catalogue");
    let silent = said(impatient.catalogue().await);
    assert!(
        silent.contains("while reading the catalogue: it was asked twice"),
        "{silent}"
    );
    assert_eq!(stage.fake.count("GET /v1/catalogue"), 2);
    let untried = said(impatient.server().await);
    assert!(
        untried.contains("so that reading the installation was not tried"),
        "{untried}"
    );
    assert_eq!(stage.fake.requests(), [""; 0]);

    // When the while is over, it is tried again.
    let silence = Duration::ZERO;
    let forgetful = client(
        &stage.fake.endpoint,
        Patience {
            silence,
            ..patience()
        },
    );
    said(forgetful.catalogue().await);
    said(forgetful.catalogue().await);
    assert_eq!(stage.fake.count("GET /v1/catalogue"), 4);
}

#[tokio::test]
async fn a_change_that_is_not_answered_is_not_sent_twice() {
    let stage = Stage::start().await;
    let impatient = client(&stage.fake.endpoint, patience());
    stage.fake.silence("PATCH");
    let body = serde_json::from_value(serde_json::json!({})).unwrap();
    let silent = said(impatient.change_database("db_1", &body).await);
    assert!(silent.contains("it was asked once"), "{silent}");
    assert_eq!(stage.fake.count("PATCH"), 1);
}

#[tokio::test]
async fn a_snapshot_in_vain_is_remembered_though_its_reader_is_gone() {
    let stage = Stage::start().await;
    stage.fake.silence("GET /v1/snapshot");
    let snapshots = Arc::new(Snapshots::new(client(&stage.fake.endpoint, patience())));
    let first = tokio::spawn({
        let snapshots = Arc::clone(&snapshots);
        async move { snapshots.project("proj_1").await }
    });
    let mut asked = 0;
    while asked == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        asked = stage.fake.count("GET /v1/snapshot");
    }
    first.abort();
    for _ in 0..3 {
        let silent = said(snapshots.project("proj_1").await);
        assert!(silent.contains("it was asked twice"), "{silent}");
    }
    assert_eq!(asked + stage.fake.count("GET /v1/snapshot"), 2);
}

#[tokio::test]
async fn a_stop_ends_the_waiting_and_names_the_backend() {
    let mute = Mute::start().await;
    let host = mute.host().await;
    let attributes = [("name", "orders".into()), ("engine", "postgresql".into())];
    let config = host.config("berth_database", attributes).unwrap();
    let instance = host.instance("berth_database");
    let (planned, ()) = tokio::join!(host.plan(&instance, &config), async {
        mute.is_asked().await;
        host.server().stop();
    });
    let stopped = told(planned);
    let expected = format!(
        "Asking for a plan was stopped: berthd at {} had not answered",
        mute.endpoint
    );
    assert!(stopped.contains(&expected), "{stopped}");
}

#[tokio::test]
async fn a_limit_ends_the_waiting_and_names_the_backend() {
    let mute = Mute::start().await;
    let host = mute.host().await;
    let attributes = [
        ("name", "orders".into()),
        ("engine", "postgresql".into()),
        ("timeouts", Value::object([("read", "1s")])),
    ];
    let config = host.config("berth_database", attributes).unwrap();
    let late = told(host.plan(&host.instance("berth_database"), &config).await);
    let expected = format!(
        "Asking for a plan was not finished in time: berthd at {} had not answered",
        mute.endpoint
    );
    assert!(late.contains(&expected), "{late}");
}

#[tokio::test]
async fn any_request_of_a_handler_ends_with_its_call() {
    let mute = Mute::start().await;
    let client = client(&mute.endpoint, patience());
    let context = Context {
        stop: Default::default(),
        limit: SHORT,
        deadline: Instant::now() + SHORT,
        capabilities: Default::default(),
    };
    let late = said(context.scope(client.catalogue()).await);
    assert!(
        late.contains("reading the catalogue was not finished in time"),
        "{late}"
    );
}

#[tokio::test]
async fn what_is_no_name_reaches_no_server() {
    let stage = Stage::start().await;
    let client = client(&stage.fake.endpoint, Patience::default());
    for key in ["", ".", "..", ".\t."] {
        let refused = said(client.database(key, None).await);
        assert!(refused.contains("is neither a name nor an id"), "{refused}");
    }
    assert_eq!(stage.fake.count("GET /v1/databases"), 0);
    let given = [("name", "..".into())];
    let refused = told(stage.host.read_data("berth_project", given).await);
    assert!(refused.contains("error at name"), "{refused}");
}
