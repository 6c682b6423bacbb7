//! Whole stories on a real Docker engine: where secrets are, who reaches whom, what a database
//! lives through.

mod bad_days;
mod engine;
mod env;
mod images;
mod isolation;
mod lifecycle;
mod secrets;
mod sleep;
mod storage;
mod strangers;

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::harness::{Docker, Runtime, Stack, TestBerth, sql};

/// Where tests of this folder have their networks and ports, so that two that run at the same
/// time do not ask for the same.
#[derive(Debug, Clone, Copy)]
struct Ground {
    prefix: &'static str,
    network_range: &'static str,
    publish_ports: &'static str,
}

const SECRETS: Ground = Ground {
    prefix: "tsecret",
    network_range: "10.214.0.0/16",
    publish_ports: "16000-16019",
};
const ISOLATION: Ground = Ground {
    prefix: "treach",
    network_range: "10.215.0.0/16",
    publish_ports: "16020-16039",
};
const LIFECYCLE: Ground = Ground {
    prefix: "tlife",
    network_range: "10.216.0.0/16",
    publish_ports: "16040-16059",
};
const BAD_DAYS: Ground = Ground {
    prefix: "tbad",
    network_range: "10.217.0.0/16",
    publish_ports: "16060-16079",
};
const STRANGERS: Ground = Ground {
    prefix: "tstrange",
    network_range: "10.219.0.0/16",
    publish_ports: "16100-16119",
};
const STORAGE: Ground = Ground {
    prefix: "tspace",
    network_range: "10.220.0.0/16",
    publish_ports: "16120-16139",
};
const SLEEP: Ground = Ground {
    prefix: "tsleep",
    network_range: "10.224.144.0/20",
    publish_ports: "16160-16179",
};
const ENVIRONMENT: Ground = Ground {
    prefix: "tenv",
    network_range: "10.223.0.0/16",
    publish_ports: "16200-16219",
};
const IMAGES: Ground = Ground {
    prefix: "timage",
    network_range: "10.221.0.0/16",
    publish_ports: "16140-16159",
};
const ENGINE_STOPS: Ground = Ground {
    prefix: "tengine",
    network_range: "10.218.0.0/16",
    publish_ports: "16080-16099",
};

/// How long anything may take that a test waits for.
const WAIT_SECONDS_MAX: u64 = 90;

/// Asks until there is an answer; the last reason why not goes into the panic.
#[track_caller]
fn until<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let patience = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) if Instant::now() > patience => panic!("{what}: {last}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Waits until the database has that status and its operation is over; the database.
#[track_caller]
fn until_settled(berth: &TestBerth, database: &str, status: &str) -> Json {
    until(&format!("{database} is {status}"), || {
        let found = berth.get(&format!("/v1/databases/{database}"))["database"].clone();
        let operation = found["operation_id"].as_str().unwrap_or_default();
        let operation = berth.get(&format!("/v1/operations/{operation}"));
        if found["status"] == status && operation["state"] == "succeeded" {
            Ok(found)
        } else {
            Err(format!("{found}\n{operation}"))
        }
    })
}

impl Ground {
    /// A berthd on the host's engine with that ground, and a stack that asks it; none, with the
    /// reason printed, where they cannot run.
    fn stage(self, arguments: &[&str]) -> Option<(TestBerth, Stack)> {
        let berth = self.berth(Docker::default(), arguments)?;
        let stack = Stack::new(&berth)?;
        Some((berth, stack))
    }

    fn berth(self, docker: Docker, arguments: &[&str]) -> Option<TestBerth> {
        let mut all = vec![
            "--prefix",
            self.prefix,
            "--network-range",
            self.network_range,
            "--publish-ports",
            self.publish_ports,
        ];
        all.extend(arguments);
        TestBerth::start_with(Runtime::Docker, docker, &all)
    }
}

/// A published database in a project of its own, with `more` said of the database.
fn shop(more: &str) -> String {
    format!(
        r#"
resource "berth_project" "shop" {{
  name                = "shop"
  deletion_protection = false
}}

resource "berth_database" "orders" {{
  name                 = "orders"
  project_id           = berth_project.shop.id
  engine               = "postgresql"
  expose               = true
  deletion_protection  = false
  {more}
}}
"#
    )
}

/// A login as the API gave it once: it stays as it was when the database's changes.
struct Login {
    body: Json,
}

impl Login {
    /// That of the database with this id or name, for the host's own network.
    fn of(berth: &TestBerth, database: &str) -> Self {
        let body = berth.get(&format!("/v1/databases/{database}/credentials"));
        Self { body }
    }

    fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap()
    }

    /// Runs statements, again while nobody answers: what a client does after a failure.
    #[track_caller]
    fn query_patiently(&self, statements: &str) -> Vec<String> {
        until(statements, || {
            let answer = self.query(statements);
            answer.map_err(|error| format!("{error}: {:?}", error.as_db_error()))
        })
    }

    /// Runs statements through the published port; the first column of all rows.
    fn query(&self, statements: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        sql::query(
            self.text("pooled_uri"),
            self.text("ca_certificate"),
            statements,
        )
    }
}
