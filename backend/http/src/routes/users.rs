//! `/v1/users`.

use super::{Answer, Paged, Shared, Who, json, text};
use crate::body::{Fields, JsonObject, Params, Segment, opened, typed};
use crate::condition::{Condition, tagged};
use crate::error::Refusal;
use crate::keyed::{RequestKey, reply};
use crate::{page, wire};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use berth_api::{ApiError, UserBody, UserEnvelope, UserList};
use berth_domain::{User, UserId};
use berth_services::{NewUser, tag_of_user};

fn envelope(row: &User) -> UserEnvelope {
    UserEnvelope {
        user: wire::user(row),
    }
}

fn read_body(fields: Fields) -> Result<UserBody, Refusal> {
    typed::<UserBody>(opened(fields, "user")?, "").map_err(Refusal::fields)
}

/// Lists the people, oldest first. Whoever is not the installation's administrator sees itself.
#[utoipa::path(get, path = "/v1/users", tag = "people",
    params(("page_size" = Option<u32>, Query), ("page_token" = Option<String>, Query)),
    responses((status = 200, body = UserList), (status = 422, body = ApiError)))]
pub(crate) async fn list(
    State(state): Shared,
    Extension(caller): Who,
    Params(paged): Params<Paged>,
) -> Answer {
    let after = page::after(paged.page_token.as_deref(), UserId::parse)?;
    let size = page::size(paged.page_size)?;
    let found = state.services.users(&caller, after.as_ref(), size).await?;
    let last = found.rows.last().filter(|_| found.more);
    let body = UserList {
        next_page_token: last.map(|user| page::token(user.id.as_str())),
        users: found.rows.iter().map(wire::user).collect(),
    };
    json(StatusCode::OK, &body)
}

/// Makes a person known. It sees nothing until it is a member of a project.
#[utoipa::path(post, path = "/v1/users", tag = "people",
    request_body(content = UserBody, example = json!({"name": "ada", "email": "ada@example.com"})),
    responses((status = 201, body = UserEnvelope), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn create(
    State(state): Shared,
    Extension(caller): Who,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    let wish = read_body(body.fields)?;
    let wish = NewUser {
        name: wish
            .name
            .value()
            .ok_or_else(|| Refusal::field("name", "is required"))?,
        email: wish.email.value(),
    };
    let render = |row: &User| text(StatusCode::CREATED, &envelope(row));
    let keyed = key.with(&body.bytes, &render);
    let answered = state.services.create_user(&caller, &wish, keyed).await?;
    Ok(reply(answered, &render))
}

/// Reads a person by its id or name.
#[utoipa::path(get, path = "/v1/users/{user}", tag = "people",
    params(("user" = String, Path)),
    responses((status = 200, body = UserEnvelope), (status = 404, body = ApiError)))]
pub(crate) async fn read(
    State(state): Shared,
    Extension(caller): Who,
    Segment(user): Segment,
) -> Answer {
    let row = state.services.user(&caller, &user).await?;
    let answer = json(StatusCode::OK, &envelope(&row))?;
    Ok(tagged(answer, tag_of_user(&row)))
}

/// Changes the fields that the body names and no others.
#[utoipa::path(patch, path = "/v1/users/{user}", tag = "people",
    request_body(content = UserBody, example = json!({"email": null})),
    params(("user" = String, Path)),
    responses((status = 200, body = UserEnvelope), (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn update(
    State(state): Shared,
    Extension(caller): Who,
    Segment(user): Segment,
    Condition(expected): Condition,
    body: JsonObject,
) -> Answer {
    let wish = wire::user_config(read_body(body.fields)?);
    let row = state
        .services
        .update_user(&caller, &user, &wish, &expected)
        .await?;
    let answer = json(StatusCode::OK, &envelope(&row))?;
    Ok(tagged(answer, tag_of_user(&row)))
}

/// Takes a person away: its tokens are revoked at once, its memberships end. What it made stays.
#[utoipa::path(delete, path = "/v1/users/{user}", tag = "people",
    params(("user" = String, Path)),
    responses((status = 204), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn remove(
    State(state): Shared,
    Extension(caller): Who,
    Segment(user): Segment,
) -> Answer {
    state.services.delete_user(&caller, &user).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
