//! Databases: what may be asked of them and what becomes of it.

mod change;
mod config;
mod create;
mod credentials;
mod destroy;
mod evaluate;
mod facts;
mod find;
mod first_use;
mod gather;
mod of_project;
mod planned;
mod ports;
mod rules;
mod taken;

pub use berth_engines::UriTls;
pub use change::{Act, Changed, Reference};
pub use config::{DatabaseConfig, PoolerConfig, desired_status};
pub use create::ClaimManner;
pub use credentials::{Credentials, Network};
pub use evaluate::{Evaluation, evaluate};
pub use facts::{Authority, Facts, Holder, ProjectFact, RestoreFact};
pub use find::DatabaseList;
pub use planned::{Derived, PlannedDatabase, PlannedPooler, uri_tls};
pub use ports::next_port;
pub use rules::{Limits, Rules};

pub(crate) use create::claim_of;
pub(crate) use destroy::{is_shielded, protected, unkeyed};
pub(crate) use gather::{Gatherer, find_project};
pub(crate) use taken::Taken;
