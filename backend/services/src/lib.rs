//! What a request means.
//!
//! Owns: the rules by which a request becomes intent, operation and event in one transaction;
//! the same rules as a dry run; who may see and do what.
//! Refuses: HTTP, JSON, containers. What a request needs of the world comes through [`Outside`].

mod audit;
mod bounds;
mod caller;
pub mod databases;
pub mod env;
mod error;
mod events;
mod expected;
mod given;
mod members;
mod note;
mod operations;
mod outside;
mod plan;
pub mod projects;
mod server;
mod services;
mod tags;
mod token_secrets;
mod tokens;
mod users;
mod view;

pub use bounds::number_bounds;
pub use caller::Caller;
pub use error::{Class, Code, Error, FieldError};
pub use events::{EventList, EventStream, Order};
pub use expected::{Expected, tag_of_database, tag_of_project, tag_of_token, tag_of_user};
pub use given::{Given, Maybe};
pub use members::PutMember;
pub use note::{Note, Severity, size_text};
pub use operations::WAIT_SECONDS_MAX;
pub use outside::{
    Entropy, HostCapacity, ImageState, Outside, SystemEntropy, random, random_password,
};
pub use plan::{Outcome, PLAN_RESOURCES_MAX, PlannedResource, Wish};
pub use server::{Capacity, OfferedEngine, OfferedVersion, SNAPSHOT_PAGE};
pub use services::{Answered, FIRST_STEP, Keyed, Parts, Replay, Services};
pub use token_secrets::TokenSecret;
pub use tokens::{KeyedToken, MadeToken, NewToken, TOKEN_PREFIX, TokenConfig};
pub use users::{NewUser, UserConfig};

// What crosses from the store to the adapters as it is.
pub use berth_store::{
    DatabaseRecord, EnvVersion, Page, SnapshotKind, SnapshotPage, SnapshotRows, Tell, Telling, Told,
};
