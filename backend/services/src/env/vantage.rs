//! From where an environment is used, which decides by what addresses it leads to databases.

use crate::databases::Network;
use berth_domain::Database;

/// From where the applications of an environment reach their databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vantage {
    /// From containers in the project's network, which reach all of them there.
    Project,
    /// From outside, by published ports: what is not exposed is out of reach.
    Public,
    /// From outside where a database is exposed, else from the project's network.
    Auto,
}

impl Vantage {
    /// The one of that word on the wire.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "project" => Some(Self::Project),
            "public" => Some(Self::Public),
            "auto" => Some(Self::Auto),
            _ => None,
        }
    }

    /// The network by which a database is reached from there; none where it is not.
    pub(super) fn network_to(self, database: &Database) -> Option<Network> {
        match self {
            Self::Project => Some(Network::Project),
            Self::Public | Self::Auto if database.expose => Some(Network::Public),
            Self::Public => None,
            Self::Auto => Some(Network::Project),
        }
    }
}
