//! `/v1/projects/{project}/members`.

use super::{Answer, Paged, Shared, Who, json};
use crate::body::{JsonObject, Params, Segment, opened, typed};
use crate::error::Refusal;
use crate::{page, wire};
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use berth_api::{ApiError, MemberEnvelope, MemberList};
use berth_domain::UserId;
use berth_services::PutMember;

/// The project and the person of a path.
type Both = Result<Path<(String, String)>, PathRejection>;

fn both(path: Both) -> Result<(String, String), Refusal> {
    path.map(|Path(both)| both)
        .map_err(|_| Refusal::unreadable("The path is not text"))
}

/// Lists the members of a project, the longest standing first.
#[utoipa::path(get, path = "/v1/projects/{project}/members", tag = "people",
    params(("project" = String, Path), ("page_size" = Option<u32>, Query), ("page_token" = Option<String>, Query)),
    responses((status = 200, body = MemberList), (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn list(
    State(state): Shared,
    Extension(caller): Who,
    Segment(project): Segment,
    Params(paged): Params<Paged>,
) -> Answer {
    let after = page::after(paged.page_token.as_deref(), UserId::parse)?;
    let size = page::size(paged.page_size)?;
    let found = state
        .services
        .members(&caller, &project, after.as_ref(), size)
        .await?;
    let last = found.rows.last().filter(|_| found.more);
    let body = MemberList {
        next_page_token: last.map(|member| page::token(member.user_id.as_str())),
        members: found.rows.iter().map(wire::member).collect(),
    };
    json(StatusCode::OK, &body)
}

/// Reads what a person, by id or name, is in a project.
#[utoipa::path(get, path = "/v1/projects/{project}/members/{user}", tag = "people",
    params(("project" = String, Path), ("user" = String, Path)),
    responses((status = 200, body = MemberEnvelope), (status = 404, body = ApiError)))]
pub(crate) async fn read(State(state): Shared, Extension(caller): Who, path: Both) -> Answer {
    let (project, user) = both(path)?;
    let member = state.services.member(&caller, &project, &user).await?;
    let member = wire::member(&member);
    json(StatusCode::OK, &MemberEnvelope { member })
}

/// Says what a person is in a project. Needs the scope `admin` and an owner of the project, or
/// the installation's administrator.
#[utoipa::path(put, path = "/v1/projects/{project}/members/{user}", tag = "people",
    request_body(content = berth_api::MemberBody, example = json!({"role": "editor"})),
    params(("project" = String, Path), ("user" = String, Path)),
    responses((status = 200, body = MemberEnvelope, description = "It was a member before."),
        (status = 201, body = MemberEnvelope, description = "It is a member from now on."),
        (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn put(
    State(state): Shared,
    Extension(caller): Who,
    path: Both,
    body: JsonObject,
) -> Answer {
    let (project, user) = both(path)?;
    let wish = typed::<RoleBody>(opened(body.fields, "member")?, "").map_err(Refusal::fields)?;
    let put = state
        .services
        .put_member(&caller, &project, &user, wish.role.as_deref())
        .await?;
    let (status, member) = match put {
        PutMember::New(member) => (StatusCode::CREATED, member),
        PutMember::Changed(member) => (StatusCode::OK, member),
    };
    let member = wire::member(&member);
    json(status, &MemberEnvelope { member })
}

/// A role that may be missing, so that it can be asked for by name.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RoleBody {
    role: Option<String>,
}

/// Takes a person out of a project. Needs what choosing a role needs; the last owner stays,
/// unless the installation's administrator takes it out.
#[utoipa::path(delete, path = "/v1/projects/{project}/members/{user}", tag = "people",
    params(("project" = String, Path), ("user" = String, Path)),
    responses((status = 204), (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn remove(State(state): Shared, Extension(caller): Who, path: Both) -> Answer {
    let (project, user) = both(path)?;
    state
        .services
        .remove_member(&caller, &project, &user)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
