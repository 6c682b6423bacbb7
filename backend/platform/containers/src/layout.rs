//! Where an installation keeps what on the host.

use berth_domain::{InstallationId, InstanceId};
use berth_engines::{AWAITED, DATA, Place};
use std::path::PathBuf;

/// The paths of one installation; functions of ids, so that nothing has to be remembered.
#[derive(Debug, Clone)]
pub struct Layout {
    data_root: PathBuf,
    run_root: PathBuf,
}

impl Layout {
    /// Data goes below `data_root`; sockets, configuration and keys go below a directory of
    /// the installation's own in `run_base`, usually `/run/berth`.
    pub fn new(
        data_root: impl Into<PathBuf>,
        run_base: impl Into<PathBuf>,
        installation: &InstallationId,
    ) -> Self {
        Self {
            data_root: data_root.into(),
            run_root: run_base.into().join(installation.as_str()),
        }
    }

    /// The installation's directory in memory; empty after a reboot.
    pub fn run_root(&self) -> PathBuf {
        self.run_root.clone()
    }

    /// The directory that holds instances.
    pub fn instances(&self) -> PathBuf {
        self.data_root.join("instances")
    }

    /// Everything durable about an instance.
    pub fn instance(&self, instance: &InstanceId) -> PathBuf {
        self.instances().join(instance.as_str())
    }

    /// Its data.
    pub fn data(&self, instance: &InstanceId) -> PathBuf {
        self.instance(instance).join(DATA)
    }

    /// The file that is there from before its data is first made until that is in its place.
    pub fn awaited(&self, instance: &InstanceId) -> PathBuf {
        self.instance(instance).join(AWAITED)
    }

    /// The directory that holds what was destroyed and may come back.
    pub fn trash(&self) -> PathBuf {
        self.data_root.join("trash")
    }

    /// An instance's place in it.
    pub fn trashed(&self, instance: &InstanceId) -> PathBuf {
        self.trash().join(instance.as_str())
    }

    /// The directory in which things are taken apart; what lies here is rubbish.
    pub fn rubbish(&self) -> PathBuf {
        self.data_root.join("rubbish")
    }

    /// The directory that holds initialised data directories.
    pub fn spares(&self) -> PathBuf {
        self.data_root.join("spares")
    }

    /// Those of one version.
    pub fn spares_of(&self, engine: &str, version: &str) -> PathBuf {
        self.spares().join(format!("{engine}-{version}"))
    }

    /// Everything about an instance that is gone after a reboot.
    pub fn volatile(&self, instance: &InstanceId) -> PathBuf {
        self.run_root.join(instance.short())
    }

    /// The directory of the host that a place is. Names are short: a socket's whole path
    /// must stay below 108 bytes.
    pub fn place(&self, instance: &InstanceId, place: Place) -> PathBuf {
        let name = match place {
            Place::Data => return self.instance(instance),
            Place::EngineConfig => "engine.conf",
            Place::EngineSockets => "engine",
            Place::PoolerConfig => "pooler.conf",
            Place::PoolerSockets => "pooler",
        };
        self.volatile(instance).join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sockets_path_is_short_enough() {
        let installation = InstallationId::parse("0123abcd").unwrap();
        let layout = Layout::new("/var/lib/berth", "/run/berth", &installation);
        let instance = InstanceId::from_entropy([0xab; 16]);
        let socket = layout
            .place(&instance, Place::EngineSockets)
            .join(".s.PGSQL.5432");
        assert!(socket.as_os_str().len() < 108, "{}", socket.display());
        assert!(!layout.place(&instance, Place::Data).starts_with("/run"));
    }
}
