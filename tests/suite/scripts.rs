//! What the scripts do on machines that this one is not, shown with programs that stand in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{not_to_be_had, root};

/// Makes a program of that name which runs these lines of shell.
pub fn stand_in(folder: &Path, name: &str, lines: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A command that finds the stand-ins of `folder` before anything else, and keeps what it
/// fetches there too.
pub fn with_stand_ins(folder: &Path, script: &Path) -> Command {
    let mut command = Command::new(script);
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("BERTH_CACHE", folder.join("cache"))
        .env_remove("BERTH_CLIENT");
    command
}

/// What a script said to its user.
pub fn told(output: &Output) -> String {
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

/// Whether this test may do what only root can.
pub fn is_root() -> bool {
    let user = Command::new("id").arg("-u").output().unwrap();
    let is_root = user.stdout == b"0\n";
    if !is_root {
        not_to_be_had("only root builds a demo, takes it down, and starts an engine");
    }
    is_root
}

/// A work tree with the demo in it, in which everything else is a stand-in. Its berthd writes
/// down how it was started, and ends.
fn demo_of_stand_ins(top: &Path) {
    let scripts = top.join("scripts");
    let programs = top.join("target/release");
    for folder in [&scripts, &programs, &top.join("programs")] {
        fs::create_dir_all(folder).unwrap();
    }
    for name in ["demo", "lib.sh"] {
        fs::copy(root().join("scripts").join(name), scripts.join(name)).unwrap();
    }
    for name in ["docker-engine", "prerequisites"] {
        stand_in(&scripts, name, "exit 0");
    }
    let started = top.join("started").display().to_string();
    let berthd =
        format!("[ \"$1\" = serve ] || exit 0; {{ echo \"$*\"; env; }} >{started}; exit 1");
    stand_in(&programs, "berthd", &berthd);
    stand_in(&scripts, "client", "echo true");
    for (name, body) in [("cargo", "echo 'cargo 1.95.0'"), ("docker", "exit 0")] {
        stand_in(&top.join("programs"), name, body);
    }
    fs::write(top.join("Cargo.toml"), "rust-version = \"1.95\"\n").unwrap();
}

#[test]
fn a_demo_takes_nothing_from_the_machines_own_berth() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    demo_of_stand_ins(folder.path());
    // Another berthd, which is always ready, on the port that the demo had last time.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in other.incoming().flatten() {
            let mut stream = stream;
            let _read = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let _gone = std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n");
        }
    });
    let data = folder.path().join(".demo/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("admin.token"), "of-the-last-time\n").unwrap();
    fs::write(folder.path().join(".demo/listen"), &address).unwrap();

    let demo = folder.path().join("scripts/demo");
    let output = with_stand_ins(&folder.path().join("programs"), &demo)
        .arg("up")
        .env("BERTH_TOKEN", "of-another-installation")
        .env("BERTH_LISTEN", "0.0.0.0:1")
        .output()
        .unwrap();
    let said = told(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("berthd ended"), "{said}");
    let started = fs::read_to_string(folder.path().join("started")).unwrap();
    let (arguments, environment) = started.split_once('\n').unwrap();
    assert!(arguments.contains("--config /dev/null"), "{arguments}");
    assert!(!arguments.contains(&address), "{arguments}");
    for name in ["BERTH_TOKEN=", "BERTH_LISTEN="] {
        assert!(!environment.contains(name), "{environment}");
    }
}

/// `demo up` in that tree, where whatever touches the engine is written down.
fn up_that_tells_of_the_engine(top: &Path) -> Command {
    demo_of_stand_ins(top);
    let touched = format!("touch {}", top.join("engine").display());
    stand_in(&top.join("scripts"), "docker-engine", &touched);
    let mut demo = with_stand_ins(&top.join("programs"), &top.join("scripts/demo"));
    demo.arg("up");
    demo
}

#[test]
fn another_architecture_is_refused_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = up_that_tells_of_the_engine(folder.path());
    stand_in(&folder.path().join("programs"), "uname", "echo aarch64");
    let output = demo.output().unwrap();
    let said = told(&output);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("amd64 only, and this machine is aarch64"),
        "{said}"
    );
    assert!(!folder.path().join("engine").exists(), "{said}");
}

#[test]
fn the_toolchain_of_who_called_sudo_is_used_or_asked_for() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut demo = up_that_tells_of_the_engine(folder.path());
    let programs = folder.path().join("programs");
    let home = folder.path().join("home");
    let entry = format!("echo \"$2:x:1000:1000::{}:/bin/sh\"", home.display());
    stand_in(&programs, "getent", &entry);
    demo.env("SUDO_USER", "ada")
        // Cargo hands its own on to tests.
        .env_remove("RUSTUP_HOME")
        .env("CARGO_TARGET_DIR", folder.path().join("elsewhere"));

    let command = "env \"PATH=$PATH\" \"RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}\"";
    // Rustup's cargo where it has no toolchain, and one that is too old for this tree.
    let old = "cargo 1.85.1 (0123456 2025-01-01)";
    for (cargo, advice) in [
        (
            "exit 1",
            format!("that of ada; put this between sudo and the command: {command}"),
        ),
        (
            &format!("echo '{old}'"),
            format!("{old} is older than this tree needs"),
        ),
    ] {
        stand_in(&programs, "cargo", cargo);
        let said = told(&demo.output().unwrap());
        assert!(said.contains(&advice), "{said}");
        assert!(!folder.path().join("engine").exists(), "{said}");
    }

    // Rustup's cargo is on everybody's path, and what it starts is the caller's own.
    fs::create_dir_all(home.join(".rustup")).unwrap();
    let built = folder.path().join("built");
    let cargo = format!(
        "[ -n \"${{RUSTUP_HOME:-}}\" ] || exit 1\n\
         [ \"$1\" = --version ] && echo 'cargo 1.95.0 (0123456 2026-01-01)' || env >{}",
        built.display()
    );
    stand_in(&programs, "cargo", &cargo);
    let said = told(&demo.output().unwrap());
    assert!(folder.path().join("engine").exists(), "{said}");
    let environment = fs::read_to_string(built).unwrap();
    let toolchains = format!("RUSTUP_HOME={}", home.join(".rustup").display());
    let target = format!(
        "CARGO_TARGET_DIR={}",
        folder.path().join("target").display()
    );
    let lines: Vec<&str> = environment.lines().collect();
    assert!(lines.contains(&toolchains.as_str()), "{environment}");
    assert!(lines.contains(&target.as_str()), "{environment}");
}

#[test]
fn an_engine_that_is_stuck_is_waited_for_no_longer_than_a_moment() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    demo_of_stand_ins(folder.path());
    let programs = folder.path().join("programs");
    let asked = folder.path().join("asked");
    // One that is asked without a bound would be waited for.
    let stuck = format!(
        "touch {}; exit 1",
        folder.path().join("unbounded").display()
    );
    stand_in(&programs, "docker", &stuck);
    let bound = format!("echo \"$*\" >>{}; exit 124", asked.display());
    stand_in(&programs, "timeout", &bound);
    let data = folder.path().join(".demo/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("installation"), "0badcafe\n").unwrap();
    let demo = folder.path().join("scripts/demo");
    let output = with_stand_ins(&programs, &demo).arg("down").output();
    let said = told(&output.unwrap());
    assert!(said.contains("no Docker engine answers"), "{said}");
    let asked = fs::read_to_string(asked).unwrap();
    assert!(
        asked.lines().all(|line| line.contains("docker version")),
        "{asked}"
    );
    assert!(!folder.path().join("unbounded").exists(), "{said}");
}

#[test]
fn a_network_that_others_are_in_does_not_stop_the_demo_from_going() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    demo_of_stand_ins(folder.path());
    let docker = r#"case "$1 $2" in
        "network ls") echo berth-net-shop ;;
        "network rm") echo "has active endpoints" >&2; exit 1 ;;
        "network inspect") echo "shop-web " ;;
    esac"#;
    stand_in(&folder.path().join("programs"), "docker", docker);
    stand_in(&folder.path().join("programs"), "mountpoint", "exit 1");
    let data = folder.path().join(".demo/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("installation"), "0badcafe\n").unwrap();
    let demo = folder.path().join("scripts/demo");
    let mut demo = with_stand_ins(&folder.path().join("programs"), &demo);
    let output = demo.arg("down").output().unwrap();
    let said = told(&output);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("berth-net-shop stays") && said.contains("shop-web"),
        "{said}"
    );
    assert!(!folder.path().join(".demo").exists(), "{said}");
}

#[test]
fn a_demo_whose_engine_does_not_answer_is_kept() {
    if !is_root() {
        return;
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

/// A work tree with `docker-engine` in it, on a machine that has neither an engine nor its client.
/// There `install_packages` writes down what it is asked for and runs these lines of shell.
fn engine_script_without_an_engine(top: &Path, install: &str) -> Command {
    let (scripts, programs) = (top.join("scripts"), top.join("programs"));
    for folder in [&scripts, &programs] {
        fs::create_dir(folder).unwrap();
    }
    let path = std::env::var("PATH").unwrap_or_default();
    for program in std::env::split_paths(&path).filter_map(|folder| fs::read_dir(folder).ok()) {
        for program in program.flatten() {
            let absent = ["docker", "dockerd", "iptables"];
            let name = program.file_name();
            if !absent.iter().any(|absent| name == *absent) {
                // What stands earlier in the path was linked first, and wins.
                let _taken = std::os::unix::fs::symlink(program.path(), programs.join(name));
            }
        }
    }
    let script = scripts.join("docker-engine");
    fs::copy(root().join("scripts/docker-engine"), &script).unwrap();
    let lib = fs::read_to_string(root().join("scripts/lib.sh")).unwrap();
    let install = format!(
        "{lib}\nbrings() {{ printf '#!/bin/sh\\n%s\\n' \"$2\" >{programs}/$1; chmod 0755 {programs}/$1; }}\n\
         install_packages() {{ echo \"$*\" >>{top}/installed\n{install}\n}}\n",
        programs = programs.display(),
        top = top.display(),
    );
    fs::write(scripts.join("lib.sh"), install).unwrap();
    let mut command = Command::new(script);
    command
        .arg("up")
        .env("PATH", &programs)
        .env("BERTH_CACHE", top.join("cache"));
    command
}

#[test]
fn an_engine_comes_with_its_client_from_either_debian() {
    if !is_root() {
        return;
    }
    let of_both = "brings dockerd 'exit 1'; brings iptables 'exit 0'";
    let client = "brings docker 'echo 28.1'";
    let trixie = format!("case $1 in docker.io) {of_both} ;; docker-cli) {client} ;; esac");
    let bookworm = format!("case $1 in docker.io) {of_both}; {client} ;; *) return 100 ;; esac");
    for (install, asked_for) in [
        (trixie, "docker.io iptables\ndocker-cli\n"),
        (bookworm, "docker.io iptables\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = engine_script_without_an_engine(folder.path(), &install)
            .output()
            .unwrap();
        let said = told(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("Docker engine 28.1 answers"), "{said}");
        let installed = fs::read_to_string(folder.path().join("installed")).unwrap();
        assert_eq!(installed, asked_for);
    }
}

#[test]
fn no_engine_is_started_while_its_client_is_missing() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let started = folder.path().join("started");
    let install = format!(
        "case $1 in docker.io) brings dockerd 'touch {}'; brings iptables 'exit 0' ;; *) return 100 ;; esac",
        started.display()
    );
    let output = engine_script_without_an_engine(folder.path(), &install)
        .output()
        .unwrap();
    let said = told(&output);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("the command docker is still absent"),
        "{said}"
    );
    assert!(!started.exists());
}

/// A mirror that has PgBouncer in that version, for a machine whose engine takes everything.
fn mirror_with_pgbouncer(programs: &Path, version: &str) {
    let simulated = format!("Inst pgbouncer ({version}-1 Debian:unstable [amd64])");
    let apt_get = format!("case \"$*\" in *--simulate*) echo '{simulated}' ;; esac");
    for (name, lines) in [
        ("apt-get", apt_get.as_str()),
        ("docker", "exit 0"),
        ("dpkg-deb", "echo nothing to unpack >&2; exit 1"),
    ] {
        stand_in(programs, name, lines);
    }
}

#[test]
fn an_image_is_not_built_from_a_version_that_is_too_old() {
    if !is_root() {
        return;
    }
    let build = root().join("backend/images/build");
    for (version, is_taken) in [("1.24.1", false), ("1.25.10", true)] {
        let folder = tempfile::tempdir().unwrap();
        mirror_with_pgbouncer(folder.path(), version);
        let output = with_stand_ins(folder.path(), &build)
            .arg("pgbouncer")
            .env("BERTH_IMAGE_CACHE", folder.path().join("images"))
            .env("BERTH_DEBIAN_MIRROR", "http://mirror.example.com/debian")
            .output()
            .unwrap();
        let said = told(&output);
        let done = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success());
        assert_eq!(
            done.contains("pgbouncer: unpacking"),
            is_taken,
            "{done}{said}"
        );
        let refused = format!("sid has pgbouncer {version}, and 1.25.2 or newer is needed");
        assert_eq!(said.contains(&refused), !is_taken, "{said}");
    }
}

/// An engine whose pooler does all that is asked of it, and says that it is of that version.
fn engine_with_pgbouncer(programs: &Path, version: &str) {
    let docker = format!(
        r#"case "$*" in
        *"65534:65534"*) echo "Permission denied" ;;
        *"SHOW VERSION"*) echo "PgBouncer {version}" ;;
        *PGPASSWORD=wrong*) echo "SASL authentication failed" ;;
        *sslmode=disable*) echo "SSL required" ;;
        *user=berth_admin*) echo "rejected" ;;
        *) echo app ;;
    esac"#
    );
    stand_in(programs, "docker", &docker);
}

#[test]
fn a_pooler_that_is_too_old_is_not_verified() {
    if !is_root() {
        return;
    }
    let verify = root().join("backend/images/verify");
    for (version, is_taken) in [("1.24.1", false), ("1.25.10", true)] {
        let folder = tempfile::tempdir().unwrap();
        engine_with_pgbouncer(folder.path(), version);
        let output = with_stand_ins(folder.path(), &verify)
            .arg("pgbouncer")
            .output()
            .unwrap();
        let said = told(&output);
        assert_eq!(output.status.success(), is_taken, "{said}");
        let refused = format!("PgBouncer {version}, and 1.25.2 or newer is needed");
        assert_eq!(said.contains(&refused), !is_taken, "{said}");
    }
}
