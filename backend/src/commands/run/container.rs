//! A command in a container of its own, by the engine's command line.

use crate::children;
use rustix::fs::{MemfdFlags, memfd_create};
use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::Path;
use tokio::process::Command;

/// A container for one command.
pub struct Container<'a> {
    /// Where the engine listens.
    pub docker_socket: &'a Path,
    /// The project's network; none while no database has made it.
    pub network: Option<&'a str>,
    /// What it is made from.
    pub image: &'a str,
    /// Its variables, as `--env-file` reads them.
    pub variables: &'a str,
}

impl Container<'_> {
    /// The command line that runs `command` in it. The variables are in a file that has no name
    /// and is in memory, so that they stand in no argument and on no disk.
    pub fn command(&self, command: &[OsString]) -> Result<Command, Box<dyn Error>> {
        let mut docker = Command::new("docker");
        docker
            .arg("--host")
            .arg(format!("unix://{}", self.docker_socket.display()))
            .args(["run", "--rm", "--init", "--interactive"]);
        if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
            docker.arg("--tty");
        }
        if let Some(network) = self.network {
            docker.args(["--network", network]);
        }
        docker
            .arg("--env-file")
            .arg(self.env_file()?)
            .arg(self.image)
            .args(command);
        children::for_a_users_command(&mut docker);
        Ok(docker)
    }

    /// The path of a file with the variables, as the process that inherits it sees it.
    fn env_file(&self) -> Result<String, Box<dyn Error>> {
        // Without the flag that would close it in the command that is run.
        let mut file = File::from(memfd_create("berth-env", MemfdFlags::empty())?);
        file.write_all(self.variables.as_bytes())?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // It is to be open when the command starts, and this process ends with the command.
        let _stays_open = file.into_raw_fd();
        Ok(path)
    }
}
