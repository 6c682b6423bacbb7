//! Which version of its API an engine is spoken to in, against an engine that refuses others.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use berth_containers::{Events as _, Networks as _, Older, RuntimeError, RuntimeEvent};
use berth_docker::Docker;
use futures_util::StreamExt as _;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

type Version = (u32, u32);

/// What says what it speaks, refuses the rest as Docker does, and has nothing.
#[derive(Clone)]
struct Engine {
    speaks: Arc<Mutex<(Version, Version)>>,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Engine {
    /// Listens at a socket in `root`.
    fn start(root: &tempfile::TempDir, oldest: Version, newest: Version) -> (Self, Docker) {
        let socket = root.path().join("docker.sock");
        let engine = Self {
            speaks: Arc::new(Mutex::new((oldest, newest))),
            paths: Arc::default(),
        };
        let listener = UnixListener::bind(&socket).unwrap();
        let serving = engine.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let engine = serving.clone();
                tokio::spawn(async move { engine.answer(stream).await });
            }
        });
        (engine, Docker::at(socket.to_str().unwrap()).unwrap())
    }

    async fn answer(&self, stream: UnixStream) {
        let mut stream = BufReader::new(stream);
        let mut request = String::new();
        stream.read_line(&mut request).await.unwrap();
        let mut header = String::new();
        while stream.read_line(&mut header).await.unwrap() > 2 {
            header.clear();
        }
        let path = request.split(' ').nth(1).unwrap().to_owned();
        let (status, body) = self.reply(&path);
        self.paths.lock().unwrap().push(path);
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    fn reply(&self, path: &str) -> (&'static str, String) {
        let ((a, b), (c, d)) = *self.speaks.lock().unwrap();
        let Some((version, rest)) = versioned(path) else {
            let told = format!(r#"{{"ApiVersion":"{c}.{d}","MinAPIVersion":"{a}.{b}"}}"#);
            return ("200 OK", told);
        };
        if version < (a, b) || version > (c, d) {
            let refusal = format!(
                r#"{{"message":"client version {version:?} is not in {a}.{b} to {c}.{d}"}}"#
            );
            return ("400 Bad Request", refusal);
        }
        let body = match rest {
            "info" => r#"{"NCPU":2,"MemTotal":1073741824,"ServerVersion":"x"}"#,
            "networks" => "[]",
            _ => "",
        };
        ("200 OK", body.to_owned())
    }

    /// The versions of the requests since the last call, and of those that bear none the path.
    fn heard(&self) -> Vec<String> {
        let paths = std::mem::take(&mut *self.paths.lock().unwrap());
        let mut heard: Vec<_> = paths
            .iter()
            .map(|path| match versioned(path) {
                Some(((major, minor), _)) => format!("{major}.{minor}"),
                None => path.clone(),
            })
            .collect();
        heard.dedup();
        heard
    }
}

/// The version that a path bears, and the path below it.
fn versioned(path: &str) -> Option<(Version, &str)> {
    let (version, rest) = path.strip_prefix("/v")?.split_once('/')?;
    let (major, minor) = version.split_once('.')?;
    Some(((major.parse().ok()?, minor.parse().ok()?), rest))
}

#[tokio::test]
async fn each_engine_is_spoken_to_in_a_version_that_it_speaks() {
    for (oldest, newest, spoken) in [
        ((1, 12), (1, 41), "1.41"),
        ((1, 24), (1, 50), "1.41"),
        ((1, 44), (1, 52), "1.44"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let (engine, docker) = Engine::start(&root, oldest, newest);
        docker.networks().await.unwrap();
        docker.networks().await.unwrap();
        assert_eq!(engine.heard(), ["/version", spoken]);
        docker.facts().await.unwrap();
        assert_eq!(engine.heard(), ["/version", spoken]);
    }
}

#[tokio::test]
async fn an_engine_that_speaks_none_of_ours_is_named_and_asked_for_nothing() {
    for (oldest, newest, lags) in [
        ((1, 12), (1, 40), Older::Engine),
        ((1, 90), (1, 99), Older::Berthd),
    ] {
        let root = tempfile::tempdir().unwrap();
        let (engine, docker) = Engine::start(&root, oldest, newest);
        for error in [
            docker.networks().await.unwrap_err(),
            docker.facts().await.unwrap_err(),
        ] {
            assert!(
                matches!(error, RuntimeError::NoCommonApi { older, .. } if older == lags),
                "{error}"
            );
        }
        assert_eq!(engine.heard(), ["/version"]);
    }
}

#[tokio::test]
async fn an_engine_that_is_replaced_is_asked_anew() {
    let root = tempfile::tempdir().unwrap();
    let (engine, docker) = Engine::start(&root, (1, 12), (1, 41));
    docker.networks().await.unwrap();
    *engine.speaks.lock().unwrap() = ((1, 44), (1, 52));
    engine.heard();
    // An engine's end breaks off what is listened to; who listens again hears of the new one.
    let event = docker.events("0123abcd").next().await;
    assert_eq!(event, Some(RuntimeEvent::Gap));
    docker.networks().await.unwrap();
    assert_eq!(engine.heard(), ["/version", "1.44"]);
    *engine.speaks.lock().unwrap() = ((1, 90), (1, 99));
    docker.facts().await.unwrap_err();
    engine.heard();
    // What was agreed on with the old one is no more used.
    docker.networks().await.unwrap_err();
    assert_eq!(engine.heard(), ["/version"]);
}
