//! The typed half of the framework, driven as a host drives it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this is a test, its helpers too, which clippy cannot see"
)]

mod anything;
mod bugs;
mod codec;
mod generate;
mod ledger;
mod lifecycle;
mod planning;
mod upgrades;
