//! Projects: what may be asked of them and what becomes of it.

mod contents;
mod destroy;
mod evaluate;
mod quota;
mod restore;
mod sleep;
mod write;

pub use destroy::Emptiness;
pub use evaluate::{
    Forsaken, PlannedProject, ProjectConfig, ProjectEvaluation, ProjectFacts, ProjectHolder,
    evaluate_project,
};
pub use quota::{PlannedQuota, QuotaConfig};
pub(crate) use quota::{planned_quota, sleep_after_minutes, unless_it_goes};
pub use sleep::Rest;
