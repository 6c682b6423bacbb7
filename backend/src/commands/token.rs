//! `berthd token`: makes, lists and revokes API tokens through the running berthd.

use crate::cli::TokenCommand;
use crate::commands::user::everybody;
use crate::local::{Error, Local, segment};
use crate::say;
use berth_api::{NewToken, Token, TokenCreated, TokenList};
use berth_domain::{Clock, Timestamp};
use std::collections::BTreeMap;

/// Runs one of the token commands.
pub async fn run(local: &Local, command: TokenCommand, clock: &dyn Clock) -> Result<(), Error> {
    match command {
        TokenCommand::Create {
            name,
            preset,
            scopes,
            user,
            project,
            expires_at,
        } => {
            let body = NewToken {
                name,
                scopes,
                preset,
                user_id: user,
                project_id: project,
                expires_at,
                keep_secret: false,
            };
            let made: TokenCreated = local.post("/v1/tokens", &body).await?;
            // The secret alone goes to stdout, so that it can be captured without being shown.
            eprintln!(
                "{} {} may: {}",
                made.token.id,
                made.token.name,
                made.token.scopes.join(", ")
            );
            say(format_args!("{}", made.secret));
            Ok(())
        }
        TokenCommand::List => list(local, clock.now()).await,
        TokenCommand::Revoke { id } => {
            local
                .delete(&format!("/v1/tokens/{}", segment(&id)?))
                .await?;
            say(format_args!("{id} revoked"));
            Ok(())
        }
    }
}

async fn list(local: &Local, now: Timestamp) -> Result<(), Error> {
    let names = user_names(local).await?;
    let parts = |page: TokenList| (page.tokens, page.next_page_token);
    for token in local.pages("/v1/tokens", parts).await? {
        let user = names.get(&token.user_id).unwrap_or(&token.user_id);
        let project = token.project_id.as_deref().unwrap_or("all projects");
        say(format_args!(
            "{}  {}  {user}  {}  {project}  {}",
            token.id,
            token.name,
            standing(&token, now),
            token.scopes.join(",")
        ));
    }
    Ok(())
}

/// Whether a token opens anything, and for how long.
fn standing(token: &Token, now: Timestamp) -> String {
    match (&token.revoked_at, &token.expires_at) {
        (Some(_), _) => "revoked".to_owned(),
        (None, None) => "valid".to_owned(),
        // As the API has it: at its end it is over.
        (None, Some(end)) if Timestamp::parse(end).is_some_and(|end| end <= now) => {
            format!("expired {end}")
        }
        (None, Some(end)) => format!("valid until {end}"),
    }
}

/// The names of everybody, by their ids; a token of somebody who is gone shows the id.
async fn user_names(local: &Local) -> Result<BTreeMap<String, String>, Error> {
    let users = everybody(local).await?;
    Ok(users.into_iter().map(|user| (user.id, user.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_that_opens_something_is_called_valid() {
        let end = "2030-01-31T12:00:00Z";
        let now = |text| Timestamp::parse(text).unwrap();
        let token = |expires_at: Option<&str>, revoked_at: Option<&str>| Token {
            id: "tok_1".to_owned(),
            name: "ci".to_owned(),
            scopes: Vec::new(),
            project_id: None,
            user_id: "usr_admin".to_owned(),
            created_at: "2029-01-01T00:00:00Z".to_owned(),
            expires_at: expires_at.map(str::to_owned),
            revoked_at: revoked_at.map(str::to_owned),
        };
        let (before, after) = (now("2030-01-31T11:59:59Z"), now("2031-01-01T00:00:00Z"));
        for (token, now, expected) in [
            (token(None, None), after, "valid"),
            (
                token(Some(end), None),
                before,
                "valid until 2030-01-31T12:00:00Z",
            ),
            (
                token(Some(end), None),
                now(end),
                "expired 2030-01-31T12:00:00Z",
            ),
            (
                token(Some(end), None),
                after,
                "expired 2030-01-31T12:00:00Z",
            ),
            (token(Some(end), Some(end)), after, "revoked"),
        ] {
            assert_eq!(standing(&token, now), expected);
        }
    }
}
