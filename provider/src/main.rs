//! `terraform-provider-berth`: managed databases for Terraform and OpenTofu.
//!
//! Owns: the schemas, what an edit of each argument does, and how the backend is asked as
//! seldom as possible. Refuses: rules about databases; those are the backend's, asked at plan.

mod backend;
mod client;
mod convert;
mod data_sources;
mod ephemeral;
#[cfg(test)]
mod fake;
mod gather;
mod journal;
mod lookup;
mod plan;
mod provider;
mod resources;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

fn main() -> ExitCode {
    berth_plugin::serve::serve(provider::Berth::new)
}
