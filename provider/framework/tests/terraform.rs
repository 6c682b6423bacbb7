//! The real client and the echo provider: what no imitation of a host can show.
//!
//! Needs the client that BERTH_CLIENT names, or `terraform` or `tofu` on the path, and says so
//! where there is none. No registry is
//! asked: the provider is found through an override.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails, in its helpers too"
)]

mod host;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use host::{Options, PROVIDER, Started};
use rustix::process::Signal;
use tempfile::TempDir;

const CONFIGURATION: &str = r#"
terraform {
  required_providers {
    echo = { source = "berth-dev/echo" }
  }
}

variable "description" { default = "one" }
variable "region" { default = "here" }

provider "echo" {
  token = "planted-token"
}

resource "echo_value" "first" {
  name           = "First"
  description    = var.description
  default_region = var.region
  tags           = { team = "harbour" }
}

resource "echo_value" "second" {
  name = "after-${echo_value.first.id}"
}

data "echo_lookup" "slug" {
  text = echo_value.first.slug
}

ephemeral "echo_secret" "once" {
  text = "planted-ephemeral"
}

resource "echo_fault" "log" {
  kind      = "log"
  secret_wo = ephemeral.echo_secret.once.secret
}

output "slug" { value = data.echo_lookup.slug.result }
output "reversed" { value = provider::echo::reverse("abc") }
"#;

/// Says why something is not tested, past libtest, which hides what a passing test prints. Where
/// `BERTH_TESTS_MUST_RUN` promises all that a test may ask for, as `scripts/test` does, it fails.
fn not_run(reason: &str) {
    let promised = std::env::var_os("BERTH_TESTS_MUST_RUN").is_some();
    assert!(!promised, "not run: {reason}");
    // Whole, so that the line stays one; nothing is left to be done where nobody listens.
    let _ = std::io::stderr().write_all(format!("not run: {reason}\n").as_bytes());
}

/// A directory with a configuration and a client that finds the provider.
struct Workspace {
    directory: TempDir,
    client: PathBuf,
    environment: BTreeMap<&'static str, String>,
}

impl Workspace {
    /// None where there is no client.
    fn new() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let named = std::env::var_os("BERTH_CLIENT").map(PathBuf::from);
        let client = named.or_else(|| {
            std::env::split_paths(&path)
                .flat_map(|directory| [directory.join("terraform"), directory.join("tofu")])
                .find(|candidate| candidate.is_file())
        });
        let Some(client) = client else {
            not_run("neither terraform nor tofu is on the path");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let binaries = Path::new(PROVIDER).parent().unwrap().display();
        let overrides = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"berth-dev/echo\" = \"{binaries}\"\n  }}\n}}\n"
        );
        std::fs::write(directory.path().join("client.tfrc"), overrides).unwrap();
        std::fs::write(directory.path().join("main.tf"), CONFIGURATION).unwrap();
        let settings = directory.path().join("client.tfrc").display().to_string();
        let temporary = directory.path().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        let environment = BTreeMap::from([
            ("TF_CLI_CONFIG_FILE", settings),
            ("CHECKPOINT_DISABLE", "1".to_owned()),
            ("TMPDIR", temporary.display().to_string()),
        ]);
        Some(Self {
            directory,
            client,
            environment,
        })
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.client);
        for variable in ["TF_LOG", "TF_LOG_PROVIDER", "TF_REATTACH_PROVIDERS"] {
            command.env_remove(variable);
        }
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .envs(&self.environment)
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed, and gives what it printed.
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}:\n{printed}\n{told}");
        printed
    }

    fn apply(&self, variables: &[&str]) -> String {
        self.done(&[&["apply", "-auto-approve", "-no-color"], variables].concat())
    }

    fn destroy(&self) {
        let printed = self.done(&["destroy", "-auto-approve", "-no-color"]);
        assert!(printed.contains("Resources: 3 destroyed"), "{printed}");
    }

    /// Nothing is left to do after an apply with the same variables.
    fn assert_settled(&self, variables: &[&str]) {
        let plan = ["plan", "-no-color", "-detailed-exitcode"];
        let output = self.run(&[&plan, variables].concat());
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{printed}");
    }

    /// No provider has left its socket behind.
    fn assert_tidy(&self) {
        let temporary = self.directory.path().join("tmp");
        let left: Vec<_> = std::fs::read_dir(temporary)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .filter(|name| name.starts_with("provider-"))
            .collect();
        assert_eq!(left, [""; 0]);
    }
}

#[test]
fn a_whole_life() {
    let Some(workspace) = Workspace::new() else {
        return;
    };
    let made = workspace.apply(&[]);
    assert!(made.contains("Resources: 3 added"), "{made}");
    assert!(made.contains("reversed = \"cba\""), "{made}");
    workspace.assert_settled(&[]);

    let two = ["-var", "description=two"];
    let changed = workspace.apply(&two);
    assert!(
        changed.contains("0 added, 1 changed, 0 destroyed"),
        "{changed}"
    );
    workspace.assert_settled(&two);

    let there = ["-var", "description=two", "-var", "region=there"];
    let replaced = workspace.apply(&there);
    assert!(replaced.contains("forces replacement"), "{replaced}");
    assert!(
        replaced.contains("1 added, 0 changed, 1 destroyed"),
        "{replaced}"
    );
    workspace.assert_settled(&there);

    let state = std::fs::read_to_string(workspace.directory.path().join("terraform.tfstate"));
    assert!(!state.unwrap().contains("planted"));
    workspace.destroy();
    workspace.assert_tidy();
}

#[test]
fn an_object_is_imported_by_its_id() {
    let Some(workspace) = Workspace::new() else {
        return;
    };
    workspace.done(&["import", "-no-color", "echo_value.first", "echo_First"]);
    let state = workspace.done(&["state", "show", "-no-color", "echo_value.first"]);
    assert!(state.contains("\"echo_First\""), "{state}");
}

#[test]
fn without_transport_security_if_the_user_wants_it_so() {
    let Some(mut workspace) = Workspace::new() else {
        return;
    };
    workspace
        .environment
        .insert("TF_DISABLE_PLUGIN_TLS", "1".to_owned());
    workspace.apply(&[]);
    workspace.assert_settled(&[]);
    workspace.destroy();
    workspace.assert_tidy();
}

#[test]
fn one_process_serves_several_runs_of_a_debugger() {
    let Some(mut workspace) = Workspace::new() else {
        return;
    };
    let mut provider = Started::with(&Options {
        debug: true,
        ..Options::default()
    });
    let line = provider
        .line
        .trim_end()
        .strip_prefix("TF_REATTACH_PROVIDERS=")
        .unwrap();
    let providers = line.trim_matches('\'').to_owned();
    workspace
        .environment
        .insert("TF_REATTACH_PROVIDERS", providers);
    let settings = workspace.directory.path().join("empty.tfrc");
    std::fs::write(&settings, "").unwrap();
    let settings = settings.display().to_string();
    workspace.environment.insert("TF_CLI_CONFIG_FILE", settings);

    workspace.done(&["init", "-no-color"]);
    workspace.apply(&[]);
    workspace.assert_settled(&[]);
    workspace.destroy();
    assert!(provider.is_running());
    provider.signal(Signal::INT);
    assert!(provider.ended().success());
}

#[test]
fn a_panic_in_a_create_taints_the_object_instead_of_losing_it() {
    let Some(workspace) = Workspace::new() else {
        return;
    };
    let configuration = CONFIGURATION.replace("\"log\"\n", "\"panic\"\n");
    std::fs::write(workspace.directory.path().join("main.tf"), configuration).unwrap();
    let output = workspace.run(&["apply", "-auto-approve", "-no-color"]);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("Provider failed unexpectedly"), "{told}");
    let state = workspace.done(&["state", "show", "-no-color", "echo_fault.log"]);
    assert!(
        state.contains("(tainted)") && state.contains("fault_1"),
        "{state}"
    );
    workspace.destroy();
}
