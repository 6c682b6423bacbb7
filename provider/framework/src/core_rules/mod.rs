//! The rules a host applies to what a provider answers.
//!
//! They stand here twice used: an answer is held against them before it leaves, so that the
//! author reads which attribute broke which rule; and [`crate::testing`] applies them as a
//! host does. They know nothing of how answers come about.

mod compatible;
mod conform;
mod plan_valid;
mod proposed;

pub use compatible::compatible;
pub use conform::conforms;
pub(crate) use conform::conforms_inside;
pub use plan_valid::plan_valid;
pub use proposed::proposed;
pub(crate) use proposed::{is_filled_in, proposed_with_best_pairs};

use std::fmt;

use crate::path::Path;

/// A rule that an answer breaks. Never shows a value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The attribute.
    pub path: Path,
    /// What is wrong with it, without the path.
    pub problem: String,
}

impl Violation {
    pub(crate) fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self {
            path: path.clone(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}
