//! What crosses the wire between berthd and its clients.
//!
//! Owns: the JSON bodies of the HTTP API, as serde types; their OpenAPI schemas behind the
//! feature `openapi`.
//! Refuses: rules. A body that parses may still be refused by the services.
//!
//! Times are RFC 3339 in UTC. A value that is not known or not set is `null`, never absent,
//! in answers.

mod audit;
mod catalogue;
mod common;
mod database;
mod dialects;
mod env;
mod people;
mod plan;
mod project;

pub use audit::{Event, EventActor, EventList, FieldChange};
pub use catalogue::{
    Capacity, Catalogue, Engine, EngineVersion, Plan, Region, Server, Version, VersionRange,
};
pub use common::{
    ApiError, ErrorDetail, Field, NewToken, Operation, OperationFailure, OperationList, Token,
    TokenBody, TokenCreated, TokenList, TokenSecret,
};
pub use database::{
    ChangedDatabaseEnvelope, Condition, Credentials, Database, DatabaseBody, DatabaseEnvelope,
    DatabaseList, Pooler, PoolerBody, RestoreFrom,
};
pub use dialects::{
    AddonCategory, AddonPlan, AddonProvider, AddonProviderList, PlainCredentials, PlainDatabase,
    ProjectDatabase, ProjectDatabaseEnvelope,
};
pub use env::{
    EnvRestoreBody, EnvVariable, EnvVariableBody, EnvVariableEnvelope, EnvVersion, EnvVersionList,
    Environment,
};
pub use people::{
    Member, MemberBody, MemberEnvelope, MemberList, User, UserBody, UserEnvelope, UserList,
};
pub use plan::{Note, PlanAnswer, PlanItem, PlanRequest, PlannedItem, Severity, Snapshot};
pub use project::{
    DestroyedProject, DestroyedProjectList, Project, ProjectBody, ProjectEnvelope, ProjectList,
    Quota,
};
