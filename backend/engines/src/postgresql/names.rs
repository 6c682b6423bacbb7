//! Names of databases and logins.

use super::{ADMINISTRATOR, POOLER_ADMINISTRATOR};
use crate::InvalidIdentifier;
use berth_domain::Slug;

/// What PostgreSQL keeps of an identifier, in bytes.
const LENGTH_MAX: usize = 63;
const DATABASES: &[&str] = &["postgres", "template0", "template1", "pgbouncer"];
const LOGINS: &[&str] = &[
    ADMINISTRATOR,
    POOLER_ADMINISTRATOR,
    "pgbouncer",
    "public",
    "none",
];
const PREFIXES: &[&str] = &["pg_", "berth_"];

/// The slug, unless the engine keeps that name for itself.
pub(super) fn default_database(slug: &Slug) -> String {
    if check_database(slug.as_str()).is_ok() {
        slug.to_string()
    } else {
        default_login(slug)
    }
}

pub(super) fn default_login(slug: &Slug) -> String {
    format!("app_{slug}")
}

pub(super) fn check_database(name: &str) -> Result<(), InvalidIdentifier> {
    check("database_name", name, DATABASES)
}

pub(super) fn check_login(name: &str) -> Result<(), InvalidIdentifier> {
    check("username", name, LOGINS)
}

fn check(
    what: &'static str,
    name: &str,
    reserved: &[&'static str],
) -> Result<(), InvalidIdentifier> {
    let refuse = |rule: String| {
        Err(InvalidIdentifier {
            what,
            found: name.chars().take(LENGTH_MAX + 1).collect(),
            rule,
        })
    };
    let well_formed = (1..=LENGTH_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if !well_formed {
        return refuse(format!(
            "use 1 to {LENGTH_MAX} lower-case letters, digits, underscores and hyphens, starting with a letter or an underscore"
        ));
    }
    if reserved.contains(&name) {
        return refuse(format!(
            "PostgreSQL or PgBouncer reserves {}",
            reserved.join(", ")
        ));
    }
    if let Some(prefix) = PREFIXES.iter().find(|prefix| name.starts_with(**prefix)) {
        return refuse(format!("names that begin with {prefix} are reserved"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_domain::Name;

    #[test]
    fn reserved_and_malformed_names_are_refused() {
        for bad in [
            "postgres",
            "pg_catalog",
            "berth_spare",
            "",
            "1a",
            "Orders",
            "a b",
            "a\"b",
        ] {
            assert!(check_login(bad).is_err(), "{bad}");
        }
        assert!(check_login(&"a".repeat(64)).is_err());
        assert!(check_login(&"a".repeat(63)).is_ok());
        assert!(check_database("pgbouncer").is_err());
        assert!(check_login("app_my-app").is_ok());
    }

    #[test]
    fn a_database_called_like_the_engines_own_gets_another_name() {
        let slug = |name| Slug::of(&Name::parse(name).unwrap());
        assert_eq!(default_database(&slug("orders")), "orders");
        assert_eq!(default_database(&slug("postgres")), "app_postgres");
    }
}
