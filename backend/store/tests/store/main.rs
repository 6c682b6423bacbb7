//! The store on both databases: what is written is there, once, and nobody else reads it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is tests, the helpers too"
)]

mod bench;
mod cluster;
mod crash;
mod encryption;
mod env;
mod following;
mod leases;
mod nouns;
mod opening;
mod people;
mod random;
mod round_trip;
mod samples;
mod secrecy;
mod snapshots;
mod told;
mod transactions;
