//! Names in the document of the API: what generators of clients make functions of.

use utoipa::Modify;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr, Required};

/// Routes whose body may be left out, though they know fields.
const BODY_OPTIONAL: [&str; 1] = ["/v1/projects/{project}/database"];

/// Gives every operation an id of its own: method and path, which no two of them share. Drawn
/// from handlers they would be `create` and `list` once a noun.
pub(crate) struct Naming;

impl Modify for Naming {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in [
                ("get", &mut item.get),
                ("put", &mut item.put),
                ("post", &mut item.post),
                ("patch", &mut item.patch),
                ("delete", &mut item.delete),
            ] {
                if let Some(operation) = operation {
                    name(method, path, operation);
                }
            }
        }
    }
}

fn name(method: &str, path: &str, operation: &mut Operation) {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    let id: Vec<&str> = std::iter::once(method).chain(words).collect();
    operation.operation_id = Some(id.join("_"));
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && BODY_OPTIONAL.contains(&path)
    {
        body.required = Some(Required::False);
    }
}
