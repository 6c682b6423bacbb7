//! What the services ask of the world.

use crate::ports;
use async_trait::async_trait;
use berth_domain::EngineName;
use berth_platform::{Capabilities, Platform};
use berth_services::{HostCapacity, ImageState, Outside};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Seconds between two looks at what the platform has.
const CAPABILITIES_SECONDS: u64 = 30;
/// Seconds that one of them may take.
const LOOK_SECONDS_MAX: u64 = CAPABILITIES_SECONDS;
/// Seconds that the first look may take; serving does not wait longer for a silent engine.
const FIRST_LOOK_SECONDS_MAX: u64 = 3;
/// Where the kernel tells how much memory there is.
const MEMORY_TABLE: &str = "/proc/meminfo";

/// What the services ask of the world: answered from the last look, so that no request waits.
pub(crate) struct World {
    platform: Arc<dyn Platform>,
    /// Where ports are published; none when nothing is published for real.
    published_on: Option<IpAddr>,
    seen: RwLock<Option<Capabilities>>,
}

impl World {
    pub(crate) fn new(platform: Arc<dyn Platform>, published_on: Option<IpAddr>) -> Self {
        Self {
            platform,
            published_on,
            seen: RwLock::new(None),
        }
    }

    /// Asks what the platform has, for so long. What was told last stands where nothing is told.
    async fn look(&self, seconds: u64) {
        let told = self.platform.capabilities();
        match tokio::time::timeout(Duration::from_secs(seconds), told).await {
            Ok(Ok(found)) => {
                *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Some(found);
            }
            Ok(Err(error)) => tracing::warn!(
                error = crate::chain(&error),
                "could not ask what the platform has"
            ),
            Err(_) => tracing::warn!(
                seconds,
                "the platform is slow to say what it has; serving goes on without"
            ),
        }
    }

    pub(crate) async fn first_look(&self) {
        self.look(FIRST_LOOK_SECONDS_MAX).await;
    }

    pub(crate) async fn keep_looking(self: Arc<Self>) {
        let mut tick = tokio::time::interval(Duration::from_secs(CAPABILITIES_SECONDS));
        tick.tick().await;
        loop {
            tick.tick().await;
            self.look(LOOK_SECONDS_MAX).await;
        }
    }

    fn seen(&self) -> Option<Capabilities> {
        self.seen
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl Outside for World {
    async fn image(&self, engine: &EngineName, version: &str) -> ImageState {
        let seen = self.seen();
        let offer = seen
            .iter()
            .flat_map(|c| &c.offers)
            .find(|o| o.engine == *engine && o.version == version);
        match offer.map(|o| (o.unavailable.clone(), o.delay.clone())) {
            Some((Some(reason), _)) => ImageState::Unavailable { reason },
            Some((None, Some(delay))) => ImageState::Absent { delay },
            Some((None, None)) | None => ImageState::Available,
        }
    }

    async fn host(&self) -> Option<HostCapacity> {
        let told = self.seen().map(|c| HostCapacity {
            cpu_millis: c.cpu_millis,
            memory_mb: c.memory_mb,
        });
        // The engine is behind a socket of this host: until it answers, the kernel does.
        told.or_else(read_off_the_kernel)
    }

    fn port_is_free(&self, port: u16) -> bool {
        self.published_on
            .is_none_or(|address| ports::is_free(address, port))
    }
}

/// What this host has; none where the kernel does not tell it.
fn read_off_the_kernel() -> Option<HostCapacity> {
    let table = std::fs::read_to_string(MEMORY_TABLE).ok()?;
    let cores = std::thread::available_parallelism().ok()?;
    Some(HostCapacity {
        cpu_millis: u32::try_from(cores.get()).ok()?.saturating_mul(1000),
        memory_mb: memory_mb(&table)?,
    })
}

/// The whole memory in MiB, of a table that counts in KiB.
fn memory_mb(table: &str) -> Option<u64> {
    let row = table
        .lines()
        .find_map(|row| row.strip_prefix("MemTotal:"))?;
    let kib: u64 = row.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_containers::{ContainerPlatform, FakeRuntime, Fault, Layout, Settings, SocketDialer};
    use berth_domain::{InstallationId, InstanceId};
    use berth_engines::Registry;

    fn world_of(runtime: &FakeRuntime, directory: &std::path::Path) -> World {
        let installation = InstallationId::parse("0123abcd").unwrap();
        let settings = Settings {
            layout: Layout::new(directory.join("data"), directory.join("run"), &installation),
            installation,
            range: "10.211.0.0/16".parse().unwrap(),
            public_network: "berth-public".to_owned(),
            keep_keys_in_memory: false,
            fresh_id: Box::new(|| InstanceId::from_entropy([1; 16])),
        };
        let runtime = Arc::new(runtime.clone());
        let registry = Arc::new(Registry::all());
        let platform = ContainerPlatform::new(runtime, Arc::new(SocketDialer), registry, settings);
        World::new(Arc::new(platform), None)
    }

    #[tokio::test]
    async fn what_the_host_has_is_known_before_the_engine_says_it() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = FakeRuntime::new(Arc::new(Registry::all()));
        runtime.falls_silent(Fault::Unreachable);
        let world = world_of(&runtime, directory.path());
        world.first_look().await;
        let own = world.host().await.unwrap();
        assert!(own.memory_mb > 0 && own.cpu_millis > 0, "{own:?}");
        runtime.answers_again();
        world.first_look().await;
        // The engine of the test says that it has more than any host.
        assert!(world.host().await.unwrap().memory_mb > own.memory_mb);
    }

    #[test]
    fn the_kernels_table_is_read() {
        let table = "MemTotal:        8052784 kB\nMemFree:          104 kB\n";
        assert_eq!(memory_mb(table), Some(7864));
        assert_eq!(memory_mb("MemFree: 104 kB\n"), None);
        assert_eq!(memory_mb("MemTotal: much\n"), None);
    }
}
