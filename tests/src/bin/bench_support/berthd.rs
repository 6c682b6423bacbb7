//! A berthd for as long as a bench runs.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

const POLL: Duration = Duration::from_millis(50);
const START_POLLS_MAX: u32 = 600;
const STOP_POLLS_MAX: u32 = 200;

/// Where a berthd keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In memory where there is such a thing: what is measured is not the disk.
    Memory,
    /// On the file system of the Docker engine's volumes: what is measured stands beside
    /// containers that keep their data there.
    EngineDisk,
}

impl Place {
    fn folder(self) -> Result<TempDir, Box<dyn Error>> {
        match self {
            Self::Memory => Ok(in_memory()?),
            Self::EngineDisk => Ok(tempfile::Builder::new()
                .prefix("berth-bench-")
                .tempdir_in(engine_disk()?)?),
        }
    }
}

/// Ends with the value.
pub struct Berthd {
    child: Child,
    root: TempDir,
    address: String,
    endpoint: String,
}

impl Berthd {
    /// Starts it on the fake runtime, on a free port, and waits until it is ready.
    pub fn start(program: &Path) -> Result<Self, Box<dyn Error>> {
        Self::start_with(program, Place::Memory, &["--runtime", "fake"])
    }

    /// Starts it there with these options, on a free port, and waits until it is ready.
    pub fn start_with(
        program: &Path,
        place: Place,
        options: &[&str],
    ) -> Result<Self, Box<dyn Error>> {
        let root = place.folder()?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .to_string();
        let child = Command::new(program)
            .arg("serve")
            .args(options)
            .args(["--listen", &address, "--data-root"])
            .arg(root.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let endpoint = format!("http://{address}");
        let mut server = Self {
            child,
            root,
            address,
            endpoint,
        };
        for _ in 0..START_POLLS_MAX {
            if server
                .get("/readyz")
                .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
            {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("berthd ended with {status}").into());
            }
            thread::sleep(POLL);
        }
        Err("berthd does not get ready".into())
    }

    /// For the provider's configuration.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps everything.
    pub fn data_root(&self) -> &Path {
        self.root.path()
    }

    /// Where the first token is.
    pub fn token_file(&self) -> String {
        self.root.path().join("admin.token").display().to_string()
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn get(&self, path: &str) -> Result<String, Box<dyn Error>> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Berthd {
    fn drop(&mut self) {
        // An error means that it has ended already.
        // Stopped rather than killed, so that it leaves nothing behind that only it knows of.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        for _ in 0..STOP_POLLS_MAX {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn in_memory() -> io::Result<TempDir> {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() {
        return tempfile::tempdir_in(shared);
    }
    tempfile::tempdir()
}

/// The highest folder on the file system of the engine's volumes that is still near them: for
/// `/var/lib/docker/volumes` usually `/var/lib`.
fn engine_disk() -> Result<PathBuf, Box<dyn Error>> {
    let told = Command::new("docker")
        .args(["info", "--format", "{{.DockerRootDir}}"])
        .output()?;
    if !told.status.success() {
        let why = String::from_utf8_lossy(&told.stderr);
        return Err(format!("the engine does not say where its data is: {}", why.trim()).into());
    }
    let volumes = Path::new(String::from_utf8_lossy(&told.stdout).trim()).join("volumes");
    let device = device(&volumes)?;
    let mut highest = volumes.clone();
    for above in volumes.ancestors().skip(1).take(2) {
        if self::device(above)? != device {
            break;
        }
        highest = above.to_owned();
    }
    Ok(highest)
}

fn device(folder: &Path) -> Result<u64, String> {
    let found = folder.metadata();
    found
        .map(|found| found.dev())
        .map_err(|error| format!("{}: {error}", folder.display()))
}
