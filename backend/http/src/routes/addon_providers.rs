//! `/v1/addon_providers`: the catalogue in the words of clients that look their plans up there.

use super::{Answer, Shared, json};
use crate::wire;
use axum::extract::State;
use axum::http::StatusCode;
use berth_api::AddonProviderList;

/// The engines that can be had, each with the plans that can be ordered.
#[utoipa::path(get, path = "/v1/addon_providers", tag = "dialects",
    responses((status = 200, body = AddonProviderList, example = json!({"addon_providers": [{
        "id": "postgresql-ng", "name": "PostgreSQL",
        "short_description": "PostgreSQL on this installation's own machines",
        "description": "Versions: 16, 17", "category": {"id": "databases", "name": "Databases"},
        "provider_name": "berth", "plans": [{"id": "postgresql-dr-starter-4096",
            "name": "postgresql-dr-starter-4096", "display_name": "2 vCPU, 4 GB of memory",
            "description": "2 vCPU, 4 GB of memory", "position": 1}]}]}))))]
pub(crate) async fn list(State(state): Shared) -> Answer {
    let engines = state.services.offered_engines().await;
    let body = wire::addon_providers(&engines, state.services.rules());
    json(StatusCode::OK, &body)
}
