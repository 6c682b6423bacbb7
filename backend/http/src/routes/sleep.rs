//! `/v1/projects/{project}/sleep` and `/wake`.

use super::{Answer, Shared, Who, text};
use crate::body::{JsonObject, Segment};
use crate::keyed::{RequestKey, reply};
use crate::wire;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use berth_api::{ApiError, ProjectEnvelope};
use berth_domain::Project;
use berth_services::projects::Rest;

/// Sends every database of the project that runs to sleep: its connections to the engine end,
/// its data stays, and the next client of its pooler wakes it.
#[utoipa::path(post, path = "/v1/projects/{project}/sleep", tag = "projects",
    params(("project" = String, Path)),
    responses((status = 202, body = ProjectEnvelope), (status = 404, body = ApiError)))]
pub(crate) async fn sleep(
    shared: Shared,
    who: Who,
    segment: Segment,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    rest(shared, who, segment, key, body, Rest::Asleep).await
}

/// Wakes every database of the project that sleeps; what a user stopped stays stopped.
#[utoipa::path(post, path = "/v1/projects/{project}/wake", tag = "projects",
    params(("project" = String, Path)),
    responses((status = 202, body = ProjectEnvelope), (status = 404, body = ApiError)))]
pub(crate) async fn wake(
    shared: Shared,
    who: Who,
    segment: Segment,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    rest(shared, who, segment, key, body, Rest::Awake).await
}

async fn rest(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
    key: RequestKey,
    body: JsonObject,
    rest: Rest,
) -> Answer {
    body.expect_nothing()?;
    let rules = state.services.rules();
    let render = |row: &Project| {
        let envelope = ProjectEnvelope {
            project: wire::project(row, rules),
        };
        text(StatusCode::ACCEPTED, &envelope)
    };
    let keyed = key.with(&body.bytes, &render);
    let answered = state
        .services
        .rest_project(&caller, &project, rest, keyed)
        .await?;
    Ok(reply(answered, &render))
}
