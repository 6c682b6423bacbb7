//! `/v1/tokens`.

use super::{Answer, Paged, Shared, Who, json, text};
use crate::body::{JsonObject, Params, Segment, opened, typed};
use crate::condition::{Condition, tagged};
use crate::error::Refusal;
use crate::keyed::{RequestKey, reply};
use crate::{page, wire};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use berth_api::{ApiError, NewToken, Token, TokenBody, TokenCreated, TokenList, TokenSecret};
use berth_domain::TokenId;
use berth_services::{KeyedToken, MadeToken, Replay, TokenConfig, tag_of_token};
use serde::Deserialize;

/// For answers with a secret in them: nobody on their way keeps or compresses them.
const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// Lists the tokens without their secrets, oldest first.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens",
    params(("page_size" = Option<u32>, Query), ("page_token" = Option<String>, Query)),
    responses((status = 200, body = TokenList)))]
pub(crate) async fn list(
    State(state): Shared,
    Extension(caller): Who,
    Params(paged): Params<Paged>,
) -> Answer {
    let after = page::after(paged.page_token.as_deref(), TokenId::parse)?;
    let size = page::size(paged.page_size)?;
    let found = state.services.tokens(&caller, after.as_ref(), size).await?;
    let last = found.rows.last().filter(|_| found.more);
    let body = TokenList {
        next_page_token: last.map(|token| page::token(token.id.as_str())),
        tokens: found.rows.iter().map(wire::token).collect(),
    };
    json(StatusCode::OK, &body)
}

/// Makes a token. Its secret is shown this once.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens",
    request_body(content = NewToken, example = json!({"name": "ci", "preset": "apply", "project_id": "shop", "user_id": "usr_admin"})),
    responses((status = 201, body = TokenCreated), (status = 422, body = ApiError)))]
pub(crate) async fn create(
    State(state): Shared,
    Extension(caller): Who,
    key: RequestKey,
    body: JsonObject,
) -> Answer {
    let wish = typed::<Wish>(opened(body.fields, "token")?, "").map_err(Refusal::fields)?;
    let wish = berth_services::NewToken {
        name: wish.name,
        scopes: wish.scopes,
        preset: wish.preset,
        user: wish.user_id,
        project: wish.project_id,
        expires_at: wish.expires_at,
        keep_secret: wish.keep_secret.unwrap_or(false),
    };
    let render = |made: &MadeToken| {
        let body = TokenCreated {
            token: wire::token(&made.token),
            secret: made.secret.reveal().to_owned(),
        };
        text(StatusCode::CREATED, &body)
    };
    let token_in = |replay: &Replay| {
        let told: TokenCreated = serde_json::from_str(replay.body.reveal()).ok()?;
        TokenId::parse(&told.token.id).ok()
    };
    let keyed = key.with(&body.bytes, &render).map(|keyed| KeyedToken {
        keyed,
        token_in: &token_in,
    });
    let answered = state.services.create_token(&caller, &wish, keyed).await?;
    Ok((NO_STORE, reply(answered, &render)).into_response())
}

/// A [`NewToken`] of which any field may be left out: what is missing is named with all else
/// that is wrong.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wish {
    name: Option<String>,
    scopes: Option<Vec<String>>,
    preset: Option<String>,
    user_id: Option<String>,
    project_id: Option<String>,
    expires_at: Option<String>,
    keep_secret: Option<bool>,
}

/// Reads a token without its secret.
#[utoipa::path(get, path = "/v1/tokens/{token}", tag = "tokens", params(("token" = String, Path)),
    responses((status = 200, body = Token), (status = 404, body = ApiError)))]
pub(crate) async fn read(
    State(state): Shared,
    Extension(caller): Who,
    Segment(token): Segment,
) -> Answer {
    let found = state.services.token(&caller, &token).await?;
    let answer = json(StatusCode::OK, &wire::token(&found))?;
    Ok(tagged(answer, tag_of_token(&found)))
}

/// Reads the secret of a token that was made with `keep_secret`. A token that may plan and not
/// write gets one that is well formed and opens nothing.
#[utoipa::path(get, path = "/v1/tokens/{token}/secret", tag = "tokens", params(("token" = String, Path)),
    responses((status = 200, body = TokenSecret), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn secret(
    State(state): Shared,
    Extension(caller): Who,
    Segment(token): Segment,
) -> Answer {
    let found = state.services.token_secret(&caller, &token).await?;
    let body = TokenSecret {
        secret: found.secret.reveal().to_owned(),
        inert: found.inert,
    };
    Ok((NO_STORE, json(StatusCode::OK, &body)?).into_response())
}

/// Changes a token's name or end. Its secret stays what it is.
#[utoipa::path(patch, path = "/v1/tokens/{token}", tag = "tokens",
    request_body(content = TokenBody, example = json!({"expires_at": "2030-01-31T12:00:00Z"})),
    params(("token" = String, Path)),
    responses((status = 200, body = Token), (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn update(
    State(state): Shared,
    Extension(caller): Who,
    Segment(token): Segment,
    Condition(expected): Condition,
    body: JsonObject,
) -> Answer {
    let wish = typed::<TokenBody>(opened(body.fields, "token")?, "").map_err(Refusal::fields)?;
    let wish = TokenConfig {
        name: wire::given(wish.name),
        expires_at: wire::given(wish.expires_at),
    };
    let changed = state
        .services
        .update_token(&caller, &token, &wish, &expected)
        .await?;
    let answer = json(StatusCode::OK, &wire::token(&changed))?;
    Ok(tagged(answer, tag_of_token(&changed)))
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/v1/tokens/{token}", tag = "tokens", params(("token" = String, Path)),
    responses((status = 204), (status = 404, body = ApiError)))]
pub(crate) async fn revoke(
    State(state): Shared,
    Extension(caller): Who,
    Segment(token): Segment,
) -> Answer {
    state.services.revoke_token(&caller, &token).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
