//! `/v1/operations`.

use super::{Answer, Shared, Who, json};
use crate::body::{Params, Segment};
use crate::wire;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use berth_api::{ApiError, Operation};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Patience {
    wait: u64,
}

/// Reads an operation; with `wait`, as soon as it has ended or after that many seconds, at most
/// 60.
#[utoipa::path(get, path = "/v1/operations/{operation}", tag = "operations",
    params(("operation" = String, Path), ("wait" = Option<u64>, Query)),
    responses((status = 200, body = Operation), (status = 404, body = ApiError)))]
pub(crate) async fn read(
    State(state): Shared,
    Extension(caller): Who,
    Segment(operation): Segment,
    Params(patience): Params<Patience>,
) -> Answer {
    let services = &state.services;
    let _held = match patience.wait {
        0 => None,
        _ => state.waits.take(caller.token())?,
    };
    let found = tokio::select! {
        found = services.await_operation(&caller, &operation, patience.wait) => found?,
        // Whoever waits is told how far it is rather than cut off.
        () = state.config.stopped() => services.operation(&caller, &operation).await?,
    };
    json(StatusCode::OK, &wire::operation(&found))
}
