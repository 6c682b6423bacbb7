//! The suite for platforms: one database's whole life.

use berth_domain::{EngineName, InstanceId, Observed, Pooler, ProjectId, Secret, Statement};
use berth_engines::{Description, Owner, UserVerifier};
use berth_platform::{
    DataFate, Endpoint, Error, Hosts, InstanceSpec, Login, Network, Origin, Platform, Power,
    Resources, Tls, User, Writes,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often and how long something that takes a moment is asked for.
const POLL_MILLIS: u64 = 10;
const POLLS_MAX: u32 = 3000;

/// What the suite works with.
pub struct PlatformGround<'a> {
    /// The engine to run.
    pub engine: &'a dyn Description,
    /// Which version of it.
    pub version: String,
    /// The instance's id.
    pub instance: InstanceId,
    /// The name of the project's network.
    pub network: String,
    /// Certificates for the instance's hosts.
    pub tls: Tls,
    /// What is written, and then asked after each turn of its life: one row, `1`.
    pub write: Statement,
    /// See `write`.
    pub ask: Statement,
}

const PASSWORD: &str = "0123456789abcdef0123456789abcdef";
const NEXT_PASSWORD: &str = "fedcba9876543210fedcba9876543210";

fn owner() -> Owner {
    Owner {
        database_name: "my-app".to_owned(),
        username: "app_my-app".to_owned(),
    }
}

fn login(password: &str) -> Login {
    let owner = owner();
    Login {
        database_name: owner.database_name,
        username: owner.username,
        password: Secret::new(password),
    }
}

fn user(ground: &PlatformGround<'_>, password: &str, salt: u8) -> UserVerifier {
    UserVerifier {
        username: owner().username,
        verifier: ground.engine.verifier(&Secret::new(password), [salt; 16]),
    }
}

/// A small instance with a pooler, for the one login of the suite.
pub fn spec(ground: &PlatformGround<'_>) -> InstanceSpec {
    let user = user(ground, PASSWORD, 1);
    InstanceSpec {
        instance: ground.instance.clone(),
        network: Network {
            project: ProjectId::default_project(),
            name: ground.network.clone(),
        },
        hosts: Hosts {
            engine: format!("t{}-db", ground.instance.short()),
            pooler: format!("t{}-pooler", ground.instance.short()),
        },
        engine: EngineName::new(ground.engine.name()),
        version: ground.version.clone(),
        members: 1,
        resources: Resources {
            cpu_millis: 2000,
            memory_mb: 256,
            storage_gb: 1,
            max_connections: 30,
        },
        settings: BTreeMap::new(),
        users: vec![User {
            username: user.username,
            verifier: user.verifier,
        }],
        pooler: Some(Pooler::default()),
        exposure: None,
        tls: ground.tls.clone(),
        power: Power::Running,
        writes: Writes::Allowed,
        origin: Origin::MayBeNew,
    }
}

async fn wait_for(platform: &dyn Platform, instance: &InstanceId, wanted: &Observed) {
    let mut last = None;
    for _ in 0..POLLS_MAX {
        let observed = platform.observe(instance).await.expect("observe");
        if observed == *wanted {
            return;
        }
        last = Some(observed);
        tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
    }
    panic!("{wanted:?} was waited for; it is {last:?}");
}

/// The application's own login through the pooler, repeated while the pooler reloads.
async fn prove(platform: &dyn Platform, ground: &PlatformGround<'_>, password: &str) {
    let mut last = None;
    for _ in 0..POLLS_MAX {
        let login = login(password);
        match platform
            .login(&ground.instance, Endpoint::Pooler, &login)
            .await
        {
            Ok(session) => {
                let rows = session.ask(&ground.ask).await.expect("ask");
                assert_eq!(rows, [[Some("1".to_owned())]]);
                return;
            }
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
    }
    panic!("the login never worked: {last:?}");
}

async fn refused(platform: &dyn Platform, ground: &PlatformGround<'_>, password: &str) {
    for endpoint in [Endpoint::Engine, Endpoint::Pooler] {
        let tried = platform
            .login(&ground.instance, endpoint, &login(password))
            .await;
        match tried {
            Err(Error::LoginRefused { .. }) => {}
            Err(other) => panic!("{endpoint}: refused, but as {other:?}"),
            Ok(_) => panic!("{endpoint}: a wrong password was let in"),
        }
    }
}

/// Runs the suite; nothing of the instance is left when it ends well.
pub async fn platform(platform: &dyn Platform, ground: &PlatformGround<'_>) {
    let spec = spec(ground);
    let instance = &ground.instance;
    let absent = platform.observe(instance).await.expect("observe");
    assert_eq!(absent, Observed::Absent);
    let nobody = platform.session(instance, Endpoint::Engine).await;
    assert!(matches!(nobody, Err(Error::NoSuchInstance { .. })));
    platform
        .remove(instance, DataFate::Trash)
        .await
        .expect("removing nothing succeeds");

    provision(platform, ground, &spec).await;
    let spec = InstanceSpec {
        origin: Origin::MustExist,
        ..spec
    };
    stop_and_start(platform, ground, &spec).await;
    let spec = rotate(platform, ground, spec).await;
    without_pooler(platform, ground, &spec).await;
    trash_and_purge(platform, ground, &spec).await;
}

async fn provision(platform: &dyn Platform, ground: &PlatformGround<'_>, spec: &InstanceSpec) {
    platform.ensure(spec).await.expect("ensure");
    platform.ensure(spec).await.expect("ensure again");
    wait_for(platform, &spec.instance, &Observed::Ready).await;
    let session = platform.session(&spec.instance, Endpoint::Engine).await;
    let session = session.expect("the administrator comes in");
    let mut statements = ground.engine.bootstrap(&owner());
    statements.extend(ground.engine.set_verifier(&user(ground, PASSWORD, 1)));
    for _ in 0..2 {
        session
            .run(&statements)
            .await
            .expect("bootstrap, and again");
    }
    let session = platform
        .login(&spec.instance, Endpoint::Pooler, &login(PASSWORD))
        .await
        .expect("the application comes in through the pooler");
    session
        .run(std::slice::from_ref(&ground.write))
        .await
        .expect("write");
    prove(platform, ground, PASSWORD).await;
    refused(platform, ground, NEXT_PASSWORD).await;
    let instances = platform.instances().await.expect("list");
    assert!(instances.contains(&spec.instance));
    for question in [
        ground.engine.ask_version(),
        ground.engine.ask_size(),
        ground.engine.ask_connections(),
    ] {
        let session = platform.session(&spec.instance, Endpoint::Engine).await;
        let rows = session.expect("session").ask(&question).await;
        let rows = rows.expect("the engine tells about itself");
        assert!(rows.len() == 1 && rows[0].len() == 1, "{question:?}");
        assert!(rows[0][0].as_ref().is_some_and(|t| !t.is_empty()));
    }
}

async fn stop_and_start(platform: &dyn Platform, ground: &PlatformGround<'_>, spec: &InstanceSpec) {
    let stopped = InstanceSpec {
        power: Power::Stopped,
        ..spec.clone()
    };
    for _ in 0..2 {
        platform.ensure(&stopped).await.expect("stop, and again");
        wait_for(platform, &spec.instance, &Observed::Stopped).await;
    }
    platform.ensure(spec).await.expect("start");
    wait_for(platform, &spec.instance, &Observed::Ready).await;
    prove(platform, ground, PASSWORD).await;
}

async fn rotate(
    platform: &dyn Platform,
    ground: &PlatformGround<'_>,
    spec: InstanceSpec,
) -> InstanceSpec {
    let next = user(ground, NEXT_PASSWORD, 2);
    let session = platform.session(&spec.instance, Endpoint::Engine).await;
    session
        .expect("session")
        .run(&ground.engine.set_verifier(&next))
        .await
        .expect("set the verifier");
    let rotated = InstanceSpec {
        users: vec![User {
            username: next.username,
            verifier: next.verifier,
        }],
        ..spec
    };
    platform.ensure(&rotated).await.expect("ensure");
    prove(platform, ground, NEXT_PASSWORD).await;
    refused(platform, ground, PASSWORD).await;
    rotated
}

/// The pooler goes and comes while the engine stays.
async fn without_pooler(platform: &dyn Platform, ground: &PlatformGround<'_>, spec: &InstanceSpec) {
    let bare = InstanceSpec {
        pooler: None,
        ..spec.clone()
    };
    platform.ensure(&bare).await.expect("ensure");
    wait_for(platform, &spec.instance, &Observed::Ready).await;
    let gone = platform
        .login(&spec.instance, Endpoint::Pooler, &login(NEXT_PASSWORD))
        .await;
    assert!(matches!(gone, Err(Error::NotAnswering { .. })));
    platform.ensure(spec).await.expect("ensure");
    wait_for(platform, &spec.instance, &Observed::Ready).await;
    prove(platform, ground, NEXT_PASSWORD).await;
}

async fn trash_and_purge(
    platform: &dyn Platform,
    ground: &PlatformGround<'_>,
    spec: &InstanceSpec,
) {
    let instance = &spec.instance;
    for _ in 0..2 {
        platform
            .remove(instance, DataFate::Trash)
            .await
            .expect("remove, and again");
        let observed = platform.observe(instance).await.expect("observe");
        assert_eq!(observed, Observed::Absent);
    }
    let instances = platform.instances().await.expect("list");
    assert!(!instances.contains(instance));
    platform.ensure(spec).await.expect("ensure from the trash");
    wait_for(platform, instance, &Observed::Ready).await;
    prove(platform, ground, NEXT_PASSWORD).await;

    for _ in 0..2 {
        platform
            .remove(instance, DataFate::Purge)
            .await
            .expect("purge, and again");
    }
    let missing = platform.ensure(spec).await;
    assert!(
        matches!(
            missing,
            Err(Error::Refused {
                code: "data_missing",
                ..
            })
        ),
        "an empty database took the place of a lost one: {missing:?}"
    );
    platform
        .remove(instance, DataFate::Purge)
        .await
        .expect("purge what the refusal may have left");
}
