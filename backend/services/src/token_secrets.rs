//! Secrets of tokens that are kept, for who hands them on without storing them.

use crate::error::Doing;
use crate::services::{Begun, Happened, journal};
use crate::tokens::{TOKEN_PREFIX, token_to_write};
use crate::{Caller, Code, Error, Services};
use berth_domain::{Scope, Secret, Timestamp, Token, TokenId};
use berth_store::Tx;

/// The digits of a secret that belongs to no token.
const INERT_DIGITS: usize = 48;

/// A token's secret, as it is handed on.
#[derive(Debug, Clone)]
pub struct TokenSecret {
    /// What the token's bearer sends.
    pub secret: Secret,
    /// Whether it opens nothing.
    pub inert: bool,
}

impl Services {
    /// The secret of a token whose maker had it kept; the same each time, and each reading is in
    /// the journal. Who may plan and not write gets one that is well formed and opens nothing,
    /// whether or not there is such a token.
    pub async fn token_secret(&self, caller: &Caller, id: &str) -> Result<TokenSecret, Error> {
        if !caller.scopes.allow(Scope::Admin) {
            return match caller.only_plans() {
                true => Ok(inert()),
                false => Err(Error::scope_missing(Scope::Admin)),
            };
        }
        let Begun::Write(mut writing) = self.begin::<()>(caller, None).await? else {
            return Err(crate::databases::unkeyed());
        };
        let token = token_to_write(&mut writing, caller, id).await?;
        if token.revoked_at.is_some() {
            return Err(Error::refused(
                Code::TokenRevoked,
                format!("{} was revoked, and its secret is gone", token.id),
            ));
        }
        // Whoever read it could do what the token may.
        if let Some(scope) = caller.scopes.lacking(&token.scopes) {
            return Err(Error::scope_missing(scope));
        }
        let kept = writing.tx.kept_token_secret(&token.id).await;
        let kept = kept.doing("read the secret of a token")?;
        let secret = kept.ok_or_else(|| {
            Error::refused(
                Code::SecretNotKept,
                format!(
                    "The secret of {} was shown once and not kept: make a token with keep_secret",
                    token.id
                ),
            )
        })?;
        let message = format!("the secret of token {} ({}) was read", token.name, token.id);
        let (tx, now) = (&mut writing.tx, writing.now);
        secret_read(tx, caller, now, &token, message).await?;
        self.commit(writing, ()).await?;
        Ok(TokenSecret {
            secret,
            inert: false,
        })
    }

    /// Writes down that the answer to a request for a token is given again, before it is: what
    /// cannot be written down is not told.
    pub(crate) async fn secret_told_again(
        &self,
        caller: &Caller,
        token: Option<TokenId>,
    ) -> Result<(), Error> {
        let Begun::Write(mut writing) = self.begin::<()>(caller, None).await? else {
            return Err(crate::databases::unkeyed());
        };
        let (tx, now) = (&mut writing.tx, writing.now);
        let token = match token {
            Some(id) => tx.token_by_id(&id).await.doing("look for a token")?,
            None => None,
        };
        let token = token.ok_or_else(|| Error::Inconsistent {
            act: "give an answer again",
            reason: "it names no token that there is".to_owned(),
        })?;
        let message = format!(
            "the secret of token {} ({}) was read in the answer to an Idempotency-Key",
            token.name, token.id
        );
        secret_read(tx, caller, now, &token, message).await?;
        self.commit(writing, ()).await?;
        Ok(())
    }
}

async fn secret_read(
    tx: &mut Tx,
    caller: &Caller,
    now: Timestamp,
    token: &Token,
    message: String,
) -> Result<(), Error> {
    let read = Happened {
        kind: "token.secret_read",
        project: token.project_id.as_ref(),
        database: None,
        operation: None,
        message,
    };
    journal(tx, &caller.actor, now, read).await
}

/// Keeps a new token's secret.
pub(crate) async fn keep(tx: &mut Tx, id: &TokenId, secret: &Secret) -> Result<(), Error> {
    let kept = tx.keep_token_secret(id, secret).await;
    kept.doing("keep the secret of a token")
}

/// Forgets the secret of a token that opens nothing any more.
pub(crate) async fn forget(tx: &mut Tx, id: &TokenId) -> Result<(), Error> {
    let forgotten = tx.forget_token_secret(id).await;
    forgotten.doing("forget the secret of a token")
}

fn inert() -> TokenSecret {
    TokenSecret {
        secret: Secret::new(format!("{TOKEN_PREFIX}{}", "0".repeat(INERT_DIGITS))),
        inert: true,
    }
}
