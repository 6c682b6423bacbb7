//! The routes, one rule a test: status and body over a real store.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod access;
mod audit;
mod authorisation;
mod calls;
mod claims;
#[expect(
    dead_code,
    clippy::expect_used,
    reason = "it is shared with the tests of the store, which look at more of it"
)]
#[path = "../../../store/tests/store/cluster.rs"]
mod cluster;
mod databases;
mod dialects;
mod documented;
mod edges;
mod env;
mod handing;
mod hostile;
mod keeping;
mod large;
mod life;
mod manners;
mod openapi;
mod people;
mod plans;
mod projects;
mod promises;
mod sleep;
mod support;
mod together;
mod words;
