//! The typed half of the framework, driven as a host drives it.

mod anything;
mod bugs;
mod codec;
mod generate;
mod ledger;
mod lifecycle;
mod planning;
