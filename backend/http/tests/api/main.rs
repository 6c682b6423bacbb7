//! The routes, one rule a test: status and body over a real store.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod access;
mod audit;
mod authorisation;
mod claims;
mod databases;
mod dialects;
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
