//! A private PostgreSQL server, shared by the tests of one process and gone with it.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The user that the server runs as when the tests run as root, whom it refuses.
const NOBODY: &str = "65534";
const MISSING: &str = "no PostgreSQL server under /usr/lib/postgresql (package postgresql)";
/// Looks for the server's socket, 50 ms apart.
const START_POLLS_MAX: u32 = 400;

/// The port of a server that is reached by its socket alone.
const PORT: u16 = 5432;

/// A server on a Unix socket in a directory of its own.
pub struct Cluster {
    directory: PathBuf,
    programs: PathBuf,
    port: u16,
    databases: AtomicU32,
    /// The server is stopped and the directory removed once this pipe closes, however the
    /// process ends.
    _alive: ChildStdin,
    _keeper: Child,
}

impl Cluster {
    /// The server of this process; none, with the reason printed, where none is installed.
    pub fn shared() -> Option<&'static Self> {
        static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
        let cluster = CLUSTER
            .get_or_init(|| {
                let programs = programs()?;
                Some(Self::start(programs, PORT, |_| {
                    vec!["listen_addresses=".to_owned()]
                }))
            })
            .as_ref();
        if cluster.is_none() {
            not_run(MISSING);
        }
        cluster
    }

    /// Another server, which is reached on loopback too and shows a certificate there, and its
    /// port; none, with the reason printed, where none is installed.
    pub fn secured(certificate: &str, key: &str) -> Option<(Self, u16)> {
        Self::on_loopback(|directory| {
            let file = |name: &str, content: &str| {
                let path = directory.join(name);
                std::fs::write(&path, content).expect("a file");
                run(Command::new("chmod").arg("600").arg(&path));
                if rustix::process::geteuid().is_root() {
                    run(Command::new("chown").arg(NOBODY).arg(&path));
                }
                path.display().to_string()
            };
            vec![
                "ssl=on".to_owned(),
                format!("ssl_cert_file={}", file("cert.pem", certificate)),
                format!("ssl_key_file={}", file("key.pem", key)),
            ]
        })
    }

    /// Another server, which is reached on loopback too, and its port; none, with the reason
    /// printed, where none is installed. Settings may need files in its directory.
    pub fn on_loopback(settings: impl FnOnce(&Path) -> Vec<String>) -> Option<(Self, u16)> {
        let Some(programs) = programs() else {
            not_run(MISSING);
            return None;
        };
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let cluster = Self::start(programs, port, |directory| {
            let mut all = settings(directory);
            all.push("listen_addresses=127.0.0.1".to_owned());
            all
        });
        Some((cluster, port))
    }

    /// Starts a server with settings that may need files in its directory.
    fn start(programs: PathBuf, port: u16, settings: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("berth-store-")
            .tempdir()
            .expect("a temporary directory")
            .keep();
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").arg(NOBODY).arg(&directory));
        }
        let data = directory.join("data");
        run(as_nobody(&programs.join("initdb"))
            .arg("--pgdata")
            .arg(&data)
            .args(["--username=berth", "--auth=trust", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C.UTF-8"]));
        let mut server = as_nobody(&programs.join("postgres"));
        server
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&directory)
            .args(["-p", &port.to_string(), "-c", "fsync=off"])
            .args(["-c", "max_wal_size=64MB", "-c", "shared_buffers=16MB"])
            // The tests look for secrets in what a talkative server writes down.
            .args(["-c", "log_statement=all", "-c", "logging_collector=off"]);
        for setting in settings(&directory) {
            server.arg("-c").arg(setting);
        }
        let mut keeper = Command::new("sh")
            .arg("-c")
            .arg(
                "log=$1; directory=$2; shift 2; \"$@\" 2>\"$log\" </dev/null & server=$!; \
                 cat >/dev/null; kill -INT $server; wait $server; rm -rf \"$directory\"",
            )
            .arg("keeper")
            .arg(directory.join("log"))
            .arg(&directory)
            .arg(server.get_program())
            .args(server.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let cluster = Self {
            _alive: keeper.stdin.take().expect("its standard input"),
            _keeper: keeper,
            directory,
            programs,
            port,
            databases: AtomicU32::new(0),
        };
        cluster.await_ready();
        cluster
    }

    fn await_ready(&self) {
        for _ in 0..START_POLLS_MAX {
            let ready = Command::new(self.programs.join("pg_isready"))
                .arg("-h")
                .arg(&self.directory)
                .args(["-p", &self.port.to_string()])
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
            if ready {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        panic!("the server did not start: {log}");
    }

    /// Makes an empty database and tells its URL.
    pub fn new_database(&self) -> String {
        let name = format!("store_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        run(Command::new(self.programs.join("createdb"))
            .arg("-h")
            .arg(&self.directory)
            .args(["-U", "berth", &name]));
        format!(
            "postgres://berth@localhost/{name}?host={}",
            self.directory.display()
        )
    }

    /// Where data, write-ahead log and server log are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Says why something is not tested, past libtest, which hides what a passing test prints. Where
/// `BERTH_TESTS_MUST_RUN` promises all that a test may ask for, as `scripts/test` does, it fails.
fn not_run(reason: &str) {
    let promised = std::env::var_os("BERTH_TESTS_MUST_RUN").is_some();
    assert!(!promised, "not run: {reason}");
    // Whole, so that the line stays one; nothing is left to be done where nobody listens.
    let _ = std::io::stderr().write_all(format!("not run: {reason}\n").as_bytes());
}

/// The programs of the newest server that is installed.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let major = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs
                .join("postgres")
                .exists()
                .then_some((major, programs))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, programs)| programs)
}

fn as_nobody(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"])
        .arg(program);
    command
}

fn run(command: &mut Command) {
    // nobody may not enter the directory that the tests were started in.
    let output = command.current_dir("/").output().expect("a program");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
