//! Who asks, when proxies stand in between: the address that the last proxy one trusts has seen.

use axum::http::{HeaderMap, header};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address. A header is believed as far as trusted proxies wrote it: read from its
/// end, the first address that is none of theirs is the client, and whatever stands before it
/// was said by that client.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusts(trusted, peer) {
        return peer;
    }
    let by_list = values(headers, X_FORWARDED_FOR).map(|hops| walked(peer, &hops, trusted));
    let by_standard = values(headers, header::FORWARDED.as_str()).map(|hops| {
        walked(
            peer,
            &hops.iter().map(|hop| for_of(hop)).collect::<Vec<_>>(),
            trusted,
        )
    });
    match (by_list, by_standard) {
        // A proxy writes one of the two and may pass the other on as its client sent it; which
        // one that is cannot be told, so only the proxy's own address is sure.
        (Some(one), Some(other)) if one != other => peer,
        (Some(address), _) | (None, Some(address)) => address,
        (None, None) => peer,
    }
}

fn trusts(trusted: &[IpNet], address: IpAddr) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// The elements of a header that may be sent several times; none when it was not sent.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> Option<Vec<&'a str>> {
    let mut found = None;
    for value in headers.get_all(name) {
        // What is no text is no address either: it ends the walk.
        let text = value.to_str().unwrap_or("?");
        found
            .get_or_insert_with(Vec::new)
            .extend(text.split(',').map(str::trim));
    }
    found
}

fn walked(peer: IpAddr, hops: &[&str], trusted: &[IpNet]) -> IpAddr {
    let mut last = peer;
    for hop in hops.iter().rev() {
        let Some(address) = address_of(hop) else {
            return last;
        };
        last = address;
        if !trusts(trusted, address) {
            return address;
        }
    }
    last
}

/// The `for` of one element of `Forwarded`, without its quotes.
fn for_of(element: &str) -> &str {
    element
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))
        .map_or("", |(_, value)| value.trim().trim_matches('"'))
}

/// An address, with or without a port, in brackets where it is of version 6.
fn address_of(text: &str) -> Option<IpAddr> {
    let address = if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else if let Ok(socket) = text.parse::<SocketAddr>() {
        socket.ip()
    } else {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        IpAddr::V6(inner.parse().ok()?)
    };
    Some(address.to_canonical())
}

/// The key under which an address is limited: a host of version 6 has a whole /64 to itself.
pub(crate) fn limited_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, trusted: &[&str], sent: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_what_it_wrote_itself() {
        let list = |value| [("x-forwarded-for", value)];
        let proxies = ["10.0.0.0/8", "fd00::/8"];
        // Nobody is trusted, or not this one.
        assert_eq!(seen("10.0.0.1", &[], &list("1.2.3.4")), "10.0.0.1");
        assert_eq!(seen("192.0.2.1", &proxies, &list("1.2.3.4")), "192.0.2.1");
        // What stands before the client's own address is the client's invention.
        assert_eq!(
            seen("10.0.0.1", &proxies, &list("9.9.9.9, 1.2.3.4")),
            "1.2.3.4"
        );
        assert_eq!(
            seen("10.0.0.1", &proxies, &list("9.9.9.9, 1.2.3.4, 10.7.7.7")),
            "1.2.3.4"
        );
        assert_eq!(seen("10.0.0.1", &proxies, &list("1.2.3.4:5678")), "1.2.3.4");
        assert_eq!(
            seen("::ffff:10.0.0.1", &proxies, &list("[2001:db8::1]:80")),
            "2001:db8::1"
        );
        assert_eq!(
            seen("10.0.0.1", &proxies, &list("1.2.3.4, unknown, 10.0.0.2")),
            "10.0.0.2"
        );
        assert_eq!(seen("10.0.0.1", &proxies, &[]), "10.0.0.1");
        let twice = [
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-for", "1.2.3.4"),
        ];
        assert_eq!(seen("10.0.0.1", &proxies, &twice), "1.2.3.4");
    }

    #[test]
    fn the_standard_header_is_read_too_and_two_that_differ_are_not() {
        let proxies = ["10.0.0.0/8"];
        let standard = [(
            "forwarded",
            "for=9.9.9.9, proto=https;For=\"[2001:db8::1]:443\"",
        )];
        assert_eq!(seen("10.0.0.1", &proxies, &standard), "2001:db8::1");
        let both = [("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "1.2.3.4")];
        assert_eq!(seen("10.0.0.1", &proxies, &both), "1.2.3.4");
        let differ = [("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "5.6.7.8")];
        assert_eq!(seen("10.0.0.1", &proxies, &differ), "10.0.0.1");
    }

    #[test]
    fn a_network_of_version_6_shares_its_limit() {
        let key = |text: &str| limited_as(text.parse().unwrap()).to_string();
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(key("::ffff:1.2.3.4"), "1.2.3.4");
    }
}
