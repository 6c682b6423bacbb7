//! `/v1/trash`: destroyed databases and projects that can still come back.

use super::{Answer, Paged, Shared, Who, json, of_json};
use crate::body::{Params, Segment};
use crate::{page, wire};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use berth_api::{ApiError, DatabaseEnvelope, DatabaseList, DestroyedProjectList};
use berth_domain::{DatabaseId, ProjectId};

/// Lists destroyed databases whose data is still there.
#[utoipa::path(get, path = "/v1/trash", tag = "trash",
    params(("page_size" = Option<u32>, Query), ("page_token" = Option<String>, Query)),
    responses((status = 200, body = DatabaseList)))]
pub(crate) async fn list(
    State(state): Shared,
    Extension(caller): Who,
    Params(paged): Params<Paged>,
) -> Answer {
    let after = page::after(paged.page_token.as_deref(), DatabaseId::parse)?;
    let size = page::size(paged.page_size)?;
    let services = &state.services;
    let tell = wire::tell(services.rules());
    let found = services.trash(&caller, after.as_ref(), size, &tell).await?;
    Ok(of_json(StatusCode::OK, wire::told_list(&found)?))
}

/// Lists destroyed projects that can still come back.
#[utoipa::path(get, path = "/v1/trash/projects", tag = "trash",
    params(("page_size" = Option<u32>, Query), ("page_token" = Option<String>, Query)),
    responses((status = 200, body = DestroyedProjectList)))]
pub(crate) async fn projects(
    State(state): Shared,
    Extension(caller): Who,
    Params(paged): Params<Paged>,
) -> Answer {
    let after = page::after(paged.page_token.as_deref(), ProjectId::parse)?;
    let size = page::size(paged.page_size)?;
    let services = &state.services;
    let found = services
        .destroyed_projects(&caller, after.as_ref(), size)
        .await?;
    let last = found.rows.last().filter(|_| found.more);
    let body = DestroyedProjectList {
        next_page_token: last.map(|row| page::token(row.id.as_str())),
        projects: found
            .rows
            .iter()
            .filter_map(|row| wire::destroyed_project(row, services.project_kept_until(row)?))
            .collect(),
    };
    json(StatusCode::OK, &body)
}

/// Removes the data of a destroyed database for good, before its window ends.
#[utoipa::path(delete, path = "/v1/trash/{database}", tag = "trash", params(("database" = String, Path)),
    responses((status = 202, body = DatabaseEnvelope), (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn purge(
    State(state): Shared,
    Extension(caller): Who,
    Segment(database): Segment,
) -> Answer {
    let record = state.services.purge_database(&caller, &database).await?;
    let body = DatabaseEnvelope {
        database: wire::database(&record, state.services.rules()),
    };
    json(StatusCode::ACCEPTED, &body)
}
