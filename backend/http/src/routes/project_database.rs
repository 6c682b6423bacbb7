//! `/v1/projects/{project}/database`: the own database of a project, in the words of clients
//! that know one database a project.

use super::{Answer, Shared, Who, json, text};
use crate::body::{JsonObject, Segment, opened};
use crate::error::Refusal;
use crate::keyed::{RequestKey, reply};
use crate::wire;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use berth_api::{ApiError, DatabaseBody, ProjectDatabaseEnvelope};
use berth_services::DatabaseRecord;
use berth_services::databases::{ClaimManner, Rules};

fn envelope(record: &DatabaseRecord, rules: &Rules) -> ProjectDatabaseEnvelope {
    ProjectDatabaseEnvelope {
        data: wire::project_database(record, rules),
    }
}

/// Orders the project's database. Nothing has to be said: name, version and size have defaults,
/// and the engine is PostgreSQL.
#[utoipa::path(post, path = "/v1/projects/{project}/database", tag = "dialects",
    params(("project" = String, Path)),
    request_body(content = DatabaseBody, example = json!({})),
    responses((status = 201, body = ProjectDatabaseEnvelope, example = json!({"data": {
        "id": "db_1f0c9a7e52b84d36", "project_id": "proj_8d2e6b1094c7f35a", "status": "provisioning",
        "host": "berth-db-my-app", "port": 5432, "db_name": "my-app", "db_user": "app_my-app",
        "created_at": "2026-02-25T10:00:00Z", "updated_at": "2026-02-25T10:00:00Z"}})),
        (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn create(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    let (config, unclaimed) =
        wire::database_config(opened(body.fields, "database")?).map_err(Refusal::fields)?;
    let manner = ClaimManner::of(unclaimed);
    let rules = state.services.rules();
    let render = |record: &DatabaseRecord| text(StatusCode::CREATED, &envelope(record, rules));
    let keyed = key.with(&body.bytes, &render);
    let answered = state
        .services
        .create_project_database(&caller, &project, config, manner, keyed)
        .await?;
    Ok(reply(answered, &render))
}

/// Reads the project's database: its oldest living PostgreSQL one, by whichever route it was
/// ordered.
#[utoipa::path(get, path = "/v1/projects/{project}/database", tag = "dialects",
    params(("project" = String, Path)),
    responses((status = 200, body = ProjectDatabaseEnvelope), (status = 404, body = ApiError)))]
pub(crate) async fn read(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
) -> Answer {
    let record = state.services.project_database(&caller, &project).await?;
    json(StatusCode::OK, &envelope(&record, state.services.rules()))
}

/// Destroys the project's database. Its data stays in the trash until its recovery window ends.
#[utoipa::path(delete, path = "/v1/projects/{project}/database", tag = "dialects",
    params(("project" = String, Path)),
    responses((status = 204), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn destroy(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
) -> Answer {
    state
        .services
        .destroy_project_database(&caller, &project)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
