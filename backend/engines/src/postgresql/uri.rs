//! Connection URIs.

use crate::{UriParts, UriTls};
use berth_domain::Secret;
use std::fmt::Write as _;

pub(super) fn full(parts: &UriParts<'_>, password: &Secret) -> Secret {
    Secret::new(with(parts, &encoded(password.reveal())))
}

pub(super) fn template(parts: &UriParts<'_>) -> String {
    with(parts, "{password}")
}

fn with(parts: &UriParts<'_>, password: &str) -> String {
    let mode = match parts.tls {
        UriTls::Disable => "disable",
        UriTls::Require => "require",
    };
    // An IPv6 address stands in brackets, or its colons would look like a port.
    let host = if parts.host.contains(':') {
        format!("[{}]", parts.host)
    } else {
        encoded(parts.host)
    };
    format!(
        "postgresql://{}:{password}@{host}:{}/{}?sslmode={mode}",
        encoded(parts.username),
        parts.port,
        encoded(parts.database_name),
    )
}

/// Everything but RFC 3986's unreserved characters, percent-encoded.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: UriParts<'_> = UriParts {
        host: "berth-db-orders",
        port: 5432,
        database_name: "orders",
        username: "app_orders",
        tls: UriTls::Disable,
    };

    #[test]
    fn what_a_uri_would_misread_is_encoded() {
        let uri = full(&PARTS, &Secret::new("a:b/c@d?#%ü"));
        assert_eq!(
            uri.reveal(),
            "postgresql://app_orders:a%3Ab%2Fc%40d%3F%23%25%C3%BC@berth-db-orders:5432/orders?sslmode=disable"
        );
        let v6 = UriParts {
            host: "::1",
            tls: UriTls::Require,
            ..PARTS
        };
        assert!(template(&v6).contains(":{password}@[::1]:5432/orders?sslmode=require"));
    }
}
