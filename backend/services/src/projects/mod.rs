//! Projects: what may be asked of them and what becomes of it.

mod destroy;
mod evaluate;
mod quota;
mod sleep;
mod write;

pub use destroy::Emptiness;
pub use evaluate::{
    PlannedProject, ProjectConfig, ProjectEvaluation, ProjectFacts, ProjectHolder, evaluate_project,
};
pub(crate) use quota::sleep_after_minutes;
pub use quota::{PlannedQuota, QuotaConfig};
pub use sleep::Rest;
