//! The fake passes what Docker passes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and say why one was skipped"
)]

use berth_containers::contract::{self, PlatformGround, RuntimeGround};
use berth_containers::{ContainerPlatform, FakeRuntime, Layout, Settings};
use berth_domain::{EngineName, InstallationId, InstanceId, Secret, Statement, TlsMode};
use berth_engines::Registry;
use berth_platform::{Platform, Tls};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn registry() -> Arc<Registry> {
    Arc::new(Registry::all())
}

fn platform_over(fake: &FakeRuntime, root: &std::path::Path) -> ContainerPlatform {
    let installation = InstallationId::parse("0123abcd").unwrap();
    let made = AtomicU64::new(1);
    ContainerPlatform::new(
        Arc::new(fake.clone()),
        Arc::new(fake.clone()),
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
    let root = tempfile::tempdir().unwrap();
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
    let root = tempfile::tempdir().unwrap();
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
