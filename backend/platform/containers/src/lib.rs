//! Database instances rendered onto containers.
//!
//! Owns: which containers, networks and host directories an instance is made of, in which
//! order they come and go, and how each step is taken up again after a crash; the trait
//! `ContainerRuntime` and a fake of it that behaves.
//! Refuses: any container engine's own API, what is wanted (an `InstanceSpec` says it),
//! what an engine is (its description says it).

pub mod contract;
mod crash;
#[cfg(test)]
mod durability;
mod fake;
mod host;
mod instance;
mod layout;
#[cfg(test)]
mod matrix;
mod network;
mod own_memory;
mod platform;
mod power_cut;
mod record;
mod runtime;
mod sessions;
mod spares;
mod turns;
mod volatile;
mod workload;

pub use crash::{ALL_CRASH_POINTS, crashes_are_possible};
pub use fake::{FakeRuntime, Fault};
pub use host::copies_by_reference;
pub use layout::Layout;
pub use network::Room;
pub use own_memory::own_memory;
pub use platform::{ContainerPlatform, ImageSource, Settings};
pub use runtime::{
    Attachment, ContainerId, ContainerRuntime, ContainerState, Containers, Details, Events, Exec,
    ExecOutcome, Found, FoundNetwork, HostMount, Images, Labels, Limits, NetworkId, NetworkPlan,
    Networks, Older, Published, Role, RuntimeError, RuntimeEvent, RuntimeFacts, Stop, Workload,
};
pub use sessions::{Dialer, SocketDialer, Target};
pub use volatile::{in_memory, withdraw};

pub use berth_engines::{Access, Signal};
