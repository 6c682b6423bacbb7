//! One store, one installation.

use std::os::unix::fs::chown;

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::harness::{Docker, Runtime, TestBerth, not_run, until, until_settled};

/// The user that engines run as in our images.
const SERVICE: u32 = 999;
/// What a server of one's own is made from.
const SERVER_IMAGE: &str = "berth/postgresql:17";
/// Makes a cluster in the mounted folder and serves it on a socket there.
const SERVER_SCRIPT: &str = "initdb -D /store/data -U berth --auth=trust --no-sync \
    --encoding=UTF8 --locale=C.UTF-8 >/dev/null && \
    exec postgres -D /store/data -k /store -c listen_addresses= -c fsync=off";

/// A PostgreSQL server that an operator has, for berthd's own metadata.
struct Server {
    folder: TempDir,
    container: String,
}

impl Server {
    /// Starts one; none, with the reason printed, where there is no engine or no image.
    fn start() -> Option<Self> {
        if !Runtime::Docker.is_there() {
            return None;
        }
        let docker = Docker::default();
        let image = docker.try_run(&["image", "inspect", SERVER_IMAGE]);
        if !image.is_ok_and(|output| output.status.success()) {
            not_run("the image of a PostgreSQL server is not here");
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("berth-store-")
            .tempdir()
            .unwrap();
        chown(folder.path(), Some(SERVICE), Some(SERVICE)).unwrap();
        let mount = format!("{}:/store", folder.path().display());
        let mut run = vec!["run", "-d", "--network", "none", "-v", &mount];
        run.extend([SERVER_IMAGE, "sh", "-c", SERVER_SCRIPT]);
        let container = docker.run(&run);
        Some(Self { folder, container })
    }

    fn url(&self) -> String {
        format!(
            "postgresql://berth@localhost/postgres?host={}",
            self.folder.path().display()
        )
    }

    /// What a question to the server is answered with; none while it does not answer.
    fn ask(&self, question: &str) -> Option<String> {
        let ask = [
            "exec",
            &self.container,
            "psql",
            "-h",
            "/store",
            "-U",
            "berth",
            "-Atc",
            question,
            "postgres",
        ];
        let output = Docker::default().try_run(&ask).unwrap();
        let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(told)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let gone = Docker::default().try_run(&["rm", "-f", &self.container]);
        if let Err(error) = gone {
            println!("{} is left: {error}", self.container);
        }
    }
}

#[test]
fn a_berthd_over_postgresql_is_killed_and_everything_is_there() {
    let Some(server) = Server::start() else {
        return;
    };
    until("an answer of the server", || {
        let answer = server.ask("SELECT 1");
        answer.ok_or_else(|| "it does not answer".to_owned())
    });
    let url = server.url();
    let arguments = ["--store", url.as_str()];
    let Some(mut berth) = TestBerth::start_with(Runtime::Fake, Docker::default(), &arguments)
    else {
        return;
    };
    let order = |name: &str| {
        let wish = json!({"name": name, "engine": "postgresql", "expose": true});
        let (status, answer) = berth.call("POST", "/v1/databases", Some(&wish));
        assert_eq!(status, 201, "{answer}");
    };
    order("orders");
    until_settled(&berth, "orders", "running");
    let before = berth.get("/v1/databases/orders/credentials");
    // A second one is under way at most when the process dies; its order was answered.
    order("bills");
    berth.kill();
    assert!(
        !berth.data_root().join("berth.sqlite").exists(),
        "nothing is kept beside the server"
    );
    let rows = server.ask("SELECT count(*) FROM databases");
    assert_eq!(rows.as_deref(), Some("2"), "the server has the rows");

    berth.resume();
    for name in ["orders", "bills"] {
        until_settled(&berth, name, "running");
    }
    let after = berth.get("/v1/databases/orders/credentials");
    assert_eq!(after, before, "host, port, login and password are the same");

    let mut other = TestBerth::start(Runtime::Fake).unwrap();
    other.stop();
    let key = berth.data_root().join("root.key").display().to_string();
    let with_store = ["--store", url.as_str(), "--root-key-file", &key];
    refused(&other, &with_store, "another berthd writes to this store");
    let (status, answer) = berth.call("DELETE", "/v1/databases/bills", None);
    assert!(status < 300, "{answer}");
    berth.stop();
    berth.resume();
    let names: Vec<Json> = berth
        .databases()
        .iter()
        .map(|database| database["name"].clone())
        .collect();
    assert_eq!(names, ["orders"]);
}

/// What a start that has to fail says, in one sentence.
fn refused(berth: &TestBerth, arguments: &[&str], sentence: &str) {
    let ended = berth.served_again(arguments);
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success(), "{told}");
    assert!(told.contains(sentence), "{told}");
    let errors = told.lines().filter(|line| line.starts_with("berthd: "));
    assert_eq!(errors.count(), 1, "one sentence: {told}");
}

#[test]
fn a_store_is_refused_to_every_other_data_root() {
    let Some(mut owner) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    let Some(mut other) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    let wish = json!({"name": "orders", "engine": "postgresql"});
    let (status, answer) = owner.call("POST", "/v1/databases", Some(&wish));
    assert_eq!(status, 201, "{answer}");
    other.stop();

    let store = format!(
        "sqlite:{}",
        owner.data_root().join("berth.sqlite").display()
    );
    let key = owner.data_root().join("root.key").display().to_string();
    let with_key = ["--store", &store, "--root-key-file", &key];
    refused(&other, &with_key, "another berthd writes to this store");
    owner.get("/v1/databases/orders");
    owner.stop();
    let sentence = format!("the store belongs to installation {}", owner.installation());
    refused(&other, &with_key, &sentence);

    // The id of the installation is lost: that is told, and nothing is taken over.
    let file = owner.data_root().join("installation");
    let right = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    refused(&owner, &[], &sentence);
    std::fs::write(&file, right).unwrap();

    // A key is not made beside an old store, whatever else is gone.
    let key_file = owner.data_root().join("root.key");
    let right = std::fs::read_to_string(&key_file).unwrap();
    std::fs::remove_file(&key_file).unwrap();
    std::fs::remove_file(owner.data_root().join("ca.pem")).unwrap();
    refused(&owner, &[], "root.key is missing");
    assert!(!key_file.exists(), "no other key is made");
    std::fs::write(&key_file, right).unwrap();
    owner.resume();
    owner.get("/v1/databases/orders");
}
