//! Environments to the wire.

use berth_domain::{Secret, Timestamp};
use berth_services::env::{Environment, Source, Variable};
use berth_services::{Caller, EnvVersion};

/// A whole environment, for that caller.
pub(crate) fn environment(found: &Environment, caller: &Caller) -> berth_api::Environment {
    berth_api::Environment {
        variables: found.variables.iter().map(variable).collect(),
        notes: found.notes.clone(),
        only_plans: caller.only_plans(),
        next_page_token: None,
    }
}

/// One variable of it.
pub(crate) fn variable(variable: &Variable) -> berth_api::EnvVariable {
    let source = match &variable.source {
        Source::User => None,
        Source::Database(id) => Some(id.to_string()),
    };
    berth_api::EnvVariable {
        name: variable.name.to_string(),
        value: variable
            .value
            .as_ref()
            .map(Secret::reveal)
            .map(str::to_owned),
        sensitive: variable.sensitive,
        managed_by: variable.is_managed().then(|| "berth".to_owned()),
        source,
    }
}

/// What a variable was.
pub(crate) fn variable_version(kept: &EnvVersion, until: Timestamp) -> berth_api::EnvVersion {
    berth_api::EnvVersion {
        version: kept.version,
        name: kept.name.to_string(),
        sensitive: kept.sensitive,
        given_at: kept.updated_at.to_string(),
        ended_at: kept.ended_at.to_string(),
        recoverable_until: until.to_string(),
    }
}
