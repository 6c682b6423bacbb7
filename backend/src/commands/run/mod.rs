//! `berthd run`: a command with the environment of a project.
//!
//! On the host, the containers' names mean nothing; the command gets addresses of the loopback
//! interface instead, from which this process carries the bytes to the containers for as long as
//! the command runs. They do not pass through the daemon, so that one may be restarted meanwhile.

mod account;
mod container;
mod forward;
mod ready;
mod signals;

use crate::children;
use crate::cli::RunArgs;
use crate::config::{Config, Runtime};
use crate::local::{self, Local, segment};
use account::Account;
use berth_api::{Database, EnvVariable, Environment, ProjectEnvelope};
use berth_domain::EnvName;
use forward::Forward;
use ready::until_there;
use rustix::process::Signal;
use signals::Signals;
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use tokio::process::{Child, Command};

/// The code of a variable that the format asked for cannot hold.
const UNWRITABLE: &str = "unwritable_variable";
/// What shells answer for a command that is not there, and for one that may not be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// Runs the command to its end; its exit code.
pub async fn run(args: RunArgs) -> Result<ExitCode, Box<dyn Error>> {
    let RunArgs {
        options,
        project,
        image,
        user,
        command,
    } = args;
    let config = Config::load(options.into())?;
    if config.runtime == Runtime::Fake {
        return Err("the fake runtime has no databases that a command could reach".into());
    }
    let local = Local::connect(&config.data_root)?;
    // Before anything is asked that would make a database or wake one.
    let account = match image {
        Some(_) => None,
        None => Account::of_the_command(user.as_deref()).await?,
    };
    let path = format!("/v1/projects/{}", segment(&project)?);
    let project: ProjectEnvelope = local.get(&path).await?;
    let project = project.project;
    // Using the environment makes the first database of a project that wants that.
    let first: Environment = local.get(&format!("{path}/env")).await?;
    for note in &first.notes {
        eprintln!("berthd: {note}");
    }
    let databases = until_there(&local, &project.id).await?;
    // Read again: passwords and addresses may be others than before the wait.
    let environment = format!("{path}/env?provision=false");
    let started = match image {
        Some(image) => {
            let variables = local.text(&format!("{environment}&format=docker")).await;
            let variables = variables.map_err(with_a_way_out)?;
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
            let environment: Environment = local.get(&environment).await?;
            let variables = on_loopback(environment.variables, &forwards);
            (on_host(&command, variables, account)?, forwards)
        }
    };
    // The forwards end when they are dropped, after the command.
    let (mut command, _forwards) = started;
    // Taken before the command is there: none that comes meanwhile ends this process alone.
    let signals = Signals::take()?;
    match command.spawn() {
        Ok(child) => Ok(code(to_its_end(child, signals).await?)),
        Err(error) => {
            eprintln!("berthd: could not run the command: {error}");
            Ok(ExitCode::from(match error.kind() {
                ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_RUN,
            }))
        }
    }
}

/// The refusal of a variable that no env file of Docker can hold, with what to do instead of
/// asking for another format, which this command cannot.
fn with_a_way_out(error: local::Error) -> Box<dyn Error> {
    match error {
        local::Error::Refused { code, message } if code == UNWRITABLE => format!(
            "{message}; on the host, without --image, the command gets it, and so does a container that Compose starts with the file dotenv of the project's env_dir"
        )
        .into(),
        other => other.into(),
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

/// The variables, with loopback addresses in those that berth made. One of the project's own that
/// would steer the programs of this host is left out: what interpreters read is for containers, and
/// the others are refused today, but may be there from before.
fn on_loopback(variables: Vec<EnvVariable>, forwards: &[Forward]) -> BTreeMap<String, String> {
    let named = variables.into_iter().filter_map(|variable| {
        let value = variable.value?;
        let value = match variable.managed_by {
            Some(_) => forwards
                .iter()
                .fold(value, |value, forward| forward.rewritten(value)),
            None if is_left_out(&variable.name) => {
                eprintln!(
                    "berthd: {} is left out: it would steer the programs of this host",
                    variable.name
                );
                return None;
            }
            None => value,
        };
        Some((variable.name, value))
    });
    named.collect()
}

fn is_left_out(name: &str) -> bool {
    EnvName::parse(name).map_or(true, |name| {
        name.steers_programs() || name.steers_interpreters()
    })
}

fn on_host(
    command: &[OsString],
    variables: BTreeMap<String, String>,
    account: Option<Account>,
) -> Result<Command, Box<dyn Error>> {
    let (program, arguments) = command
        .split_first()
        .ok_or("there is no command: say it after --")?;
    let mut command = Command::new(program);
    command.args(arguments);
    // First, since a variable of the project may have such a name.
    children::for_a_users_command(&mut command);
    command.envs(variables);
    if let Some(account) = account {
        account.give_to(&mut command);
    }
    Ok(command)
}

/// Waits for the command, and passes on the signals that are meant for it.
///
/// What is typed at a terminal goes to the command too: passed on, it would come twice.
async fn to_its_end(mut child: Child, mut signals: Signals) -> std::io::Result<ExitStatus> {
    let at_terminal = std::io::stdin().is_terminal();
    loop {
        let passed = tokio::select! {
            ended = child.wait() => return ended,
            passed = signals.next() => passed,
        };
        if at_terminal && [Signal::INT, Signal::QUIT].contains(&passed) {
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
    use crate::cli::{self, Cli};
    use axum::{Json, routing::get};
    use clap::Parser;
    use serde_json::json;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn own(name: &str, value: &str) -> EnvVariable {
        EnvVariable {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            sensitive: true,
            managed_by: None,
            source: None,
        }
    }

    #[test]
    fn what_steers_programs_of_the_host_is_left_out() {
        let variables = ["BASH_ENV", "PATH", "LD_PRELOAD", "PYTHONPATH", "MAIL_FROM"];
        let variables = variables.map(|name| own(name, "x"));
        let left = on_loopback(variables.to_vec(), &[]);
        assert_eq!(left, BTreeMap::from([("MAIL_FROM".into(), "x".into())]));
    }

    #[test]
    fn a_command_on_the_host_gets_the_projects_variables_and_not_berthds() {
        let variables = BTreeMap::from([("MAIL_FROM".into(), "x".into())]);
        let command = on_host(&["true".into()], variables, None).unwrap();
        let told: BTreeMap<_, _> = command.as_std().get_envs().collect();
        let of = |name: &str| told.get(std::ffi::OsStr::new(name)).copied();
        assert_eq!(of("MAIL_FROM").unwrap(), Some("x".as_ref()));
        assert_eq!(of("BERTH_STORE"), Some(None));
        assert_eq!(of("BERTH_ROOT_KEY"), Some(None));
        assert_eq!(of("BERTH_TOKEN"), None);
    }

    /// A berthd that tells of a project without databases, and counts the readings of its
    /// environment in a variable of that.
    fn stand_in() -> axum::Router {
        let readings = Arc::new(AtomicUsize::new(0));
        let project = json!({"project": {
            "id": "proj_shop", "name": "shop", "slug": "shop", "deletion_protection": false,
            "on_destroy": "refuse", "network_name": "none", "env_dir": "/none", "tags": {},
            "auto_provision": false, "claimed": true, "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        }});
        let list = json!({"databases": [], "next_page_token": null});
        axum::Router::new()
            .route(
                "/v1/projects/shop",
                get(move || async move { Json(project) }),
            )
            .route("/v1/databases", get(move || async move { Json(list) }))
            .route(
                "/v1/projects/shop/env",
                get(move || async move {
                    let reading = 1 + readings.fetch_add(1, Ordering::SeqCst);
                    let variable = json!({"name": "READING", "value": reading.to_string(),
                        "sensitive": false, "managed_by": null, "source": null});
                    Json(json!({"variables": [variable], "notes": [],
                        "only_plans": false, "next_page_token": null}))
                }),
            )
    }

    #[tokio::test]
    async fn a_command_on_the_host_gets_what_is_true_after_the_wait() {
        let data_root = tempfile::tempdir().unwrap();
        std::fs::write(data_root.path().join("installation"), "test").unwrap();
        let socket = crate::config::local_socket(data_root.path());
        let listener = tokio::net::UnixListener::bind(socket).unwrap();
        let script = r#"test "$READING" = 2"#;
        let line = [
            "berthd",
            "run",
            "--config",
            "/dev/null",
            "--project",
            "shop",
            "--data-root",
        ];
        let rest = [data_root.path().to_str().unwrap(), "--", "sh", "-c", script];
        let parsed = Cli::try_parse_from(line.into_iter().chain(rest)).unwrap();
        let cli::Command::Run(args) = parsed.command else {
            panic!("it is another command");
        };
        let code = tokio::select! {
            ended = async { axum::serve(listener, stand_in()).await } => panic!("{ended:?}"),
            code = run(*args) => code.unwrap(),
        };
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
    }

    #[test]
    fn a_container_that_cannot_hold_a_variable_names_the_way_out_once() {
        let refused = |code: &str| local::Error::Refused {
            code: code.to_owned(),
            message: "KEY: cannot".to_owned(),
        };
        let told = with_a_way_out(refused(UNWRITABLE)).to_string();
        assert!(
            told.starts_with("KEY: cannot; ") && told.contains("without --image"),
            "{told}"
        );
        assert_eq!(told.matches("KEY").count(), 1);
        let other = with_a_way_out(refused("not_found")).to_string();
        assert_eq!(other, "KEY: cannot (not_found)");
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
