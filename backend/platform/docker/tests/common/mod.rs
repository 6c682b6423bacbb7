//! What the tests against a real engine share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use berth_containers::{ContainerPlatform, Containers, Layout, Networks, Settings, SocketDialer};
use berth_docker::Docker;
use berth_domain::{InstallationId, InstanceId, Secret, TlsMode};
use berth_engines::Registry;
use berth_platform::Tls;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much has to be free in memory for data to be there.
const MEMORY_BYTES_MIN: u64 = 4 << 30;

/// The engine of this host; none, with the reason printed, when it does not answer.
pub async fn docker() -> Option<Docker> {
    let address = std::env::var("DOCKER_HOST").unwrap_or("unix:///var/run/docker.sock".to_owned());
    let docker = Docker::at(&address).unwrap();
    match docker.networks().await {
        Ok(_) => Some(docker),
        Err(error) => {
            not_run(&format!(
                "no container engine answers at {address}: {error}"
            ));
            None
        }
    }
}

/// Says why something is not tested, past libtest, which hides what a passing test prints. Where
/// `BERTH_TESTS_MUST_RUN` promises all that a test may ask for, as `scripts/test` does, it fails.
pub fn not_run(reason: &str) {
    let promised = std::env::var_os("BERTH_TESTS_MUST_RUN").is_some();
    assert!(!promised, "not run: {reason}");
    // Whole, so that the line stays one; nothing is left to be done where nobody listens.
    let _ = std::io::stderr().write_all(format!("not run: {reason}\n").as_bytes());
}

/// An installation of one test's own, by process and number.
pub fn installation(nth: u8) -> InstallationId {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    InstallationId::from_entropy([0xf0 | nth, a, b, c])
}

/// Random bytes from the kernel.
pub fn entropy() -> [u8; 16] {
    let mut bytes = [0; 16];
    let mut random = std::fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut random, &mut bytes).unwrap();
    bytes
}

/// A port of 127.0.0.1 that nobody listens on at this moment.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A folder for one test, in memory if there is room: what a power cut would leave is not asked
/// here, and the disk is slow to make and forget the thousands of files of a cluster.
fn root() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map(|found| found.f_bavail * found.f_frsize);
    match free.is_ok_and(|bytes| bytes > MEMORY_BYTES_MIN) {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir_in("/var/tmp").unwrap(),
    }
}

/// Room that a test works in: everything it made goes when it ends, also when it fails.
pub struct Ground {
    pub docker: Docker,
    pub installation: InstallationId,
    pub root: tempfile::TempDir,
    pub range: ipnet::Ipv4Net,
}

impl Ground {
    pub async fn new(nth: u8, range: &str) -> Option<Self> {
        Some(Self {
            docker: docker().await?,
            installation: installation(nth),
            root: root(),
            range: range.parse().unwrap(),
        })
    }

    pub fn run_base(&self) -> PathBuf {
        PathBuf::from("/run/berth")
    }

    pub fn data_root(&self) -> &Path {
        self.root.path()
    }

    pub fn platform(&self, registry: &Arc<Registry>) -> ContainerPlatform {
        ContainerPlatform::new(
            Arc::new(self.docker.clone()),
            Arc::new(SocketDialer),
            Arc::clone(registry),
            Settings {
                layout: Layout::new(self.data_root(), self.run_base(), &self.installation),
                installation: self.installation.clone(),
                range: self.range,
                public_network: format!("t-public-{}", self.installation),
                keep_keys_in_memory: true,
                fresh_id: Box::new(|| InstanceId::from_entropy(entropy())),
            },
        )
    }

    /// The names of this installation's networks that exist.
    pub async fn networks(&self) -> Vec<String> {
        let all = self.docker.networks().await.unwrap();
        let ours = all
            .into_iter()
            .filter(|n| n.installation.as_deref() == Some(self.installation.as_str()));
        ours.map(|n| n.name).collect()
    }

    /// Takes away what a failed test has left.
    pub async fn clear(&self) {
        let found = self
            .docker
            .find(self.installation.as_str(), None)
            .await
            .unwrap_or_default();
        for container in found {
            let _ = self.docker.stop(&container.id).await;
            let _ = self.docker.remove(&container.id).await;
        }
        for network in self.docker.networks().await.unwrap_or_default() {
            if network.installation.as_deref() == Some(self.installation.as_str()) {
                let _ = self.docker.remove_network(&network.id).await;
            }
        }
        let run = self.run_base().join(self.installation.as_str());
        let _ = rustix::mount::unmount(&run, rustix::mount::UnmountFlags::DETACH);
        let _ = std::fs::remove_dir_all(&run);
    }
}

/// Runs a test's body in a task of its own and clears up after it, however it ends.
pub async fn on_ground<F>(ground: Arc<Ground>, body: impl FnOnce(Arc<Ground>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let ended = tokio::spawn(body(Arc::clone(&ground))).await;
    ground.clear().await;
    if let Err(failed) = ended {
        std::panic::resume_unwind(failed.into_panic());
    }
}

/// An authority and a server certificate for these names.
pub fn tls(mode: TlsMode, names: &[&str]) -> Tls {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(rcgen::DnType::CommonName, "test authority");
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    Tls {
        mode,
        certificate_chain: certificate.pem(),
        key: Secret::new(key.serialize_pem()),
        authority: authority_certificate.pem(),
    }
}
