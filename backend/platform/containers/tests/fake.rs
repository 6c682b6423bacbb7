//! The fake passes what Docker passes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and say why one was skipped"
)]

use async_trait::async_trait;
use berth_containers::contract::{self, PlatformGround, RuntimeGround};
use berth_containers::{
    Attachment, ContainerId, ContainerPlatform, Containers, Dialer, FakeRuntime, Fault, Labels,
    Layout, Limits, NetworkPlan, Networks, Role, Settings, Signal, Stop, Target, Workload,
};
use berth_domain::{EngineName, InstallationId, InstanceId, Secret, Statement, TlsMode};
use berth_domain::{Observed, Status};
use berth_engines::Registry;
use berth_platform::{
    DataFate, Dialled, ErrorKind, InstanceSpec, Login, Origin, Platform, Session, Tls,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Barrier;

fn registry() -> Arc<Registry> {
    Arc::new(Registry::all())
}

/// A directory in memory where there is one: what a power cut would do is not asked here.
fn quick_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn platform_over(fake: &FakeRuntime, root: &std::path::Path) -> ContainerPlatform {
    platform_through(fake, Arc::new(fake.clone()), root)
}

fn platform_through(
    fake: &FakeRuntime,
    dialer: Arc<dyn Dialer>,
    root: &std::path::Path,
) -> ContainerPlatform {
    let installation = InstallationId::parse("0123abcd").unwrap();
    let made = AtomicU64::new(1);
    ContainerPlatform::new(
        Arc::new(fake.clone()),
        dialer,
        registry(),
        Settings {
            layout: Layout::new(root.join("data"), root.join("run"), &installation),
            installation,
            range: "10.200.0.0/24".parse().unwrap(),
            public_network: "berth-public-0123abcd".to_owned(),
            keep_keys_in_memory: false,
            fresh_id: Box::new(move || {
                let number = made.fetch_add(1, Ordering::Relaxed);
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&number.to_be_bytes());
                InstanceId::from_entropy(bytes)
            }),
        },
    )
}

fn tls() -> Tls {
    Tls {
        mode: TlsMode::Allow,
        certificate_chain: "chain".to_owned(),
        key: Secret::new("key"),
        authority: "authority".to_owned(),
    }
}

#[tokio::test]
async fn the_fake_is_a_container_runtime() {
    let root = quick_directory();
    let fake = FakeRuntime::new(registry());
    let ground = RuntimeGround {
        installation: "0123abcd".to_owned(),
        image: "berth/postgresql:17".to_owned(),
        directory: root.path().to_owned(),
        range: "10.201.0.0/24".parse().unwrap(),
        port: 15999,
    };
    contract::runtime(&fake, &ground).await;
    assert_eq!(fake.network_names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_platform_over_the_fake_is_a_platform() {
    let root = quick_directory();
    let registry = registry();
    let fake = FakeRuntime::new(Arc::clone(&registry));
    let platform = platform_over(&fake, root.path());
    let engine = registry.get(&EngineName::new("postgresql")).unwrap();
    platform
        .prepare_spares(&EngineName::new("postgresql"), "17", 2)
        .await
        .unwrap();
    let ground = PlatformGround {
        engine,
        version: "17".to_owned(),
        instance: InstanceId::from_entropy([0xcd; 16]),
        network: "berth-default-0123abcd".to_owned(),
        tls: tls(),
        write: Statement::new("write", "nothing"),
        ask: Statement::new("ask", "nothing"),
    };
    contract::platform(&platform, &ground).await;
    assert_eq!(fake.container_names(), Vec::<String>::new());
    assert_eq!(fake.network_names(), Vec::<String>::new());
    assert!(
        !root.path().join("run/0123abcd").exists(),
        "nothing is left in memory"
    );
}

fn ground<'a>(engine: &'a dyn berth_engines::Description) -> PlatformGround<'a> {
    PlatformGround {
        engine,
        version: "17".to_owned(),
        instance: InstanceId::from_entropy([0xcd; 16]),
        network: "berth-default-0123abcd".to_owned(),
        tls: tls(),
        write: Statement::new("write", "nothing"),
        ask: Statement::new("ask", "nothing"),
    }
}

#[tokio::test]
async fn one_network_of_a_name_stays() {
    let root = quick_directory();
    let registry = registry();
    let fake = FakeRuntime::new(Arc::clone(&registry));
    let platform = platform_over(&fake, root.path());
    let ground = ground(registry.get(&EngineName::new("postgresql")).unwrap());
    // What a berthd leaves that died twice while its creates were under way.
    for slice in ["10.200.0.0/26", "10.200.0.64/26"] {
        let subnet: ipnet::Ipv4Net = slice.parse().unwrap();
        let plan = NetworkPlan {
            name: ground.network.clone(),
            installation: "0123abcd".to_owned(),
            subnet,
            gateway: subnet.hosts().next().unwrap(),
            internal: true,
            members_meet: true,
        };
        fake.create_network(&plan).await.unwrap();
    }
    platform.ensure(&contract::spec(&ground)).await.unwrap();
    assert_eq!(fake.network_names(), std::slice::from_ref(&ground.network));
}

/// A container of somebody else, in that network.
async fn application(fake: &FakeRuntime, network: &str) -> ContainerId {
    let networks = fake.networks().await.unwrap();
    let network = networks.into_iter().find(|n| n.name == network).unwrap();
    let workload = Workload {
        name: "application".to_owned(),
        labels: Labels {
            installation: "ffffffff".to_owned(),
            instance: "application".to_owned(),
            role: Role::Engine,
            spec: String::new(),
        },
        image: "berth/postgresql:17".to_owned(),
        command: Vec::new(),
        owner: 999,
        mounts: Vec::new(),
        network: Some(Attachment {
            network: network.id,
            aliases: Vec::new(),
        }),
        published: None,
        limits: Limits {
            cpu_millis: 100,
            memory_mb: 16,
            processes_max: 8,
        },
        shared_memory_mb: 16,
        stop: Stop {
            signal: Signal::Interrupt,
            timeout_seconds: 1,
        },
        restarts: false,
    };
    let id = fake.create(&workload).await.unwrap();
    fake.start(&id).await.unwrap();
    id
}

#[tokio::test]
async fn a_network_that_an_application_held_goes_when_that_has_left() {
    let root = quick_directory();
    let registry = registry();
    let fake = FakeRuntime::new(Arc::clone(&registry));
    let platform = platform_over(&fake, root.path());
    let ground = ground(registry.get(&EngineName::new("postgresql")).unwrap());
    let networks = std::slice::from_ref(&ground.network);
    let spec = contract::spec(&ground);
    platform.ensure(&spec).await.unwrap();
    let application = application(&fake, &ground.network).await;
    let remove = platform.remove(&spec.instance, DataFate::Trash);
    remove.await.unwrap();
    platform.take_unused_away().await.unwrap();
    assert_eq!(fake.network_names(), networks, "somebody is in it");
    fake.stop(&application).await.unwrap();
    fake.remove(&application).await.unwrap();
    platform.take_unused_away().await.unwrap();
    assert_eq!(fake.network_names(), Vec::<String>::new());

    // What an instance names stays, also when nothing stands in it at the moment.
    platform.ensure(&spec).await.unwrap();
    for container in fake.find("0123abcd", None).await.unwrap() {
        fake.stop(&container.id).await.unwrap();
        fake.remove(&container.id).await.unwrap();
    }
    platform.take_unused_away().await.unwrap();
    assert_eq!(fake.network_names(), networks);
}

#[tokio::test]
async fn whoever_runs_on_lost_directories_starts_anew() {
    let registry = registry();
    let ground = ground(registry.get(&EngineName::new("postgresql")).unwrap());
    let spec = contract::spec(&ground);
    let short = &spec.instance.as_str()[..8];
    // What is lost, and how many containers have mounted it.
    let losses: [(&[&str], u32); 5] = [
        (&["."], 2),
        (&["engine.conf", "engine", "pooler.conf", "pooler"], 2),
        (&["engine"], 2),
        (&["engine.conf"], 1),
        (&["pooler"], 1),
    ];
    for (lost, restarts) in losses {
        let root = quick_directory();
        let fake = FakeRuntime::new(Arc::clone(&registry));
        let platform = platform_over(&fake, root.path());
        platform.ensure(&spec).await.unwrap();
        let calls = || ["stop", "start", "signal", "create"].map(|verb| fake.calls(verb));
        let before = calls();
        platform.ensure(&spec).await.unwrap();
        assert_eq!(calls(), before, "nothing was lost");

        let volatile = root.path().join("run/0123abcd").join(short);
        for name in lost {
            let path = volatile.join(name).components().collect::<PathBuf>();
            std::fs::remove_dir_all(path).unwrap();
        }
        // The directories are there again when another berthd takes it up.
        fake.fail("stop", 1, Fault::Fails);
        platform.ensure(&spec).await.unwrap_err();
        let platform = platform_over(&fake, root.path());
        for _ in 0..2 {
            platform.ensure(&spec).await.unwrap();
            let [stops, starts, signals, creates] = before;
            let wanted = [stops + restarts + 1, starts + restarts, signals, creates];
            assert_eq!(calls(), wanted, "{lost:?}");
        }
    }
}

const VERBS: [&str; 12] = [
    "create",
    "start",
    "find",
    "inspect",
    "image",
    "networks",
    "create_network",
    "wait",
    "stop",
    "remove",
    "is_network_used",
    "remove_network",
];
const FAULTS: [Fault; 3] = [Fault::AnswerLost, Fault::Unreachable, Fault::Fails];
const CALLS_TRIED: u32 = 3;
const REPEATS_MAX: u32 = 5;

/// Repeats a call until it succeeds, as the control loop does.
async fn until_done<F>(what: &str, mut call: impl FnMut() -> F)
where
    F: Future<Output = Result<(), berth_platform::Error>>,
{
    let mut last = None;
    for _ in 0..REPEATS_MAX {
        match call().await {
            Ok(()) => return,
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::Permanent, "{what}: {error}");
                last = Some(error);
            }
        }
    }
    panic!("{what}: {last:?}");
}

#[tokio::test]
async fn every_verb_may_fail_in_every_way_and_one_of_each_is_left() {
    let registry = registry();
    let engine = registry.get(&EngineName::new("postgresql")).unwrap();
    let spec = contract::spec(&ground(engine));
    for (verb, fault) in VERBS.into_iter().flat_map(|v| FAULTS.map(|f| (v, f))) {
        for nth in 1..=CALLS_TRIED {
            let what = format!("{fault:?} at call {nth} of {verb}");
            let root = quick_directory();
            let fake = FakeRuntime::new(Arc::clone(&registry));
            let platform = platform_over(&fake, root.path());
            fake.fail(verb, nth, fault);
            until_done(&what, || platform.ensure(&spec)).await;
            // As upkeep does; it takes a job away whose answer was lost.
            let engine = EngineName::new("postgresql");
            until_done(&what, || platform.prepare_spares(&engine, "17", 1)).await;
            let mut names = fake.container_names();
            names.sort();
            let wanted = [spec.hosts.engine.clone(), spec.hosts.pooler.clone()];
            assert_eq!(names, wanted, "{what}");
            assert_eq!(
                fake.network_names(),
                std::slice::from_ref(&spec.network.name),
                "{what}"
            );
            let observed = platform.observe(&spec.instance).await.unwrap();
            assert_eq!(observed, Observed::Ready, "{what}");

            fake.fail(verb, nth, fault);
            until_done(&what, || platform.remove(&spec.instance, DataFate::Trash)).await;
            let platform = platform_over(&fake, root.path());
            until_done(&what, || platform.remove(&spec.instance, DataFate::Purge)).await;
            assert_eq!(fake.container_names(), Vec::<String>::new(), "{what}");
            assert_eq!(fake.network_names(), Vec::<String>::new(), "{what}");
            for left in ["instances", "trash"] {
                let left = std::fs::read_dir(root.path().join("data").join(left)).unwrap();
                assert_eq!(left.count(), 0, "{what}");
            }
        }
    }
}

/// Lets one in when another comes, too.
struct Pairs {
    fake: FakeRuntime,
    two: Barrier,
}

#[async_trait]
impl Dialer for Pairs {
    async fn dial(&self, target: &Target<'_>, login: &Login) -> Result<Box<dyn Session>, Dialled> {
        self.two.wait().await;
        self.fake.dial(target, login).await
    }
}

#[tokio::test]
async fn engine_and_pooler_are_asked_beside_each_other() {
    let root = quick_directory();
    let registry = registry();
    let fake = FakeRuntime::new(Arc::clone(&registry));
    let pairs = Pairs {
        fake: fake.clone(),
        two: Barrier::new(2),
    };
    let platform = platform_through(&fake, Arc::new(pairs), root.path());
    let engine = registry.get(&EngineName::new("postgresql")).unwrap();
    let spec = contract::spec(&ground(engine));
    platform.ensure(&spec).await.unwrap();
    // One after the other, the first would wait for its whole time and then be given up.
    let observed = platform.observe(&spec.instance).await.unwrap();
    assert_eq!(observed, Observed::Ready);
}

#[tokio::test]
async fn silence_is_unknown_and_leads_to_nothing() {
    let root = quick_directory();
    let registry = registry();
    let fake = FakeRuntime::new(Arc::clone(&registry));
    let platform = platform_over(&fake, root.path());
    let engine = registry.get(&EngineName::new("postgresql")).unwrap();
    let spec = contract::spec(&ground(engine));
    platform.ensure(&spec).await.unwrap();
    let instance = &spec.instance;
    assert_eq!(platform.observe(instance).await.unwrap(), Observed::Ready);
    // The engine is not asked whether a database answers: the database is.
    fake.falls_silent(Fault::Unreachable);
    assert_eq!(platform.observe(instance).await.unwrap(), Observed::Ready);
    fake.answers_again();
    let stopped = InstanceSpec {
        power: berth_platform::Power::Stopped,
        origin: Origin::MustExist,
        ..spec.clone()
    };
    platform.ensure(&stopped).await.unwrap();
    assert_eq!(platform.observe(instance).await.unwrap(), Observed::Stopped);
    fake.falls_silent(Fault::Unreachable);
    let last = Status::Stopped;
    assert_eq!(
        platform.observe(instance).await.unwrap(),
        Observed::Unknown { last }
    );
    let created = fake.calls("create");
    let error = platform.ensure(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let error = platform
        .remove(instance, DataFate::Trash)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    fake.answers_again();
    platform.ensure(&stopped).await.unwrap();
    assert_eq!(
        fake.calls("create"),
        created,
        "silence made no second container"
    );
}

#[tokio::test]
async fn an_image_that_is_missing_is_said_with_what_to_do() {
    let root = quick_directory();
    let registry = registry();
    let fake = FakeRuntime::new(Arc::clone(&registry));
    fake.forget_image("berth/postgresql:18");
    let platform = platform_over(&fake, root.path());
    let offers = platform.capabilities().await.unwrap().offers;
    for offer in &offers {
        let missing = offer.version == "18";
        assert_eq!(offer.unavailable.is_some(), missing, "{offer:?}");
    }
    let engine = registry.get(&EngineName::new("postgresql")).unwrap();
    let mut spec = contract::spec(&ground(engine));
    spec.version = "18".to_owned();
    let error = platform.ensure(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permanent);
    assert!(
        error
            .to_string()
            .contains("berthd images build postgresql-18"),
        "{error}"
    );
}

#[tokio::test]
async fn data_that_was_awaited_is_made_and_data_that_was_there_is_not() {
    let root = quick_directory();
    let registry = registry();
    let fake = FakeRuntime::new(Arc::clone(&registry));
    let platform = platform_over(&fake, root.path());
    let engine = registry.get(&EngineName::new("postgresql")).unwrap();
    let spec = contract::spec(&ground(engine));
    // The initialisation fails beside an engine that waits for it.
    fake.fail("wait", 1, Fault::Fails);
    platform.ensure(&spec).await.unwrap_err();
    assert!(fake.container_names().contains(&spec.hosts.engine));
    let instance = &spec.instance;
    assert_eq!(
        platform.observe(instance).await.unwrap(),
        Observed::Starting
    );
    let home = root.path().join("data/instances").join(instance.as_str());
    assert!(home.join("awaited").exists() && !home.join("data").exists());
    // Another berthd takes it up, and nothing is awaited any more.
    let platform = platform_over(&fake, root.path());
    platform.ensure(&spec).await.unwrap();
    assert_eq!(platform.observe(instance).await.unwrap(), Observed::Ready);
    assert!(!home.join("awaited").exists() && home.join("data").exists());

    std::fs::remove_dir_all(home.join("data")).unwrap();
    let error = platform.ensure(&spec).await.unwrap_err();
    assert!(error.to_string().contains("restore it"), "{error}");
    assert!(!home.join("data").exists());
}

#[tokio::test]
async fn data_goes_on_under_the_image_it_began_with() {
    let root = quick_directory();
    let registry = registry();
    let fake = FakeRuntime::new(Arc::clone(&registry));
    let platform = platform_over(&fake, root.path());
    let engine = registry.get(&EngineName::new("postgresql")).unwrap();
    let spec = contract::spec(&ground(engine));
    platform.ensure(&spec).await.unwrap();
    let record = root
        .path()
        .join("data/instances")
        .join(spec.instance.as_str())
        .join("instance.json");
    let text = std::fs::read_to_string(record).unwrap();
    assert!(text.contains("fake:berth/postgresql:17"), "{text}");
    assert!(!text.contains(spec.users[0].verifier.reveal()), "{text}");
    let instance = &spec.instance;
    assert!(!platform.has_newer_image(instance).await.unwrap());
    let (created, started) = (fake.calls("create"), fake.calls("start"));
    for rebuilt in ["berth/postgresql:17", "berth/pgbouncer:1"] {
        fake.build_image(rebuilt);
        assert!(platform.has_newer_image(instance).await.unwrap());
        platform.ensure(&spec).await.unwrap();
    }
    assert_eq!(
        (fake.calls("create"), fake.calls("start")),
        (created, started),
        "an image that was built anew restarts nothing"
    );
    fake.restart();
    assert_eq!(
        platform.observe(&spec.instance).await.unwrap(),
        Observed::Ready
    );
}
