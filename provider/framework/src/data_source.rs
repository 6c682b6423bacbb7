//! What an author implements to offer a data source.

use async_trait::async_trait;

use crate::diagnostics::{Diagnostics, Outcome};
use crate::object::Object;
use crate::resource::{Context, State};
use crate::schema::Schema;
use crate::validate::Rule;

/// What a data source is asked.
#[derive(Debug)]
pub struct ReadDataRequest<'a> {
    /// The configuration; wholly known.
    pub config: &'a Object,
    /// The call.
    pub context: &'a Context,
}

/// What a data source answers.
#[derive(Debug)]
pub struct ReadDataResponse {
    /// The result. Starts with the configured values, and null elsewhere; something must be
    /// set, since a data source that finds nothing fails.
    pub state: State,
    /// Warnings, and errors beside the one returned.
    pub diagnostics: Diagnostics,
}

/// Something that configurations look up.
#[async_trait]
pub trait DataSource: Send + Sync + 'static {
    /// The name in configurations, with the provider's name in front.
    fn type_name(&self) -> &str;

    /// The schema. Asked once.
    fn schema(&self) -> Schema;

    /// Rules over several attributes. Asked once.
    fn rules(&self) -> Vec<Rule> {
        Vec::new()
    }

    /// Checks what rules and validators cannot say. The provider may not be configured and
    /// values may be unknown: report only what is certain.
    async fn validate(&self, config: &Object, diagnostics: &mut Diagnostics) {
        let _ = (config, diagnostics);
    }

    /// Looks it up. What does not exist is an error.
    async fn read(&self, request: ReadDataRequest<'_>, response: &mut ReadDataResponse) -> Outcome;
}
