//! Speaks the provider side of Terraform's plugin protocol 6, for Terraform and OpenTofu.
//!
//! Owns: the value model, schemas, the plan pipeline, what is checked before an answer leaves,
//! the transport, and a host for tests that applies the same rules as the real one.
//! Refuses: databases, HTTP clients, clocks. An author brings those in the traits
//! [`provider::Provider`], [`resource::Resource`], [`data_source::DataSource`],
//! [`ephemeral::EphemeralResource`] and [`function::Function`].

pub mod core_rules;
pub mod data_source;
pub mod diagnostics;
pub mod ephemeral;
pub mod function;
pub mod handshake;
mod identity;
mod logging;
pub mod modifiers;
pub mod number;
pub mod object;
mod pairs;
mod panics;
pub mod path;
pub mod private;
pub mod proto;
pub mod provider;
pub mod resource;
mod rpc;
pub mod schema;
pub mod schema_check;
pub mod secrets;
pub mod serve;
pub mod server;
pub mod testing;
pub mod timeouts;
pub mod tls;
pub mod types;
pub mod validate;
pub mod value;
pub mod wire;
