//! `berthd token`: makes, lists and revokes API tokens through the running berthd.

use crate::cli::TokenCommand;
use crate::commands::user::everybody;
use crate::local::{Error, Local};
use crate::say;
use berth_api::{NewToken, Token, TokenCreated};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Page {
    tokens: Vec<Token>,
    next_page_token: Option<String>,
}

/// Runs one of the token commands.
pub async fn run(local: &Local, command: TokenCommand) -> Result<(), Error> {
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
        TokenCommand::List => list(local).await,
        TokenCommand::Revoke { id } => {
            local.delete(&format!("/v1/tokens/{id}")).await?;
            say(format_args!("{id} revoked"));
            Ok(())
        }
    }
}

async fn list(local: &Local) -> Result<(), Error> {
    let names = user_names(local).await?;
    let mut path = "/v1/tokens".to_owned();
    loop {
        let page: Page = local.get(&path).await?;
        for token in page.tokens {
            let state = if token.revoked_at.is_some() {
                "revoked"
            } else {
                "valid"
            };
            let project = token.project_id.as_deref().unwrap_or("all projects");
            say(format_args!(
                "{}  {}  {}  {state}  {project}  {}",
                token.id,
                token.name,
                names.get(&token.user_id).unwrap_or(&token.user_id),
                token.scopes.join(",")
            ));
        }
        match page.next_page_token {
            Some(next) => path = format!("/v1/tokens?page_token={next}"),
            None => return Ok(()),
        }
    }
}

/// The names of everybody, by their ids; a token of somebody who is gone shows the id.
async fn user_names(local: &Local) -> Result<BTreeMap<String, String>, Error> {
    let users = everybody(local).await?;
    Ok(users.into_iter().map(|user| (user.id, user.name)).collect())
}
