//! Databases: what may be asked of them and what becomes of it.

mod config;
mod evaluate;
mod facts;
mod planned;
mod rules;

pub use config::{DatabaseConfig, PoolerConfig, desired_status};
pub use evaluate::{Evaluation, evaluate};
pub use facts::{Authority, Facts, Holder, ProjectFact, RestoreFact};
pub use planned::{Derived, PlannedDatabase, PlannedPooler, uri_tls};
pub use rules::{Limits, Rules};
