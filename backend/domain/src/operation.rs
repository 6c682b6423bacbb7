//! A change under way: a row that moves by small named steps.

use crate::{DatabaseId, InstanceId, OperationId, ProjectId, Timestamp};

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// Makes a database that runs.
    Provision,
    /// Makes what runs match a changed row: size, pooler, exposure, start, stop.
    Change,
    /// Stops an engine until somebody wants it; nothing else is changed.
    Sleep,
    /// Starts an engine that slept; nothing else is changed.
    Wake,
    /// Sets a new password.
    Rotate,
    /// Stops engine and pooler once and starts them again.
    Restart,
    /// Takes a database away and keeps its data in the trash.
    Destroy,
    /// Brings a destroyed database back.
    Restore,
    /// Removes the data of a destroyed database for good.
    Purge,
}

impl OperationKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Provision,
        Self::Change,
        Self::Sleep,
        Self::Wake,
        Self::Rotate,
        Self::Restart,
        Self::Destroy,
        Self::Restore,
        Self::Purge,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Change => "change",
            Self::Sleep => "sleep",
            Self::Wake => "wake",
            Self::Rotate => "rotate",
            Self::Restart => "restart",
            Self::Destroy => "destroy",
            Self::Restore => "restore",
            Self::Purge => "purge",
        }
    }

    /// The kind for a word of the store.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationState {
    /// Waiting or being worked on.
    Pending,
    /// Done.
    Succeeded,
    /// Given up; the failure says why.
    Failed,
    /// A later operation took its place.
    Superseded,
}

impl OperationState {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
        }
    }

    /// The state for a word of the store.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Pending,
            Self::Succeeded,
            Self::Failed,
            Self::Superseded,
        ]
        .into_iter()
        .find(|s| s.as_str() == word)
    }
}

/// Why an operation failed, in words a user may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationFailure {
    /// A word for programs.
    pub code: String,
    /// A sentence for people; never a secret.
    pub message: String,
}

/// One change under way, or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// The database it works on.
    pub database_id: DatabaseId,
    /// The project that database is in.
    pub project_id: ProjectId,
    /// The instance it works on.
    pub instance: InstanceId,
    /// The generation of the row it was made for.
    pub generation: i64,
    /// How far it is.
    pub state: OperationState,
    /// The step that comes next, by its name in the control loop.
    pub step: String,
    /// How often the step has been tried.
    pub attempt: u32,
    /// When the step may be tried next.
    pub due_at: Timestamp,
    /// After this it is given up.
    pub deadline_at: Timestamp,
    /// Who works on it, and until when nobody else may.
    pub lease: Option<(String, Timestamp)>,
    /// Why it failed.
    pub failure: Option<OperationFailure>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}
