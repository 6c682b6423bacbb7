//! Who reaches whom: projects do not meet, and a published port is for those it is meant for.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value as Json;

use super::{Login, stage};
use crate::harness::{Docker, Stack, TestBerth};

/// Reaches for a port from inside bash, which needs no other program: the host, then how many
/// seconds that may take.
const REACH: &str = "timeout $1 bash -c \": < /dev/tcp/$0/5432\" 2> /dev/null && echo reached";
/// How long it may take to reach what has to be reached.
const REACH_SECONDS_MAX: u64 = 10;
/// How long is tried what must not be reached. Nothing answers then, so that all of it passes.
const TRY_SECONDS: u64 = 1;

fn configuration(more: &str) -> String {
    ["left", "right"]
        .map(|name| {
            format!(
                r#"
resource "berth_project" "{name}" {{
  name                = "{name}"
  deletion_protection = false
}}

resource "berth_database" "{name}" {{
  name                 = "{name}-orders"
  project_id           = berth_project.{name}.id
  engine               = "postgresql"
  expose               = true
  deletion_protection  = false
  recovery_window_days = 0
  {more}
}}
"#
            )
        })
        .concat()
}

/// One project's side.
struct Side {
    network: String,
    host: String,
    pooler_host: String,
    engine: String,
    pooler: String,
    engine_address: String,
    pooler_addresses: Vec<String>,
}

impl Side {
    fn of(stack: &Stack, berth: &TestBerth, name: &str) -> Self {
        let docker = Docker::default();
        let project = stack.resource(&format!("berth_project.{name}"));
        let database = stack.resource(&format!("berth_database.{name}"));
        let text = |json: &Json, name: &str| json[name].as_str().unwrap().to_owned();
        let network = text(&project, "network_name");
        let template =
            "{{range $name, $at := .NetworkSettings.Networks}}{{$name}} {{$at.IPAddress}}\n{{end}}";
        let addresses = |id: &str| -> Vec<(String, String)> {
            let told = docker.inspect(id, template);
            let pairs = told.lines().filter_map(|line| line.split_once(' '));
            pairs.map(|(n, at)| (n.to_owned(), at.to_owned())).collect()
        };
        let of_network = |role: &str| {
            let all = berth.containers(Some(role)).into_iter();
            let mut here = all.filter(|id| addresses(id).iter().any(|(n, _)| *n == network));
            here.next().unwrap()
        };
        let (engine, pooler) = (of_network("engine"), of_network("pooler"));
        let engine_addresses = addresses(&engine);
        assert_eq!(engine_addresses.len(), 1, "an engine is in one network");
        Self {
            host: text(&database, "host"),
            pooler_host: text(&database, "pooler_host"),
            engine_address: engine_addresses[0].1.clone(),
            pooler_addresses: addresses(&pooler).into_iter().map(|(_, at)| at).collect(),
            network,
            engine,
            pooler,
        }
    }
}

/// Whether `target` is reached from a container that exists.
fn reaches(container: &str, target: &str, seconds_max: u64) -> bool {
    let seconds_max = seconds_max.to_string();
    let arguments = ["exec", container, "bash", "-c", REACH, target, &seconds_max];
    let output = Docker::default().try_run(&arguments).unwrap();
    String::from_utf8_lossy(&output.stdout).contains("reached")
}

/// Runs a script as an application in that network.
fn application(network: &str, script: &str) -> String {
    let run = ["run", "--rm", "--network", network, "berth/postgresql:17"];
    let script = ["bash", "-c", script];
    let arguments = [run.as_slice(), script.as_slice()].concat();
    let output = Docker::default().try_run(&arguments).unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn projects_do_not_meet_and_ports_are_for_some() {
    let Some((berth, stack)) = stage(&[]) else {
        return;
    };
    stack.write(&configuration(""));
    stack.apply().ok();
    let (left, right) = (
        Side::of(&stack, &berth, "left"),
        Side::of(&stack, &berth, "right"),
    );
    assert_ne!(left.network, right.network);

    // Each way of reaching is seen to work on one's own side before it has to fail.
    let resolve = |side: &Side, host: &str, seconds_max: u64| {
        // A name that nobody here knows is asked for elsewhere, where nobody answers.
        let script = format!("timeout {seconds_max} getent hosts {host} > /dev/null && echo known");
        application(&side.network, &script)
    };
    for host in [&left.host, &left.pooler_host] {
        assert_eq!(resolve(&left, host, REACH_SECONDS_MAX), "known", "{host}");
        assert_eq!(resolve(&right, host, TRY_SECONDS), "", "{host} is known");
        assert!(reaches(&left.engine, host, REACH_SECONDS_MAX), "{host}");
    }
    assert!(reaches(
        &left.engine,
        &left.pooler_addresses[0],
        REACH_SECONDS_MAX
    ));
    assert!(reaches(
        &left.pooler,
        &left.engine_address,
        REACH_SECONDS_MAX
    ));
    let mut foreign = vec![right.host.clone(), right.pooler_host.clone()];
    foreign.push(right.engine_address.clone());
    foreign.extend(right.pooler_addresses.clone());
    // All of them at the same time, since each passes its whole time in vain.
    std::thread::scope(|tries| {
        for target in &foreign {
            // The poolers of both share the network by which they are published.
            for container in [&left.engine, &left.pooler] {
                tries.spawn(move || {
                    assert!(!reaches(container, target, TRY_SECONDS), "reached {target}");
                });
            }
            let script = REACH
                .replace("$0", target)
                .replace("$1", &TRY_SECONDS.to_string());
            let network = &left.network;
            tries.spawn(move || {
                assert_eq!(application(network, &script), "", "reached {target}");
            });
        }
    });

    // Those addresses are right, and one of them is in a network that is not internal: from a
    // project's own network no way leads out.
    for target in &right.pooler_addresses {
        let address = format!("{target}:5432").parse().unwrap();
        TcpStream::connect_timeout(&address, Duration::from_secs(REACH_SECONDS_MAX)).unwrap();
    }
    let internal = ["network", "inspect", "-f", "{{.Internal}}"];
    for network in [&left.network, &right.network] {
        let arguments = [internal.as_slice(), &[network]].concat();
        assert_eq!(Docker::default().run(&arguments), "true", "{network}");
    }

    let id = stack.resource("berth_database.left")["id"].clone();
    let id = id.as_str().unwrap();
    let login = Login::of(&berth, id);
    assert_eq!(login.query("SELECT 41 + 1").unwrap(), ["42"]);
    let plain = Login {
        body: plain(&login.body),
    };
    let refused = plain.query("SELECT 1").unwrap_err();
    assert!(
        refused.as_db_error().is_some(),
        "it was answered: {refused}"
    );
    let other = Login::of(
        &berth,
        stack.resource("berth_database.right")["id"]
            .as_str()
            .unwrap(),
    );
    assert_ne!(other.text("password"), login.text("password"));

    stack.write(&configuration("allow_list = [\"10.99.0.0/16\"]"));
    stack.apply().ok();
    stack.assert_settled();
    login.query("SELECT 1").unwrap_err();
    stack.write(&configuration(
        "allow_list = [\"10.99.0.0/16\", \"127.0.0.0/8\"]",
    ));
    stack.apply().ok();
    assert_eq!(login.query("SELECT 41 + 1").unwrap(), ["42"]);

    stack.destroy().ok();
    let label = format!("label=berth.installation={}", berth.installation());
    let networks = Docker::default().run(&["network", "ls", "-q", "--filter", &label]);
    assert_eq!(networks, "", "no network is left");
    assert_eq!(berth.containers(Some("engine")), Vec::<String>::new());
}

/// The same login with a URI that asks for no encryption.
fn plain(body: &Json) -> Json {
    let mut body = body.clone();
    let uri = body["pooled_uri"].as_str().unwrap();
    assert!(
        uri.contains("sslmode=require"),
        "a published port's URI asks for TLS"
    );
    body["pooled_uri"] = uri.replace("sslmode=require", "sslmode=disable").into();
    body
}
