//! The suite for container runtimes.

use crate::runtime::{
    Attachment, ContainerId, ContainerRuntime, ContainerState, Exec, Found, HostMount, Labels,
    Limits, NetworkPlan, Published, Role, RuntimeError, RuntimeEvent, Stop, Workload,
};
use berth_engines::{Access, Signal};
use futures_util::StreamExt;
use ipnet::Ipv4Net;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// How long an event may take.
const EVENT_TIMEOUT_SECONDS: u64 = 20;

/// What the suite works with.
pub struct RuntimeGround {
    /// An installation of the test's own: everything it makes bears it.
    pub installation: String,
    /// An image with `bash`, by reference.
    pub image: String,
    /// An empty directory of the host that containers may mount.
    pub directory: PathBuf,
    /// Addresses that nothing else uses: room for two networks.
    pub range: Ipv4Net,
    /// A port of 127.0.0.1 that nothing else uses.
    pub port: u16,
}

impl RuntimeGround {
    fn workload(&self, name: &str, image: &str) -> Workload {
        Workload {
            name: format!("{}-{name}", self.installation),
            labels: Labels {
                installation: self.installation.clone(),
                instance: format!("instance-of-{name}"),
                role: Role::Engine,
                spec: "spec".to_owned(),
            },
            image: image.to_owned(),
            command: [
                "bash",
                "-c",
                "trap 'exit 0' INT; while :; do sleep 0.1; done",
            ]
            .map(str::to_owned)
            .to_vec(),
            owner: 999,
            mounts: vec![HostMount {
                source: self.directory.clone(),
                target: "/mnt".to_owned(),
                access: Access::Write,
            }],
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
                timeout_seconds: 10,
            },
            restarts: true,
        }
    }

    fn network(&self, name: &str, nth: u32) -> NetworkPlan {
        let subnet = self
            .range
            .subnets(27)
            .expect("a range of at least /27")
            .nth(nth as usize)
            .expect("room for the network");
        NetworkPlan {
            name: format!("{}-{name}", self.installation),
            installation: self.installation.clone(),
            subnet,
            gateway: subnet.hosts().next().expect("an address"),
            internal: true,
            members_meet: true,
        }
    }
}

/// Runs the suite, and takes away what it made however it ends well.
pub async fn runtime(runtime: &dyn ContainerRuntime, ground: &RuntimeGround) {
    let image = runtime
        .image(&ground.image)
        .await
        .expect("images can be looked for")
        .expect("the ground's image exists");
    let none = runtime.image("berth/no-such-image:0").await;
    assert_eq!(none.expect("images can be looked for"), None);
    names(runtime, ground).await;
    facts(runtime).await;
    life(runtime, ground, &image).await;
    inside(runtime, ground, &image).await;
    jobs(runtime, ground, &image).await;
    networks(runtime, ground, &image).await;
    ports(runtime, ground, &image).await;
    let left = runtime.find(&ground.installation, None).await;
    assert_eq!(
        left.expect("containers can be listed"),
        [],
        "nothing is left"
    );
}

/// An image gets a further name only where it is, and keeps its id.
async fn names(runtime: &dyn ContainerRuntime, ground: &RuntimeGround) {
    let before = runtime.image(&ground.image).await;
    let again = runtime.tag(&ground.image, &ground.image).await;
    again.expect("its own name changes nothing");
    let after = runtime.image(&ground.image).await;
    let id = |found: Result<Option<String>, _>| found.expect("images can be looked for");
    assert_eq!(id(after), id(before));
    let nothing = runtime.tag("berth/no-such-image:0", &ground.image).await;
    assert!(
        matches!(nothing, Err(RuntimeError::NotFound { .. })),
        "{nothing:?}"
    );
}

async fn facts(runtime: &dyn ContainerRuntime) {
    let facts = runtime.facts().await.expect("it tells what it is");
    assert!(facts.cores > 0 && facts.memory_mb > 0, "{facts:?}");
}

async fn only(runtime: &dyn ContainerRuntime, workload: &Workload) -> Found {
    let labels = &workload.labels;
    let mut found = runtime
        .find(&labels.installation, Some(&labels.instance))
        .await
        .expect("containers can be listed");
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Create, start, stop, remove: each may be repeated, and a taken name is told.
async fn life(runtime: &dyn ContainerRuntime, ground: &RuntimeGround, image: &str) {
    let workload = ground.workload("life", image);
    let limit = Duration::from_secs(EVENT_TIMEOUT_SECONDS);
    let mut events = runtime.events(&ground.installation);
    let begun = tokio::time::timeout(limit, events.next()).await;
    assert_eq!(begun.expect("it listens in time"), Some(RuntimeEvent::Gap));
    let id = runtime.create(&workload).await.expect("create");
    let found = only(runtime, &workload).await;
    assert_eq!(found.state, ContainerState::Created);
    assert_eq!(found.labels, workload.labels);
    assert_eq!(found.name, workload.name);
    assert_eq!(found.networks, []);
    assert_eq!(found.image.as_deref(), Some(image));

    let again = runtime.create(&workload).await;
    assert!(
        matches!(again, Err(RuntimeError::NameTaken { .. })),
        "{again:?}"
    );
    let by_name = runtime.inspect(&workload.name).await.expect("inspect");
    let labels = by_name.and_then(|details| details.labels);
    assert_eq!(labels.as_ref(), Some(&workload.labels));

    for _ in 0..2 {
        runtime.start(&id).await.expect("start, and start again");
        assert_eq!(
            only(runtime, &workload).await.state,
            ContainerState::Running
        );
    }
    let wanted = RuntimeEvent::Instance(workload.labels.instance.clone());
    let mut fitting = events.filter(|event| std::future::ready(*event == wanted));
    let heard = tokio::time::timeout(limit, fitting.next()).await;
    assert_eq!(heard.expect("an event in time").as_ref(), Some(&wanted));

    let removed = runtime.remove(&id).await;
    assert!(
        matches!(removed, Err(RuntimeError::Failed { .. })),
        "it runs: {removed:?}"
    );
    for _ in 0..2 {
        runtime.stop(&id).await.expect("stop, and stop again");
        let found = only(runtime, &workload).await;
        assert_eq!(found.state, ContainerState::Exited);
    }
    let details = runtime
        .inspect(&id.0)
        .await
        .expect("inspect")
        .expect("it exists");
    assert_eq!(details.exit_code, Some(0), "it was asked, not killed");
    let signalled = runtime.signal(&id, Signal::Hangup).await;
    assert!(signalled.is_err(), "nothing is there to be signalled");

    let other = format!("{}-renamed", workload.name);
    runtime.rename(&id, &other).await.expect("rename");
    assert_eq!(only(runtime, &workload).await.name, other);
    runtime.start(&id).await.expect("start after a stop");
    runtime.stop(&id).await.expect("stop");
    runtime.remove(&id).await.expect("remove");
    let absent = runtime.remove(&id).await;
    assert!(
        matches!(absent, Err(RuntimeError::NotFound { .. })),
        "{absent:?}"
    );
    let absent = runtime.stop(&id).await;
    assert!(
        matches!(absent, Err(RuntimeError::NotFound { .. })),
        "{absent:?}"
    );
    assert_eq!(runtime.inspect(&id.0).await.expect("inspect"), None);
}

/// Programs, limits, signals; a mount whose source is gone is an error, not a new directory.
async fn inside(runtime: &dyn ContainerRuntime, ground: &RuntimeGround, image: &str) {
    let workload = ground.workload("inside", image);
    let id = runtime.create(&workload).await.expect("create");
    runtime.start(&id).await.expect("start");
    let exec = Exec {
        command: vec!["cat".to_owned()],
        stdin: b"a secret that is in no argument".to_vec(),
    };
    let outcome = runtime.exec(&id, &exec).await.expect("exec");
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(outcome.output.as_bytes(), exec.stdin);
    let limits = Limits {
        cpu_millis: 750,
        memory_mb: 96,
        processes_max: 40,
    };
    runtime
        .limit(&id, &limits)
        .await
        .expect("limit a running container");
    runtime
        .signal(&id, Signal::Interrupt)
        .await
        .expect("signal");
    clear(runtime, &id).await;

    let mut lost = ground.workload("lost", image);
    lost.mounts[0].source = ground.directory.join("no-such-directory");
    match runtime.create(&lost).await {
        Err(_) => {}
        Ok(id) => {
            assert!(
                runtime.start(&id).await.is_err(),
                "a mount came from nowhere"
            );
            clear(runtime, &id).await;
        }
    }
    assert!(!lost.mounts[0].source.exists());
}

async fn clear(runtime: &dyn ContainerRuntime, id: &ContainerId) {
    runtime.stop(id).await.expect("stop");
    runtime.remove(id).await.expect("remove");
}

/// A job's exit code is the truth.
async fn jobs(runtime: &dyn ContainerRuntime, ground: &RuntimeGround, image: &str) {
    let mut workload = ground.workload("job", image);
    workload.labels.role = Role::Initialise;
    workload.restarts = false;
    workload.command = ["bash", "-c", "exit 3"].map(str::to_owned).to_vec();
    let id = runtime.create(&workload).await.expect("create");
    runtime.start(&id).await.expect("start");
    assert_eq!(runtime.wait(&id).await.expect("wait"), 3);
    runtime.remove(&id).await.expect("remove");
}

/// Networks keep clear of each other, and stay while somebody is in them.
async fn networks(runtime: &dyn ContainerRuntime, ground: &RuntimeGround, image: &str) {
    let plan = ground.network("net", 0);
    let id = runtime
        .create_network(&plan)
        .await
        .expect("create a network");
    let overlapping = NetworkPlan {
        name: format!("{}-overlapping", plan.name),
        ..plan.clone()
    };
    let refused = runtime.create_network(&overlapping).await;
    assert!(
        matches!(refused, Err(RuntimeError::SubnetTaken { .. })),
        "{refused:?}"
    );
    let listed = runtime.networks().await.expect("list");
    let listed = listed.iter().find(|n| n.id == id).expect("it is listed");
    assert_eq!(listed.name, plan.name);
    assert_eq!(listed.installation.as_ref(), Some(&ground.installation));
    assert_eq!(listed.subnets, [plan.subnet]);

    let second = ground.network("second", 1);
    let second = runtime
        .create_network(&second)
        .await
        .expect("create another");
    let mut workload = ground.workload("member", image);
    workload.network = Some(Attachment {
        network: id.clone(),
        aliases: vec!["alias".to_owned()],
    });
    assert!(!runtime.is_network_used(&id).await.expect("ask"));
    let container = runtime.create(&workload).await.expect("create");
    assert_eq!(
        only(runtime, &workload).await.networks,
        std::slice::from_ref(&id)
    );
    let attachment = Attachment {
        network: second.clone(),
        aliases: Vec::new(),
    };
    for _ in 0..2 {
        runtime
            .attach(&container, &attachment)
            .await
            .expect("attach, and attach again");
    }
    runtime.start(&container).await.expect("start");
    let mut both = vec![id.clone(), second.clone()];
    both.sort();
    let mut found = only(runtime, &workload).await.networks;
    found.sort();
    assert_eq!(found, both, "while it runs");
    let refused = runtime.remove_network(&id).await;
    assert!(
        matches!(refused, Err(RuntimeError::NetworkInUse)),
        "{refused:?}"
    );
    runtime.stop(&container).await.expect("stop");
    assert!(
        runtime.is_network_used(&id).await.expect("ask"),
        "a stopped member counts"
    );
    let mut found = only(runtime, &workload).await.networks;
    found.sort();
    assert_eq!(found, both, "after it was stopped");
    runtime.remove(&container).await.expect("remove");
    for network in [&id, &second] {
        assert!(!runtime.is_network_used(network).await.expect("ask"));
        runtime
            .remove_network(network)
            .await
            .expect("remove a network");
        let absent = runtime.remove_network(network).await;
        assert!(
            matches!(absent, Err(RuntimeError::NotFound { .. })),
            "{absent:?}"
        );
    }
}

/// A port that is in use is told as such.
async fn ports(runtime: &dyn ContainerRuntime, ground: &RuntimeGround, image: &str) {
    let plan = NetworkPlan {
        internal: false,
        members_meet: false,
        ..ground.network("public", 0)
    };
    let network = runtime
        .create_network(&plan)
        .await
        .expect("create a network");
    let publishing = |name: &str| {
        let mut workload = ground.workload(name, image);
        workload.network = Some(Attachment {
            network: network.clone(),
            aliases: Vec::new(),
        });
        workload.published = Some(Published {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: ground.port,
            container_port: 5432,
        });
        workload
    };
    let first = runtime.create(&publishing("first")).await.expect("create");
    let second = runtime.create(&publishing("second")).await.expect("create");
    runtime.start(&first).await.expect("start");
    let refused = runtime.start(&second).await;
    let Err(RuntimeError::PortTaken { port }) = refused else {
        panic!("two containers have one port: {refused:?}");
    };
    assert_eq!(port, ground.port);
    clear(runtime, &first).await;
    clear(runtime, &second).await;
    runtime.remove_network(&network).await.expect("remove");
}
