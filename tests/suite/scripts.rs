//! What the scripts do on machines that this one is not, shown with programs that stand in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{not_to_be_had, root};

/// Makes a program of that name which runs these lines of shell.
fn stand_in(folder: &Path, name: &str, lines: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A command that finds the stand-ins of `folder` before anything else, and keeps what it
/// fetches there too.
fn with_stand_ins(folder: &Path, script: &Path) -> Command {
    let mut command = Command::new(script);
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("BERTH_CACHE", folder.join("cache"))
        .env_remove("BERTH_CLIENT");
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_client_without_ephemeral_resources_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let client = root().join("scripts/client");
    stand_in(folder.path(), "terraform", "echo Terraform v1.10.5");
    stand_in(folder.path(), "tofu", "echo OpenTofu v1.11.0-rc1");
    let output = with_stand_ins(folder.path(), &client).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let tofu = folder.path().join("tofu").display().to_string();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), tofu);
    assert!(told(&output).contains("is Terraform v1.10.5, and"));

    // One that is asked for by name is not replaced by another.
    let mut named = with_stand_ins(folder.path(), &client);
    let output = named.env("BERTH_CLIENT", "terraform").output().unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());

    stand_in(folder.path(), "terraform", "echo Terraform v1.11.4");
    let output = with_stand_ins(folder.path(), &client).output().unwrap();
    let terraform = folder.path().join("terraform").display().to_string();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), terraform);
    assert_eq!(told(&output), "");
}

#[test]
fn a_demo_whose_engine_does_not_answer_is_kept() {
    let user = Command::new("id").arg("-u").output().unwrap();
    if user.stdout != b"0\n" {
        return not_to_be_had("only root takes a demo down");
    }
    let folder = tempfile::tempdir().unwrap();
    let scripts = folder.path().join("scripts");
    fs::create_dir(&scripts).unwrap();
    for name in ["demo", "docker-engine", "lib.sh"] {
        fs::copy(root().join("scripts").join(name), scripts.join(name)).unwrap();
    }
    // An apply that was interrupted before the client wrote a state.
    let data = folder.path().join(".demo/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("installation"), "0badcafe\n").unwrap();
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).unwrap();
    for (name, lines) in [
        ("docker", "exit 1"),
        ("dockerd", "echo this one cannot start; exit 1"),
        ("iptables", "exit 0"),
        ("mountpoint", "exit 0"),
    ] {
        stand_in(&programs, name, lines);
    }
    let mut demo = with_stand_ins(&programs, &scripts.join("demo"));
    let output = demo.arg("down").output().unwrap();
    assert!(!output.status.success(), "{}", told(&output));
    assert!(told(&output).contains("this one cannot start"));
    assert!(data.join("installation").is_file());
}
