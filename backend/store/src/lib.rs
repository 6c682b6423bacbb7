//! Keeps what must not be lost: rows, leases, events and sealed secrets, in SQLite or PostgreSQL.
//!
//! Owns: SQL, migrations, transactions, leases of operations, sealed columns, the installation's
//! version number that rises with each commit.
//! Refuses: rules (they are in `berth-services`), clocks and ids. Those arrive as values. The
//! only randomness made here is that of data keys and nonces.
//!
//! All writes go through a [`Tx`], one at a time; what [`Tx::commit`] answered is on disk. Reads
//! go through the [`Store`] or, to see what the transaction wrote, through the [`Tx`]: both have
//! the same methods.

#[macro_use]
mod sql;

#[cfg(test)]
#[path = "../tests/store/cluster.rs"]
#[allow(dead_code, reason = "the other tests of this crate use all of it")]
mod cluster;

mod capacity;
mod connect;
mod credentials;
mod databases;
mod encryption;
mod env;
mod env_versions;
mod error;
mod events;
mod follow;
mod idempotency;
mod kept;
mod lent;
mod listing;
mod members;
mod observations;
mod operations;
mod ownership;
mod page;
mod plans;
mod projects;
mod reach;
mod schema;
mod sealing;
mod secrets;
mod snapshot;
mod store;
mod token_secrets;
mod tokens;
mod told;
mod trash;
mod tx;
mod users;

pub use capacity::{AddressUse, ProjectUse, Promised};
pub use credentials::{CredentialState, CredentialVersion};
pub use databases::DatabaseRecord;
pub use env_versions::{EnvVersion, EnvVersionUse};
pub use error::Error;
pub use events::EventFilter;
pub use follow::{Changed, Ending, Follower};
pub use idempotency::IdempotencyRecord;
pub use listing::{DatabaseFilter, Lifetime};
pub use operations::{Advance, LeaseStatus};
pub use page::Page;
pub use plans::PlanUse;
pub use reach::Reach;
pub use sealing::Keys;
pub use snapshot::{SNAPSHOT_SECONDS_MAX, SnapshotKind, SnapshotPage, SnapshotRows};
pub use store::{Journal, Store};
pub use tokens::{Bearer, TokenFilter};
pub use told::{Tell, Telling, Told};
pub use tx::Tx;
