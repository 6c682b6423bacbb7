//! What applications find: the env files, the command line's `run`, and the first use of a
//! project that makes its database.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};

use crate::harness::{
    Docker, Runtime, TestBerth, not_run, not_to_be_had, program, until, until_settled,
};

/// Has the clients of a database in it, and nothing that this test would have to build.
const CLIENT_IMAGE: &str = "berth/postgresql:17";
/// Values of one line that have to come out of every format.
const HARD_LINES: [(&str, &str); 7] = [
    ("QUOTES", r#"it's "five" o'clock"#),
    ("DOLLARS", "$HOME $$ $5 $"),
    ("BACKSLASHES", r"C:\temp\new \$x"),
    ("SHARE", r"\\host\it's"),
    ("BLANKS", " a\t#b "),
    ("BRACES", "${HOME} ${X:-y}"),
    ("ALL_OF_IT", r#"'it's "$5" `\\` # no"#),
];
/// Values that no env file of Docker can hold.
const HARDER: [(&str, &str); 3] = [
    ("LINES", "first\n\n\"second\" $3 \\n\n"),
    ("QUOTED_LINES", "it's\n\"second\" \\n \\\\ x"),
    ("WINDOWS", "a\r\nb"),
];
/// Those that the Compose of Debian 12 reads as something else, however they are written.
const ONLY_BY_THE_SECOND: [&str; 2] = ["BRACES", "ALL_OF_IT"];
/// The guide whose snippet is run as it stands.
const GUIDE: &str = include_str!("../../../docs/guides/environment.md");

fn posted(berth: &TestBerth, path: &str, body: Json) -> Json {
    let (status, answer) = berth.call("POST", path, Some(&body));
    assert!(
        (200..300).contains(&status),
        "POST {path}: {status} {answer}"
    );
    answer
}

fn put(berth: &TestBerth, name: &str, body: Json) {
    let path = format!("/v1/projects/shop/env/{name}");
    let (status, answer) = berth.call("PUT", &path, Some(&body));
    assert!(
        (200..300).contains(&status),
        "PUT {path}: {status} {answer}"
    );
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The file, once something is in it or is no longer.
#[track_caller]
fn until_file(path: &Path, what: &str, fits: impl Fn(&str) -> bool) -> String {
    until(&format!("{} {what}", path.display()), || {
        let text = read(path)?;
        if fits(&text) {
            Ok(text)
        } else {
            let names = text.lines().filter_map(|line| line.split_once('='));
            Err(names.map(|(name, _)| format!("{name} ")).collect())
        }
    })
}

/// `berthd run` for this berth, in the project named; the command follows.
fn run(berth: &TestBerth, more: &[&str]) -> Command {
    run_by(Command::new(program("berthd").unwrap()), berth, more)
}

/// The same by a program that takes `run` and what follows for arguments of berthd.
fn run_by(mut command: Command, berth: &TestBerth, more: &[&str]) -> Command {
    command
        .args(["run", "--project", "shop", "--data-root"])
        .arg(berth.data_root())
        .args(more)
        .stdin(Stdio::null());
    command
}

struct Ran {
    code: Option<i32>,
    printed: String,
}

fn ran(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    println!("{told}");
    Ran {
        code: output.status.code(),
        printed: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    }
}

/// The YAML of the guide that a reader would copy.
fn snippet() -> String {
    let (_, rest) = GUIDE.split_once("```yaml\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// The command lines that Compose may have on a machine.
const COMPOSES: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];

/// Compose, as this machine has it.
fn compose() -> Option<Command> {
    COMPOSES.iter().find_map(|words| {
        let command = || {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]);
            command
        };
        let version = command().arg("version").output();
        let there = version.is_ok_and(|output| output.status.success());
        there.then(command)
    })
}

/// Whether it is the first one, written in Python, which Debian 12 still has.
fn compose_is_the_first() -> bool {
    let output = compose().unwrap().arg("version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains("version 1.")
}

/// Starts what the guide's snippet starts, and each of `more` in its place; what they print.
/// None, with the reason printed, where there is no Compose.
fn composed(network: &str, env_directory: &Path, more: &[&[&str]]) -> Option<Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let yaml = directory.path().join("compose.yaml");
    std::fs::write(&yaml, snippet()).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = compose()?;
        command
            .arg("--file")
            .arg(&yaml)
            .args(arguments)
            .env("BERTH_NETWORK", network)
            .env("BERTH_ENV_DIR", env_directory);
        Some(command.output().unwrap())
    };
    let mut printed = Vec::new();
    for instead in [&[][..]].iter().chain(more) {
        let Some(output) = run(&[&["run", "-T", "--rm", "app"], *instead].concat()) else {
            not_run("there is no Compose, so the guide's snippet was not tried");
            return None;
        };
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        printed.push(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    run(&["down"]);
    Some(printed)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Waits until a started command has said that it is ready.
fn until_ready(file: &Path) {
    until("the command is ready", || read(file).map(drop));
}

fn signalled(mut child: Child, signal: &str) -> Option<i32> {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status().unwrap();
    assert!(sent.success());
    until("the command has ended", || {
        match child.try_wait().unwrap() {
            Some(status) => Ok(status.code()),
            None => Err("it runs".to_owned()),
        }
    })
}

/// A project whose first database is made by the first `berthd run`, which waits for it.
fn the_first_run_makes_the_database(berth: &TestBerth) -> (String, PathBuf) {
    let made = posted(
        berth,
        "/v1/projects",
        json!({"name": "shop", "auto_provision": true}),
    );
    let project = &made["project"];
    let network = project["network_name"].as_str().unwrap().to_owned();
    let directory = PathBuf::from(project["env_dir"].as_str().unwrap());
    assert_eq!(directory, berth.run_directory().join("env/shop"));
    let script = r#"psql "$DATABASE_URL" -Atc "SELECT 'pooled ' || current_user"
        psql "$DIRECT_URL" -Atc "SELECT 'direct ' || current_database()"
        exit 7"#;
    let inside = ran(run(
        berth,
        &["--image", CLIENT_IMAGE, "--", "bash", "-c", script],
    ));
    assert_eq!(inside.printed, "pooled app_shop\ndirect shop");
    assert_eq!(inside.code, Some(7));
    (network, directory)
}

/// A command on the host logs in with what that variable says.
fn check(berth: &TestBerth, name: &str) {
    let berthd = program("berthd").unwrap();
    let mut command = run(berth, &["--"]);
    command.arg(berthd).args(["check-login", "--uri-env", name]);
    let done = ran(command);
    assert_eq!(done.code, Some(0), "{name}: {}", done.printed);
}

fn commands_on_the_host_reach_the_databases(berth: &TestBerth) {
    // Addresses of this host, for the pooler and for the engine.
    check(berth, "DATABASE_URL");
    check(berth, "DIRECT_URL");
    let mut shown = run(
        berth,
        &[
            "--",
            "sh",
            "-c",
            "echo \"$DATABASE_URL|$KEY|$BERTH_ROOT_KEY$BERTH_STORE|$BERTH_TOKEN\"",
        ],
    );
    shown
        .env("BERTH_ROOT_KEY", "never passed on")
        .env("BERTH_STORE", "sqlite:///never/passed/on")
        .env("BERTH_TOKEN", "of a client");
    let shown = ran(shown).printed;
    let parts: Vec<_> = shown.split('|').collect();
    assert!(parts[0].contains("@127.0.0.1:"), "{shown}");
    assert_eq!(parts[1..], ["it's $5\nof mine", "", "of a client"]);
    let nowhere = ran(run(berth, &["--", "/no/such/program"]));
    assert_eq!(nowhere.code, Some(127));
    // Said through sudo, the command is its caller's and not root's.
    let mut by_sudo = run(berth, &["--", "sh", "-c", "echo \"$(id -u) $DIRECT_URL\""]);
    by_sudo.env("SUDO_UID", "65534");
    let shown = ran(by_sudo).printed;
    assert!(shown.starts_with("65534 postgresql://"), "{shown}");

    // What sleeps is woken first: the way past the pooler wakes nobody.
    posted(berth, "/v1/projects/shop/sleep", json!({}));
    until_settled(berth, "shop", "stopped");
    check(berth, "DIRECT_URL");
}

/// While a command runs with the variables, they are in no argument and no label.
fn nothing_shows_the_password(env_file: &Path) {
    let text = read(env_file).unwrap();
    let line = text.lines().find(|line| line.starts_with("DATABASE_URL="));
    let (_, rest) = line.unwrap().split_once("app_shop:").unwrap();
    let password = rest.split('@').next().unwrap();
    assert_eq!(password.len(), 32);
    let mut command_lines = String::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        command_lines.push_str(&String::from_utf8_lossy(&line));
    }
    assert!(
        command_lines.contains("--env-file"),
        "the command is running"
    );
    assert!(!command_lines.contains(password), "in a command line");
    let docker = Docker::default();
    for id in docker.run(&["ps", "-q"]).lines() {
        // One of another test may be gone meanwhile.
        let shown = docker.look(id, "{{json .Config.Labels}} {{json .Args}} {{json .Name}}");
        assert!(!shown.unwrap_or_default().contains(password), "in {id}");
    }
}

/// Prints the environment, whatever is in it.
const PRINT: [&str; 2] = ["env", "-0"];

/// What a program had in its environment, of these variables.
fn found(printed: &str, values: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = printed.split('\0').filter_map(|line| line.split_once('='));
    all.filter(|(name, _)| values.iter().any(|(hard, _)| hard == name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn told(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    let each = values.iter();
    each.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// What is hard to write into a file comes out of it as it was, read by the programs that the
/// files are for.
fn hard_values_are_themselves(berth: &TestBerth, network: &str, directory: &Path) {
    let give = |values: &[(&str, &str)]| {
        for (name, value) in values {
            put(berth, name, json!({"value": value}));
        }
        until("the files have them", || {
            let text = read(&directory.join("dotenv"))?;
            let missing = values.iter().find(|(name, _)| {
                let line = format!("\n{name}=");
                !format!("\n{text}").contains(&line)
            });
            missing.map_or(Ok(()), |(name, _)| Err(format!("{name} is missing")))
        });
    };
    give(&HARD_LINES);
    let inside = ran(run(
        berth,
        &[&["--image", CLIENT_IMAGE, "--"], &PRINT[..]].concat(),
    ));
    assert_eq!(inside.code, Some(0));
    assert_eq!(
        found(&inside.printed, &HARD_LINES),
        told(&HARD_LINES),
        "by --image"
    );

    give(&HARDER);
    let all = [&HARD_LINES[..], &HARDER].concat();
    let on_host = ran(run(berth, &[&["--"], &PRINT[..]].concat()));
    assert_eq!(found(&on_host.printed, &all), told(&all), "on the host");
    if let Some(printed) = composed(network, directory, &[&PRINT]) {
        assert_eq!(printed[0].trim(), "composed");
        let (mut found, mut all) = (found(&printed[1], &all), told(&all));
        if compose_is_the_first() {
            let lost =
                "Compose 1 reads a dollar in double quotes, and ${ anywhere, as something else";
            not_to_be_had(&format!("{ONLY_BY_THE_SECOND:?} through Compose: {lost}"));
            found.retain(|name, _| !ONLY_BY_THE_SECOND.contains(&name.as_str()));
            all.retain(|name, _| !ONLY_BY_THE_SECOND.contains(&name.as_str()));
        }
        assert_eq!(found, all, "by Compose");
    }
    for (name, _) in HARDER {
        let path = format!("/v1/projects/shop/env/{name}");
        assert_eq!(berth.call("DELETE", &path, None).0, 204);
    }
    until_file(&directory.join("docker"), "is back", |text| {
        text.contains("DATABASE_URL=")
    });
}

fn signals_are_passed_on(berth: &TestBerth, directory: &Path) {
    let scratch = tempfile::tempdir().unwrap();
    for word in ["TERM", "INT", "HUP", "USR1"] {
        let ready = scratch.path().join(word);
        let script = format!(
            "trap 'exit 42' {word}; : > {}; while :; do sleep 0.05; done",
            ready.display()
        );
        // Whoever runs tests in the background may ignore interrupts, and what was started so
        // goes on ignoring them.
        let mut berthd = Command::new("env");
        berthd
            .arg("--default-signal")
            .arg(program("berthd").unwrap());
        let mut command = run_by(berthd, berth, &["--", "bash", "-c", &script]);
        let child = command.spawn().unwrap();
        until_ready(&ready);
        assert_eq!(signalled(child, &format!("-{word}")), Some(42), "{word}");
    }
    // What is ignored when it begins, the command ignores too.
    let mut ignoring = Command::new("sh");
    ignoring
        .args(["-c", r#"trap '' HUP; exec "$0" "$@""#])
        .arg(program("berthd").unwrap());
    let script = "kill -HUP $$; kill -HUP $PPID; exit 44";
    let hung_up = ran(run_by(ignoring, berth, &["--", "bash", "-c", script]));
    assert_eq!(hung_up.code, Some(44));
    // In a container, the engine's command line passes it on to the command.
    let name = format!("shared-{}", std::process::id());
    let script = "trap 'exit 43' TERM; echo ready; while :; do sleep 0.05; done";
    let log = scratch.path().join(&name);
    let child = run(
        berth,
        &["--image", CLIENT_IMAGE, "--", "bash", "-c", script],
    )
    .stdout(std::fs::File::create(&log).unwrap())
    .spawn()
    .unwrap();
    until_file(&log, "says that it is ready", |text| text.contains("ready"));
    nothing_shows_the_password(&directory.join("docker"));
    assert_eq!(signalled(child, "-TERM"), Some(43));
}

fn files_follow_every_change(berth: &TestBerth, directory: &Path) {
    let (dotenv, docker) = (directory.join("dotenv"), directory.join("docker"));
    let first = until_file(&docker, "has the database", |text| {
        text.contains("SHOP_URL=")
    });
    assert_eq!(
        (mode(directory), mode(&dotenv), mode(&docker)),
        (0o700, 0o600, 0o600)
    );

    // An own variable, in the one format that can hold it; the other has no file then.
    put(berth, "KEY", json!({"value": "it's $5\nof mine"}));
    let quoted = "KEY=\"it's \\$5\nof mine\"\n";
    until_file(&dotenv, "has the variable", |text| text.contains(quoted));
    until("there is no file that lacks a variable", || {
        if docker.exists() {
            Err("there is".to_owned())
        } else {
            Ok(())
        }
    });
    commands_on_the_host_reach_the_databases(berth);
    let path = "/v1/projects/shop/env/KEY";
    assert_eq!(berth.call("DELETE", path, None).0, 204);
    until_file(&docker, "is back", |text| text == first);

    // A new password.
    let password_line = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("DATABASE_URL="));
        line.unwrap().to_owned()
    };
    posted(berth, "/v1/databases/shop/rotate", json!({}));
    // A command waits for it, and logs in with it.
    check(berth, "DIRECT_URL");
    until_settled(berth, "shop", "running");
    let old = password_line(&first);
    until_file(&docker, "has the new password", |text| {
        password_line(text) != old
    });

    // A further database.
    let order = json!({"name": "bills", "engine": "postgresql", "project_id": "shop",
        "inject_env": {"BILLS_URL": "billing"}});
    posted(berth, "/v1/databases", order);
    until_file(&docker, "has the new database", |text| {
        text.contains("\nbilling=")
    });
}

fn files_are_there_again_after_a_start(berth: &mut TestBerth, directory: &Path) {
    let docker = directory.join("docker");
    let before = read(&docker).unwrap();
    berth.stop();
    // Applications need them also while berthd is away.
    assert!(docker.exists());
    // As after a reboot; and the rest of a project that went meanwhile.
    std::fs::remove_dir_all(directory).unwrap();
    let stale = directory.with_file_name("gone");
    std::fs::create_dir_all(&stale).unwrap();
    berth.resume();
    until_file(&docker, "is filled again", |text| text == before);
    until("what belongs to nobody is taken away", || {
        if stale.exists() {
            Err("it is there".to_owned())
        } else {
            Ok(())
        }
    });
}

#[test]
fn applications_find_their_databases() {
    let Some(mut berth) = TestBerth::start(Runtime::Docker) else {
        return;
    };
    let (network, directory) = the_first_run_makes_the_database(&berth);
    files_follow_every_change(&berth, &directory);
    signals_are_passed_on(&berth, &directory);
    hard_values_are_themselves(&berth, &network, &directory);
    files_are_there_again_after_a_start(&mut berth, &directory);

    let (status, answer) = berth.call("DELETE", "/v1/projects/shop", None);
    assert_eq!(status, 204, "{answer}");
    until("nothing is left of the project", || {
        if berth.run_directory().exists() {
            Err(format!("{} is there", berth.run_directory().display()))
        } else {
            Ok(())
        }
    });
}
