//! The routes: read, delegate, write. What a request means is for the services to say.

pub(crate) mod addon_providers;
pub(crate) mod api_v1;
pub(crate) mod databases;
pub(crate) mod env;
pub(crate) mod events;
pub(crate) mod installation;
pub(crate) mod members;
pub(crate) mod operations;
pub(crate) mod plan;
pub(crate) mod project_database;
pub(crate) mod projects;
pub(crate) mod sleep;
pub(crate) mod tokens;
pub(crate) mod trash;
pub(crate) mod users;

use crate::answers;
use crate::error::Refusal;
use crate::state::State;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What every handler gets.
pub(crate) type Shared = axum::extract::State<Arc<State>>;
/// Who asks; the layers have seen to it.
pub(crate) type Who = axum::Extension<berth_services::Caller>;
/// What a handler answers.
pub(crate) type Answer = Result<Response, Refusal>;

/// A narrowing by project.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Narrowed {
    pub(crate) project_id: Option<String>,
}

/// A page that is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Paged {
    pub(crate) page_size: Option<u32>,
    pub(crate) page_token: Option<String>,
}

/// A body as JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    Ok(of_json(status, answers::json(body)?))
}

/// A body that is JSON already.
pub(crate) fn of_json(status: StatusCode, body: Body) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body).into_response()
}

/// A body as text, for an answer that is written down under a key.
pub(crate) fn text(status: StatusCode, body: &impl Serialize) -> (u16, String) {
    match serde_json::to_string(body) {
        Ok(text) => (status.as_u16(), text),
        // Bodies are plain objects of texts and numbers; none is beyond JSON.
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            (StatusCode::INTERNAL_SERVER_ERROR.as_u16(), String::new())
        }
    }
}
