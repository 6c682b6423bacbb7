//! Which ports of this host somebody listens on, read from the kernel's tables: a plan looks, and
//! must not take a port even for a moment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kernel's tables of connections, each in its own family.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// The state of a socket that listens.
const LISTENS: &str = "0A";

/// Whether nobody listens where `address` would be published with `port`, as far as can be seen:
/// where the tables cannot be read, the engine says it when the port is taken.
pub(crate) fn is_free(address: IpAddr, port: u16) -> bool {
    TABLES.into_iter().all(|path| {
        std::fs::read_to_string(path).map_or(true, |table| !is_listened_on(&table, address, port))
    })
}

fn is_listened_on(table: &str, address: IpAddr, port: u16) -> bool {
    // The first line has the names of the columns.
    let rows = table.lines().skip(1);
    let mut listening = rows.filter_map(listener);
    listening.any(|(held, on)| {
        on == port && (held == address || held.is_unspecified() || address.is_unspecified())
    })
}

/// Where the socket of a row listens, if it does.
fn listener(row: &str) -> Option<(IpAddr, u16)> {
    let mut columns = row.split_whitespace();
    let local = columns.nth(1)?;
    if columns.nth(1)? != LISTENS {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let bytes = hex::decode(address).ok()?;
    // Each four bytes are a number in the order of this machine.
    let mut words = [[0_u8; 4]; 4];
    let (parts, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let words = words.get_mut(..parts.len())?;
    for (word, part) in words.iter_mut().zip(parts) {
        *word = u32::from_be_bytes(*part).to_ne_bytes();
    }
    let address = match words {
        [word] => IpAddr::V4(Ipv4Addr::from(*word)),
        [_, _, _, _] => {
            let whole: [u8; 16] = words.as_flattened().try_into().ok()?;
            Ipv6Addr::from(whole).to_canonical()
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const HEADER: &str = "  sl  local_address rem_address   st tx_queue rx_queue\n";
    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn who_listens_is_read_from_the_tables() {
        let loopback = format!("{HEADER}   0: 0100007F:1538 00000000:0000 0A 00000000:00000000\n");
        assert!(is_listened_on(&loopback, LOOPBACK, 5432));
        assert!(is_listened_on(
            &loopback,
            Ipv4Addr::UNSPECIFIED.into(),
            5432
        ));
        assert!(!is_listened_on(&loopback, LOOPBACK, 5433));
        assert!(!is_listened_on(&loopback, ELSEWHERE, 5432));
        let talks = loopback.replace(" 0A ", " 01 ");
        assert!(!is_listened_on(&talks, LOOPBACK, 5432));
        let everywhere = loopback.replace("0100007F", &"0".repeat(32));
        assert!(is_listened_on(&everywhere, ELSEWHERE, 5432));
        let mapped = loopback.replace("0100007F", "0000000000000000FFFF00000100007F");
        assert!(is_listened_on(&mapped, LOOPBACK, 5432));
        assert!(!is_listened_on(&mapped, ELSEWHERE, 5432));
    }

    #[test]
    fn the_kernel_names_a_listener_of_this_process() {
        let held = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        assert!(!is_free(LOOPBACK, port));
    }
}
