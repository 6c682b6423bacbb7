//! What a container may not do, and what nobody may read from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and say why one was skipped"
)]

mod common;

use berth_containers::contract::{self, PlatformGround};
use berth_containers::{Containers, Role};
use berth_docker::Docker;
use berth_domain::{EngineName, InstanceId, Observed, Statement, Status, TlsMode};
use berth_engines::{Owner, Registry, UserVerifier};
use berth_platform::{DataFate, Endpoint, ErrorKind, Platform};
use common::{Ground, on_ground, tls};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const POLL_MILLIS: u64 = 20;
const POLLS_MAX: u32 = 3000;

fn suite<'a>(ground: &Ground, registry: &'a Registry) -> PlatformGround<'a> {
    PlatformGround {
        engine: registry.get(&EngineName::new("postgresql")).unwrap(),
        version: "17".to_owned(),
        instance: InstanceId::from_entropy(common::entropy()),
        network: format!("t-project-{}", ground.installation),
        tls: tls(TlsMode::Allow, &["localhost"]),
        write: Statement::new("write", ""),
        ask: Statement::new("ask", ""),
    }
}

/// The files below a directory that hold a text.
fn holding(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                if bytes
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
                {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    found
}

#[tokio::test]
async fn containers_are_closed_and_tell_no_secret() {
    let Some(ground) = Ground::new(10, "10.240.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let registry = Arc::new(Registry::all());
        let platform = ground.platform(&registry);
        let suite = suite(&ground, &registry);
        let spec = contract::spec(&suite);
        platform.ensure(&spec).await.unwrap();
        let mut polls = 0;
        while platform.observe(&spec.instance).await.unwrap() != Observed::Ready {
            polls += 1;
            assert!(polls < POLLS_MAX, "it was never ready");
            tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
        }
        let user = &spec.users[0];
        let mut statements = suite.engine.bootstrap(&Owner {
            database_name: "my-app".to_owned(),
            username: user.username.clone(),
        });
        statements.extend(suite.engine.set_verifier(&UserVerifier {
            username: user.username.clone(),
            verifier: user.verifier.clone(),
        }));
        let session = platform
            .session(&spec.instance, Endpoint::Engine)
            .await
            .unwrap();
        session.run(&statements).await.unwrap();
        // A statement that fails is not logged either.
        let broken = format!("ALTER ROLE nobody PASSWORD '{}'", user.verifier.reveal());
        let broken = Statement::new("change nobody", broken);
        assert!(session.run(&[broken]).await.is_err());

        let verifier = user.verifier.reveal();
        let key = spec.tls.key.reveal().lines().nth(1).unwrap().to_owned();
        let client = bollard::Docker::connect_with_unix_defaults().unwrap();
        let installation = ground.installation.as_str();
        for found in ground.docker.find(installation, None).await.unwrap() {
            let inspected = client.inspect_container(&found.id.0, None).await.unwrap();
            let told = format!("{inspected:?}");
            assert!(
                told.contains(&found.labels.instance),
                "the search finds what is there"
            );
            assert!(
                !told.contains(verifier) && !told.contains(&key),
                "{}",
                found.name
            );
            let log = ground
                .docker
                .logs(&found.id, 1000)
                .await
                .unwrap()
                .join("\n");
            assert!(!log.is_empty() && !log.contains(verifier), "{log}");
            let layer = inspected.graph_driver.unwrap().data;
            let layer = layer.get("UpperDir").unwrap();
            assert_eq!(holding(Path::new(layer), verifier), Vec::<String>::new());
            assert_eq!(holding(Path::new(layer), &key), Vec::<String>::new());

            let host = inspected.host_config.unwrap();
            assert_eq!(host.readonly_rootfs, Some(true));
            assert_eq!(host.cap_drop.as_deref(), Some(&["ALL".to_owned()][..]));
            assert_eq!(host.privileged, Some(false));
            let options = host.security_opt.unwrap();
            assert!(options.iter().any(|o| o == "no-new-privileges"));
            assert!(host.pids_limit.is_some_and(|n| n > 0));
            assert!(host.memory.is_some_and(|n| n > 0) && host.nano_cpus.is_some_and(|n| n > 0));
            assert!(host.binds.is_none() && host.port_bindings.is_none_or(|p| p.is_empty()));
            let config = inspected.config.unwrap();
            assert_eq!(config.user.as_deref(), Some("999:999"));
            if found.labels.role == Role::Engine {
                assert!(host.shm_size.is_some_and(|bytes| bytes >= 256 << 20));
                assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
                assert_eq!(config.stop_timeout, Some(120));
            }
        }
        // The control: the pooler's list and the key are where they belong, in memory.
        let run = ground.run_base().join(installation);
        assert_eq!(
            holding(&run, verifier).len(),
            1,
            "the pooler's list of users"
        );
        assert_eq!(
            holding(&run, &key).len(),
            2,
            "one key each for engine and pooler"
        );
        let kind = rustix::fs::statfs(&run).unwrap().f_type;
        assert_eq!(kind, 0x0102_1994, "it is in memory");
        let record = ground
            .data_root()
            .join("instances")
            .join(spec.instance.as_str());
        let record = std::fs::read_to_string(record.join("instance.json")).unwrap();
        assert!(!record.contains(verifier));
        platform
            .remove(&spec.instance, DataFate::Purge)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_cannot_start_fails_with_its_last_words() {
    let Some(ground) = Ground::new(11, "10.241.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let registry = Arc::new(Registry::all());
        let platform = ground.platform(&registry);
        let mut spec = contract::spec(&suite(&ground, &registry));
        let setting = ("max_wal_senders".to_owned(), "nonsense".to_owned());
        spec.settings.extend([setting]);
        platform.ensure(&spec).await.unwrap();
        let mut polls = 0;
        let reason = loop {
            match platform.observe(&spec.instance).await.unwrap() {
                Observed::Failed { reason } => break reason,
                Observed::Ready => panic!("it came up with a setting that is none"),
                _ => {}
            }
            polls += 1;
            assert!(polls < POLLS_MAX, "it never failed");
            tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
        };
        assert!(
            reason.contains("postgresql.conf\" contains errors"),
            "{reason}"
        );
        spec.settings.clear();
        platform.ensure(&spec).await.unwrap();
        let mut polls = 0;
        while platform.observe(&spec.instance).await.unwrap() != Observed::Ready {
            polls += 1;
            assert!(polls < POLLS_MAX, "it did not recover");
            tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
        }
        platform
            .remove(&spec.instance, DataFate::Purge)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_unreachable_not_broken() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("nobody.sock");
    let docker = Docker::at(&format!("unix://{}", socket.display())).unwrap();
    let installation = common::installation(12);
    let registry = Arc::new(Registry::all());
    let ground = Ground {
        docker,
        installation,
        root,
        range: "10.242.0.0/24".parse().unwrap(),
    };
    let platform = ground.platform(&registry);
    let spec = contract::spec(&suite(&ground, &registry));
    let error = platform.ensure(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    let error = platform.capabilities().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    // It has a record, so it has been; what it is now, nobody can tell.
    let directory = ground
        .data_root()
        .join("instances")
        .join(spec.instance.as_str());
    std::fs::create_dir_all(&directory).unwrap();
    let record = r#"{"engine":"postgresql","version":"17","engine_image":"x","pooler_image":null,"has_pooler":false,"network":"n"}"#;
    std::fs::write(directory.join("instance.json"), record).unwrap();
    let last = Status::Provisioning;
    let observed = platform.observe(&spec.instance).await.unwrap();
    assert_eq!(observed, Observed::Unknown { last });
}
