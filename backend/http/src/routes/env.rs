//! `/v1/projects/{project}/env`.

use super::{Answer, Paged, Shared, Who, json, text};
use crate::body::{JsonObject, Params, Segment, opened, typed};
use crate::error::Refusal;
use crate::keyed::{RequestKey, reply};
use crate::{page, wire};
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use berth_api::{
    ApiError, EnvRestoreBody, EnvVariableBody, EnvVariableEnvelope, EnvVersionList, Environment,
};
use berth_domain::Secret;
use berth_services::env::{FirstUse, Format, Put, Vantage};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reading {
    format: Option<String>,
    network: Option<String>,
    provision: Option<bool>,
}

impl Reading {
    /// The format of a text; none for JSON.
    fn format(&self) -> Result<Option<Format>, Refusal> {
        match self.format.as_deref() {
            None | Some("json") => Ok(None),
            Some(word) => Format::from_word(word).map(Some).ok_or_else(|| {
                let what = "is not a format: use json, dotenv or docker";
                Refusal::field("format", format!("\"{}\" {what}", shown(word)))
            }),
        }
    }

    /// Env files are for containers, and so is what asks for nothing else.
    fn vantage(&self) -> Result<Vantage, Refusal> {
        match self.network.as_deref() {
            None => Ok(Vantage::Project),
            Some(word) => Vantage::from_word(word).ok_or_else(|| {
                let what = "is not a network: use project (the default), public or auto";
                Refusal::field("network", format!("\"{}\" {what}", shown(word)))
            }),
        }
    }

    fn first_use(&self) -> FirstUse {
        match self.provision {
            Some(false) => FirstUse::Leaves,
            None | Some(true) => FirstUse::Provisions,
        }
    }
}

/// As much of a wrong word as belongs into an answer.
fn shown(word: &str) -> String {
    word.chars().take(64).collect()
}

/// Lists what the project's applications find in their environment. Without the scope
/// `credentials` sensitive values are `null`. As `dotenv` (for Compose) and `docker` (for
/// `docker run --env-file`) it is a text, which needs that scope.
///
/// The addresses are those in the project's network, unless `network` asks for others. With
/// `public` the variables of databases that are not exposed are left out, which `notes` tell.
///
/// The first reading with that scope makes the first database of a project with
/// `auto_provision`.
#[utoipa::path(get, path = "/v1/projects/{project}/env", tag = "environment",
    params(("project" = String, Path), ("format" = Option<String>, Query, description = "`json` (the default), `dotenv` or `docker`"),
        ("network" = Option<String>, Query, description = "From where databases are reached: `project` (the default), `public` for the published ports of those that are exposed, `auto` for these and the project's network for the rest"),
        ("provision" = Option<bool>, Query, description = "`false` for one that only looks: it makes no database")),
    responses((status = 200, content((Environment = "application/json"), (String = "text/plain"))),
        (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn read(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
    Params(reading): Params<Reading>,
) -> Answer {
    let (format, vantage) = (reading.format()?, reading.vantage()?);
    let first_use = reading.first_use();
    let services = &state.services;
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    let Some(format) = format else {
        let found = services
            .environment(&caller, &project, vantage, first_use)
            .await?;
        let body = json(StatusCode::OK, &wire::environment(&found, &caller))?;
        return Ok((no_store, body).into_response());
    };
    let text = services
        .environment_text(&caller, &project, vantage, first_use, format)
        .await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((no_store, kind, text.reveal().to_owned()).into_response())
}

/// Gives the project a variable of its own, or another value to the one of that name. The answer
/// has no value where that is sensitive.
#[utoipa::path(put, path = "/v1/projects/{project}/env/{name}", tag = "environment", request_body = EnvVariableBody,
    params(("project" = String, Path), ("name" = String, Path, example = "MAIL_FROM", description = "At most 128 letters, digits and underscores, not beginning with a digit")),
    responses((status = 200, body = EnvVariableEnvelope), (status = 201, body = EnvVariableEnvelope),
        (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn put(
    State(state): Shared,
    Extension(caller): Who,
    variable: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    body: JsonObject,
) -> Answer {
    let (project, name) = of_path(variable)?;
    let fields = opened(body.fields, "variable")?;
    if !fields.contains_key("value") {
        return Err(Refusal::field("value", "is required"));
    }
    let body: EnvVariableBody = typed(fields, "").map_err(Refusal::fields)?;
    let put = state
        .services
        .put_variable(
            &caller,
            &project,
            &name,
            Secret::new(body.value),
            body.sensitive,
        )
        .await?;
    let status = if put.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let variable = wire::variable(&put.variable);
    json(status, &EnvVariableEnvelope { variable })
}

/// Takes a variable of the project's own away.
#[utoipa::path(delete, path = "/v1/projects/{project}/env/{name}", tag = "environment",
    params(("project" = String, Path), ("name" = String, Path, example = "MAIL_FROM")),
    responses((status = 204), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn remove(
    State(state): Shared,
    Extension(caller): Who,
    variable: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
) -> Answer {
    let (project, name) = of_path(variable)?;
    state
        .services
        .remove_variable(&caller, &project, &name)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lists what variables of the project's own were before they were replaced or removed, the last
/// that ended first, without the values. They are kept for 7 days, but
/// only for the recovery floor where a project has more than 1,000 of them or 16 MiB.
#[utoipa::path(get, path = "/v1/projects/{project}/env_versions", tag = "environment",
    params(("project" = String, Path), ("page_size" = Option<u32>, Query), ("page_token" = Option<String>, Query)),
    responses((status = 200, body = EnvVersionList), (status = 404, body = ApiError)))]
pub(crate) async fn versions(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
    Params(paged): Params<Paged>,
) -> Answer {
    let after = page::after(paged.page_token.as_deref(), str::parse::<i64>)?;
    let size = page::size(paged.page_size)?;
    let services = &state.services;
    let found = services
        .variable_versions(&caller, &project, after, size)
        .await?;
    let last = found.rows.last().filter(|_| found.more);
    let body = EnvVersionList {
        next_page_token: last.map(|one| page::token(&one.version.to_string())),
        versions: found
            .rows
            .iter()
            .map(|one| wire::variable_version(one, services.value_kept_until(one.ended_at)))
            .collect(),
    };
    json(StatusCode::OK, &body)
}

/// Gives a variable the value again that it had before it was replaced or removed: the last one
/// that ended, or the one of the number in the body. The value that it has now is kept in turn.
#[utoipa::path(post, path = "/v1/projects/{project}/env/{name}/restore", tag = "environment", request_body = EnvRestoreBody,
    params(("project" = String, Path), ("name" = String, Path, example = "MAIL_FROM")),
    responses((status = 200, body = EnvVariableEnvelope),
        (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn restore(
    State(state): Shared,
    Extension(caller): Who,
    variable: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    let (project, name) = of_path(variable)?;
    let wish: EnvRestoreBody = typed(body.fields.clone(), "").map_err(Refusal::fields)?;
    let render = |put: &Put| {
        let variable = wire::variable(&put.variable);
        text(StatusCode::OK, &EnvVariableEnvelope { variable })
    };
    let keyed = key.with(&body.bytes, &render);
    let answered = state
        .services
        .restore_variable(&caller, &project, &name, wish.version, keyed)
        .await?;
    Ok(reply(answered, &render))
}

fn of_path(
    variable: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
) -> Result<(String, String), Refusal> {
    variable
        .map(|Path(both)| both)
        .map_err(|_| Refusal::unreadable("The path is not text"))
}
