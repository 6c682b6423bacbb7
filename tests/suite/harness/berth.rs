//! A berthd for one test: its own data root, its own port, gone with the test.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::{Docker, ground, http, not_run, processes, program};

/// How long a berthd may take until it serves.
const READY_SECONDS_MAX: u64 = 60;
/// How long a command may take that should end by itself.
const END_SECONDS_MAX: u64 = 60;

/// How much has to be free in memory for data to be there: more than all stories hold that run
/// at one time.
const MEMORY_BYTES_MIN: u64 = 4 << 30;

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
            not_run("no Docker engine answers");
        }
        there
    }
}

/// A running berthd.
pub struct TestBerth {
    data_root: TempDir,
    runtime: Runtime,
    docker: Docker,
    arguments: Vec<String>,
    dies_at: Option<String>,
    address: String,
    process: Option<Child>,
}

impl TestBerth {
    /// Starts one; none, with the reason printed, where it cannot run.
    pub fn start(runtime: Runtime) -> Option<Self> {
        Self::start_with(runtime, Docker::default(), &[])
    }

    /// Starts one on that engine, with further arguments of `serve`. Containers get a ground of
    /// their own.
    pub fn start_with(runtime: Runtime, docker: Docker, arguments: &[&str]) -> Option<Self> {
        program("berthd")?;
        if !runtime.is_there() {
            return None;
        }
        let arguments = match runtime {
            Runtime::Fake => arguments.iter().map(|&word| word.to_owned()).collect(),
            Runtime::Docker => ground::arguments(arguments),
        };
        let mut berth = Self {
            data_root: data_root(),
            runtime,
            docker,
            arguments,
            dies_at: None,
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
        let process = self
            .serve()
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        self.await_ready();
    }

    /// From the next start on, the process ends itself at that crash point (`name` or
    /// `name:n`), or no more. Only a berthd that was built with them has any.
    pub fn dies_at(&mut self, point: Option<&str>) {
        self.dies_at = point.map(str::to_owned);
    }

    /// Waits until the process has ended by itself; whether it did.
    pub fn await_death(&mut self, seconds_max: u64) -> bool {
        let patience = Instant::now() + Duration::from_secs(seconds_max);
        let process = self.process.as_mut().unwrap();
        while Instant::now() < patience {
            if matches!(process.try_wait(), Ok(Some(_))) {
                self.process = None;
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// The command that serves this data root.
    fn serve(&self) -> Command {
        let mut command = berthd();
        command
            .args(["serve", "--runtime", self.runtime.as_str()])
            .args(["--listen", &self.address])
            .args(["--overcommit", "100"])
            .args(&self.arguments)
            .arg("--data-root")
            .arg(self.data_root.path());
        if !self.arguments.iter().any(|argument| argument == "--spares") {
            command.args(["--spares", "1"]);
        }
        if let Some(socket) = self.docker.socket() {
            command.arg("--docker-socket").arg(socket);
        }
        if let Some(point) = &self.dies_at {
            command.env("BERTH_CRASH_AT", point);
        }
        command
    }

    /// What a second process on the same data says, which has to end by itself.
    pub fn served_again(&self, arguments: &[&str]) -> Output {
        let mut command = berthd();
        command
            .args(["serve", "--runtime", self.runtime.as_str()])
            .args(["--listen", &free_address()])
            .args(arguments)
            .arg("--data-root")
            .arg(self.data_root.path());
        ended(command)
    }

    /// What a command of the command line comes to, asked of the running berthd.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = berthd();
        command
            .args(arguments)
            .arg("--data-root")
            .arg(self.data_root.path());
        ended(command)
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

    /// Ends the process at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// The id of the running process.
    pub fn process(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Where it keeps its data.
    pub fn data_root(&self) -> &Path {
        self.data_root.path()
    }

    /// Which installation it is.
    pub fn installation(&self) -> String {
        let file = self.data_root.path().join("installation");
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// Where its sockets and configurations are.
    pub fn run_directory(&self) -> PathBuf {
        Path::new("/run/berth").join(self.installation())
    }

    /// Its containers, running or not; those of a role (`engine`, `pooler`) when one is named.
    pub fn containers(&self, role: Option<&str>) -> Vec<String> {
        let mut labels = vec![format!("berth.installation={}", self.installation())];
        labels.extend(role.map(|role| format!("berth.role={role}")));
        self.docker.containers(&labels)
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

    /// Asks the API as its administrator, of a berthd that may die before it answers.
    pub fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Json>,
    ) -> std::io::Result<(u16, Json)> {
        http::call(&self.address, Some(&self.token()), method, path, body)
    }

    /// Asks the API as its administrator.
    pub fn call(&self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        let token = self.token();
        http::call(&self.address, Some(&token), method, path, body).unwrap()
    }

    /// Asks the API with that token.
    pub fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Json>,
    ) -> (u16, Json) {
        http::call(&self.address, Some(token), method, path, body).unwrap()
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
            let output = self.docker.try_run(arguments);
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
        // File systems of their own while databases are there.
        let sockets = self.run_directory();
        for mounted in [&sockets.join("env"), &sockets] {
            let _ = Command::new("umount").arg("-q").arg(mounted).output();
        }
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

/// A folder for one berthd, in memory if there is room. What a power cut leaves is told of by no
/// story, but all of them would wait for the disk at each commit of berthd and of its engines,
/// and for the thousands of files of every cluster that comes and goes.
pub fn data_root() -> TempDir {
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map(|found| found.f_bavail * found.f_frsize);
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("berth-test-");
    let folder = match free.is_ok_and(|bytes| bytes > MEMORY_BYTES_MIN) {
        true => builder.tempdir_in(memory),
        false => builder.tempdir(),
    };
    folder.unwrap()
}

/// The program, without what the machine's own berth is configured with: neither its file nor
/// its variables are a matter of a test's.
fn berthd() -> Command {
    let mut command = Command::new(program("berthd").unwrap());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BERTH_") {
            command.env_remove(name);
        }
    }
    command.env("BERTH_CONFIG", "/dev/null");
    command
}

/// An address that nobody listens on.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// What a command comes to that ends by itself; one that does not is ended, and that is told.
fn ended(mut command: Command) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(END_SECONDS_MAX);
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > patience {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("it did not end by itself: {output:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}
