//! What every operation may answer beside what its own route says: the refusals of the layers
//! and of reading a request, and the headers that go with its method. Written into the document
//! in one place, as they are written into answers in one place.

use crate::access::{self, Need};
use axum::http::Method;
use berth_domain::Scope;
use std::collections::BTreeMap;
use utoipa::Modify;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required, Response};

/// Adds them to a document.
pub(crate) struct Outcomes;

impl Modify for Outcomes {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in [
                (Method::GET, &mut item.get),
                (Method::PUT, &mut item.put),
                (Method::POST, &mut item.post),
                (Method::PATCH, &mut item.patch),
                (Method::DELETE, &mut item.delete),
            ] {
                if let Some(operation) = operation {
                    complete(&method, path, operation);
                }
            }
        }
    }
}

fn complete(method: &Method, path: &str, operation: &mut Operation) {
    let need = access::need(method, path);
    let open = need.is_some_and(Need::is_open);
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
    if *method == Method::POST && !open {
        parameters.push(RefOr::T(idempotency_key()));
    }
    if *method == Method::PATCH {
        parameters.push(RefOr::T(if_match()));
    }
    let takes_body = operation.request_body.is_some() || *method == Method::POST;
    let mut may = vec![
        (
            "429",
            "Too many requests: Retry-After says when to try again",
        ),
        (
            "500",
            "berthd failed; its log says why under the request's id",
        ),
        (
            "503",
            "Not at this moment: Retry-After says when to try again",
        ),
    ];
    operation.security = Some(security(need));
    if !open {
        may.extend([
            ("400", "The request cannot be read"),
            ("401", "No token, or none that is valid"),
            ("403", "The token lacks a right"),
        ]);
    }
    if is_narrowed || takes_body {
        may.extend([
            (
                "404",
                "What the request names does not exist for this token",
            ),
            ("409", "Something stands in the way: its code says what"),
            (
                "422",
                "Fields are not what they must be: details names them",
            ),
        ]);
    }
    if takes_body {
        may.extend([
            ("408", "The body did not arrive in time"),
            ("413", "The body is too large"),
            ("415", "The body is not JSON"),
        ]);
    }
    if *method == Method::PATCH {
        may.push(("412", "It was changed since it was read"));
    }
    add(&mut operation.responses.responses, may);
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

fn add(responses: &mut BTreeMap<String, RefOr<Response>>, may: Vec<(&'static str, &'static str)>) {
    for (status, description) in may {
        responses.entry(status.to_owned()).or_insert_with(|| {
            let error = Content::new(Some(Ref::from_schema_name("ApiError")));
            let mut response = Response::new(description);
            response
                .content
                .insert("application/json".to_owned(), RefOr::T(error));
            RefOr::T(response)
        });
    }
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
