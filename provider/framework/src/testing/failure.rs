//! Why a step of a host does not succeed.

use std::fmt;

use crate::core_rules::Violation;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::Path;

/// Why a step did not succeed.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The provider told errors, as it may.
    Told(Diagnostics),
    /// The provider broke a rule of the host, which it may not.
    Broken {
        /// What the host was looking at.
        what: &'static str,
        /// The rules.
        violations: Vec<Violation>,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(diagnostics) => write!(f, "{diagnostics}"),
            Self::Broken { what, violations } => {
                write!(f, "{what}:")?;
                violations.iter().try_for_each(|v| write!(f, "\n  {v}"))
            }
        }
    }
}

impl std::error::Error for Failure {}

impl Failure {
    pub(crate) fn broken(what: &'static str, problem: impl Into<String>) -> Self {
        Self::Broken {
            what,
            violations: vec![Violation::new(&Path::root(), problem)],
        }
    }

    /// What the provider told; empty when it broke a rule instead.
    pub fn diagnostics(&self) -> Diagnostics {
        match self {
            Self::Told(diagnostics) => diagnostics.clone(),
            Self::Broken { .. } => Diagnostics::new(),
        }
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Told(diagnostic.into())
    }
}

/// What a step gives.
pub type Step<T = ()> = Result<T, Failure>;

pub(super) fn accepted(diagnostics: &Diagnostics) -> Step {
    if diagnostics.has_errors() {
        return Err(Failure::Told(diagnostics.clone()));
    }
    Ok(())
}

pub(super) fn rules(what: &'static str, violations: Vec<Violation>) -> Step {
    if violations.is_empty() {
        return Ok(());
    }
    Err(Failure::Broken { what, violations })
}
