//! Hosts and networks: derived from names alone, so a plan knows them.

use crate::{InstallationId, Slug};

/// A prefix that is too long or holds something else than lower-case letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{found}\" is not a prefix: use 1 to 8 lower-case letters and digits, starting with a letter"
)]
pub struct InvalidPrefix {
    /// The text that was given.
    pub found: String,
}

/// How this installation names what others reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    prefix: String,
    installation: InstallationId,
    bind: String,
}

impl Addresses {
    /// Names begin with `prefix`; exposed ports are published on the address `bind`.
    pub fn new(
        prefix: &str,
        installation: InstallationId,
        bind: &str,
    ) -> Result<Self, InvalidPrefix> {
        let well_formed = (1..=8).contains(&prefix.len())
            && prefix.starts_with(|c: char| c.is_ascii_lowercase())
            && prefix
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if well_formed {
            Ok(Self {
                prefix: prefix.to_owned(),
                installation,
                bind: bind.to_owned(),
            })
        } else {
            Err(InvalidPrefix {
                found: prefix.to_owned(),
            })
        }
    }

    /// The engine's alias in the project's network.
    pub fn database_host(&self, slug: &Slug) -> String {
        format!("{}-db-{slug}", self.prefix)
    }

    /// The pooler's alias in the project's network.
    pub fn pooler_host(&self, slug: &Slug) -> String {
        format!("{}-pgbouncer-{slug}", self.prefix)
    }

    /// The project's own network.
    pub fn network_name(&self, project: &Slug) -> String {
        format!("{}-{project}-{}", self.prefix, self.installation)
    }

    /// The directory with a project's env files: `/run/berth/…`, in memory.
    pub fn env_dir(&self, project: &Slug) -> String {
        format!("/run/berth/{}/env/{project}", self.installation)
    }

    /// The network on which exposed ports are published.
    pub fn public_network_name(&self) -> String {
        format!("{}-public-{}", self.prefix, self.installation)
    }

    /// The address that exposed ports are published on.
    pub fn public_host(&self) -> &str {
        &self.bind
    }

    /// What every name begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The installation that these names belong to.
    pub fn installation(&self) -> &InstallationId {
        &self.installation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    #[test]
    fn names_derive_from_prefix_slug_and_installation() {
        let installation = InstallationId::parse("0123abcd").unwrap();
        let addresses = Addresses::new("sota", installation.clone(), "127.0.0.1").unwrap();
        let slug = Slug::of(&Name::parse("my-app").unwrap());
        assert_eq!(addresses.database_host(&slug), "sota-db-my-app");
        assert_eq!(addresses.pooler_host(&slug), "sota-pgbouncer-my-app");
        assert_eq!(addresses.network_name(&slug), "sota-my-app-0123abcd");
        assert!(Addresses::new("toolongprefix", installation, "127.0.0.1").is_err());
    }
}
