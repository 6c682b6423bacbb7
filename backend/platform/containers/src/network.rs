//! Networks: their addresses, how they come and how they go.

use crate::crash::crash_point;
use crate::runtime::{ContainerRuntime, FoundNetwork, NetworkId, NetworkPlan, RuntimeError};
use crate::turns::Turns;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bits by which a project's slice is smaller than the range: 256 slices.
const SLICES_BITS: u8 = 8;
/// The widest slice of a project: room for 253 databases, poolers and applications.
const WIDEST_PREFIX: u8 = 24;
/// The narrowest, in a small range: room for 61.
const NARROWEST_PREFIX: u8 = 26;
/// Bits by which the slice that all projects share is wider than a project's.
const SHARED_BITS: u8 = 2;
/// Addresses of a network that no process gets: its own, the host's, and the one for all.
const NOT_FOR_PROCESSES: u32 = 3;
/// How many slices are tried: each refusal is an overlap that no list had shown.
const ATTEMPTS_MAX: usize = 64;

/// A network that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub name: String,
    pub installation: String,
    pub internal: bool,
    pub members_meet: bool,
}

/// A network that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub id: NetworkId,
    pub subnet: Ipv4Net,
    pub gateway: Ipv4Addr,
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoNetwork {
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("every slice of {range} overlaps with another network or a route of this host")]
    Full { range: Ipv4Net },
}

/// What creates that run at the same time have to agree on.
#[derive(Debug, Default)]
pub(crate) struct Choosing {
    /// One create of a name at a time: names are not unique in a container engine.
    turns: Turns<String>,
    reserved: Mutex<Vec<Ipv4Net>>,
}

/// Addresses that nobody else takes while this is held.
struct Reserved<'a> {
    choosing: &'a Choosing,
    slice: Ipv4Net,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut reserved = lock(&self.choosing.reserved);
        reserved.retain(|slice| *slice != self.slice);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Choosing {
    fn reserve(&self, range: Ipv4Net, prefix: u8, taken: &[Ipv4Net]) -> Option<Reserved<'_>> {
        let mut reserved = lock(&self.reserved);
        let slice = free_slices(range, prefix, taken)
            .find(|slice| !reserved.iter().any(|other| overlap(*slice, *other)))?;
        reserved.push(slice);
        Some(Reserved {
            choosing: self,
            slice,
        })
    }
}

/// Finds the network, or makes it.
pub(crate) async fn ensure(
    runtime: &dyn ContainerRuntime,
    choosing: &Choosing,
    range: Ipv4Net,
    wish: &Wish,
) -> Result<Joined, NoNetwork> {
    if let [only] = ours(&runtime.networks().await?, wish)[..]
        && let Some(found) = joined(only)
    {
        return Ok(found);
    }
    let turn = choosing.turns.of(&wish.name);
    let _turn = turn.lock().await;
    let existing = runtime.networks().await?;
    if let Some(found) = the_one(runtime, &existing, wish).await?.and_then(joined) {
        return Ok(found);
    }
    let mut taken: Vec<Ipv4Net> = existing.into_iter().flat_map(|n| n.subnets).collect();
    taken.extend(host_routes());
    let prefix = slice_prefix(range, wish.members_meet);
    crash_point("network.create.before");
    for _ in 0..ATTEMPTS_MAX {
        let Some(reserved) = choosing.reserve(range, prefix, &taken) else {
            break;
        };
        let subnet = reserved.slice;
        let gateway = first_host(subnet);
        let plan = NetworkPlan {
            name: wish.name.clone(),
            installation: wish.installation.clone(),
            subnet,
            gateway,
            internal: wish.internal,
            members_meet: wish.members_meet,
        };
        match runtime.create_network(&plan).await {
            Ok(id) => {
                crash_point("network.create.after");
                tracing::info!(network.name = %wish.name, %subnet, "created a network");
                return Ok(Joined {
                    id,
                    subnet,
                    gateway,
                });
            }
            Err(RuntimeError::SubnetTaken { .. }) => taken.push(subnet),
            Err(error) => return Err(error.into()),
        }
    }
    Err(NoNetwork::Full { range })
}

/// Those of the installation's networks that `may_go` names and that nothing is in any more,
/// applications included.
pub(crate) async fn unused(
    runtime: &dyn ContainerRuntime,
    installation: &str,
    may_go: impl Fn(&str) -> bool + Send,
) -> Result<Vec<FoundNetwork>, RuntimeError> {
    let mut unused = Vec::new();
    for network in runtime.networks().await? {
        let is_ours = network.installation.as_deref() == Some(installation);
        if is_ours && may_go(&network.name) && !runtime.is_network_used(&network.id).await? {
            unused.push(network);
        }
    }
    Ok(unused)
}

/// Removes those.
pub(crate) async fn remove_unused(
    runtime: &dyn ContainerRuntime,
    installation: &str,
    may_go: impl Fn(&str) -> bool + Send,
) -> Result<(), RuntimeError> {
    for network in unused(runtime, installation, may_go).await? {
        crash_point("network.remove.before");
        // One that somebody has joined meanwhile stays.
        goes(runtime, &network).await?;
        crash_point("network.remove.after");
    }
    Ok(())
}

/// The installation's networks of that name, the oldest first.
fn ours<'a>(networks: &'a [FoundNetwork], wish: &Wish) -> Vec<&'a FoundNetwork> {
    let mut same: Vec<_> = networks
        .iter()
        .filter(|n| n.name == wish.name && n.installation.as_ref() == Some(&wish.installation))
        .collect();
    same.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    same
}

/// Names are not unique in a container engine, and it starts no container in a network whose
/// name another bears. A create that was under way when berthd died may still take effect
/// after the next start has looked; so all but one go. The oldest stays, or the one in use.
async fn the_one<'a>(
    runtime: &dyn ContainerRuntime,
    networks: &'a [FoundNetwork],
    wish: &Wish,
) -> Result<Option<&'a FoundNetwork>, RuntimeError> {
    let mut same = ours(networks, wish).into_iter();
    let Some(mut chosen) = same.next() else {
        return Ok(None);
    };
    for other in same {
        if !goes(runtime, other).await? && goes(runtime, chosen).await? {
            chosen = other;
        }
    }
    Ok(Some(chosen))
}

/// Removes a network that nothing runs in; false when something does.
async fn goes(
    runtime: &dyn ContainerRuntime,
    network: &FoundNetwork,
) -> Result<bool, RuntimeError> {
    match runtime.remove_network(&network.id).await {
        Ok(()) => {
            let (name, id) = (&network.name, &network.id.0);
            tracing::info!(network.name = %name, network.id = %id, "removed a network");
            Ok(true)
        }
        // Somebody else was faster.
        Err(RuntimeError::NotFound { .. }) => Ok(true),
        Err(RuntimeError::NetworkInUse) => Ok(false),
        Err(error) => Err(error),
    }
}

fn joined(network: &FoundNetwork) -> Option<Joined> {
    network.subnets.first().map(|subnet| Joined {
        id: network.id.clone(),
        subnet: *subnet,
        gateway: first_host(*subnet),
    })
}

fn first_host(subnet: Ipv4Net) -> Ipv4Addr {
    subnet.hosts().next().unwrap_or_else(|| subnet.addr())
}

/// How many processes find an address in the networks that are made from a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In the network of one project.
    pub in_project: u32,
    /// In the one network on which all projects publish.
    pub in_public: u32,
}

impl Room {
    /// That of networks that are made from now on. One that was made from another range
    /// keeps the size it has.
    pub fn of(range: Ipv4Net) -> Self {
        let addresses = |members_meet| {
            let prefix = slice_prefix(range, members_meet).max(range.prefix_len());
            let all = 1_u32
                .checked_shl(u32::from(32 - prefix))
                .unwrap_or(u32::MAX);
            all.saturating_sub(NOT_FOR_PROCESSES)
        };
        Self {
            in_project: addresses(true),
            in_public: addresses(false),
        }
    }
}

/// How large the network's slice is. Poolers of all projects share the one whose members do not
/// meet; still it takes no more than a quarter of the range.
fn slice_prefix(range: Ipv4Net, members_meet: bool) -> u8 {
    let project = range
        .prefix_len()
        .saturating_add(SLICES_BITS)
        .clamp(WIDEST_PREFIX, NARROWEST_PREFIX);
    if members_meet {
        project
    } else {
        (project - SHARED_BITS).max(range.prefix_len().saturating_add(SHARED_BITS))
    }
}

/// The slices of `range` that overlap with none of `taken`, whatever size those have.
fn free_slices(range: Ipv4Net, prefix: u8, taken: &[Ipv4Net]) -> impl Iterator<Item = Ipv4Net> {
    range
        .subnets(prefix.max(range.prefix_len()))
        .into_iter()
        .flatten()
        .filter(move |slice| !taken.iter().any(|other| overlap(*slice, *other)))
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// What this host already routes somewhere; the default route aside.
fn host_routes() -> Vec<Ipv4Net> {
    std::fs::read_to_string("/proc/net/route")
        .map(|table| routes(&table))
        .unwrap_or_default()
}

/// Reads the kernel's table: hexadecimal addresses in the machine's byte order.
fn routes(table: &str) -> Vec<Ipv4Net> {
    let address = |word: &str| {
        u32::from_str_radix(word, 16)
            .ok()
            .map(|n| Ipv4Addr::from(n.to_ne_bytes()))
    };
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let destination = address(fields.nth(1)?)?;
            let mask = address(fields.nth(5)?)?;
            Ipv4Net::with_netmask(destination, mask).ok()
        })
        .filter(|net| net.prefix_len() > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn slices_keep_clear_of_everything_that_exists() {
        let taken = [net("10.8.0.0/25"), net("10.8.0.192/29")];
        let free: Vec<_> = free_slices(net("10.8.0.0/23"), 26, &taken)
            .take(2)
            .collect();
        assert_eq!(free, [net("10.8.0.128/26"), net("10.8.1.0/26")]);
        assert_eq!(
            free_slices(net("10.8.0.0/24"), 26, &[net("10.0.0.0/8")]).next(),
            None
        );
    }

    #[test]
    fn a_slice_fits_its_range_and_keeps_clear_of_other_sizes() {
        let prefixes = |range: &str| {
            let of = |members_meet| slice_prefix(net(range), members_meet);
            (of(true), of(false))
        };
        assert_eq!(prefixes("10.0.0.0/8"), (24, 22));
        assert_eq!(prefixes("10.213.0.0/16"), (24, 22));
        assert_eq!(prefixes("10.213.0.0/17"), (25, 23));
        assert_eq!(prefixes("10.213.0.0/20"), (26, 24));
        assert_eq!(prefixes("10.213.0.0/24"), (26, 26));

        let room = |range: &str| {
            let Room {
                in_project,
                in_public,
            } = Room::of(net(range));
            (in_project, in_public)
        };
        assert_eq!(room("10.213.0.0/16"), (253, 1_021));
        assert_eq!(room("10.213.0.0/24"), (61, 61));

        let range = net("10.213.0.0/16");
        // A slice of an earlier size, and a project's.
        let mut taken = vec![net("10.213.0.64/26"), net("10.213.2.0/24")];
        let shared = free_slices(range, 22, &taken).next().unwrap();
        assert_eq!(shared, net("10.213.4.0/22"));
        taken.push(shared);
        let free: Vec<_> = free_slices(range, 24, &taken).take(3).collect();
        assert_eq!(
            free,
            [
                net("10.213.1.0/24"),
                net("10.213.3.0/24"),
                net("10.213.8.0/24")
            ]
        );
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_kernels_routes_are_read_without_the_default_one() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                     eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(routes(table), [net("192.168.1.0/24")]);
    }
}
