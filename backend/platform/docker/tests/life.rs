//! What a platform over Docker keeps, changes and brings back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and say why one was skipped"
)]

mod common;

use berth_containers::contract::{self, PlatformGround};
use berth_containers::{
    ContainerPlatform, Containers, Exec, Found, Images, Labels, Limits, Role, Stop, Workload,
};
use berth_domain::{EngineName, InstanceId, Observed, Secret, Statement, TlsMode};
use berth_engines::{Description, Owner, Registry, Signal, UserVerifier};
use berth_platform::{DataFate, Endpoint, InstanceSpec, Login, Origin, Platform, Writes};
use common::{Ground, not_run, on_ground, tls};
use std::sync::Arc;
use std::time::Duration;

const PASSWORD: &str = "0123456789abcdef0123456789abcdef";
const POLL_MILLIS: u64 = 10;
const POLLS_MAX: u32 = 3000;

fn postgresql() -> EngineName {
    EngineName::new("postgresql")
}

fn owner() -> Owner {
    Owner {
        database_name: "my-app".to_owned(),
        username: "app_my-app".to_owned(),
    }
}

fn login() -> Login {
    Login {
        database_name: owner().database_name,
        username: owner().username,
        password: Secret::new(PASSWORD),
    }
}

fn suite<'a>(ground: &Ground, engine: &'a dyn Description, version: &str) -> PlatformGround<'a> {
    PlatformGround {
        engine,
        version: version.to_owned(),
        instance: InstanceId::from_entropy(common::entropy()),
        network: format!("t-project-{}", ground.installation),
        tls: tls(TlsMode::Allow, &["localhost"]),
        write: Statement::new("write", "SELECT 1"),
        ask: Statement::new("ask", "SELECT 1"),
    }
}

async fn ready(platform: &ContainerPlatform, instance: &InstanceId) {
    for _ in 0..POLLS_MAX {
        if platform.observe(instance).await.unwrap() == Observed::Ready {
            return;
        }
        tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
    }
    panic!("it was never ready");
}

/// Provisions as the control loop does, up to the application's own login.
async fn provision(
    platform: &ContainerPlatform,
    engine: &dyn Description,
    spec: &InstanceSpec,
) -> InstanceSpec {
    platform.ensure(spec).await.unwrap();
    ready(platform, &spec.instance).await;
    let mut statements = engine.bootstrap(&owner());
    let verifier = spec.users[0].verifier.clone();
    statements.extend(engine.set_verifier(&UserVerifier {
        username: owner().username,
        verifier,
    }));
    let session = platform.session(&spec.instance, Endpoint::Engine).await;
    session.unwrap().run(&statements).await.unwrap();
    ask(platform, spec, "SELECT 1").await;
    InstanceSpec {
        origin: Origin::MustExist,
        ..spec.clone()
    }
}

/// One value, asked by the application through the pooler.
async fn ask(platform: &ContainerPlatform, spec: &InstanceSpec, question: &'static str) -> String {
    let session = platform
        .login(&spec.instance, Endpoint::Pooler, &login())
        .await
        .unwrap();
    let rows = session.ask(&Statement::new("ask", question)).await.unwrap();
    rows[0][0].clone().unwrap()
}

const STARTED: &str = "SELECT pg_postmaster_start_time()";

#[tokio::test]
async fn what_already_matches_is_not_disturbed() {
    let Some(ground) = Ground::new(3, "10.233.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let registry = Arc::new(Registry::all());
        let engine = registry.get(&postgresql()).unwrap();
        let platform = ground.platform(&registry);
        let spec = contract::spec(&suite(&ground, engine, "17"));
        let spec = provision(&platform, engine, &spec).await;
        let started = ask(&platform, &spec, STARTED).await;

        // A new process adopts what runs.
        let platform = ground.platform(&registry);
        platform.ensure(&spec).await.unwrap();
        assert_eq!(ask(&platform, &spec, STARTED).await, started, "adopted");

        let mut slower = spec.clone();
        slower.resources.cpu_millis = 1000;
        slower.writes = Writes::Refused;
        platform.ensure(&slower).await.unwrap();
        let read_only = "SHOW transaction_read_only";
        ready(&platform, &spec.instance).await;
        assert_eq!(ask(&platform, &spec, read_only).await, "on");
        assert_eq!(
            ask(&platform, &spec, STARTED).await,
            started,
            "told, not restarted"
        );

        let mut bigger = spec.clone();
        bigger.resources.memory_mb = 512;
        platform.ensure(&bigger).await.unwrap();
        ready(&platform, &spec.instance).await;
        assert_eq!(ask(&platform, &spec, "SHOW shared_buffers").await, "128MB");
        assert_eq!(ask(&platform, &spec, read_only).await, "off");
        platform
            .remove(&spec.instance, DataFate::Purge)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_empty_run_directory_is_filled_again() {
    let Some(ground) = Ground::new(4, "10.234.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let registry = Arc::new(Registry::all());
        let engine = registry.get(&postgresql()).unwrap();
        let platform = ground.platform(&registry);
        let spec = contract::spec(&suite(&ground, engine, "17"));
        let spec = provision(&platform, engine, &spec).await;
        // As after a reboot: nothing runs, and what was in memory is gone.
        let installation = ground.installation.as_str();
        for container in ground.docker.find(installation, None).await.unwrap() {
            ground.docker.stop(&container.id).await.unwrap();
        }
        let run = ground.run_base().join(installation);
        if rustix::mount::unmount(&run, rustix::mount::UnmountFlags::DETACH).is_err() {
            std::fs::remove_dir_all(&run).unwrap();
        }
        let platform = ground.platform(&registry);
        assert_eq!(
            platform.observe(&spec.instance).await.unwrap(),
            Observed::Stopped
        );
        platform.ensure(&spec).await.unwrap();
        ready(&platform, &spec.instance).await;
        assert_eq!(ask(&platform, &spec, "SELECT 1").await, "1");
        platform
            .remove(&spec.instance, DataFate::Purge)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_strangers_container_keeps_its_name() {
    let Some(ground) = Ground::new(5, "10.235.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let registry = Arc::new(Registry::all());
        let engine = registry.get(&postgresql()).unwrap();
        let platform = ground.platform(&registry);
        let spec = contract::spec(&suite(&ground, engine, "17"));
        let image = ground.docker.image("berth/postgresql:17").await.unwrap();
        let stranger = Workload {
            name: spec.hosts.engine.clone(),
            labels: Labels {
                installation: format!("{}-other", ground.installation),
                instance: spec.instance.to_string(),
                role: Role::Engine,
                spec: String::new(),
            },
            image: image.unwrap(),
            command: vec!["true".to_owned()],
            owner: 999,
            mounts: Vec::new(),
            network: None,
            published: None,
            limits: Limits {
                cpu_millis: 100,
                memory_mb: 16,
                processes_max: 8,
            },
            shared_memory_mb: 64,
            stop: Stop {
                signal: Signal::Terminate,
                timeout_seconds: 1,
            },
            restarts: false,
        };
        let stranger = ground.docker.create(&stranger).await.unwrap();
        let ended = tokio::spawn(async move {
            let engine = registry.get(&postgresql()).unwrap();
            provision(&platform, engine, &spec).await;
            let found = ground.docker.find(ground.installation.as_str(), None).await;
            let mut names: Vec<_> = found.unwrap().into_iter().map(|f| f.name).collect();
            names.sort();
            let other = format!("{}-{}", spec.hosts.engine, spec.instance.short());
            assert_eq!(names, [other, spec.hosts.pooler.clone()]);
            platform
                .remove(&spec.instance, DataFate::Purge)
                .await
                .unwrap();
            ground
        })
        .await;
        let docker = common::docker().await.unwrap();
        let still_there = docker.inspect(&stranger.0).await.unwrap();
        docker.remove(&stranger).await.unwrap();
        assert!(still_there.is_some(), "a stranger's container was removed");
        ended.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_engine_waits_for_data_that_is_awaited_and_makes_none() {
    let Some(ground) = Ground::new(12, "10.242.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let registry = Arc::new(Registry::all());
        let engine = registry.get(&postgresql()).unwrap();
        let platform = ground.platform(&registry);
        let spec = contract::spec(&suite(&ground, engine, "17"));
        let spec = provision(&platform, engine, &spec).await;
        let docker = &ground.docker;
        let found = docker.find(ground.installation.as_str(), None).await;
        let of = |found: Vec<Found>| found.into_iter().find(|f| f.labels.role == Role::Engine);
        let id = of(found.unwrap()).unwrap().id;
        let home = ground.data_root().join("instances");
        let home = home.join(spec.instance.as_str());
        let (data, aside) = (home.join("data"), home.join("aside"));

        docker.stop(&id).await.unwrap();
        std::fs::rename(&data, &aside).unwrap();
        std::fs::write(home.join("awaited"), "").unwrap();
        docker.start(&id).await.unwrap();
        // One that waits can be stopped, and waits again. Whoever is asked to end before it has
        // begun to listen is only killed two minutes later, hence another program first.
        let program = Exec {
            command: vec!["true".to_owned()],
            stdin: Vec::new(),
        };
        assert_eq!(docker.exec(&id, &program).await.unwrap().exit_code, 0);
        docker.stop(&id).await.unwrap();
        docker.start(&id).await.unwrap();
        std::fs::rename(&aside, &data).unwrap();
        ready(&platform, &spec.instance).await;
        assert_eq!(ask(&platform, &spec, "SELECT 1").await, "1");

        docker.stop(&id).await.unwrap();
        std::fs::rename(&data, &aside).unwrap();
        std::fs::remove_file(home.join("awaited")).unwrap();
        docker.start(&id).await.unwrap();
        let missing = "could not access directory \"/var/lib/berth/data\"";
        let mut told = Vec::new();
        for _ in 0..POLLS_MAX {
            told = docker.logs(&id, 3).await.unwrap();
            if told.iter().any(|line| line.contains(missing)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
        }
        assert!(told.iter().any(|l| l.contains(missing)), "{told:?}");
        assert!(!data.exists(), "an engine made data of its own");
        std::fs::rename(&aside, &data).unwrap();
        platform
            .remove(&spec.instance, DataFate::Purge)
            .await
            .unwrap();
    })
    .await;
}

/// The databases that everyone may enter who may log in.
const OPEN: &str = "SELECT coalesce(string_agg(datname, ','), 'none') \
     FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) \
     WHERE grantee = 0 AND datallowconn";

#[tokio::test]
async fn a_bootstrap_goes_on_wherever_it_was_interrupted() {
    let Some(ground) = Ground::new(9, "10.239.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let registry = Arc::new(Registry::all());
        let engine = registry.get(&postgresql()).unwrap();
        let platform = ground.platform(&registry);
        let said = engine.bootstrap(&owner()).len();
        // The first two are the data directory's own database: one that bootstrap makes, and
        // one that was made ahead. Nothing is left of it then, so each later one is made.
        for spares in [0, 1] {
            platform
                .prepare_spares(&postgresql(), "17", spares)
                .await
                .unwrap();
            let spec = contract::spec(&suite(&ground, engine, "17"));
            platform.ensure(&spec).await.unwrap();
            ready(&platform, &spec.instance).await;
            let session = platform.session(&spec.instance, Endpoint::Engine).await;
            let session = session.unwrap();
            let one = async |question: String| {
                let rows = session.ask(&Statement::new("ask", question)).await.unwrap();
                rows[0][0].clone().unwrap()
            };
            let waits = "SELECT count(*) FROM pg_database WHERE datname = 'berth_spare'";
            assert_eq!(one(waits.to_owned()).await, spares.to_string());
            for cut in (0..=said).rev() {
                let owner = Owner {
                    database_name: format!("it's {cut}"),
                    username: format!("app_\"{cut}\""),
                };
                let statements = engine.bootstrap(&owner);
                session.run(&statements[..cut]).await.unwrap();
                session.run(&statements).await.unwrap();
                session.run(&statements).await.unwrap();
                assert_eq!(one(OPEN.to_owned()).await, "none", "{cut}");
                let owned = format!(
                    "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'it''s {cut}'"
                );
                assert_eq!(one(owned).await, owner.username, "{cut}");
                let left = "SELECT count(*) FROM pg_database d FULL JOIN pg_roles r \
                     ON r.oid = d.datdba WHERE 'berth_spare' IN (datname, rolname)";
                assert_eq!(one(left.to_owned()).await, "0", "{cut}");
            }
            platform
                .remove(&spec.instance, DataFate::Purge)
                .await
                .unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn every_version_comes_up() {
    let Some(ground) = Ground::new(6, "10.236.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let registry = Arc::new(Registry::all());
        let engine = registry.get(&postgresql()).unwrap();
        for version in engine.versions() {
            if ground.docker.image(version.image).await.unwrap().is_none() {
                not_run(&format!("{} is not on this host", version.image));
                continue;
            }
            let platform = ground.platform(&registry);
            let spec = contract::spec(&suite(&ground, engine, version.name));
            let spec = provision(&platform, engine, &spec).await;
            let told = ask(&platform, &spec, "SHOW server_version").await;
            assert!(told.starts_with(version.name), "{told}");
            let collation = "SELECT datcollate FROM pg_database WHERE datname = current_database()";
            assert_eq!(ask(&platform, &spec, collation).await, "C.UTF-8");
            platform
                .remove(&spec.instance, DataFate::Purge)
                .await
                .unwrap();
        }
    })
    .await;
}
