//! The nouns and the rules of managed databases.
//!
//! Owns: ids, names, slugs, addresses, statuses, plans, scopes, what a project and a
//! database are.
//! Refuses: I/O, serialisation, clocks and randomness. Those arrive as values or not at all.

mod address;
mod catalogue;
mod database;
mod engine;
mod event;
mod id;
mod name;
mod operation;
mod project;
mod scope;
mod secret;
mod statement;
mod status;
mod time;
mod token;

pub use address::{Addresses, InvalidPrefix};
pub use catalogue::{Catalogue, Plan, nearest};
pub use database::{
    Claim, Database, Fingerprint, Observation, PoolMode, Pooler, TlsMode, UnknownWord,
};
pub use engine::{EngineName, VersionState};
pub use event::{Actor, Event};
pub use id::{
    DatabaseId, EventId, InstallationId, InstanceId, InvalidId, OperationId, ProjectId, TokenId,
    UserId,
};
pub use name::{InvalidName, Name, Slug};
pub use operation::{Operation, OperationFailure, OperationKind, OperationState};
pub use project::{OnDestroy, Project};
pub use scope::{Preset, Scope, Scopes, UnknownScope};
pub use secret::Secret;
pub use statement::{Effect, Statement};
pub use status::{Condition, Intent, Observed, Status, Truth, status};
pub use time::{Clock, Timestamp};
pub use token::Token;
