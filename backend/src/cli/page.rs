//! The page `docs/reference/command-line.md`, which is rendered from the command line itself.
//!
//! `BERTH_UPDATE=1 cargo test -p berthd command_line` writes it again; without it a page that is
//! not as the commands say fails the test.

use super::Cli;
use clap::{Arg, ArgAction, Command, CommandFactory};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const UPDATE: &str = "BERTH_UPDATE";
const OPENING: &str = "<!-- Rendered from the commands. After a change of one: BERTH_UPDATE=1 cargo test -p berthd command_line -->

# The command line of berthd

`berthd --help` and `berthd COMMAND --help` say the same. A flag wins over its variable; where the [configuration file](../operating/configuration.md) has a key for it, the variable wins over that.

";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/command-line.md")
}

/// The page.
fn page() -> String {
    let mut berthd = Cli::command();
    berthd.build();
    let mut text = OPENING.to_owned();
    text.push_str("| command | what it does |\n|---|---|\n");
    for command in berthd.get_subcommands() {
        let name = command.get_name();
        let about = about(command);
        let about = about.lines().next().unwrap_or_default();
        let about = about.trim_end_matches('.');
        writeln!(text, "| [`berthd {name}`](#berthd-{name}) | {about} |").unwrap();
    }
    let options_of_serve = ids(berthd.find_subcommand("serve").unwrap());
    for command in berthd.get_subcommands() {
        let same = command.get_name() != "serve" && ids(command) == options_of_serve;
        write_command(&mut text, command, &berthd, 2, same);
    }
    text
}

/// One command and those below it. Of one that takes all that `serve` takes, that is said.
fn write_command(text: &mut String, command: &Command, above: &Command, level: usize, same: bool) {
    let name = command.get_bin_name().unwrap();
    write!(
        text,
        "\n{} {name}\n\n{}\n",
        "#".repeat(level),
        about(command)
    )
    .unwrap();
    let is_group = command.has_subcommands();
    if !is_group {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.strip_prefix("Usage: ").unwrap();
        write!(text, "\n```sh\n{usage}\n```\n").unwrap();
    }
    if same {
        text.push_str("\nIt takes the options of [`berthd serve`](#berthd-serve).\n");
        return;
    }
    let own: Vec<&Arg> = arguments(command)
        .filter(|arg| !arguments(above).any(|it| it.get_id() == arg.get_id()))
        .collect();
    if !own.is_empty() {
        if is_group {
            text.push_str("\nEach of its commands takes:\n");
        }
        text.push_str("\n| argument | variable | what it says |\n|---|---|---|\n");
        for arg in own {
            text.push_str(&row(arg));
        }
    }
    for below in command.get_subcommands() {
        write_command(text, below, command, level + 1, false);
    }
}

/// What a command takes, but for what every command does.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_help = |arg: &&Arg| {
        matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        )
    };
    command.get_arguments().filter(move |arg| !is_help(arg))
}

fn ids(command: &Command) -> Vec<&str> {
    arguments(command)
        .map(|arg| arg.get_id().as_str())
        .collect()
}

fn row(arg: &Arg) -> String {
    let variable = arg
        .get_env()
        .map(|name| format!("`{}`", name.to_string_lossy()));
    let mut says = arg.get_help().unwrap().to_string().replace('|', "\\|");
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        write!(says, " [default: {}]", defaults.join(",")).unwrap();
    }
    if arg.is_required_set() {
        says.push_str("; required");
    }
    format!("| `{arg}` | {} | {says} |\n", variable.unwrap_or_default())
}

/// What a command does, in as many words as there are.
fn about(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about());
    about.unwrap().to_string()
}

#[test]
fn the_page_on_the_command_line_is_what_the_commands_say() {
    let page = page();
    if std::env::var(UPDATE).is_ok_and(|value| value == "1") {
        std::fs::write(file(), &page).unwrap();
    }
    let there = std::fs::read_to_string(file()).unwrap();
    let first = there
        .lines()
        .zip(page.lines())
        .find(|(old, new)| old != new);
    assert!(
        there == page,
        "docs/reference/command-line.md is not what the commands say; write it with {UPDATE}=1. \
         The first difference: {first:#?}"
    );
}

#[test]
fn every_command_and_argument_is_on_the_page() {
    let page = page();
    let has_everything = |command: &Command| {
        for arg in arguments(command) {
            let arg = format!("`{arg}`");
            assert!(
                page.contains(&arg),
                "{arg} of {} is missing",
                command.get_name()
            );
        }
    };
    let mut berthd = Cli::command();
    berthd.build();
    for command in berthd.get_subcommands() {
        has_everything(command);
        command.get_subcommands().for_each(&has_everything);
    }
    for part in [
        "## berthd serve",
        "### berthd token create",
        "`--scopes <SCOPES>`",
        "`--expires-at <EXPIRES_AT>`",
        "`--email <EMAIL>`",
        "`--uri-env <NAME>`",
        "`--ca <FILE>`",
        "`--wait-seconds <SECONDS>`",
        "`--image-registry <HOST/NAMESPACE>`",
        "`--yes`",
        "`BERTH_DATA_ROOT`",
        "[default: 30]",
    ] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
}
