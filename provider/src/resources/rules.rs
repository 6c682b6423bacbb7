//! Rules that hold without asking anyone: the shapes of names, networks and ids.

use std::net::IpAddr;

use berth_plugin::path::Path;
use berth_plugin::validate::{Validator, text};
use berth_plugin::value::Value;

/// Names as the API takes them: 3 to 48 lower-case letters, digits and hyphens.
pub fn name() -> Validator {
    text(|name| {
        let bytes = name.as_bytes();
        let well_formed = (3..=48).contains(&bytes.len())
            && bytes[0].is_ascii_lowercase()
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
            && bytes[bytes.len() - 1] != b'-';
        if well_formed {
            return Ok(());
        }
        let advice = suggestion(name)
            .map(|better| format!(" {better:?} would do."))
            .unwrap_or_default();
        Err(format!(
            "Expected 3 to 48 lower-case letters, digits and hyphens, starting with a letter \
             and ending with a letter or digit, got {name:?}.{advice}"
        ))
    })
}

/// The name that was probably meant, where small changes make one.
fn suggestion(name: &str) -> Option<String> {
    let mapped: String = name
        .to_lowercase()
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    let trimmed = mapped
        .trim_start_matches(|letter: char| !letter.is_ascii_lowercase())
        .trim_end_matches('-');
    (3..=48)
        .contains(&trimmed.len())
        .then(|| trimmed.to_owned())
}

/// Ids of the kind that begins with `prefix`. A name in their place is told apart from a typo.
pub fn id(prefix: &'static str, source: &'static str) -> Validator {
    text(move |id| {
        if id.starts_with(prefix) && id.len() > prefix.len() {
            return Ok(());
        }
        Err(format!(
            "Expected an id, which begins with {prefix:?}, got {id:?}. A name is turned into an \
             id by {source}."
        ))
    })
}

/// Maps and sets without a null in them, which the API could not keep.
pub fn no_nulls() -> Validator {
    Validator::new(|path, value, diagnostics| {
        let mut complain = |path: Path| {
            diagnostics.error_at(
                &path,
                "Missing value",
                "An element is null. Leave it out, or give it a value.",
            );
        };
        if let Some(map) = value.as_map() {
            let nulls = map.iter().filter(|(_, value)| value.is_null());
            nulls.for_each(|(key, _)| complain(path.key(key)));
        } else if value
            .as_elements()
            .into_iter()
            .flatten()
            .any(Value::is_null)
        {
            complain(path.set_element());
        }
    })
}

/// Networks in CIDR notation, in the spelling that is stored.
pub fn network() -> Validator {
    text(|network| match canonical(network) {
        Some(spelling) if spelling == network => Ok(()),
        Some(spelling) => Err(format!(
            "{network:?} is spelled {spelling:?}: write it so, since that is how it is kept."
        )),
        None => Err(format!(
            "Expected a network in CIDR notation, such as \"10.0.0.0/8\" or \"2001:db8::/32\", \
             got {network:?}."
        )),
    })
}

/// The canonical spelling: the network's first address, and always a length.
fn canonical(network: &str) -> Option<String> {
    let (address, length) = match network.trim().split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (network.trim(), None),
    };
    match address.parse().ok()? {
        IpAddr::V4(address) => {
            let length = length.unwrap_or(32);
            let host_bits = 32_u32.checked_sub(length)?;
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            Some(format!(
                "{}/{length}",
                std::net::Ipv4Addr::from(u32::from(address) & mask)
            ))
        }
        IpAddr::V6(address) => {
            let length = length.unwrap_or(128);
            let host_bits = 128_u32.checked_sub(length)?;
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            Some(format!(
                "{}/{length}",
                std::net::Ipv6Addr::from(u128::from(address) & mask)
            ))
        }
    }
}

/// The right word for an engine, where `word` is one that other products use for it. Which
/// engines exist is for the backend's catalogue to say.
pub fn engine() -> Validator {
    text(|word| {
        let right = match word.to_lowercase().as_str() {
            "postgres" | "pg" | "psql" | "postgresql-ng" | "postgresql-dr" => "postgresql",
            "mongo" => "mongodb",
            "maria" => "mariadb",
            lower if lower != word => {
                return Err(format!("Engines are written in lower case: {lower:?}."));
            }
            _ => return Ok(()),
        };
        Err(format!("Write {right:?} for {word:?}."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_one_spelling() {
        for (given, spelling) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:0::1/32", "2001:db8::/32"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(canonical(given).as_deref(), Some(spelling), "{given}");
        }
        for nonsense in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "host",
            "::/129",
            "10.0.0.0/-1",
        ] {
            assert_eq!(canonical(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_name_that_is_nearly_right_is_offered() {
        assert_eq!(suggestion("Orders_DB").as_deref(), Some("orders-db"));
        assert_eq!(suggestion("1st-shop-").as_deref(), Some("st-shop"));
        assert_eq!(suggestion("é"), None);
    }
}
