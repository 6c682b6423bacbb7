//! The nouns and the rules of managed databases.
//!
//! Owns: ids, names, slugs, addresses, statuses, plans, scopes, what a project and a
//! database are.
//! Refuses: I/O, serialisation, clocks and randomness. Those arrive as values or not at all.

mod address;
mod catalogue;
mod database;
mod engine;
mod env;
mod event;
mod id;
mod member;
mod name;
mod operation;
mod project;
mod scope;
mod secret;
mod statement;
mod status;
mod time;
mod token;
mod told;
mod user;

pub use address::{Addresses, InvalidPrefix};
pub use catalogue::{Catalogue, Plan, nearest};
pub use database::{
    Claim, Database, Fingerprint, Observation, PoolMode, Pooler, TlsMode, UnknownWord,
};
pub use engine::{EngineName, VersionState};
pub use env::{ENV_NAME_CHARACTERS_MAX, ENV_VALUE_BYTES_MAX, EnvName, EnvVariable, InvalidEnvName};
pub use event::{Actor, ActorUser, Event, FieldChange};
pub use id::{
    DatabaseId, EventId, InstallationId, InstanceId, InvalidId, OperationId, ProjectId, TokenId,
    UserId,
};
pub use member::{Member, Role};
pub use name::{InvalidName, Name, Slug};
pub use operation::{Operation, OperationFailure, OperationKind, OperationState};
pub use project::{DESTROYED_PROJECT_DAYS, ENDED_VALUE_DAYS, OnDestroy, Project, Quota};
pub use scope::{Preset, Scope, Scopes, UnknownScope};
pub use secret::Secret;
pub use statement::{Answer, Effect, Statement};
pub use status::{Condition, Intent, Observed, Status, Truth, status};
pub use time::{Clock, Timestamp};
pub use token::Token;
pub use told::Told;
pub use user::User;
