//! Describes databases; never touches one.
//!
//! Owns: images, ports, names, the statements for logins, configuration files, URIs.
//! Refuses: connections, containers, clocks, randomness. Those arrive as values or not at all.

mod activity;
mod description;
mod parameter;
mod postgresql;
mod registry;

pub use activity::PoolerActivity;
pub use description::{
    AWAITED, Access, Applies, Certificate, ConfigFile, DATA, Description, Initialisation,
    InvalidIdentifier, Mount, Occasion, Owner, Place, Process, Protocol, PublicReach, Setup,
    Signal, Socket, UriParts, UriTls, UserVerifier, Version,
};
pub use parameter::{Parameter, ParameterKind};
pub use postgresql::PostgreSql;
pub use registry::{Registry, UnknownEngine};
