//! What an installation allows: the same for every request.

use berth_domain::{Addresses, Catalogue, Plan};
use berth_engines::Registry;
use std::ops::RangeInclusive;

/// The limits that an operator sets.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Ports on which databases may be published.
    pub public_ports: RangeInclusive<u16>,
    /// Addresses that a project's network has for engines and poolers.
    pub project_addresses: u32,
    /// Addresses that the network has on which all projects publish.
    pub public_addresses: u32,
    /// Times the host's memory that may be promised.
    pub overcommit: f64,
    /// Days for which what a token without `unprotect` destroys stays recoverable, at least.
    pub recovery_floor_days: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            public_ports: 15_000..=15_999,
            project_addresses: 253,
            public_addresses: 1_021,
            overcommit: 2.0,
            recovery_floor_days: 1,
        }
    }
}

/// What an installation allows and how it names things.
pub struct Rules {
    /// The engines.
    pub engines: Registry,
    /// Plans and regions.
    pub catalogue: Catalogue,
    /// How hosts and networks are named.
    pub addresses: Addresses,
    /// What an operator set.
    pub limits: Limits,
    /// The authority that signs the engines' certificates, as PEM.
    pub ca_certificate: String,
}

impl Rules {
    /// The plan of an order that names none.
    pub(crate) fn default_plan(&self) -> Option<&Plan> {
        self.catalogue.plans.first()
    }

    /// The region of an order that names none, in a project that names none.
    pub(crate) fn default_region(&self) -> Option<&str> {
        self.catalogue.regions.first().map(String::as_str)
    }

    /// Memory in MiB that a plan promises.
    pub(crate) fn memory_mb_of(&self, plan: &str) -> u64 {
        let found = self.catalogue.plan(plan);
        found.map_or(0, |plan| u64::from(plan.memory_mb))
    }

    /// Memory in MiB that may be promised on a host with that much.
    pub(crate) fn memory_mb_allowed(&self, memory_mb: u64) -> u64 {
        (memory_mb as f64 * self.limits.overcommit) as u64
    }

    /// Whether a published port is reached from this host alone.
    pub(crate) fn publishes_on_loopback(&self) -> bool {
        let host = self.addresses.public_host();
        host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}
