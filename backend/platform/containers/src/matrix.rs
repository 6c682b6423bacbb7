//! Every crash point, in a whole life: whatever was under way when berthd died, the next one
//! takes it up and one of each is left, and at the end nothing.

use crate::contract::{self, PlatformGround};
use crate::crash::{ALL_CRASH_POINTS, armed};
use crate::{ContainerPlatform, FakeRuntime, Layout, Settings};
use berth_domain::{EngineName, InstallationId, InstanceId, Observed, Secret, Statement, TlsMode};
use berth_engines::Registry;
use berth_platform::{DataFate, Exposure, InstanceSpec, Origin, Platform, Power, Tls, Writes};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often a turn is taken up again; one crash needs one.
const REPEATS_MAX: u32 = 3;
pub(crate) const POSTGRESQL: &str = "postgresql";

/// One turn of an instance's life.
#[derive(Debug, Clone)]
enum Turn {
    Spares,
    Ensure(Box<InstanceSpec>),
    Remove(DataFate),
}

/// A host that outlives the berthds on it.
pub(crate) struct Host {
    root: tempfile::TempDir,
    pub(crate) fake: FakeRuntime,
    registry: Arc<Registry>,
    made: Arc<AtomicU64>,
}

/// A directory in memory where there is one: a life syncs often, and what a power cut would
/// do is not asked here.
fn quick_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

impl Host {
    pub(crate) fn new() -> Self {
        let registry = Arc::new(Registry::all());
        Self {
            root: quick_directory(),
            fake: FakeRuntime::new(Arc::clone(&registry)),
            registry,
            made: Arc::new(AtomicU64::new(1)),
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// A berthd that has just started.
    pub(crate) fn berthd(&self) -> Arc<ContainerPlatform> {
        let installation = InstallationId::parse("0123abcd").unwrap();
        let made = Arc::clone(&self.made);
        Arc::new(ContainerPlatform::new(
            Arc::new(self.fake.clone()),
            Arc::new(self.fake.clone()),
            Arc::clone(&self.registry),
            Settings {
                layout: Layout::new(self.data(), self.root.path().join("run"), &installation),
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
        ))
    }
}

/// The instance whose life it is. Its verifier is slow to make, so it is made once.
pub(crate) fn spec() -> InstanceSpec {
    let registry = Registry::all();
    contract::spec(&PlatformGround {
        engine: registry.get(&EngineName::new(POSTGRESQL)).unwrap(),
        version: "17".to_owned(),
        instance: InstanceId::from_entropy([0xcd; 16]),
        network: "berth-default-0123abcd".to_owned(),
        tls: Tls {
            mode: TlsMode::Allow,
            certificate_chain: "chain".to_owned(),
            key: Secret::new("key"),
            authority: "authority".to_owned(),
        },
        write: Statement::new("write", ""),
        ask: Statement::new("ask", ""),
    })
}

/// A life that passes every crash point.
fn life(first: &InstanceSpec) -> Vec<Turn> {
    let spec = InstanceSpec {
        origin: Origin::MustExist,
        ..first.clone()
    };
    let ensure = |change: &dyn Fn(&mut InstanceSpec)| {
        let mut changed = spec.clone();
        change(&mut changed);
        Turn::Ensure(Box::new(changed))
    };
    vec![
        Turn::Ensure(Box::new(first.clone())),
        Turn::Spares,
        ensure(&|spec| {
            spec.exposure = Some(Exposure {
                bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
                port: 15_000,
                allow_list: Vec::new(),
            });
        }),
        ensure(&|spec| spec.writes = Writes::Refused),
        ensure(&|spec| spec.resources.memory_mb = 512),
        ensure(&|spec| spec.power = Power::Stopped),
        ensure(&|_| ()),
        Turn::Remove(DataFate::Trash),
        ensure(&|_| ()),
        Turn::Remove(DataFate::Trash),
        Turn::Remove(DataFate::Purge),
    ]
}

/// Takes a turn with the berthd at hand; when it dies or fails, the next one takes it up.
async fn take(
    host: &Host,
    berthd: &mut Arc<ContainerPlatform>,
    instance: &InstanceId,
    turn: &Turn,
    what: &str,
) {
    for _ in 0..REPEATS_MAX {
        let (platform, turn, instance) = (Arc::clone(berthd), turn.clone(), instance.clone());
        let done = tokio::spawn(async move {
            match turn {
                Turn::Spares => {
                    let engine = EngineName::new(POSTGRESQL);
                    platform.prepare_spares(&engine, "17", 1).await
                }
                Turn::Ensure(spec) => platform.ensure(&spec).await,
                Turn::Remove(fate) => platform.remove(&instance, fate).await,
            }
        })
        .await;
        match done {
            Ok(Ok(())) => return,
            // Off the main threads a crash arrives as an error; it is one all the same.
            Ok(Err(error)) => assert!(!armed::disarm(), "{what}: {error:?}"),
            Err(crash) => assert!(crash.is_panic(), "{what}"),
        }
        *berthd = host.berthd();
    }
    panic!("{what}: {turn:?} never came to its end");
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// What is there after a turn: one of each, or nothing.
async fn look(
    host: &Host,
    berthd: &ContainerPlatform,
    spec: &InstanceSpec,
    turn: &Turn,
    what: &str,
) {
    let mut containers = host.fake.container_names();
    containers.sort();
    let mut networks = host.fake.network_names();
    networks.sort();
    let observed = berthd.observe(&spec.instance).await.unwrap();
    let id = spec.instance.to_string();
    let (instances, trash) = (
        names(&host.data().join("instances")),
        names(&host.data().join("trash")),
    );
    match turn {
        Turn::Spares => {}
        Turn::Ensure(wanted) => {
            assert_eq!(
                containers,
                [&*spec.hosts.engine, &*spec.hosts.pooler],
                "{what}"
            );
            let mut all = vec![spec.network.name.clone()];
            // The published network goes when an instance goes, not when a port does.
            networks.retain(|name| wanted.exposure.is_some() || !name.contains("public"));
            if wanted.exposure.is_some() {
                all.push("berth-public-0123abcd".to_owned());
            }
            assert_eq!(networks, all, "{what}");
            let stopped = wanted.power == Power::Stopped;
            let ready = if stopped {
                Observed::Stopped
            } else {
                Observed::Ready
            };
            assert_eq!(observed, ready, "{what}");
            assert_eq!((instances, trash), (vec![id], Vec::new()), "{what}");
        }
        Turn::Remove(fate) => {
            assert_eq!(containers, Vec::<String>::new(), "{what}");
            assert_eq!(networks, Vec::<String>::new(), "{what}");
            assert_eq!(observed, Observed::Absent, "{what}");
            let kept = match fate {
                DataFate::Trash => vec![id],
                DataFate::Purge => Vec::new(),
            };
            assert_eq!((instances, trash), (Vec::new(), kept), "{what}");
            assert_eq!(
                names(&host.root.path().join("run")),
                Vec::<String>::new(),
                "{what}"
            );
        }
    }
}

#[tokio::test]
async fn a_life_goes_on_after_a_crash_at_any_point() {
    let _turn = armed::TURN.lock().await;
    let spec = spec();
    let life = life(&spec);
    for point in ALL_CRASH_POINTS {
        let host = Host::new();
        let mut berthd = host.berthd();
        armed::arm(point);
        for (nth, turn) in life.iter().enumerate() {
            let what = format!("{point}, turn {nth}");
            take(&host, &mut berthd, &spec.instance, turn, &what).await;
            look(&host, &berthd, &spec, turn, &what).await;
        }
        assert!(!armed::disarm(), "no turn of a life passes {point}");
        assert_eq!(names(&host.data().join("rubbish")), Vec::<String>::new());
        // At most the spare that waits; nothing half made.
        let spares = host.data().join("spares");
        assert_eq!(names(&spares), ["postgresql-17"], "{point}");
        assert!(names(&spares.join("postgresql-17")).len() <= 2, "{point}");
    }
}
