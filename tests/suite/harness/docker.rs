//! The Docker engine as an operator sees it: through its own command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A Docker engine: the host's own, or one that a test has started.
#[derive(Debug, Clone, Default)]
pub struct Docker {
    socket: Option<PathBuf>,
}

impl Docker {
    /// The engine that listens on that socket.
    pub fn at(socket: &Path) -> Self {
        Self {
            socket: Some(socket.to_owned()),
        }
    }

    /// Where it listens, when it is not the host's own.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// A command for this engine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        if let Some(socket) = &self.socket {
            command
                .arg("-H")
                .arg(format!("unix://{}", socket.display()));
        }
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// What a command came to.
    pub fn try_run(&self, arguments: &[&str]) -> std::io::Result<Output> {
        self.command(arguments).output()
    }

    /// What a command printed, which must succeed.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments).unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {arguments:?}: {told}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The containers, running or not, that have all of these labels.
    pub fn containers(&self, labels: &[String]) -> Vec<String> {
        let filters = labels.iter().map(|label| format!("label={label}"));
        let filters: Vec<String> = filters
            .flat_map(|filter| ["--filter".to_owned(), filter])
            .collect();
        let mut arguments = vec!["ps", "-aq", "--no-trunc"];
        arguments.extend(filters.iter().map(String::as_str));
        let found = self.run(&arguments);
        found.lines().map(str::to_owned).collect()
    }

    /// One fact about a container or network, by a template; none when there is no such thing,
    /// as with a short-lived container that was there a moment ago.
    pub fn look(&self, id: &str, template: &str) -> Option<String> {
        let output = self.try_run(&["inspect", "-f", template, id]).unwrap();
        let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(told)
    }

    /// One fact about a container or network, by a template.
    #[track_caller]
    pub fn inspect(&self, id: &str, template: &str) -> String {
        self.run(&["inspect", "-f", template, id])
    }
}
