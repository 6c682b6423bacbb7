//! Images that are not there yet, images that were built anew, and what a stop leaves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use async_trait::async_trait;
use berth_containers::{
    ContainerId, ContainerPlatform, Containers, FakeRuntime, ImageSource, Labels, Layout, Limits,
    Role, Settings, Signal, Stop, Workload,
};
use berth_domain::{EngineName, InstallationId, InstanceId};
use berth_engines::Registry;
use berth_platform::{Endpoint, Error, ErrorKind, Platform, Supply, WatchEvent};
use futures_util::StreamExt;
use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

const BOTH: [Endpoint; 2] = [Endpoint::Engine, Endpoint::Pooler];
const SERVER: &str = "berth/postgresql:18";
const POOLER: &str = "berth/pgbouncer:1";
/// How often is looked for something that comes at once.
const LOOKS_MAX: u32 = 1000;

/// A builder that a test lets go on.
struct Builder {
    fake: FakeRuntime,
    may_go_on: Semaphore,
    begun: AtomicU32,
    given_up: Arc<AtomicU32>,
    fails: bool,
    objects: bool,
}

/// Counts attempts that were ended from outside.
struct Working(Arc<AtomicU32>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ImageSource for Builder {
    fn objection(&self, _recipe: &str) -> Option<String> {
        self.objects.then(|| "there are no recipes".to_owned())
    }

    async fn obtain(
        &self,
        reference: &str,
        recipe: &str,
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let working = Working(Arc::clone(&self.given_up));
        self.may_go_on.acquire().await?.forget();
        std::mem::forget(working);
        if self.fails {
            return Err(format!("{recipe} has no packages").into());
        }
        self.fake.build_image(reference);
        Ok(())
    }
}

struct Stage {
    fake: FakeRuntime,
    builder: Arc<Builder>,
    platform: ContainerPlatform,
    _root: tempfile::TempDir,
}

fn stage(change: impl FnOnce(&mut Builder)) -> Stage {
    let root = tempfile::tempdir().unwrap();
    let registry = Arc::new(Registry::all());
    let fake = FakeRuntime::new(Arc::clone(&registry));
    let mut builder = Builder {
        fake: fake.clone(),
        may_go_on: Semaphore::new(0),
        begun: AtomicU32::new(0),
        given_up: Arc::default(),
        fails: false,
        objects: false,
    };
    change(&mut builder);
    let builder = Arc::new(builder);
    let platform = platform(&fake, &registry, root.path()).with_images(Arc::clone(&builder) as _);
    Stage {
        fake,
        builder,
        platform,
        _root: root,
    }
}

fn platform(fake: &FakeRuntime, registry: &Arc<Registry>, root: &Path) -> ContainerPlatform {
    let installation = InstallationId::parse("0123abcd").unwrap();
    let made = AtomicU64::new(1);
    ContainerPlatform::new(
        Arc::new(fake.clone()),
        Arc::new(fake.clone()),
        Arc::clone(registry),
        Settings {
            layout: Layout::new(root.join("data"), root.join("run"), &installation),
            installation,
            range: "10.202.0.0/24".parse().unwrap(),
            public_network: "berth-public-0123abcd".to_owned(),
            keep_keys_in_memory: false,
            fresh_id: Box::new(move || {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&made.fetch_add(1, Ordering::Relaxed).to_be_bytes());
                InstanceId::from_entropy(bytes)
            }),
        },
    )
}

impl Stage {
    async fn ask(&self, instance: u8) -> Result<Supply, Error> {
        let instance = InstanceId::from_entropy([instance; 16]);
        let engine = EngineName::new("postgresql");
        self.platform
            .obtain_images(&instance, &engine, "18", &BOTH)
            .await
    }

    /// Asks until the answer is another one than that it is on its way.
    async fn ask_to_the_end(&self, instance: u8) -> Result<Supply, Error> {
        for _ in 0..LOOKS_MAX {
            match self.ask(instance).await {
                Ok(Supply::OnTheWay) => tokio::time::sleep(Duration::from_millis(5)).await,
                other => return other,
            }
        }
        panic!("it is on its way for ever");
    }

    async fn delay_and_reason(&self, version: &str) -> (Option<String>, Option<String>) {
        let offers = self.platform.capabilities().await.unwrap().offers;
        let offer = offers.into_iter().find(|o| o.version == version).unwrap();
        (offer.delay, offer.unavailable)
    }
}

#[tokio::test]
async fn what_is_here_is_used_and_nothing_is_begun() {
    let stage = stage(|_| {});
    assert_eq!(stage.ask(1).await.unwrap(), Supply::Here);
    assert_eq!(stage.builder.begun.load(Ordering::SeqCst), 0);
    assert_eq!(stage.delay_and_reason("18").await, (None, None));
}

#[tokio::test]
async fn an_image_is_got_once_however_many_need_it() {
    let stage = stage(|_| {});
    stage.fake.forget_image(SERVER);
    let (delay, reason) = stage.delay_and_reason("18").await;
    assert!(delay.unwrap().contains(SERVER));
    assert_eq!(reason, None);
    assert_eq!(stage.delay_and_reason("17").await, (None, None));
    for instance in 1..=3 {
        assert_eq!(stage.ask(instance).await.unwrap(), Supply::OnTheWay);
    }
    stage.builder.may_go_on.add_permits(3);
    for instance in 1..=3 {
        let end = stage.ask_to_the_end(instance).await.unwrap();
        assert_eq!(end, Supply::Here);
    }
    assert_eq!(stage.builder.begun.load(Ordering::SeqCst), 1);
    assert_eq!(stage.delay_and_reason("18").await, (None, None));
}

#[tokio::test]
async fn two_images_are_got_beside_each_other() {
    let stage = stage(|_| {});
    stage.fake.forget_image(SERVER);
    stage.fake.forget_image(POOLER);
    assert_eq!(stage.ask(1).await.unwrap(), Supply::OnTheWay);
    for _ in 0..LOOKS_MAX {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.builder.begun.load(Ordering::SeqCst), 2);
    let (delay, _) = stage.delay_and_reason("17").await;
    assert!(delay.unwrap().contains(POOLER), "its pooler is missing");
    stage.builder.may_go_on.add_permits(2);
    assert_eq!(stage.ask_to_the_end(1).await.unwrap(), Supply::Here);
}

#[tokio::test]
async fn who_waited_for_an_image_hears_why_there_is_none() {
    let stage = stage(|builder| builder.fails = true);
    stage.fake.forget_image(SERVER);
    for instance in 1..=2 {
        assert_eq!(stage.ask(instance).await.unwrap(), Supply::OnTheWay);
    }
    stage.builder.may_go_on.add_permits(9);
    for instance in 1..=2 {
        let error = stage.ask_to_the_end(instance).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permanent);
        let told = error.to_string();
        assert!(
            told.contains("postgresql-18 has no packages")
                && told.contains("berthd images build postgresql-18"),
            "{told}"
        );
    }
    assert_eq!(stage.builder.begun.load(Ordering::SeqCst), 1);
    let (delay, reason) = stage.delay_and_reason("18").await;
    assert_eq!(delay, None);
    assert!(reason.unwrap().contains("has no packages"));
}

#[tokio::test]
async fn what_cannot_be_got_is_not_begun() {
    let stage = stage(|builder| builder.objects = true);
    stage.fake.forget_image(SERVER);
    let error = stage.ask(1).await.unwrap_err();
    let told = error.to_string();
    assert!(
        matches!(
            error,
            Error::Refused {
                code: "image_missing",
                ..
            }
        ) && told.contains("there are no recipes"),
        "{told}"
    );
    assert_eq!(stage.builder.begun.load(Ordering::SeqCst), 0);
    assert!(stage.delay_and_reason("18").await.1.is_some());
}

#[tokio::test]
async fn no_image_is_got_for_spares() {
    let stage = stage(|_| {});
    stage.fake.forget_image(SERVER);
    let engine = EngineName::new("postgresql");
    let error = stage
        .platform
        .prepare_spares(&engine, "18", 2)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permanent);
    assert_eq!(stage.builder.begun.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_attempt_that_a_restart_of_the_engine_cut_off_is_made_again() {
    let stage = stage(|builder| builder.fails = true);
    stage.fake.forget_image(SERVER);
    let mut changes = stage.platform.watch();
    assert_eq!(changes.next().await, Some(WatchEvent::Gap), "it begins");
    assert_eq!(stage.ask(1).await.unwrap(), Supply::OnTheWay);
    // The engine answers as before by the time the builder ends.
    stage.fake.restart();
    assert_eq!(changes.next().await, Some(WatchEvent::Gap));
    stage.builder.may_go_on.add_permits(1);
    for _ in 0..LOOKS_MAX {
        if stage.builder.begun.load(Ordering::SeqCst) == 2 {
            break;
        }
        assert_eq!(stage.ask(1).await.unwrap(), Supply::OnTheWay);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(stage.builder.begun.load(Ordering::SeqCst), 2);
    // What fails without an outage has failed, until the next outage makes that doubtful.
    stage.builder.may_go_on.add_permits(1);
    stage.ask_to_the_end(1).await.unwrap_err();
    stage.fake.restart();
    assert_eq!(changes.next().await, Some(WatchEvent::Gap));
    assert_eq!(stage.ask(1).await.unwrap(), Supply::OnTheWay);
}

fn container(name: &str, role: Role, instance: &str) -> Workload {
    Workload {
        name: name.to_owned(),
        labels: Labels {
            installation: "0123abcd".to_owned(),
            instance: instance.to_owned(),
            role,
            spec: String::new(),
        },
        image: "fake:berth/postgresql:17".to_owned(),
        command: vec!["postgres".to_owned()],
        owner: 999,
        mounts: Vec::new(),
        network: None,
        published: None,
        limits: Limits {
            cpu_millis: 1000,
            memory_mb: 256,
            processes_max: 64,
        },
        shared_memory_mb: 64,
        stop: Stop {
            signal: Signal::Terminate,
            timeout_seconds: 1,
        },
        restarts: false,
    }
}

#[tokio::test]
async fn a_close_ends_initialisations_and_builds_and_leaves_what_serves() {
    let stage = stage(|_| {});
    stage.fake.forget_image(SERVER);
    assert_eq!(stage.ask(1).await.unwrap(), Supply::OnTheWay);
    while stage.builder.begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let mut ids: Vec<ContainerId> = Vec::new();
    for (name, role) in [
        ("serves", Role::Engine),
        ("pools", Role::Pooler),
        ("begun", Role::Initialise),
        ("begun-too", Role::Initialise),
    ] {
        let workload = container(name, role, name);
        ids.push(stage.fake.create(&workload).await.unwrap());
    }
    stage.platform.close().await.unwrap();
    let mut left = stage.fake.container_names();
    left.sort();
    assert_eq!(left, ["pools", "serves"]);
    for _ in 0..LOOKS_MAX {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.builder.given_up.load(Ordering::SeqCst), 1);
    // It may be said again, and a start after it begins anew.
    stage.platform.close().await.unwrap();
    assert_eq!(stage.ask(1).await.unwrap(), Supply::OnTheWay);
}
