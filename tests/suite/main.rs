//! Whole stories, by level: what the tree promises, then one program alone, then the real
//! client against a real berthd.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a step that fails ends its test, and one that cannot run says why, in helpers too"
)]

mod acceptance;
mod commands;
mod contract;
mod crash;
mod demo;
mod docker;
mod edges;
mod examples;
mod floors;
mod harness;
mod schemathesis;
mod scripts;
mod tidy;
