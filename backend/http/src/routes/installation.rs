//! The installation: what it offers, whether it is well.

use super::{Answer, Shared, json};
use crate::metrics::Gauge;
use crate::wire;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use berth_api::{ApiError, Catalogue, Server, Version, VersionRange};
use berth_domain::Status;

/// Says that the process answers.
#[utoipa::path(get, path = "/healthz", tag = "installation", responses((status = 200, body = String)))]
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// Says whether requests can be served: the store answers.
#[utoipa::path(get, path = "/readyz", tag = "installation",
    responses((status = 200, body = String), (status = 503, body = ApiError)))]
pub(crate) async fn readyz(State(state): Shared) -> Answer {
    match state.services.ready().await {
        Ok(()) => Ok("ok".into_response()),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            Err(crate::error::Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not_ready",
                "The store does not answer",
            ))
        }
    }
}

/// berthd's version and the revisions of the API that it speaks.
#[utoipa::path(get, path = "/v1/version", tag = "installation", responses((status = 200, body = Version)))]
pub(crate) async fn version(State(state): Shared) -> Answer {
    let body = Version {
        version: state.services.version().to_owned(),
        api: VersionRange::HERE,
    };
    json(StatusCode::OK, &body)
}

/// The installation, what its host has and what is promised of it.
#[utoipa::path(get, path = "/v1/server", tag = "installation", responses((status = 200, body = Server)))]
pub(crate) async fn server(State(state): Shared) -> Answer {
    let services = &state.services;
    let capacity = services.capacity().await?;
    let body = wire::server(
        capacity,
        services.rules(),
        services.version(),
        services.runtime(),
    );
    json(StatusCode::OK, &body)
}

/// What can be ordered.
#[utoipa::path(get, path = "/v1/catalogue", tag = "installation", responses((status = 200, body = Catalogue)))]
pub(crate) async fn catalogue(State(state): Shared) -> Answer {
    let engines = state.services.offered_engines().await;
    json(
        StatusCode::OK,
        &wire::catalogue(engines, state.services.rules()),
    )
}

/// Counters in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "installation", responses((status = 200, body = String)))]
pub(crate) async fn metrics(State(state): Shared) -> Answer {
    let capacity = state.services.capacity().await?;
    let pending = state.services.pending_operations().await?;
    let living = state.services.living_by_status().await?.into_iter();
    let by_status = |(status, count): (Status, u64)| {
        let labels = format!("{{status=\"{}\"}}", status.as_str());
        (labels, count)
    };
    let gauge = |name, help, value: u64| Gauge {
        name,
        help,
        values: vec![(String::new(), value)],
    };
    let gauges = [
        Gauge {
            name: "berth_databases",
            help: "Living databases by status.",
            values: living.map(by_status).collect(),
        },
        gauge(
            "berth_operations_pending",
            "Operations waiting or being worked on.",
            pending,
        ),
        gauge(
            "berth_memory_promised_mebibytes",
            "Memory promised to databases.",
            capacity.memory_mb_promised,
        ),
        gauge(
            "berth_memory_allowed_mebibytes",
            "Memory that may be promised.",
            capacity.memory_mb_allowed,
        ),
        gauge(
            "berth_storage_promised_gigabytes",
            "Storage promised to databases.",
            capacity.storage_gb_promised,
        ),
    ];
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    Ok((kind, state.metrics.text(&gauges)).into_response())
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "installation",
    responses((status = 200, body = Object, content_type = "application/json", example = json!({"openapi": "3.1.0"}))))]
pub(crate) async fn openapi(State(state): Shared) -> Answer {
    match state.document() {
        Ok(document) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            Ok((kind, document).into_response())
        }
        // It is a plain object of texts and numbers; none is beyond JSON.
        Err(error) => {
            tracing::error!(%error, "the document of the API could not be written");
            Err(crate::error::Refusal::internal())
        }
    }
}
