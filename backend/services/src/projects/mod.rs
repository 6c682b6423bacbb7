//! Projects: what may be asked of them and what becomes of it.

mod destroy;
mod evaluate;
mod write;

pub use destroy::Emptiness;
pub use evaluate::{
    PlannedProject, ProjectConfig, ProjectEvaluation, ProjectFacts, evaluate_project,
};
