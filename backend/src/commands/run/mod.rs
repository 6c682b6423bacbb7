//! `berthd run`: a command with the environment of a project.
//!
//! On the host, the containers' names mean nothing; the command gets addresses of the loopback
//! interface instead, from which this process carries the bytes to the containers for as long as
//! the command runs. They do not pass through the daemon, so that one may be restarted meanwhile.

mod container;
mod forward;

use crate::cli::RunArgs;
use crate::config::{Config, Runtime};
use crate::local::Local;
use berth_api::{Database, DatabaseList, EnvVariable, Environment, Operation, ProjectEnvelope};
use forward::Forward;
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// How long databases that were just ordered may take until they run.
const READY_SECONDS_MAX: u64 = 180;
/// How long one question waits for the end of an operation.
const WAIT_SECONDS: u64 = 20;
/// Pause between two looks at databases that are not there yet.
const LOOK_MILLIS: u64 = 200;
/// berthd's own secret, which a command has no use for.
const ROOT_KEY_VARIABLE: &str = "BERTH_ROOT_KEY";
/// What shells answer for a command that is not there, and for one that may not be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// Runs the command to its end; its exit code.
pub async fn run(args: RunArgs) -> Result<ExitCode, Box<dyn Error>> {
    let RunArgs {
        options,
        project,
        image,
        command,
    } = args;
    let config = Config::load(options)?;
    if config.runtime == Runtime::Fake {
        return Err("the fake runtime has no databases that a command could reach".into());
    }
    let local = Local::connect(&config.data_root)?;
    let path = format!("/v1/projects/{}", segment(&project)?);
    let project: ProjectEnvelope = local.get(&path).await?;
    let project = project.project;
    // Using the environment makes the first database of a project that wants that.
    let environment: Environment = local.get(&format!("{path}/env")).await?;
    for note in &environment.notes {
        eprintln!("berthd: {note}");
    }
    let databases = until_there(&local, &project.id).await?;
    let started = match image {
        Some(image) => {
            let variables = local.text(&format!("{path}/env?format=docker")).await?;
            let container = container::Container {
                docker_socket: &config.docker_socket,
                network: (!databases.is_empty()).then_some(project.network_name.as_str()),
                image: &image,
                variables: &variables,
            };
            (container.command(&command)?, Vec::new())
        }
        None => {
            let forwards = forwards(&config, &project.network_name, &databases).await?;
            let variables = on_loopback(environment.variables, &forwards);
            (on_host(&command, variables)?, forwards)
        }
    };
    // The forwards end when they are dropped, after the command.
    let (mut command, _forwards) = started;
    match command.spawn() {
        Ok(child) => Ok(code(to_its_end(child).await?)),
        Err(error) => {
            eprintln!("berthd: could not run the command: {error}");
            Ok(ExitCode::from(match error.kind() {
                ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_RUN,
            }))
        }
    }
}

/// The reference as a part of a path; ids and names have nothing in them that a path could take
/// for something else.
fn segment(project: &str) -> Result<&str, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !project.is_empty() && project.chars().all(plain) {
        Ok(project)
    } else {
        Err(format!("{project:?} is no project's id or name"))
    }
}

/// The project's databases, once those that are being made are there.
async fn until_there(local: &Local, project: &str) -> Result<Vec<Database>, Box<dyn Error>> {
    let look = async {
        loop {
            let databases = databases(local, project).await?;
            let made = databases.iter().find(|db| db.status == "provisioning");
            let Some(operation) = made.and_then(|db| db.operation_id.as_ref()) else {
                return Ok::<_, crate::local::Error>(databases);
            };
            let path = format!("/v1/operations/{operation}?wait={WAIT_SECONDS}");
            let ended: Operation = local.get(&path).await?;
            if ended.state == "failed" {
                return Ok(databases);
            }
            // One that is being repaired has no operation that could be waited for.
            tokio::time::sleep(Duration::from_millis(LOOK_MILLIS)).await;
        }
    };
    let patience = Duration::from_secs(READY_SECONDS_MAX);
    let found = tokio::time::timeout(patience, look)
        .await
        .map_err(|_| format!("no database is there after {READY_SECONDS_MAX} seconds"))??;
    for database in found.iter().filter(|db| db.status != "running") {
        eprintln!("berthd: {} is {}", database.name, database.status);
    }
    Ok(found)
}

async fn databases(local: &Local, project: &str) -> Result<Vec<Database>, crate::local::Error> {
    let first = format!("/v1/databases?project_id={project}");
    let mut path = first.clone();
    let mut all = Vec::new();
    loop {
        let page: DatabaseList = local.get(&path).await?;
        all.extend(page.databases);
        match page.next_page_token {
            Some(token) => path = format!("{first}&page_token={token}"),
            None => return Ok(all),
        }
    }
}

/// A forward for each name that an address of the environment may have.
async fn forwards(
    config: &Config,
    network: &str,
    databases: &[Database],
) -> Result<Vec<Forward>, Box<dyn Error>> {
    let mut forwards = Vec::new();
    let reach = forward::Reach::new(config, network)?;
    for database in databases {
        let pooler = database.pooler_host.clone().zip(database.pooler_port);
        let engine = (database.host.clone(), database.port);
        for (host, port) in pooler.into_iter().chain([engine]) {
            forwards.push(Forward::open(host, port, &reach).await?);
        }
    }
    Ok(forwards)
}

/// The variables, with loopback addresses in those that berth made.
fn on_loopback(variables: Vec<EnvVariable>, forwards: &[Forward]) -> BTreeMap<String, String> {
    let named = variables.into_iter().filter_map(|variable| {
        let value = variable.value?;
        let value = match variable.managed_by {
            Some(_) => forwards
                .iter()
                .fold(value, |value, forward| forward.rewritten(value)),
            None => value,
        };
        Some((variable.name, value))
    });
    named.collect()
}

fn on_host(
    command: &[OsString],
    variables: BTreeMap<String, String>,
) -> Result<Command, Box<dyn Error>> {
    let (program, arguments) = command
        .split_first()
        .ok_or("there is no command: say it after --")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_remove(ROOT_KEY_VARIABLE)
        .envs(variables);
    Ok(command)
}

/// Waits for the command, and passes on the signals that ask it to end.
///
/// What is typed at a terminal goes to the command too: passed on, it would come twice.
async fn to_its_end(mut child: Child) -> std::io::Result<ExitStatus> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let at_terminal = std::io::stdin().is_terminal();
    loop {
        let passed = tokio::select! {
            ended = child.wait() => return ended,
            _ = terminate.recv() => rustix::process::Signal::TERM,
            _ = interrupt.recv() => rustix::process::Signal::INT,
        };
        if at_terminal && passed == rustix::process::Signal::INT {
            continue;
        }
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
            // It may have ended at this moment.
            let _gone = rustix::process::kill_process(id, passed);
        }
    }
}

/// The command's code; of one that a signal ended, what shells make of that.
fn code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_named_by_what_a_path_can_hold() {
        assert!(segment("proj_default").is_ok() && segment("my-shop").is_ok());
        for bad in ["", "a/b", "..", "a?b", "a b", "a%2fb"] {
            assert!(segment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_exit_code_is_the_commands() {
        assert_eq!(
            format!("{:?}", code(ExitStatus::from_raw(3 << 8))),
            format!("{:?}", ExitCode::from(3))
        );
        assert_eq!(
            format!("{:?}", code(ExitStatus::from_raw(15))),
            format!("{:?}", ExitCode::from(143))
        );
    }
}
