//! Examples of bodies in the document of the API, by the names of their schemas.

use serde_json::{Map, Value};
use utoipa::Modify;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{OpenApi, RefOr};

/// One example for each schema that is a whole body.
const EXAMPLES: &str = include_str!("examples.json");

/// Adds them to a document.
pub(crate) struct Examples;

impl Modify for Examples {
    fn modify(&self, document: &mut OpenApi) {
        // A test looks at every body of the document, so a file that cannot be read is found.
        let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).unwrap_or_default();
        let schemas = &mut document.components.get_or_insert_default().schemas;
        for (name, example) in examples {
            let place = match schemas.get_mut(&name) {
                Some(RefOr::T(Schema::Object(object))) => &mut object.example,
                Some(RefOr::T(Schema::AllOf(all))) => &mut all.example,
                _ => continue,
            };
            *place = Some(example);
        }
    }
}
