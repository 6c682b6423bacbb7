//! What an author implements to offer an ephemeral resource.

use std::time::SystemTime;

use async_trait::async_trait;

use crate::diagnostics::{Diagnostic, Diagnostics, Outcome};
use crate::object::Object;
use crate::private::Private;
use crate::resource::{Context, State};
use crate::schema::Schema;
use crate::validate::Rule;

/// What an open is asked.
#[derive(Debug)]
pub struct OpenRequest<'a> {
    /// The configuration; wholly known.
    pub config: &'a Object,
    /// The call.
    pub context: &'a Context,
}

/// What an open answers.
#[derive(Debug)]
pub struct OpenResponse {
    /// The result. Starts with the configured values, and null elsewhere.
    pub result: State,
    /// What renew and close need. Close may be given this and not what a renewal wrote, so
    /// all that close needs belongs here.
    pub private: Private,
    /// When the host shall renew; in the future, at about two thirds of the lifetime. None
    /// when there is nothing to renew.
    pub renew_at: Option<SystemTime>,
    /// Warnings, and errors beside the one returned.
    pub diagnostics: Diagnostics,
}

/// What a renewal answers.
#[derive(Debug)]
pub struct RenewResponse {
    /// What the next renewal is given. Starts with what this one was given.
    pub private: Private,
    /// When the host shall renew again; none for never.
    pub renew_at: Option<SystemTime>,
    /// Warnings, and errors beside the one returned.
    pub diagnostics: Diagnostics,
}

/// Something that exists for the time of one run and that no plan or state holds.
#[async_trait]
pub trait EphemeralResource: Send + Sync + 'static {
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

    /// Opens it. Check first and allocate last: a host may never close what failed to open.
    async fn open(&self, request: OpenRequest<'_>, response: &mut OpenResponse) -> Outcome;

    /// Makes it last longer.
    async fn renew(&self, context: &Context, response: &mut RenewResponse) -> Outcome {
        let _ = (context, response);
        Err(Diagnostic::error(
            "Renewal is not supported",
            format!("{} has nothing that can be renewed.", self.type_name()),
        )
        .into())
    }

    /// Ends it.
    async fn close(&self, context: &Context, private: &Private) -> Outcome {
        let _ = (context, private);
        Ok(())
    }
}
