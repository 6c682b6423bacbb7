//! Makes what is match what is wanted.
//!
//! Owns: the steps of every operation, their leases, deadlines and attempts; adoption at start,
//! repair, health, storage watch, purge and spare directories; how rows become an instance.
//! Refuses: containers, SQL, HTTP, what a request means. It knows a platform, a store and the
//! engines' descriptions.

mod backoff;
mod care;
mod certificates;
mod charts;
mod control;
mod crash_loop;
mod error;
mod failpoint;
mod figures;
mod findings;
mod hold;
mod known;
mod locks;
mod news;
mod operations;
mod ports;
mod repair;
mod roster;
mod rounds;
#[cfg(test)]
mod samples;
mod sessions;
mod settle;
mod sleep;
mod spec;
mod step;
mod steps;
mod storage;
mod subject;
mod taking;
#[cfg(test)]
mod tests;
mod upkeep;
mod visits;

pub use certificates::{Certificates, ServerCertificate};
pub use control::{Control, Limits, Parts};
pub use error::{Class, Error};
pub use failpoint::ALL_CRASH_POINTS;
pub use spec::{Rows, certificate_names, instance_spec};
pub use step::{BEGIN, Next, Step};
pub use storage::Pressure;
