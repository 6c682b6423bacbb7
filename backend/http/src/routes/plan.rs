//! `/v1/plan` and `/v1/snapshot`.

use super::{Answer, Shared, Who, json, of_json};
use crate::body::{JsonObject, Params, typed};
use crate::error::{DETAILS_MAX, Refusal};
use crate::wire;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use berth_api::{ApiError, PlanAnswer, PlanItem, PlanRequest, Snapshot};
use berth_services::{FieldError, SnapshotKind, SnapshotRows};
use serde::Deserialize;
use serde_json::Value;

/// Says what would become of each resource. It writes, reserves and draws nothing, so it may be
/// asked again at will, and an `Idempotency-Key` says nothing here.
#[utoipa::path(post, path = "/v1/plan", tag = "plan", request_body = PlanRequest,
    responses((status = 200, body = PlanAnswer), (status = 422, body = ApiError)))]
pub(crate) async fn plan(State(state): Shared, Extension(caller): Who, body: JsonObject) -> Answer {
    if !body.fields.contains_key("resources") {
        return Err(Refusal::field(
            "resources",
            "is required: the resources of one plan",
        ));
    }
    let resources = match body.fields.get("resources") {
        Some(Value::Array(resources)) if body.fields.len() == 1 => items(resources),
        _ => typed(&body.fields, "").map(|request: PlanRequest| request.resources),
    };
    let resources = resources.map_err(Refusal::fields)?;
    let wishes: Vec<_> = resources.into_iter().map(wire::wish).collect();
    let outcomes = state.services.plan(&caller, &wishes).await?;
    let rules = state.services.rules();
    let body = PlanAnswer {
        resources: wire::planned_items(outcomes, rules),
    };
    json(StatusCode::OK, &body)
}

/// The resources of a plan. What cannot be read is named by its place among them.
fn items(resources: &[Value]) -> Result<Vec<PlanItem>, Vec<FieldError>> {
    let mut items = Vec::with_capacity(resources.len());
    let mut errors = Vec::new();
    for (number, resource) in resources.iter().enumerate() {
        let place = format!("resources[{number}]");
        match resource {
            Value::Object(fields) if fields.contains_key("kind") => {
                match typed(fields, &format!("{place}.")) {
                    Ok(item) => items.push(item),
                    Err(wrong) => errors.extend(wrong),
                }
            }
            Value::Object(_) => errors.push(FieldError::invalid(
                format!("{place}.kind"),
                "is required: project or database",
            )),
            _ => errors.push(FieldError::invalid(
                place,
                "has the wrong type: send an object with kind and config",
            )),
        }
        if errors.len() > DETAILS_MAX {
            break;
        }
    }
    if errors.is_empty() {
        Ok(items)
    } else {
        Err(errors)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct View {
    kind: String,
    #[serde(default)]
    project_id: Option<String>,
    #[serde(default)]
    page_token: Option<String>,
}

/// Reads all objects of a kind, as they are at one version of the store on all pages.
#[utoipa::path(get, path = "/v1/snapshot", tag = "plan",
    params(("kind" = String, Query), ("project_id" = Option<String>, Query), ("page_token" = Option<String>, Query),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of an earlier answer: 304 when that is still what is there, and fits on one page")),
    responses((status = 200, body = Snapshot, headers(("ETag" = String))),
        (status = 304, description = "Nothing was written since the answer of that ETag", headers(("ETag" = String))), (status = 422, body = ApiError)))]
pub(crate) async fn snapshot(
    State(state): Shared,
    Extension(caller): Who,
    headers: HeaderMap,
    Params(view): Params<View>,
) -> Answer {
    let kind = match view.kind.as_str() {
        "project" => SnapshotKind::Project,
        "database" => SnapshotKind::Database,
        other => {
            let message = format!("\"{other}\" is not a kind: use project or database");
            return Err(Refusal::field("kind", message));
        }
    };
    // An error means that there are no turns any more, which does not happen.
    let _turn = state.snapshots.wait(caller.token()).await;
    let rules = state.services.rules();
    let page = state
        .services
        .snapshot(
            &caller,
            kind,
            view.project_id.as_deref(),
            view.page_token.as_deref(),
            &wire::tell(rules),
        )
        .await?;
    // Weak, since the same state may be spelt in another order of fields by another berthd.
    let etag = format!("W/\"{}\"", page.version);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    if view.page_token.is_none() && page.next_page_token.is_none() && known == Some(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let etag = [(header::ETAG, etag)];
    match &page.rows {
        SnapshotRows::Projects(rows) => {
            let body = Snapshot {
                version: page.version,
                projects: Some(rows.iter().map(|row| wire::project(row, rules)).collect()),
                databases: None,
                next_page_token: page.next_page_token,
            };
            Ok((etag, json(StatusCode::OK, &body)?).into_response())
        }
        SnapshotRows::Databases(rows) => {
            let next = page.next_page_token.as_deref();
            let body = wire::told_snapshot(page.version, rows, next)?;
            Ok((etag, of_json(StatusCode::OK, body)).into_response())
        }
    }
}
