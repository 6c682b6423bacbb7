//! What configurations manage.

pub mod database;
pub mod project;
pub(crate) mod rules;

use berth_plugin::diagnostics::{Diagnostic, Diagnostics};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

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
