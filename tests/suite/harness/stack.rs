//! A configuration in a folder of its own, and the real client at work in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::{Docker, Runtime, TestBerth, client, processes, program, root};

const HEAD: &str = r#"terraform {
  required_providers {
    berth = { source = "berth-dev/berth" }
  }
}
"#;

/// A folder with one configuration.
pub struct Stack {
    folder: TempDir,
    client: PathBuf,
    endpoint: Mutex<String>,
    token: String,
    running: Arc<AtomicU32>,
    variables: Vec<(String, String)>,
}

/// What a run of the client came to.
#[derive(Debug)]
pub struct Ran {
    /// Whether it ended with zero.
    pub succeeded: bool,
    /// The code it ended with.
    pub code: Option<i32>,
    /// All that it printed.
    pub output: String,
}

impl Ran {
    /// The output, which must be that of a success.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.succeeded, "{}", self.output);
        self.output
    }

    /// The output, which must be that of a failure.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(!self.succeeded, "it succeeded:\n{}", self.output);
        self.output
    }
}

impl Stack {
    /// A berthd of its own with further arguments of `serve`, and an empty configuration for it;
    /// none, with the reason printed, where they cannot run.
    pub fn staged(runtime: Runtime, arguments: &[&str]) -> Option<(TestBerth, Self)> {
        let berth = TestBerth::start_with(runtime, Docker::default(), arguments)?;
        let stack = Self::new(&berth)?;
        Some((berth, stack))
    }

    /// An empty configuration for that berthd; none, with the reason printed, where client or
    /// provider is missing.
    pub fn new(berth: &TestBerth) -> Option<Self> {
        let client = client()?;
        program("terraform-provider-berth")?;
        let folder = tempfile::Builder::new()
            .prefix("berth-stack-")
            .tempdir()
            .unwrap();
        let settings = format!(
            "provider_installation {{\n  dev_overrides {{ \"berth-dev/berth\" = {:?} }}\n  direct {{}}\n}}\n",
            root().join("target/debug")
        );
        std::fs::write(folder.path().join("client.rc"), settings).unwrap();
        Some(Self {
            folder,
            client,
            endpoint: Mutex::new(berth.endpoint()),
            token: berth.token(),
            running: Arc::default(),
            variables: Vec::new(),
        })
    }

    /// Sends requests elsewhere from now on, such as to a proxy.
    pub fn goes_to(&self, endpoint: String) {
        *self.endpoint.lock().unwrap() = endpoint;
    }

    /// Uses another token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = token.to_owned();
        self
    }

    /// Sets an environment variable of the client's.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the configuration; which provider it needs is said already.
    pub fn write(&self, text: &str) {
        let file = self.folder.path().join("main.tf");
        std::fs::write(file, format!("{HEAD}{text}")).unwrap();
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A handle that ends the provider processes of the run that is under way.
    pub fn provider_killer(&self) -> impl Fn() + Send + Sync + 'static {
        let running = Arc::clone(&self.running);
        move || {
            let client = running.load(Ordering::SeqCst);
            for id in processes::descendants(client, "terraform-provider-berth") {
                processes::signal(id, "KILL");
            }
        }
    }

    /// A handle that interrupts the run that is under way, as its user would.
    pub fn interrupter(&self) -> impl Fn() + Send + Sync + 'static {
        let running = Arc::clone(&self.running);
        move || processes::signal(running.load(Ordering::SeqCst), "INT")
    }

    /// Runs the client.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(&self.client);
        // The variables of whoever runs the tests stay outside.
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if ["TF_", "BERTH_"]
                .iter()
                .any(|prefix| name_text.starts_with(prefix))
            {
                command.env_remove(&name);
            }
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = root().join("target/debug");
        let child = command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TF_CLI_CONFIG_FILE", self.folder.path().join("client.rc"))
            // What a provider that is killed leaves behind goes with the folder.
            .env("TMPDIR", self.folder.path())
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("CHECKPOINT_DISABLE", "1")
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("BERTH_ENDPOINT", self.endpoint.lock().unwrap().as_str())
            .env("BERTH_TOKEN", &self.token)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.running.store(child.id(), Ordering::SeqCst);
        let output = child.wait_with_output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        // The client breaks lines where a terminal would; sentences are easier to find whole.
        let text = String::from_utf8_lossy(&printed).into_owned();
        Ran {
            succeeded: output.status.success(),
            code: output.status.code(),
            output: text,
        }
    }

    /// Applies the configuration.
    pub fn apply(&self) -> Ran {
        self.run(&["apply", "-auto-approve", "-no-color"])
    }

    /// Plans the configuration.
    pub fn plan(&self) -> Ran {
        self.run(&["plan", "-no-color", "-detailed-exitcode"])
    }

    /// Plans what `write` just said, which must be a change, and gives the plan as JSON.
    #[track_caller]
    pub fn planned(&self) -> Json {
        self.run(&["plan", "-no-color", "-out=saved.plan"]).ok();
        self.json(&["show", "-json", "saved.plan"])
    }

    /// Asserts that nothing is left to do, and that the same question gets the same answer.
    #[track_caller]
    pub fn assert_settled(&self) {
        for attempt in 1..=2 {
            let plan = self.plan();
            assert_eq!(
                plan.code,
                Some(0),
                "plan {attempt} is not empty:\n{}",
                plan.output
            );
        }
    }

    /// Destroys everything.
    pub fn destroy(&self) -> Ran {
        self.run(&["destroy", "-auto-approve", "-no-color"])
    }

    /// The attributes of the resource at `address` in the state.
    #[track_caller]
    pub fn resource(&self, address: &str) -> Json {
        let state = self.json(&["show", "-json"]);
        let resources = &state["values"]["root_module"]["resources"];
        let found = resources
            .as_array()
            .into_iter()
            .flatten()
            .find(|resource| resource["address"] == address);
        found.map_or_else(
            || panic!("no {address} in {state}"),
            |found| found["values"].clone(),
        )
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Json {
        let ran = self.run(arguments);
        let line = ran.output.lines().find(|line| line.starts_with('{'));
        let line = line.unwrap_or_else(|| panic!("no JSON in {}", ran.output));
        serde_json::from_str(line).unwrap()
    }
}

/// `text` in one line with single spaces, as no terminal has broken it.
pub fn flat(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| *word != "│");
    words.collect::<Vec<_>>().join(" ")
}
