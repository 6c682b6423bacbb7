//! Networks: their addresses, how they come and how they go.

use crate::crash::crash_point;
use crate::runtime::{ContainerRuntime, FoundNetwork, NetworkId, NetworkPlan, RuntimeError};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use tokio::sync::Mutex;

/// Room for 61 members: a project's databases, poolers and applications.
const SLICE_PREFIX: u8 = 26;
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

/// Finds the network, or makes it. One at a time chooses addresses: `choosing` sees to it.
pub(crate) async fn ensure(
    runtime: &dyn ContainerRuntime,
    choosing: &Mutex<()>,
    range: Ipv4Net,
    wish: &Wish,
) -> Result<Joined, NoNetwork> {
    if let Some(found) = ours(&runtime.networks().await?, wish).and_then(joined) {
        return Ok(found);
    }
    let _turn = choosing.lock().await;
    let existing = runtime.networks().await?;
    if let Some(found) = ours(&existing, wish).and_then(joined) {
        return Ok(found);
    }
    let mut taken: Vec<Ipv4Net> = existing.into_iter().flat_map(|n| n.subnets).collect();
    taken.extend(host_routes());
    crash_point("network.create.before");
    for subnet in free_slices(range, &taken).take(ATTEMPTS_MAX) {
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
            Err(RuntimeError::SubnetTaken { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(NoNetwork::Full { range })
}

/// Removes those of the installation's networks that `may_go` names and that nothing is in
/// any more, applications included.
pub(crate) async fn remove_unused(
    runtime: &dyn ContainerRuntime,
    installation: &str,
    may_go: impl Fn(&str) -> bool + Send,
) -> Result<(), RuntimeError> {
    for network in runtime.networks().await? {
        if !may_go(&network.name) || network.installation.as_deref() != Some(installation) {
            continue;
        }
        if runtime.is_network_used(&network.id).await? {
            continue;
        }
        crash_point("network.remove.before");
        match runtime.remove_network(&network.id).await {
            // Someone joined or removed it in between: both are fine.
            Ok(()) | Err(RuntimeError::NotFound { .. } | RuntimeError::NetworkInUse) => {}
            Err(error) => return Err(error),
        }
        crash_point("network.remove.after");
        tracing::info!(network.name = %network.name, "removed a network");
    }
    Ok(())
}

/// Names are not unique in a container engine. The oldest of ours is the one.
fn ours<'a>(networks: &'a [FoundNetwork], wish: &Wish) -> Option<&'a FoundNetwork> {
    networks
        .iter()
        .filter(|n| n.name == wish.name && n.installation.as_ref() == Some(&wish.installation))
        .min_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)))
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

/// The slices of `range` that overlap with none of `taken`.
fn free_slices(range: Ipv4Net, taken: &[Ipv4Net]) -> impl Iterator<Item = Ipv4Net> {
    range
        .subnets(SLICE_PREFIX.max(range.prefix_len()))
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
        let free: Vec<_> = free_slices(net("10.8.0.0/23"), &taken).take(2).collect();
        assert_eq!(free, [net("10.8.0.128/26"), net("10.8.1.0/26")]);
        assert_eq!(
            free_slices(net("10.8.0.0/24"), &[net("10.0.0.0/8")]).next(),
            None
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
