//! What every operation may answer beside what its own route says: the refusals of the layers
//! and of reading a request, and the headers that go with its method. Written into the document
//! in one place, as they are written into answers in one place.

use crate::access::{self, Need};
use axum::http::Method;
use berth_domain::Scope;
use std::collections::BTreeMap;
use utoipa::Modify;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required, Response};

/// Every refusal that is not a route's own: status, name in the document, and when it comes.
const REFUSALS: [(&str, &str, &str); 13] = [
    ("400", "Unreadable", "The request cannot be read"),
    ("401", "Unauthenticated", "No token, or none that is valid"),
    ("403", "Forbidden", "The token lacks a right"),
    (
        "404",
        "NotFound",
        "What the request names does not exist for this token",
    ),
    ("408", "BodyTimeout", "The body did not arrive in time"),
    (
        "409",
        "Conflict",
        "Something stands in the way: its code says what",
    ),
    ("412", "Changed", "It was changed since it was read"),
    ("413", "BodyTooLarge", "The body is too large"),
    ("415", "NotJson", "The body is not JSON"),
    (
        "422",
        "Invalid",
        "Fields are not what they must be: details names them",
    ),
    (
        "429",
        "TooMany",
        "Too many requests: Retry-After says when to try again",
    ),
    (
        "500",
        "Failed",
        "berthd failed; its log says why under the request's id",
    ),
    (
        "503",
        "Unavailable",
        "Not at this moment: Retry-After says when to try again",
    ),
];

/// Headers of answers: their names, their types and what they say.
const HEADERS: [(&str, Type, &str); 8] = [
    (
        REQUEST_ID,
        Type::String,
        "The id under which berthd's log speaks of this request",
    ),
    (
        LIMIT,
        Type::Integer,
        "Requests that this token may make at once",
    ),
    (
        REMAINING,
        Type::Integer,
        "Requests that it may still make now",
    ),
    (
        RESET,
        Type::Integer,
        "Seconds until it may make all of them again",
    ),
    (
        RETRY_AFTER,
        Type::Integer,
        "Seconds after which to try again",
    ),
    (
        ETAG,
        Type::String,
        "Tells the state that this answer shows from any other, for If-Match",
    ),
    (
        REPLAYED,
        Type::String,
        "`true` when this answer was given before, to the same request with the same key",
    ),
    (CHALLENGE, Type::String, "How to show a token"),
];

const REQUEST_ID: &str = "X-Request-Id";
const LIMIT: &str = "X-RateLimit-Limit";
const REMAINING: &str = "X-RateLimit-Remaining";
const RESET: &str = "X-RateLimit-Reset";
const RETRY_AFTER: &str = "Retry-After";
const ETAG: &str = "ETag";
const REPLAYED: &str = "Idempotency-Replayed";
const CHALLENGE: &str = "WWW-Authenticate";

/// Adds them to a document.
pub(crate) struct Outcomes;

impl Modify for Outcomes {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, kind, description) in HEADERS {
            let header = RefOr::T(described(kind, description));
            components.headers.insert(name.to_owned(), header);
        }
        for (status, name, description) in REFUSALS {
            let refusal = RefOr::T(refusal(status, description));
            components.responses.insert(name.to_owned(), refusal);
        }
        for (path, item) in &mut document.paths.paths {
            let is_changed = item.patch.is_some();
            for (method, operation) in [
                (Method::GET, &mut item.get),
                (Method::PUT, &mut item.put),
                (Method::POST, &mut item.post),
                (Method::PATCH, &mut item.patch),
                (Method::DELETE, &mut item.delete),
            ] {
                if let Some(operation) = operation {
                    complete(&method, path, is_changed, operation);
                }
            }
        }
    }
}

/// `is_changed` says that there is a PATCH of what the operation is about.
fn complete(method: &Method, path: &str, is_changed: bool, operation: &mut Operation) {
    let need = access::need(method, path);
    let open = need.is_some_and(Need::is_open);
    // A plan writes nothing, so that to ask again is all that a key could do.
    let takes_key = *method == Method::POST && !open && need != Some(Need::Right(Scope::Plan));
    let parameters = operation.parameters.get_or_insert_default();
    let is_narrowed = !parameters.is_empty();
    for parameter in parameters.iter_mut() {
        if let RefOr::T(parameter) = parameter
            && let Some(example) = example(&parameter.name)
        {
            let builder = ParameterBuilder::from(std::mem::take(parameter));
            *parameter = builder.example(Some(example.into())).build();
        }
    }
    if takes_key {
        parameters.push(RefOr::T(idempotency_key()));
    }
    if *method == Method::PATCH {
        parameters.push(RefOr::T(if_match()));
    }
    // That of a DELETE is read, to say that there is nothing to say.
    let reads_body =
        operation.request_body.is_some() || [Method::POST, Method::DELETE].contains(method);
    let mut may = vec!["400", "429", "500", "503"];
    if !open {
        may.extend(["401", "403"]);
    }
    if is_narrowed || reads_body {
        may.extend(["404", "409", "422"]);
    }
    if reads_body {
        may.extend(["408", "413", "415"]);
    }
    if *method == Method::PATCH {
        may.push("412");
    }
    operation.security = Some(security(need));
    let responses = &mut operation.responses.responses;
    refuse(responses, &may);
    let mut headers = vec![REQUEST_ID];
    if !open {
        headers.extend([LIMIT, REMAINING, RESET]);
    }
    if takes_key {
        headers.push(REPLAYED);
    }
    if is_changed && [Method::GET, Method::PATCH].contains(method) {
        headers.push(ETAG);
    }
    for response in responses.values_mut() {
        if let RefOr::T(response) = response {
            tell(response, &headers);
        }
    }
}

/// The right that the token has to have, where one is needed; of several, any will do.
fn security(need: Option<Need>) -> Vec<SecurityRequirement> {
    let scopes: &[Scope] = match need {
        Some(Need::Nothing | Need::Watching) => &[],
        Some(Need::Right(scope)) => &[scope],
        Some(Need::CredentialsOrPlan) => &[Scope::Credentials, Scope::Plan],
        Some(Need::AdminOrPlan) => &[Scope::Admin, Scope::Plan],
        // Closed to everybody.
        None => &[Scope::Admin],
    };
    scopes
        .iter()
        .map(|scope| SecurityRequirement::new("bearer", [scope.as_str()]))
        .collect()
}

/// Adds refusals, and puts them in the place of those that a route names without a word of its
/// own.
fn refuse(responses: &mut BTreeMap<String, RefOr<Response>>, may: &[&str]) {
    for (status, name, _) in REFUSALS {
        let is_bare = match responses.get(status) {
            Some(RefOr::T(response)) => response.description.is_empty(),
            Some(RefOr::Ref(_)) => false,
            None => may.contains(&status),
        };
        if is_bare {
            let shared = RefOr::Ref(Ref::from_response_name(name));
            responses.insert(status.to_owned(), shared);
        }
    }
}

fn refusal(status: &str, description: &str) -> Response {
    let error = Content::new(Some(Ref::from_schema_name("ApiError")));
    let mut response = Response::new(description);
    response
        .content
        .insert("application/json".to_owned(), RefOr::T(error));
    let headers: &[&str] = match status {
        // Nobody knows yet whose limit it would be.
        "401" => &[REQUEST_ID, CHALLENGE],
        "429" | "503" => &[REQUEST_ID, LIMIT, REMAINING, RESET, RETRY_AFTER],
        _ => &[REQUEST_ID, LIMIT, REMAINING, RESET],
    };
    tell(&mut response, headers);
    response
}

/// Adds headers to an answer.
fn tell(response: &mut Response, headers: &[&str]) {
    for name in headers {
        let shared = RefOr::Ref(Ref::new(format!("#/components/headers/{name}")));
        response.headers.insert((*name).to_owned(), shared);
    }
}

fn described(kind: Type, description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(kind).build();
    HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(description))
        .build()
}

/// What a parameter of that name may be, for readers and for those who try the document out.
fn example(parameter: &str) -> Option<&'static str> {
    Some(match parameter {
        "project" | "project_id" => "default",
        "database" => "orders",
        "user" => "usr_admin",
        "engine" => "postgresql",
        "network" => "project",
        "kind" => "database",
        _ => return None,
    })
}

fn header(name: &str, description: &str) -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(text))
        .build()
}

fn idempotency_key() -> Parameter {
    header(
        "Idempotency-Key",
        "The same request with the same key gets the same answer for 24 hours; another request \
         with it is refused",
    )
}

fn if_match() -> Parameter {
    header(
        "If-Match",
        "The ETag of an answer: nothing is changed unless that is what is still there",
    )
}
