//! Who reaches what: encrypted or not, from which network, by name or by address.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and say why one was skipped"
)]

mod common;

use berth_containers::contract::{self, PlatformGround};
use berth_containers::{
    Access, Attachment, ContainerPlatform, Containers, Exec, HostMount, Images, Labels, Limits,
    NetworkId, Networks, Role, Stop, Workload,
};
use berth_domain::{EngineName, InstanceId, Observed, Secret, Statement, TlsMode};
use berth_engines::{Owner, Registry, Signal, UserVerifier};
use berth_platform::{
    DataFate, Dialled, Endpoint, Exposure, InstanceSpec, Login, Platform, Tls, open,
};
use common::{Ground, on_ground, tls};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const PASSWORD: &str = "0123456789abcdef0123456789abcdef";
const POLL_MILLIS: u64 = 10;
const POLLS_MAX: u32 = 3000;

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

/// An instance of a project of its own, provisioned.
struct Member {
    spec: InstanceSpec,
    network: NetworkId,
}

async fn provision(
    ground: &Ground,
    platform: &ContainerPlatform,
    project: &str,
    tls: Tls,
    exposure: Option<Exposure>,
) -> Member {
    let registry = Registry::all();
    let engine = registry.get(&EngineName::new("postgresql")).unwrap();
    let suite = PlatformGround {
        engine,
        version: "17".to_owned(),
        instance: InstanceId::from_entropy(common::entropy()),
        network: format!("t-{project}-{}", ground.installation),
        tls,
        write: Statement::new("write", ""),
        ask: Statement::new("ask", ""),
    };
    let mut spec = contract::spec(&suite);
    spec.exposure = exposure;
    spec.hosts.engine = format!("t-db-{project}");
    spec.hosts.pooler = format!("t-pgbouncer-{project}");
    platform.ensure(&spec).await.unwrap();
    let mut polls = 0;
    while platform.observe(&spec.instance).await.unwrap() != Observed::Ready {
        polls += 1;
        assert!(polls < POLLS_MAX, "it was never ready");
        tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
    }
    let mut statements = engine.bootstrap(&owner());
    statements.extend(engine.set_verifier(&UserVerifier {
        username: owner().username,
        verifier: spec.users[0].verifier.clone(),
    }));
    let session = platform.session(&spec.instance, Endpoint::Engine).await;
    session.unwrap().run(&statements).await.unwrap();
    let networks = ground.docker.networks().await.unwrap();
    let network = networks.into_iter().find(|n| n.name == suite.network);
    Member {
        spec,
        network: network.unwrap().id,
    }
}

/// Runs a script in a container of the network, as an application would be; its exit code
/// and what it wrote.
async fn application(ground: &Ground, network: &NetworkId, script: &str) -> (i64, String) {
    let number = hex(&common::entropy());
    let image = ground.docker.image("berth/postgresql:17").await.unwrap();
    let workload = Workload {
        name: format!("t-application-{number}"),
        labels: Labels {
            installation: ground.installation.to_string(),
            instance: format!("application-{number}"),
            role: Role::Initialise,
            spec: String::new(),
        },
        image: image.unwrap(),
        command: ["bash", "-c", script].map(str::to_owned).to_vec(),
        owner: 999,
        mounts: vec![HostMount {
            source: ground.root.path().join("application"),
            target: "/mnt".to_owned(),
            access: Access::Read,
        }],
        network: Some(Attachment {
            network: network.clone(),
            aliases: Vec::new(),
        }),
        published: None,
        limits: Limits {
            cpu_millis: 1000,
            memory_mb: 128,
            processes_max: 32,
        },
        shared_memory_mb: 64,
        stop: Stop {
            signal: Signal::Terminate,
            timeout_seconds: 1,
        },
        restarts: false,
    };
    let id = ground.docker.create(&workload).await.unwrap();
    ground.docker.start(&id).await.unwrap();
    let code = ground.docker.wait(&id).await.unwrap();
    let log = ground.docker.logs(&id, 20).await.unwrap().join("\n");
    ground.docker.remove(&id).await.unwrap();
    (code, log)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// What an application has: the authority's certificate, a wrong one, its password.
fn application_files(ground: &Ground, right: &Tls) {
    let directory = ground.root.path().join("application");
    std::fs::create_dir(&directory).unwrap();
    let wrong = tls(TlsMode::Allow, &["localhost"]);
    std::fs::write(directory.join("ca.crt"), &right.authority).unwrap();
    std::fs::write(directory.join("wrong.crt"), &wrong.authority).unwrap();
    // libpq wants a password file that nobody else can read.
    let pass = directory.join("pass");
    std::fs::write(&pass, format!("*:*:*:*:{PASSWORD}\n")).unwrap();
    std::os::unix::fs::chown(&pass, Some(999), Some(999)).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(&pass, mode(0o600)).unwrap();
    // berthd's own directories are closed; this one an application mounts.
    std::fs::set_permissions(&directory, mode(0o755)).unwrap();
    std::fs::set_permissions(ground.root.path(), mode(0o755)).unwrap();
}

/// What came of one attempt to log in.
struct Attempt {
    worked: bool,
    told: String,
}

/// One application that tries each of these connections, in order.
async fn attempts(ground: &Ground, network: &NetworkId, options: &[String]) -> Vec<Attempt> {
    let mut script = String::new();
    for options in options {
        script += &format!(
            "told=$(psql -tAc 'SELECT 41 + 1' 'dbname=my-app user=app_my-app passfile=/mnt/pass connect_timeout=3 {options}' 2>&1); echo \"$?|\"$told\n"
        );
    }
    let (_, log) = application(ground, network, &script).await;
    let mut attempts: Vec<Attempt> = Vec::new();
    for line in log.lines() {
        match line.split_once('|') {
            Some((code, told)) if code.parse::<u8>().is_ok() => attempts.push(Attempt {
                worked: code == "0" && told == "42",
                told: told.to_owned(),
            }),
            _ => attempts.last_mut().unwrap().told += line,
        }
    }
    assert_eq!(attempts.len(), options.len(), "{log}");
    attempts
}

#[tokio::test]
async fn an_application_verifies_the_server_and_reaches_its_own_project_only() {
    let Some(ground) = Ground::new(7, "10.237.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let platform = ground.platform(&Arc::new(Registry::all()));
        let hosts = ["t-db-a", "t-pgbouncer-a", "t-db-b", "t-pgbouncer-b"];
        let offered = tls(TlsMode::Allow, &hosts);
        let required = Tls {
            mode: TlsMode::Require,
            ..offered.clone()
        };
        application_files(&ground, &offered);
        let a = provision(&ground, &platform, "a", offered, None).await;
        let b = provision(&ground, &platform, "b", required, None).await;

        // By name, and by the address that the name has where it is known.
        let lookup = "getent ahostsv4 t-db-b | cut -d' ' -f1 | head -1";
        let (code, address) = application(&ground, &b.network, lookup).await;
        assert_eq!(code, 0);
        assert!(address.parse::<Ipv4Addr>().is_ok(), "{address}");

        let verified = "sslmode=verify-full sslrootcert=/mnt/ca.crt";
        let misled = "sslmode=verify-full sslrootcert=/mnt/wrong.crt";
        let in_a = [
            ("t-db-a", "sslmode=disable", true),
            ("t-pgbouncer-a", "sslmode=disable", true),
            ("t-db-a", verified, true),
            ("t-pgbouncer-a", verified, true),
            ("t-db-a", misled, false),
            ("t-pgbouncer-a", misled, false),
            ("t-db-b", "sslmode=require", false),
            (address.as_str(), "sslmode=require", false),
        ];
        let in_b = [
            ("t-db-b", "sslmode=disable", false),
            ("t-pgbouncer-b", "sslmode=disable", false),
            ("t-db-b", "sslmode=require", true),
            ("t-pgbouncer-b", verified, true),
            // The control of what project a cannot reach.
            (address.as_str(), "sslmode=require", true),
        ];
        for (member, cases) in [(&a, &in_a[..]), (&b, &in_b[..])] {
            let options: Vec<_> = cases
                .iter()
                .map(|(host, options, _)| format!("host={host} {options}"))
                .collect();
            let attempts = attempts(&ground, &member.network, &options).await;
            for ((host, options, works), attempt) in cases.iter().zip(attempts) {
                assert_eq!(attempt.worked, *works, "{host} {options}: {}", attempt.told);
                assert!(
                    *options != misled || attempt.told.contains("SSL error"),
                    "{}",
                    attempt.told
                );
            }
        }
        for member in [&a, &b] {
            platform
                .remove(&member.spec.instance, DataFate::Purge)
                .await
                .unwrap();
        }
        assert_eq!(ground.networks().await, Vec::<String>::new());
    })
    .await;
}

fn exposed(port: u16) -> Exposure {
    Exposure {
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port,
        allow_list: Vec::new(),
    }
}

/// A connection to the published port that asks for TLS and trusts `authority`.
async fn encrypted(
    port: u16,
    authority: &str,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(&SSL_REQUEST).await?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, *b"S", "TLS is offered");
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[tokio::test]
async fn a_published_port_is_encrypted_and_keeps_projects_apart() {
    let Some(ground) = Ground::new(8, "10.238.0.0/24").await else {
        return;
    };
    on_ground(Arc::new(ground), async |ground| {
        let platform = ground.platform(&Arc::new(Registry::all()));
        let tls_a = tls(TlsMode::Allow, &["localhost"]);
        let (port_a, port_b) = (common::free_port(), common::free_port());
        let authority = tls_a.authority.clone();
        let a = provision(
            &ground,
            &platform,
            "a",
            tls_a.clone(),
            Some(exposed(port_a)),
        )
        .await;
        let b = provision(&ground, &platform, "b", tls_a, Some(exposed(port_b))).await;

        let plain = TcpStream::connect((Ipv4Addr::LOCALHOST, port_a))
            .await
            .unwrap();
        let refused = open("postgresql", plain, &login()).await;
        assert!(refused.is_err(), "a plain connection came in from outside");
        let stream = encrypted(port_a, &authority).await.unwrap();
        let session = open("postgresql", stream, &login()).await;
        let rows = session
            .ok()
            .unwrap()
            .ask(&Statement::new("ask", "SELECT 1"))
            .await;
        assert_eq!(rows.unwrap(), [[Some("1".to_owned())]]);
        let wrong = Login {
            password: Secret::new("wrong"),
            ..login()
        };
        let stream = encrypted(port_a, &authority).await.unwrap();
        let refused = open("postgresql", stream, &wrong).await;
        assert!(matches!(refused, Err(Dialled::Refused(_))));
        let stranger = tls(TlsMode::Allow, &["localhost"]).authority;
        assert!(
            encrypted(port_a, &stranger).await.is_err(),
            "a wrong authority was trusted"
        );

        poolers_do_not_meet(&ground, &a, &b).await;
        withdraw(&ground, &platform, &a).await;
        for member in [&a, &b] {
            platform
                .remove(&member.spec.instance, DataFate::Purge)
                .await
                .unwrap();
        }
        assert_eq!(ground.networks().await, Vec::<String>::new());
    })
    .await;
}

/// Both poolers are in the public network; neither can open a connection to the other.
async fn poolers_do_not_meet(ground: &Ground, a: &Member, b: &Member) {
    let pooler = async |member: &Member| {
        let instance = member.spec.instance.as_str();
        let installation = ground.installation.as_str();
        let found = ground
            .docker
            .find(installation, Some(instance))
            .await
            .unwrap();
        found
            .into_iter()
            .find(|f| f.labels.role == Role::Pooler)
            .unwrap()
    };
    let run = async |member: &Member, script: &str| {
        let exec = Exec {
            command: ["bash", "-c", script].map(str::to_owned).to_vec(),
            stdin: Vec::new(),
        };
        let id = pooler(member).await.id;
        ground.docker.exec(&id, &exec).await.unwrap()
    };
    // Docker writes a line for each network the container is in.
    let hosts = run(
        b,
        "while read -r line; do echo \"$line\"; done < /etc/hosts",
    )
    .await;
    let name = pooler(b).await.id.0[..12].to_owned();
    let addresses: Vec<_> = hosts
        .output
        .lines()
        .filter(|line| line.contains(&name))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(addresses.len(), 2, "{}", hosts.output);
    for address in addresses {
        let knock = format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/5432'");
        let own = run(b, &knock).await;
        assert_eq!(own.exit_code, 0, "the address is right: {}", own.output);
        let foreign = run(a, &knock).await;
        assert_ne!(
            foreign.exit_code, 0,
            "pooler a reached pooler b at {address}"
        );
    }
}

/// Exposure ends without touching the engine; the port is free again.
async fn withdraw(ground: &Ground, platform: &ContainerPlatform, member: &Member) {
    let inside = InstanceSpec {
        exposure: None,
        ..member.spec.clone()
    };
    let engine = async || {
        let instance = Some(member.spec.instance.as_str());
        let found = ground
            .docker
            .find(ground.installation.as_str(), instance)
            .await
            .unwrap();
        found
            .into_iter()
            .find(|f| f.labels.role == Role::Engine)
            .unwrap()
            .id
    };
    let before = engine().await;
    platform.ensure(&inside).await.unwrap();
    assert_eq!(engine().await, before, "the engine was replaced");
    let port = member.spec.exposure.as_ref().map(|exposure| exposure.port);
    let gone = TcpStream::connect((Ipv4Addr::LOCALHOST, port.unwrap())).await;
    assert!(gone.is_err(), "the port is still listened on");
}
