//! What configurations manage.

pub mod database;
pub mod project;
pub mod project_member;
pub(crate) mod rules;
pub(crate) mod times;
pub mod token;

use berth_plugin::diagnostics::{Diagnostic, Diagnostics};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::client::{Error, Shared};

/// Whether the backend leaves it to another token.
pub(crate) fn is_denied(error: &Shared) -> bool {
    matches!(**error, Error::Refused { status: 403, .. }) || error.code() == Some("claim_refused")
}

/// What is imported, taken over where the token may. Who may only read imports what somebody
/// else applies.
pub(crate) fn claimed_or<T>(claimed: Result<T, Shared>, found: T) -> Result<T, Shared> {
    match claimed {
        Err(error) if is_denied(&error) => Ok(found),
        claimed => claimed,
    }
}

/// The body of a request with these fields. The schema's types make it fit; where they do
/// not, the provider is at fault and says so.
pub(crate) fn body<T: DeserializeOwned>(fields: Map<String, Json>) -> Result<T, Diagnostics> {
    serde_json::from_value(Json::Object(fields)).map_err(misfit)
}

/// The API and the schema disagree on a type.
pub(crate) fn misfit(error: serde_json::Error) -> Diagnostics {
    Diagnostic::error(
        "Error in the provider",
        format!("The values do not fit the API: {error}."),
    )
    .into()
}

/// What the provider's token may not read stays in the state as it was: a pipeline that only
/// plans need not see who may do what.
pub(crate) fn unread(what: &str) -> Diagnostic {
    Diagnostic::warning(
        format!("{what} was not read"),
        "The provider's token may not see it. The plan takes the state's word for it; a \
         change that was made elsewhere is found by a run whose token may.",
    )
}
