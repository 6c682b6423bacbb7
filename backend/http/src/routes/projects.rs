//! `/v1/projects`.

use super::{Answer, Paged, Shared, Who, json, text};
use crate::body::{JsonObject, Params, Segment, opened};
use crate::condition::{Condition, tagged};
use crate::error::Refusal;
use crate::keyed::{RequestKey, reply};
use crate::{page, wire};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use berth_api::{ApiError, ProjectBody, ProjectEnvelope, ProjectList};
use berth_domain::{Project, ProjectId};
use berth_services::databases::{ClaimManner, Rules};
use berth_services::projects::Emptiness;
use berth_services::tag_of_project;
use serde::Deserialize;

fn envelope(row: &Project, rules: &Rules) -> ProjectEnvelope {
    ProjectEnvelope {
        project: wire::project(row, rules),
    }
}

/// Lists the projects, oldest first.
#[utoipa::path(get, path = "/v1/projects", tag = "projects",
    params(("page_size" = Option<u32>, Query), ("page_token" = Option<String>, Query)),
    responses((status = 200, body = ProjectList)))]
pub(crate) async fn list(
    State(state): Shared,
    Extension(caller): Who,
    Params(paged): Params<Paged>,
) -> Answer {
    let after = page::after(paged.page_token.as_deref(), ProjectId::parse)?;
    let size = page::size(paged.page_size)?;
    let found = state
        .services
        .projects(&caller, after.as_ref(), size)
        .await?;
    let last = found.rows.last().filter(|_| found.more);
    let body = ProjectList {
        next_page_token: last.map(|row| page::token(row.id.as_str())),
        projects: found
            .rows
            .iter()
            .map(|row| wire::project(row, state.services.rules()))
            .collect(),
    };
    json(StatusCode::OK, &body)
}

/// Makes a project.
#[utoipa::path(post, path = "/v1/projects", tag = "projects", request_body = ProjectBody,
    responses((status = 201, body = ProjectEnvelope), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn create(
    State(state): Shared,
    Extension(caller): Who,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    let (config, unclaimed) =
        wire::project_config(opened(body.fields, "project")?).map_err(Refusal::fields)?;
    let manner = if unclaimed {
        ClaimManner::Later
    } else {
        ClaimManner::AtOnce
    };
    let rules = state.services.rules();
    let render = |row: &Project| text(StatusCode::CREATED, &envelope(row, rules));
    let keyed = key.with(&body.bytes, &render);
    let answered = state
        .services
        .create_project(&caller, &config, manner, keyed)
        .await?;
    Ok(reply(answered, &render))
}

/// Reads a project by its id or name.
#[utoipa::path(get, path = "/v1/projects/{project}", tag = "projects",
    params(("project" = String, Path)),
    responses((status = 200, body = ProjectEnvelope), (status = 404, body = ApiError)))]
pub(crate) async fn read(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
) -> Answer {
    let row = state.services.project(&caller, &project).await?;
    let answer = json(StatusCode::OK, &envelope(&row, state.services.rules()))?;
    Ok(tagged(answer, tag_of_project(&row)))
}

/// Changes the fields that the body names and no others.
#[utoipa::path(patch, path = "/v1/projects/{project}", tag = "projects", request_body = ProjectBody,
    params(("project" = String, Path)),
    responses((status = 200, body = ProjectEnvelope), (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn update(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
    Condition(expected): Condition,
    body: JsonObject,
) -> Answer {
    let (config, _) =
        wire::project_config(opened(body.fields, "project")?).map_err(Refusal::fields)?;
    let row = state
        .services
        .update_project(&caller, &project, &config, &expected)
        .await?;
    let answer = json(StatusCode::OK, &envelope(&row, state.services.rules()))?;
    Ok(tagged(answer, tag_of_project(&row)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Removal {
    if_empty: bool,
}

/// Destroys a project and everything in it; with `if_empty=true` only when no database and no
/// variable is in it. A protected one goes only when nothing at all is in it. It can come back
/// with its variables and members for at least 30 days.
#[utoipa::path(delete, path = "/v1/projects/{project}", tag = "projects",
    params(("project" = String, Path), ("if_empty" = Option<bool>, Query)),
    responses((status = 204), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn destroy(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
    Params(removal): Params<Removal>,
) -> Answer {
    let emptiness = if removal.if_empty {
        Emptiness::Required
    } else {
        Emptiness::Cascade
    };
    state
        .services
        .destroy_project(&caller, &project, emptiness)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Says that the client that created the project has taken it over.
#[utoipa::path(post, path = "/v1/projects/{project}/claim", tag = "projects",
    params(("project" = String, Path)),
    responses((status = 200, body = ProjectEnvelope), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn claim(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    body.expect_nothing()?;
    let rules = state.services.rules();
    let render = |row: &Project| text(StatusCode::OK, &envelope(row, rules));
    let keyed = key.with(&body.bytes, &render);
    let answered = state
        .services
        .claim_project(&caller, &project, keyed)
        .await?;
    Ok(reply(answered, &render))
}

/// Brings a destroyed project back with its variables and members. Where its name is taken by
/// now, it gets the next free one with a number. Databases that went with it come back one by
/// one.
#[utoipa::path(post, path = "/v1/projects/{project}/undelete", tag = "projects",
    params(("project" = String, Path, description = "Its id: a name is free for others as soon as a project is destroyed")),
    responses((status = 200, body = ProjectEnvelope), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn undelete(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    body.expect_nothing()?;
    let rules = state.services.rules();
    let render = |row: &Project| text(StatusCode::OK, &envelope(row, rules));
    let keyed = key.with(&body.bytes, &render);
    let answered = state
        .services
        .undelete_project(&caller, &project, keyed)
        .await?;
    Ok(reply(answered, &render))
}
