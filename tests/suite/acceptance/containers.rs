//! What only a real engine can show: logins, certificates, rows.

use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use super::shop;
use crate::harness::{Runtime, Stack, TestBerth};

/// An application in a container of its own, in the project's network.
#[derive(Clone)]
struct Application<'a> {
    network: String,
    authority: &'a Path,
    credentials: &'a Json,
}

impl Application<'_> {
    /// Runs SQL through the pooler or past it; the answer, or why there is none.
    fn asks(&self, host: &str, ssl_mode: &str, sql: &str) -> Result<String, String> {
        let text = |name: &str| self.credentials[name].as_str().unwrap().to_owned();
        let login = format!(
            "host={host} port=5432 user={} dbname={} sslmode={ssl_mode} sslrootcert=/ca.pem \
             connect_timeout=10",
            text("username"),
            text("database"),
        );
        let output = Command::new("docker")
            .args(["run", "--rm", "--network", &self.network, "--user", "0"])
            .args(["--label", "berth.test=application"])
            .arg("--volume")
            .arg(format!("{}:/ca.pem:ro", self.authority.display()))
            .args(["--env", "PGPASSWORD", "berth/postgresql:17"])
            .args(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", &login, "-c", sql])
            .env("PGPASSWORD", text("password"))
            .output()
            .unwrap();
        let printed = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(printed(&output.stdout))
        } else {
            Err(printed(&output.stderr))
        }
    }
}

fn stage() -> Option<(TestBerth, Stack)> {
    Stack::staged(Runtime::Docker, &[])
}

/// The credentials as a container in the project's network needs them.
fn credentials(berth: &TestBerth, stack: &Stack) -> Json {
    let id = stack.resource("berth_database.orders")["id"].clone();
    let id = id.as_str().unwrap();
    berth.get(&format!("/v1/databases/{id}/credentials?network=project"))
}

fn network(stack: &Stack) -> String {
    let project = stack.resource("berth_project.shop");
    project["network_name"].as_str().unwrap().to_owned()
}

/// Another authority, which has signed nothing here.
fn strange_authority() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.self_signed(&key).unwrap().pem()
}

#[test]
fn an_application_verifies_whom_it_talks_to() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    stack.write(&shop(""));
    stack.apply().ok();
    let database = stack.resource("berth_database.orders");
    let authority = stack.folder().join("ca.pem");
    std::fs::write(&authority, database["ca_certificate"].as_str().unwrap()).unwrap();
    let credentials = credentials(&berth, &stack);
    let application = Application {
        network: network(&stack),
        authority: &authority,
        credentials: &credentials,
    };
    let hosts = ["host", "pooler_host"].map(|name| database[name].as_str().unwrap().to_owned());
    for host in &hosts {
        for mode in ["verify-full", "require", "disable"] {
            let answer = application.asks(host, mode, "SELECT 41 + 1");
            assert_eq!(answer.as_deref(), Ok("42"), "{host} with {mode}");
        }
    }

    let strange = stack.folder().join("strange.pem");
    std::fs::write(&strange, strange_authority()).unwrap();
    let deceived = Application {
        authority: &strange,
        ..application.clone()
    };
    for host in &hosts {
        let refused = deceived.asks(host, "verify-full", "SELECT 1").unwrap_err();
        assert!(refused.contains("certificate"), "{refused}");
    }

    stack.write(&shop("tls_mode = \"require\""));
    stack.apply().ok();
    for host in &hosts {
        let answer = application.asks(host, "require", "SELECT 1");
        assert_eq!(answer.as_deref(), Ok("1"), "{host}");
        let plain = application.asks(host, "disable", "SELECT 1");
        plain.unwrap_err();
    }
    stack.destroy().ok();
}

#[test]
fn rows_and_login_survive_a_destruction_and_a_restart() {
    let Some((mut berth, stack)) = stage() else {
        return;
    };
    let kept =
        |more: &str| shop(more).replace("recovery_window_days = 0", "recovery_window_days = 7");
    stack.write(&kept(""));
    stack.apply().ok();
    let before = stack.resource("berth_database.orders");
    let id = before["id"].as_str().unwrap().to_owned();
    let authority = stack.folder().join("ca.pem");
    std::fs::write(&authority, before["ca_certificate"].as_str().unwrap()).unwrap();
    let old = credentials(&berth, &stack);
    let application = Application {
        network: network(&stack),
        authority: &authority,
        credentials: &old,
    };
    let host = before["pooler_host"].as_str().unwrap();
    let written = application.asks(
        host,
        "require",
        "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('still here')",
    );
    written.unwrap();

    let project_only = kept("")
        .split("resource \"berth_database\"")
        .next()
        .unwrap()
        .to_owned();
    stack.write(&project_only);
    stack.apply().ok();
    assert!(berth.databases().is_empty());
    berth.stop();
    berth.resume();

    stack.write(&kept(&format!(
        "restore_from = {{ deleted_database_id = {id:?} }}"
    )));
    stack.apply().ok();
    stack.assert_settled();
    let after = stack.resource("berth_database.orders");
    for same in [
        "id",
        "slug",
        "host",
        "pooler_host",
        "username",
        "database_name",
    ] {
        assert_eq!(after[same], before[same], "{same}");
    }
    let read = application.asks(host, "require", "SELECT word FROM kept");
    assert_eq!(
        read.as_deref(),
        Ok("still here"),
        "with the credentials from before"
    );
    stack.destroy().ok();
}

#[test]
fn a_rotation_is_done_when_the_apply_is() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    stack.write(&shop(""));
    stack.apply().ok();
    let database = stack.resource("berth_database.orders");
    let authority = stack.folder().join("ca.pem");
    std::fs::write(&authority, database["ca_certificate"].as_str().unwrap()).unwrap();
    let old = credentials(&berth, &stack);
    stack.write(&shop("credential_version = 2"));
    stack.apply().ok();
    let new = credentials(&berth, &stack);
    assert_ne!(old["password"], new["password"]);
    let as_before = Application {
        network: network(&stack),
        authority: &authority,
        credentials: &old,
    };
    let as_now = Application {
        network: network(&stack),
        authority: &authority,
        credentials: &new,
    };
    for name in ["host", "pooler_host"] {
        let host = database[name].as_str().unwrap();
        assert_eq!(
            as_now.asks(host, "require", "SELECT 1").as_deref(),
            Ok("1"),
            "{name}"
        );
        as_before.asks(host, "require", "SELECT 1").unwrap_err();
    }
    stack.destroy().ok();
}
