//! What a change expects to find: the generations that its sender has read.

use crate::{Code, Error};

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
