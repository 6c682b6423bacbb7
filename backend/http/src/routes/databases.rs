//! `/v1/databases`.

use super::{Answer, Narrowed, Shared, Who, json, of_json, text};
use crate::body::{JsonObject, Params, Segment, opened};
use crate::condition::{Condition, tagged};
use crate::error::Refusal;
use crate::keyed::{RequestKey, reply};
use crate::{page, wire};
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use berth_api::{
    ApiError, ChangedDatabaseEnvelope, Credentials, DatabaseBody, DatabaseEnvelope, DatabaseList,
    OperationList,
};
use berth_domain::{DatabaseId, OperationId};
use berth_services::databases::{Act, Changed, ClaimManner, Network, Reference, Rules};
use berth_services::{DatabaseRecord, tag_of_database};
use serde::Deserialize;

fn envelope(record: &DatabaseRecord, rules: &Rules) -> DatabaseEnvelope {
    DatabaseEnvelope {
        database: wire::database(record, rules),
    }
}

fn changed(changed: &Changed, rules: &Rules) -> ChangedDatabaseEnvelope {
    ChangedDatabaseEnvelope {
        database: wire::database(&changed.record, rules),
        ordered_operation_id: changed.ordered.as_ref().map(ToString::to_string),
    }
}

fn reference<'a>(database: &'a str, narrowed: &'a Narrowed) -> Reference<'a> {
    Reference {
        database,
        project: narrowed.project_id.as_deref(),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listing {
    page_size: Option<u32>,
    page_token: Option<String>,
    project_id: Option<String>,
    engine: Option<String>,
    name: Option<String>,
}

/// Lists the living databases, oldest first.
#[utoipa::path(get, path = "/v1/databases", tag = "databases",
    params(("page_size" = Option<u32>, Query), ("page_token" = Option<String>, Query),
        ("project_id" = Option<String>, Query), ("engine" = Option<String>, Query), ("name" = Option<String>, Query)),
    responses((status = 200, body = DatabaseList)))]
pub(crate) async fn list(
    State(state): Shared,
    Extension(caller): Who,
    Params(listing): Params<Listing>,
) -> Answer {
    let after = page::after(listing.page_token.as_deref(), DatabaseId::parse)?;
    let size = page::size(listing.page_size)?;
    let list = berth_services::databases::DatabaseList {
        project: listing.project_id,
        engine: listing.engine,
        name: listing.name,
    };
    let services = &state.services;
    let tell = wire::tell(services.rules());
    let found = services
        .told_databases(&caller, &list, after.as_ref(), size, &tell)
        .await?;
    Ok(of_json(StatusCode::OK, wire::told_list(&found)?))
}

/// Orders a database. It is made after the answer; its operation says when it is there.
#[utoipa::path(post, path = "/v1/databases", tag = "databases",
    request_body(content = DatabaseBody, examples(
        ("native" = (summary = "Name and engine", value = json!({"name": "orders", "engine": "postgresql"}))),
        ("technology" = (summary = "In an envelope, with the engine as technology",
            value = json!({"database": {"name": "my-postgres-db", "technology": "postgresql-ng", "plan": "postgresql-dr-starter-4096"}}))),
        ("project" = (summary = "For a project, which the database is named after",
            value = json!({"projectId": "proj_default", "engine": "postgres"}))))),
    responses((status = 201, body = DatabaseEnvelope), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
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
    let render = |record: &DatabaseRecord| text(StatusCode::CREATED, &envelope(record, rules));
    let keyed = key.with(&body.bytes, &render);
    let answered = state
        .services
        .create_database(&caller, &config, manner, keyed)
        .await?;
    Ok(reply(answered, &render))
}

/// Reads a database by its id or name.
#[utoipa::path(get, path = "/v1/databases/{database}", tag = "databases",
    params(("database" = String, Path), ("project_id" = Option<String>, Query)),
    responses((status = 200, body = DatabaseEnvelope), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn read(
    State(state): Shared,
    Extension(caller): Who,
    Segment(database): Segment,
    Params(narrowed): Params<Narrowed>,
) -> Answer {
    let services = &state.services;
    let project = narrowed.project_id.as_deref();
    let told = services
        .told_database(&caller, &database, project, &wire::tell(services.rules()))
        .await?;
    let answer = of_json(StatusCode::OK, wire::told_envelope(&told)?);
    Ok(tagged(answer, told.tag))
}

/// Changes the fields that the body names and no others.
#[utoipa::path(patch, path = "/v1/databases/{database}", tag = "databases", request_body = DatabaseBody,
    params(("database" = String, Path), ("project_id" = Option<String>, Query)),
    responses((status = 200, body = ChangedDatabaseEnvelope), (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn update(
    State(state): Shared,
    Extension(caller): Who,
    Segment(database): Segment,
    Params(narrowed): Params<Narrowed>,
    Condition(expected): Condition,
    body: JsonObject,
) -> Answer {
    let (config, _) =
        wire::database_config(opened(body.fields, "database")?).map_err(Refusal::fields)?;
    let reference = reference(&database, &narrowed);
    let done = state
        .services
        .update_database(&caller, reference, &config, &expected)
        .await?;
    let answer = json(StatusCode::OK, &changed(&done, state.services.rules()))?;
    Ok(tagged(answer, tag_of_database(&done.record.database)))
}

/// Destroys a database. Its data stays in the trash until its recovery window ends.
#[utoipa::path(delete, path = "/v1/databases/{database}", tag = "databases",
    params(("database" = String, Path), ("project_id" = Option<String>, Query)),
    responses((status = 200, body = DatabaseEnvelope), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn destroy(
    State(state): Shared,
    Extension(caller): Who,
    Segment(database): Segment,
    Params(narrowed): Params<Narrowed>,
) -> Answer {
    let reference = reference(&database, &narrowed);
    let record = state.services.destroy_database(&caller, reference).await?;
    json(StatusCode::OK, &envelope(&record, state.services.rules()))
}

/// Says that the client that created the database has taken it over.
#[utoipa::path(post, path = "/v1/databases/{database}/claim", tag = "databases",
    params(("database" = String, Path), ("project_id" = Option<String>, Query)),
    responses((status = 200, body = DatabaseEnvelope), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn claim(
    State(state): Shared,
    Extension(caller): Who,
    Segment(database): Segment,
    Params(narrowed): Params<Narrowed>,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    body.expect_nothing()?;
    let rules = state.services.rules();
    let render = |record: &DatabaseRecord| text(StatusCode::OK, &envelope(record, rules));
    let keyed = key.with(&body.bytes, &render);
    let reference = reference(&database, &narrowed);
    let answered = state
        .services
        .claim_database(&caller, reference, keyed)
        .await?;
    Ok(reply(answered, &render))
}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident, $path:literal, $act:expr;)*) => { $(
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "databases",
            params(("database" = String, Path), ("project_id" = Option<String>, Query)),
            responses((status = 202, body = ChangedDatabaseEnvelope), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
        pub(crate) async fn $name(
            State(state): Shared,
            Extension(caller): Who,
            Segment(database): Segment,
            Params(narrowed): Params<Narrowed>,
            key: RequestKey,
            body: JsonObject,
        ) -> Answer {
            body.expect_nothing()?;
            let rules = state.services.rules();
            let render = |done: &Changed| text(StatusCode::ACCEPTED, &changed(done, rules));
            let keyed = key.with(&body.bytes, &render);
            let reference = reference(&database, &narrowed);
            let answered = state.services.act_on_database(&caller, reference, $act, keyed).await?;
            Ok(reply(answered, &render))
        }
    )* };
}

acts! {
    /// Gives the owner's login a new password.
    rotate, "/v1/databases/{database}/rotate", Act::Rotate;
    /// Starts a stopped database.
    start, "/v1/databases/{database}/start", Act::Start;
    /// Stops a database; its data stays.
    stop, "/v1/databases/{database}/stop", Act::Stop;
    /// Stops a database and starts it again.
    restart, "/v1/databases/{database}/restart", Act::Restart;
}

/// Brings a destroyed database back: data, id, login, password. A body may name it anew.
#[utoipa::path(post, path = "/v1/databases/{database}/undelete", tag = "databases",
    params(("database" = String, Path)),
    responses((status = 202, body = DatabaseEnvelope), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn undelete(
    State(state): Shared,
    Extension(caller): Who,
    Segment(database): Segment,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Anew {
        #[serde(default)]
        name: Option<String>,
    }
    let anew: Anew = crate::body::typed(body.fields, "").map_err(Refusal::fields)?;
    let rules = state.services.rules();
    let render = |record: &DatabaseRecord| text(StatusCode::ACCEPTED, &envelope(record, rules));
    let keyed = key.with(&body.bytes, &render);
    let answered = state
        .services
        .undelete_database(&caller, &database, anew.name, keyed)
        .await?;
    Ok(reply(answered, &render))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct From {
    network: Option<String>,
    project_id: Option<String>,
}

/// How to log in. A token that may only plan gets values that are well formed and open nothing.
#[utoipa::path(get, path = "/v1/databases/{database}/credentials", tag = "databases",
    params(("database" = String, Path), ("network" = Option<String>, Query), ("project_id" = Option<String>, Query)),
    responses((status = 200, body = Credentials), (status = 403, body = ApiError), (status = 404, body = ApiError)))]
pub(crate) async fn credentials(
    State(state): Shared,
    Extension(caller): Who,
    Segment(database): Segment,
    Params(from): Params<From>,
) -> Result<Response, Refusal> {
    let network = match from.network.as_deref() {
        None => None,
        Some(word) => Some(Network::parse(word).ok_or_else(|| {
            Refusal::field(
                "network",
                format!("\"{word}\" is not a network: use project or public"),
            )
        })?),
    };
    let reference = Reference {
        database: &database,
        project: from.project_id.as_deref(),
    };
    let found = state
        .services
        .credentials(&caller, reference, network)
        .await?;
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((no_store, axum::Json(wire::credentials(found))).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct History {
    page_size: Option<u32>,
    page_token: Option<String>,
    project_id: Option<String>,
}

/// Lists what was done to a database, the last first.
#[utoipa::path(get, path = "/v1/databases/{database}/operations", tag = "operations",
    params(("database" = String, Path), ("page_size" = Option<u32>, Query),
        ("page_token" = Option<String>, Query), ("project_id" = Option<String>, Query)),
    responses((status = 200, body = OperationList), (status = 404, body = ApiError)))]
pub(crate) async fn operations(
    State(state): Shared,
    Extension(caller): Who,
    Segment(database): Segment,
    Params(history): Params<History>,
) -> Answer {
    let after = page::after(history.page_token.as_deref(), OperationId::parse)?;
    let size = page::size(history.page_size)?;
    let reference = Reference {
        database: &database,
        project: history.project_id.as_deref(),
    };
    let found = state
        .services
        .operations(&caller, reference, after.as_ref(), size)
        .await?;
    let last = found.rows.last().filter(|_| found.more);
    let body = OperationList {
        next_page_token: last.map(|operation| page::token(operation.id.as_str())),
        operations: found.rows.iter().map(wire::operation).collect(),
    };
    json(StatusCode::OK, &body)
}
