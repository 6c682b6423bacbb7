//! What a change expects to find: the state that its sender has read, told by a tag.

use crate::audit::{self, Attributes};
use crate::{Code, Error};
use berth_domain::{Database, Project, Token, User};
use sha2::{Digest, Sha256};

/// The tag of a database: another number for each state that people can choose. That it sleeps
/// or was woken, by its own or by anybody, is no such choice, nor is what was observed of it.
pub fn tag_of_database(row: &Database) -> i64 {
    let mut state = audit::database(row);
    // How long it could be restored is left until it is claimed.
    state.remove("recoverable_until");
    digest(&state)
}

/// The tag of a project, likewise.
pub fn tag_of_project(row: &Project) -> i64 {
    digest(&audit::project(row))
}

/// The tag of a person, likewise.
pub fn tag_of_user(row: &User) -> i64 {
    digest(&audit::user(row))
}

/// The tag of a token, likewise.
pub fn tag_of_token(row: &Token) -> i64 {
    digest(&audit::token(row))
}

fn digest(state: &Attributes) -> i64 {
    let mut hash = Sha256::new();
    for (field, value) in state {
        hash.update(field.as_bytes());
        hash.update([0]);
        hash.update(value.to_string().as_bytes());
        hash.update([0]);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    // A tag has no sign.
    i64::from_be_bytes(first) & i64::MAX
}

/// Which state of an object a change was made for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// Whichever is there.
    #[default]
    Anything,
    /// That of one of these tags; none is there when the list is empty.
    Tags(Vec<i64>),
}

impl Expected {
    /// Refuses a change of an object that somebody else has changed meanwhile. Asked inside the
    /// transaction that writes, so that nothing can come in between.
    pub(crate) fn check(&self, found: impl FnOnce() -> i64) -> Result<(), Error> {
        match self {
            Self::Anything => Ok(()),
            Self::Tags(known) if known.contains(&found()) => Ok(()),
            Self::Tags(_) => Err(Error::refused(
                Code::PreconditionFailed,
                "It was changed since it was read: read it again, and change what is there now",
            )),
        }
    }
}
