//! Docker passes what the fake passes, and a real PostgreSQL lives through its life.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and say why one was skipped"
)]

mod common;

use berth_containers::contract::{self, PlatformGround, RuntimeGround};
use berth_containers::{Containers, Labels, Limits, Role, Signal, Stop, Workload};
use berth_domain::{EngineName, InstanceId, Statement, TlsMode};
use berth_engines::Registry;
use berth_platform::Platform;
use common::{Ground, on_ground, tls};
use std::sync::Arc;

const POSTGRESQL: &str = "postgresql";

#[tokio::test]
async fn docker_is_a_container_runtime() {
    let Some(ground) = Ground::new(1, "10.231.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let directory = ground.root.path().join("mounted");
        std::fs::create_dir(&directory).unwrap();
        let suite = RuntimeGround {
            installation: ground.installation.to_string(),
            image: "berth/postgresql:17".to_owned(),
            directory,
            range: ground.range,
            port: common::free_port(),
        };
        contract::runtime(&ground.docker, &suite).await;
        assert_eq!(ground.networks().await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_process_that_has_only_just_started_is_asked_to_end_until_it_hears() {
    let Some(ground) = Ground::new(3, "10.236.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let deaf_for_a_second = "trap '' INT; exec 3<> <(:); read -rt 1 -u 3; \
                                 trap 'exit 7' INT; while :; do read -rt 0.1 -u 3; done";
        let workload = Workload {
            name: format!("t-deaf-{}", ground.installation),
            labels: Labels {
                installation: ground.installation.to_string(),
                instance: "deaf".to_owned(),
                role: Role::Engine,
                spec: String::new(),
            },
            image: "berth/postgresql:17".to_owned(),
            command: ["bash", "-c", deaf_for_a_second]
                .map(str::to_owned)
                .to_vec(),
            owner: 999,
            mounts: Vec::new(),
            network: None,
            published: None,
            limits: Limits {
                cpu_millis: 500,
                memory_mb: 64,
                processes_max: 32,
            },
            shared_memory_mb: 64,
            stop: Stop {
                signal: Signal::Interrupt,
                timeout_seconds: 30,
            },
            restarts: true,
        };
        let id = ground.docker.create(&workload).await.unwrap();
        ground.docker.start(&id).await.unwrap();
        ground.docker.stop(&id).await.unwrap();
        let ended = ground.docker.inspect(&id.0).await.unwrap().unwrap();
        assert_eq!(ended.exit_code, Some(7), "it was killed in the end");
    })
    .await;
}

#[tokio::test]
async fn a_platform_over_docker_is_a_platform() {
    let Some(ground) = Ground::new(2, "10.232.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let registry = Arc::new(Registry::all());
        let platform = ground.platform(&registry);
        let engine = registry.get(&EngineName::new(POSTGRESQL)).unwrap();
        platform
            .prepare_spares(&EngineName::new(POSTGRESQL), "17", 1)
            .await
            .unwrap();
        let suite = PlatformGround {
            engine,
            version: "17".to_owned(),
            instance: InstanceId::from_entropy(common::entropy()),
            network: format!("t-project-{}", ground.installation),
            tls: tls(TlsMode::Allow, &["localhost"]),
            write: Statement::new(
                "write",
                "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)",
            ),
            ask: Statement::new("ask", "SELECT n FROM kept"),
        };
        contract::platform(&platform, &suite).await;
        let left = ground.docker.find(ground.installation.as_str(), None).await;
        assert_eq!(left.unwrap(), []);
        assert_eq!(ground.networks().await, Vec::<String>::new());
        let run = ground.run_base().join(ground.installation.as_str());
        assert!(!run.exists(), "nothing is left in memory");
    })
    .await;
}
