//! What a change expects to find: the generations that its sender has read.

use crate::audit::{self, Attributes};
use crate::{Code, Error};
use berth_domain::{Token, User};
use sha2::{Digest, Sha256};

/// What stands for the generation of a person, who has none: another number for each state that
/// people can choose.
pub fn generation_of_user(row: &User) -> i64 {
    digest(&audit::user(row))
}

/// What stands for the generation of a token, likewise.
pub fn generation_of_token(row: &Token) -> i64 {
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
    // Without a sign it reads like any generation.
    i64::from_be_bytes(first) & i64::MAX
}

/// Which generation of an object a change was made for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// Whichever is there.
    #[default]
    Anything,
    /// One of these; none of them is there when the list is empty.
    Generations(Vec<i64>),
}

impl Expected {
    /// Refuses a change of an object that somebody else has changed meanwhile. Asked inside the
    /// transaction that writes, so that nothing can come in between.
    pub(crate) fn check(&self, found: i64) -> Result<(), Error> {
        match self {
            Self::Anything => Ok(()),
            Self::Generations(known) if known.contains(&found) => Ok(()),
            Self::Generations(_) => Err(Error::refused(
                Code::PreconditionFailed,
                "It was changed since it was read: read it again, and change what is there now",
            )),
        }
    }
}
