//! A conversation with an engine or its pooler.

use crate::Error;
use async_trait::async_trait;
use berth_domain::{Secret, Statement};
use std::fmt;

/// Which process of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// The engine itself.
    Engine,
    /// The pooler in front of it.
    Pooler,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "engine",
            Self::Pooler => "pooler",
        })
    }
}

/// Whom an application logs in as, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The logical database.
    pub database_name: String,
    /// The login.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// One row of an answer, each column as text; none is null.
pub type Row = Vec<Option<String>>;

/// An open session. It ends when it is dropped, or when the other side ends it: after an
/// error, open another.
#[async_trait]
pub trait Session: Send + Sync {
    /// Says the statements in order, each with those that it is answered with where it
    /// decides what is said; stops at the first that fails.
    async fn run(&self, statements: &[Statement]) -> Result<(), Error>;

    /// Says a statement and hands back its rows.
    async fn ask(&self, question: &Statement) -> Result<Vec<Row>, Error>;
}
