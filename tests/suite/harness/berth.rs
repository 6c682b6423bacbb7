//! A berthd for one test: its own data root, its own port, gone with the test.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::{http, processes, program};

/// How long a berthd may take until it serves.
const READY_SECONDS_MAX: u64 = 60;

/// What runs the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// Nothing but memory.
    Fake,
    /// Containers.
    Docker,
}

impl Runtime {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fake => "fake",
            Self::Docker => "docker",
        }
    }

    /// Whether it is to be had here; the reason is printed where it is not.
    pub fn is_there(self) -> bool {
        if self == Self::Fake {
            return true;
        }
        let answers = Command::new("docker").arg("version").output();
        let there = answers.is_ok_and(|output| output.status.success());
        if !there {
            println!("not run: no Docker engine answers");
        }
        there
    }
}

/// A running berthd.
pub struct TestBerth {
    data_root: TempDir,
    runtime: Runtime,
    address: String,
    process: Option<Child>,
}

impl TestBerth {
    /// Starts one; none, with the reason printed, where it cannot run.
    pub fn start(runtime: Runtime) -> Option<Self> {
        program("berthd")?;
        if !runtime.is_there() {
            return None;
        }
        let mut berth = Self {
            data_root: tempfile::Builder::new()
                .prefix("berth-test-")
                .tempdir()
                .unwrap(),
            runtime,
            address: free_address(),
            process: None,
        };
        berth.resume();
        Some(berth)
    }

    /// Starts the process again, on the same data and the same port.
    pub fn resume(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap();
        let process = Command::new(program("berthd").unwrap())
            .args(["serve", "--runtime", self.runtime.as_str()])
            .args([
                "--listen",
                &self.address,
                "--spares",
                "1",
                "--overcommit",
                "100",
            ])
            .arg("--data-root")
            .arg(self.data_root.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        self.await_ready();
    }

    fn await_ready(&mut self) {
        let patience = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
        while Instant::now() < patience {
            if matches!(
                http::call(&self.address, None, "GET", "/readyz", None),
                Ok((200, _))
            ) {
                return;
            }
            let process = self.process.as_mut().unwrap();
            if let Ok(Some(status)) = process.try_wait() {
                panic!("berthd ended with {status}:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "berthd is not ready after {READY_SECONDS_MAX} seconds:\n{}",
            self.log()
        );
    }

    /// Ends the process kindly; the data stays.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            processes::end(&mut process);
        }
    }

    /// Host and port of the API.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The API's URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token of the first start.
    pub fn token(&self) -> String {
        let file = self.data_root.path().join("admin.token");
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.data_root.path().join("test.log")
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Asks the API as its administrator.
    pub fn call(&self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        let token = self.token();
        http::call(&self.address, Some(&token), method, path, body).unwrap()
    }

    /// What the API answers to a GET that must succeed.
    pub fn get(&self, path: &str) -> Json {
        let (status, body) = self.call("GET", path, None);
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// The living databases.
    pub fn databases(&self) -> Vec<Json> {
        self.get("/v1/databases")["databases"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// The names of the living projects but the default one.
    pub fn projects(&self) -> Vec<String> {
        let list = self.get("/v1/projects");
        let names = list["projects"].as_array().unwrap().iter();
        let names = names.map(|project| project["name"].as_str().unwrap().to_owned());
        names.filter(|name| name != "default").collect()
    }

    /// Takes away what a container engine would keep after the process.
    fn sweep(&self) {
        let file = self.data_root.path().join("installation");
        let Ok(installation) = std::fs::read_to_string(file) else {
            return;
        };
        let filter = format!("label=berth.installation={}", installation.trim());
        let docker = |arguments: &[&str]| -> String {
            let output = Command::new("docker").args(arguments).output();
            output.map_or_else(
                |_| String::new(),
                |output| String::from_utf8_lossy(&output.stdout).into_owned(),
            )
        };
        for id in docker(&["ps", "-aq", "--filter", &filter]).lines() {
            docker(&["rm", "-f", id]);
        }
        for id in docker(&["network", "ls", "-q", "--filter", &filter]).lines() {
            docker(&["network", "rm", id]);
        }
        let sockets = PathBuf::from("/run/berth").join(installation.trim());
        let _ = std::fs::remove_dir_all(sockets);
    }
}

impl Drop for TestBerth {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            println!("berthd wrote:\n{}", self.log());
        }
        if self.runtime == Runtime::Docker {
            self.sweep();
        }
    }
}

/// An address that nobody listens on.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
