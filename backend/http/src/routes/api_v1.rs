//! `/api/v1/databases`: databases without envelopes, in the words of clients that order a
//! `db_type` and a `plan_id`.

use super::{Answer, Narrowed, Shared, Who, json, text};
use crate::body::{JsonObject, Params, Segment, opened};
use crate::error::Refusal;
use crate::keyed::{RequestKey, reply};
use crate::{page, wire};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use berth_api::{ApiError, DatabaseBody, PlainCredentials, PlainDatabase};
use berth_domain::DatabaseId;
use berth_services::DatabaseRecord;
use berth_services::databases::{ClaimManner, DatabaseList, Reference};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listing {
    page_size: Option<u32>,
    page_token: Option<String>,
    project_id: Option<String>,
}

/// Lists one page of the living databases, oldest first. A header `Link` with `rel="next"`
/// leads to the page after it, when there is one; it is relative to the address that was asked.
#[utoipa::path(get, path = "/api/v1/databases", tag = "dialects",
    params(("page_size" = Option<u32>, Query), ("page_token" = Option<String>, Query),
        ("project_id" = Option<String>, Query)),
    responses((status = 200, body = Vec<PlainDatabase>, headers(("Link" = Option<String>)),
        example = json!([{"id": "db_1f0c9a7e52b84d36", "project_id": "proj_default",
            "name": "main-postgres", "slug": "main-postgres", "db_type": "postgresql", "version": "16",
            "plan_id": "db-s-2vcpu-4gb", "status": "running", "region": "nyc1", "storage_gb": 50,
            "replicas": 1, "created_at": "2024-01-15T10:30:00Z", "updated_at": "2024-01-15T10:30:00Z"}])),
        (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn list(
    State(state): Shared,
    Extension(caller): Who,
    Params(listing): Params<Listing>,
) -> Answer {
    let after = page::after(listing.page_token.as_deref(), DatabaseId::parse)?;
    let size = page::size(listing.page_size)?;
    let wanted = DatabaseList {
        project: listing.project_id.clone(),
        ..DatabaseList::default()
    };
    let found = state
        .services
        .databases(&caller, &wanted, after.as_ref(), size)
        .await?;
    let rules = state.services.rules();
    let rows = found.rows.iter();
    let body: Vec<PlainDatabase> = rows.map(|row| wire::plain_database(row, rules)).collect();
    let mut response = json(StatusCode::OK, &body)?;
    if let Some(last) = found.rows.last().filter(|_| found.more) {
        let token = page::token(last.database.id.as_str());
        let link = next(size, &token, listing.project_id.as_deref());
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}

/// The query of the next page. It is a reference relative to the request's own address, so that
/// it holds behind whatever a proxy puts before the path.
fn next(size: u32, token: &str, project: Option<&str>) -> String {
    // A project that was found has an id or a name, and neither needs an encoding.
    let project = project.map_or_else(String::new, |p| format!("&project_id={p}"));
    format!("<?page_size={size}&page_token={token}{project}>; rel=\"next\"")
}

/// Orders a database. It is made after the answer; reading it says when it is there.
#[utoipa::path(post, path = "/api/v1/databases", tag = "dialects",
    request_body(content = DatabaseBody, example = json!({"name": "main-postgres", "db_type": "postgresql",
        "version": "16", "plan_id": "db-s-2vcpu-4gb", "region": "nyc1", "storage_gb": 50, "replicas": 1})),
    responses((status = 201, body = PlainDatabase), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn create(
    State(state): Shared,
    Extension(caller): Who,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    let (config, unclaimed) =
        wire::database_config(opened(body.fields, "database")?).map_err(Refusal::fields)?;
    let manner = ClaimManner::of(unclaimed);
    let rules = state.services.rules();
    let render =
        |record: &DatabaseRecord| text(StatusCode::CREATED, &wire::plain_database(record, rules));
    let keyed = key.with(&body.bytes, &render);
    let answered = state
        .services
        .create_database(&caller, &config, manner, keyed)
        .await?;
    Ok(reply(answered, &render))
}

/// Reads a database by its id or name.
#[utoipa::path(get, path = "/api/v1/databases/{database}", tag = "dialects",
    params(("database" = String, Path), ("project_id" = Option<String>, Query)),
    responses((status = 200, body = PlainDatabase), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn read(
    State(state): Shared,
    Extension(caller): Who,
    Segment(database): Segment,
    Params(narrowed): Params<Narrowed>,
) -> Answer {
    let record = state
        .services
        .database(&caller, &database, narrowed.project_id.as_deref())
        .await?;
    let body = wire::plain_database(&record, state.services.rules());
    json(StatusCode::OK, &body)
}

/// Destroys a database and answers with it, destroyed. Its data stays in the trash until its
/// recovery window ends.
#[utoipa::path(delete, path = "/api/v1/databases/{database}", tag = "dialects",
    params(("database" = String, Path), ("project_id" = Option<String>, Query)),
    responses((status = 200, body = PlainDatabase), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn destroy(
    State(state): Shared,
    Extension(caller): Who,
    Segment(database): Segment,
    Params(narrowed): Params<Narrowed>,
) -> Answer {
    let reference = Reference {
        database: &database,
        project: narrowed.project_id.as_deref(),
    };
    let record = state.services.destroy_database(&caller, reference).await?;
    let body = wire::plain_database(&record, state.services.rules());
    json(StatusCode::OK, &body)
}

/// How to log in, over TLS. Each reading is written into the journal.
#[utoipa::path(get, path = "/api/v1/databases/{database}/credentials", tag = "dialects",
    params(("database" = String, Path), ("project_id" = Option<String>, Query)),
    responses((status = 200, body = PlainCredentials, example = json!({"host": "berth-pgbouncer-main-postgres",
            "port": 5432, "username": "app_main-postgres", "password": "…", "database": "main-postgres",
            "ssl_mode": "require", "connection_string": "postgresql://…"})),
        (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn credentials(
    State(state): Shared,
    Extension(caller): Who,
    Segment(database): Segment,
    Params(narrowed): Params<Narrowed>,
) -> Answer {
    let reference = Reference {
        database: &database,
        project: narrowed.project_id.as_deref(),
    };
    let found = state
        .services
        .encrypted_credentials(&caller, reference)
        .await?;
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((no_store, axum::Json(wire::plain_credentials(found))).into_response())
}
