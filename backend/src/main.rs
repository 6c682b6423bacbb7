//! berthd: managed databases on this machine.
//!
//! Parses arguments, starts, stops. Everything else is in the crates that `wiring` joins.

mod authority;
mod catalogue;
mod children;
mod cli;
mod clock;
mod commands;
mod config;
mod connections;
mod data_root;
mod edge;
mod env_files;
mod images;
mod local;
mod logging;
#[cfg(test)]
mod must_run;
mod opening;
mod outgoing;
mod places;
mod plans;
mod ports;
mod registry;
mod serve;
mod tls;
mod wiring;
mod world;

use clap::Parser;
use cli::{Cli, Command};
use clock::SystemClock;
use config::{Config, Options};
use std::error::Error;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

type Outcome = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let workers = match &cli.command {
        Command::Serve(_) => 2,
        _ => 1,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(cli.command)),
        Err(e) => Err(e.into()),
    };
    match outcome {
        Ok(code) => code,
        Err(e) => {
            eprintln!("berthd: {}", chain(e.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Outcome {
    // One crypto library for TLS in both directions; a second call would only say so again.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match command {
        Command::Serve(options) => {
            let config = load(*options)?;
            logging::start(&config.log)?;
            serve::run(config).await?;
        }
        Command::Token { at, command } => {
            let local = local::Local::connect(&at.find()?)?;
            commands::token::run(&local, command, &SystemClock).await?;
        }
        Command::User { at, command } => {
            commands::user::run(&local::Local::connect(&at.find()?)?, command).await?;
        }
        Command::Trash { at, command } => {
            commands::trash::run(&local::Local::connect(&at.find()?)?, command).await?;
        }
        Command::Images { at, command } => {
            let options = Options {
                image_registry: command.registry(),
                ..at.into()
            };
            return commands::images::run(&load(options)?, command).await;
        }
        Command::Ca { at } => commands::ca::run(&at.find()?)?,
        Command::Run(args) => return commands::run::run(*args).await,
        Command::CheckLogin(args) => commands::check_login::run(args).await?,
        Command::Doctor(options) => {
            let fit = commands::doctor::run(&load(*options)?, &SystemClock).await;
            return Ok(if fit {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn load(options: Options) -> Result<Config, config::ConfigError> {
    Config::load(options)
}

/// Prints a line for the user. A closed pipe is the reader's choice and no error.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}

/// An error with its causes, once each, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
