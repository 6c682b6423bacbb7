//! The demo from `up` to `down`, on an engine that runs: all of it but the compiler, whose work
//! is done already.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::{Docker, Runtime, client, data_root, program, root};
use crate::scripts::{is_root, stand_in, told, with_stand_ins};

/// What a user's own client may be told by its environment, each of which would go wrong.
const OF_THE_USER: [(&str, &str); 4] = [
    ("TF_CLI_ARGS", "-there-is-no-such-flag"),
    ("TF_CLI_ARGS_plan", "-refresh-only"),
    ("TF_WORKSPACE", "of-the-user"),
    ("TF_LOG", "trace"),
];

/// A work tree of its own with a demo in it, which is taken down with the value.
struct Demo {
    top: TempDir,
    client: PathBuf,
}

impl Demo {
    /// None, with the reason printed, where it cannot run.
    fn new() -> Option<Self> {
        if !is_root() || !Runtime::Docker.is_there() {
            return None;
        }
        let top = data_root();
        for folder in ["target/release", "examples", "stand-ins", "users"] {
            fs::create_dir_all(top.path().join(folder)).unwrap();
        }
        for name in ["berthd", "terraform-provider-berth"] {
            let built = top.path().join("target/release").join(name);
            fs::copy(program(name)?, built).unwrap();
        }
        fs::copy(root().join("Cargo.toml"), top.path().join("Cargo.toml")).unwrap();
        symlink(root().join("backend"), top.path().join("backend")).unwrap();
        let quickstart = top.path().join("examples/quickstart");
        symlink(root().join("examples/quickstart"), quickstart).unwrap();
        let scripts = top.path().join("scripts");
        fs::create_dir(&scripts).unwrap();
        for name in [
            "client",
            "client-shim.py",
            "demo",
            "docker-engine",
            "lib.sh",
        ] {
            fs::copy(root().join("scripts").join(name), scripts.join(name)).unwrap();
        }
        let stand_ins = top.path().join("stand-ins");
        stand_in(&scripts, "prerequisites", "exit 0");
        stand_in(&stand_ins, "cargo", "echo 'cargo 1.95.0'");
        fs::copy(root().join("Cargo.toml"), top.path().join("Cargo.toml")).unwrap();
        // An engine that runs is left alone; if it were not, this would tell.
        stand_in(&stand_ins, "dockerd", "exit 1");
        let client = client()?;
        Some(Self { top, client })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// Where the user's own client would keep its downloads.
    fn users(&self) -> PathBuf {
        self.path("users")
    }

    fn run(&self, verb: &str) -> Output {
        with_stand_ins(&self.path("stand-ins"), &self.path("scripts/demo"))
            .arg(verb)
            .env("BERTH_CLIENT", &self.client)
            .envs(OF_THE_USER)
            .env("TF_DATA_DIR", self.users())
            .env("TF_PLUGIN_CACHE_DIR", self.users())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn done(&self, verb: &str) -> (String, String) {
        let output = self.run(verb);
        let said = told(&output);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{printed}{said}");
        (printed, said)
    }

    fn kept(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(".demo").join(name)).unwrap();
        text.trim().to_owned()
    }

    /// What a shell has of the client's variables that was told to use the demo's.
    fn environment(&self) -> String {
        let output = Command::new("sh")
            .args(["-euc", ". \"$1\"; env", "sh"])
            .arg(self.path(".demo/env"))
            .envs(OF_THE_USER)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", told(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.path(".demo").exists() {
            let output = self.run("down");
            println!("the demo that was left: {}", told(&output));
        }
    }
}

/// What there is of one installation.
#[derive(Debug, Default, PartialEq)]
struct Traces {
    containers: Vec<String>,
    networks: Vec<String>,
    mounts: Vec<String>,
}

impl Traces {
    fn of(installation: &str, top: &Path) -> Self {
        let label = format!("berth.installation={installation}");
        let filter = format!("label={label}");
        let networks = Docker::default().run(&["network", "ls", "-q", "--filter", &filter]);
        let run_directory = Path::new("/run/berth").join(installation);
        let table = fs::read_to_string("/proc/self/mounts").unwrap();
        let mounts = table.lines().filter_map(|line| line.split(' ').nth(1));
        let ours = |point: &&str| {
            let point = Path::new(point);
            point.starts_with(&run_directory) || point.starts_with(top)
        };
        Self {
            containers: Docker::default().containers(&[label]),
            networks: networks.lines().map(str::to_owned).collect(),
            mounts: mounts.filter(ours).map(str::to_owned).collect(),
        }
    }
}

#[test]
fn the_demo_is_built_again_and_leaves_nothing() {
    let Some(demo) = Demo::new() else {
        return;
    };
    let (printed, said) = demo.done("up");
    assert!(
        said.contains("terraform_data.proof: Creation complete"),
        "{said}"
    );
    assert!(said.contains("nothing to change"), "{said}");
    assert!(printed.contains("address_in_project_network"), "{printed}");
    assert!(!demo.path(".demo/engine-is-ours").exists(), "{said}");

    let installation = demo.kept("data/installation");
    let role = |role: &str| {
        let labels = ["installation", "role"].map(|name| format!("berth.{name}="));
        let [of, role] = [labels[0].clone() + &installation, labels[1].clone() + role];
        Docker::default().containers(&[of, role])
    };
    let running = || (role("engine"), role("pooler"), demo.kept("berthd.pid"));
    let first = running();
    assert_eq!((first.0.len(), first.1.len()), (1, 1));
    let there = Traces::of(&installation, demo.top.path());
    assert!(!there.networks.is_empty() && !there.mounts.is_empty());

    let (_, said) = demo.done("up");
    assert!(
        said.contains("terraform_data.proof: Creation complete"),
        "{said}"
    );
    assert!(said.contains("nothing to change"), "{said}");
    assert_eq!(running(), first);

    let users: Vec<_> = fs::read_dir(demo.users()).unwrap().collect();
    assert!(users.is_empty(), "{users:?}");
    let environment = demo.environment();
    for (name, _) in OF_THE_USER {
        let set = format!("\n{name}=");
        assert!(!environment.contains(&set), "{environment}");
    }
    assert!(
        environment.contains("\nTF_CLI_CONFIG_FILE="),
        "{environment}"
    );

    let (_, said) = demo.done("down");
    assert!(said.contains("Destroy complete!"), "{said}");
    assert!(said.contains("nothing of the demo is left"), "{said}");
    assert!(!demo.path(".demo").exists());
    assert!(!Path::new("/run/berth").join(&installation).exists());
    assert_eq!(
        Traces::of(&installation, demo.top.path()),
        Traces::default()
    );
    let (pid, _) = first.2.split_once(' ').unwrap();
    assert!(!Path::new("/proc").join(pid).exists(), "berthd still runs");
}
