//! What the services ask of the world; `berthd` wires it.

use async_trait::async_trait;
use berth_domain::{EngineName, Secret};

/// Whether a version of an engine can be run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageState {
    /// Its image is here.
    Available,
    /// Its image is not here; the first create gets it.
    Absent {
        /// A sentence for people: what that create waits for.
        delay: String,
    },
    /// It cannot be had; the reason says what to do.
    Unavailable {
        /// A sentence for people.
        reason: String,
    },
}

/// What the host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostCapacity {
    /// CPU in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory in MiB.
    pub memory_mb: u64,
}

/// Facts about the world that no row holds.
///
/// Both answers are expected at once: an implementation keeps what it learned and refreshes
/// it aside, since requests wait for them.
#[async_trait]
pub trait Outside: Send + Sync {
    /// Whether databases of that engine and version can be run here.
    async fn image(&self, engine: &EngineName, version: &str) -> ImageState;

    /// What the host has; none while nobody could be asked, and then nothing is refused for
    /// want of it.
    async fn host(&self) -> Option<HostCapacity>;

    /// Whether nobody else on the host is seen to listen on that port of the address that
    /// databases are published on. Another installation may; its ports are in no row of ours.
    /// Only looks: a plan asks it, too.
    fn port_is_free(&self, port: u16) -> bool;
}

/// Where randomness comes from. Tests choose it.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with what nobody can foresee.
    fn fill(&self, bytes: &mut [u8]);
}

/// That many random bytes.
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// A password of 32 hexadecimal characters.
pub fn random_password(entropy: &dyn Entropy) -> Secret {
    Secret::password(random(entropy))
}

/// The operating system's randomness, by way of the thread's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}
