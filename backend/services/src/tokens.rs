//! Tokens: who may ask for what.

use crate::error::Doing;
use crate::services::{Answered, Begun, Happened, Keyed, journal};
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Services, random};
use berth_domain::{Actor, Preset, Scope, Scopes, Secret, Timestamp, Token, TokenId};
use berth_store::{Page, Tx};
use sha2::{Digest, Sha256};

/// What every token's secret begins with, so that it is known when it leaks.
pub const TOKEN_PREFIX: &str = "berth_";
const NAME_CHARACTERS_MAX: usize = 64;

/// A token that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewToken {
    /// Its name, for people.
    pub name: String,
    /// Its rights, by their words.
    pub scopes: Option<Vec<String>>,
    /// A usual set of rights instead.
    pub preset: Option<String>,
    /// The one project it is bound to, by id or name.
    pub project: Option<String>,
    /// When it ends, in RFC 3339.
    pub expires_at: Option<String>,
}

/// A token and its secret, which is known this once.
#[derive(Debug, Clone)]
pub struct MadeToken {
    /// The token.
    pub token: Token,
    /// What its bearer sends.
    pub secret: Secret,
}

impl Services {
    /// Who sends this secret.
    pub async fn authenticate(
        &self,
        secret: &Secret,
        address: Option<String>,
    ) -> Result<Caller, Error> {
        let refused = || Error::refused(Code::Unauthenticated, "This token is not valid");
        // What is looked up is a hash, so how long it takes tells nothing of the secret.
        let found = self
            .store
            .token_by_hash(&hash(secret))
            .await
            .doing("look for a token")?
            .ok_or_else(refused)?;
        let now = self.clock.now();
        if found.revoked_at.is_some() {
            return Err(Error::refused(
                Code::Unauthenticated,
                "This token was revoked",
            ));
        }
        if found.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::refused(
                Code::Unauthenticated,
                "This token has expired",
            ));
        }
        Ok(Caller {
            actor: Actor::Token {
                id: found.id,
                name: found.name,
                address,
            },
            scopes: found.scopes,
            project: found.project_id,
        })
    }

    /// Makes a token with a secret of its own.
    pub async fn create_token(
        &self,
        caller: &Caller,
        wish: &NewToken,
        keyed: Option<Keyed<'_, MadeToken>>,
    ) -> Result<Answered<MadeToken>, Error> {
        let secret = Secret::new(format!(
            "{TOKEN_PREFIX}{}",
            hex::encode(random::<24>(&*self.entropy))
        ));
        self.store_token(caller, wish, secret, keyed).await
    }

    async fn store_token(
        &self,
        caller: &Caller,
        wish: &NewToken,
        secret: Secret,
        keyed: Option<Keyed<'_, MadeToken>>,
    ) -> Result<Answered<MadeToken>, Error> {
        caller.need(Scope::Admin)?;
        let mut writing = match self.begin(caller, keyed).await? {
            Begun::Write(writing) => writing,
            Begun::Replay(replay) => return Ok(Answered::Replayed(replay)),
        };
        let now = writing.now;
        let token = self
            .checked(&mut writing.tx, caller, wish, &secret, now)
            .await?;
        writing
            .tx
            .insert_token(&token)
            .await
            .doing("store a token")?;
        journal(
            &mut writing.tx,
            &caller.actor,
            now,
            Happened {
                kind: "token.created",
                project: token.project_id.as_ref(),
                database: None,
                operation: None,
                message: format!("token {} ({}) was made", token.name, token.id),
            },
        )
        .await?;
        self.commit(writing, MadeToken { token, secret }).await
    }

    /// The token that is wished for, when every field of the wish holds.
    async fn checked(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        wish: &NewToken,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<Token, Error> {
        let mut errors = Vec::new();
        let length = wish.name.chars().count();
        if !(1..=NAME_CHARACTERS_MAX).contains(&length) || wish.name.chars().any(char::is_control) {
            errors.push(FieldError::invalid(
                "name",
                format!("use 1 to {NAME_CHARACTERS_MAX} printable characters"),
            ));
        }
        let scopes = scopes_of(wish, &mut errors);
        let expires_at = expiry(wish.expires_at.as_deref(), now, &mut errors);
        let mut project_id = caller.project.clone();
        if let Some(reference) = &wish.project {
            match self.project_row(&mut View::Tx(tx), caller, reference).await {
                Ok(project) => project_id = Some(project.id),
                Err(Error::Refused { code, message, .. }) => {
                    errors.push(FieldError::of(code, "project_id", message));
                }
                Err(other) => return Err(other),
            }
        }
        if !errors.is_empty() {
            return Err(Error::fields(errors));
        }
        Ok(Token {
            id: TokenId::from_entropy(random(&*self.entropy)),
            name: wish.name.clone(),
            hash: hash(secret),
            scopes,
            project_id,
            created_at: now,
            expires_at,
            revoked_at: None,
        })
    }

    /// A page of the tokens, oldest first, without their secrets.
    pub async fn tokens(
        &self,
        caller: &Caller,
        after: Option<&TokenId>,
        limit: u32,
    ) -> Result<Page<Token>, Error> {
        caller.need(Scope::Admin)?;
        self.store
            .tokens_page(caller.project.as_ref(), after, limit)
            .await
            .doing("list tokens")
    }

    /// Revokes a token at once. Repeatable.
    pub async fn revoke_token(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        caller.need(Scope::Admin)?;
        let missing = || Error::refused(Code::TokenNotFound, "Token not found");
        let id = TokenId::parse(id).map_err(|_| missing())?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await.doing("begin to write")?;
        let found = tx.token_by_id(&id).await.doing("look for a token")?;
        let token = found
            .filter(|t| caller.project.is_none() || t.project_id == caller.project)
            .ok_or_else(missing)?;
        if tx.revoke_token(&id, now).await.doing("revoke a token")? {
            journal(
                &mut tx,
                &caller.actor,
                now,
                Happened {
                    kind: "token.revoked",
                    project: token.project_id.as_ref(),
                    database: None,
                    operation: None,
                    message: format!("token {} ({id}) was revoked", token.name),
                },
            )
            .await?;
            tx.commit().await.doing("revoke a token")?;
        }
        Ok(())
    }
}

fn hash(secret: &Secret) -> String {
    hex::encode(Sha256::digest(secret.reveal().as_bytes()))
}

fn scopes_of(wish: &NewToken, errors: &mut Vec<FieldError>) -> Scopes {
    match (&wish.scopes, &wish.preset) {
        (Some(_), Some(_)) => errors.push(FieldError::invalid(
            "preset",
            "give scopes or a preset, not both",
        )),
        (None, None) => errors.push(FieldError::invalid(
            "scopes",
            "say what the token may do: scopes, or a preset of plan, apply, application, admin",
        )),
        (None, Some(preset)) => match Preset::parse(preset) {
            Ok(preset) => return preset.scopes(),
            Err(error) => errors.push(FieldError::invalid("preset", error.to_string())),
        },
        (Some(words), None) if words.is_empty() => {
            errors.push(FieldError::invalid("scopes", "name at least one"));
        }
        (Some(words), None) => {
            let mut scopes = Vec::new();
            for word in words {
                match Scope::parse(word) {
                    Ok(scope) => scopes.push(scope),
                    Err(error) => errors.push(FieldError::invalid("scopes", error.to_string())),
                }
            }
            return Scopes::of(scopes);
        }
    }
    Scopes::default()
}

fn expiry(text: Option<&str>, now: Timestamp, errors: &mut Vec<FieldError>) -> Option<Timestamp> {
    let text = text?;
    match Timestamp::parse(text) {
        Some(at) if at > now => Some(at),
        Some(_) => {
            errors.push(FieldError::invalid("expires_at", "is in the past"));
            None
        }
        None => {
            errors.push(FieldError::invalid(
                "expires_at",
                "is not a time: use RFC 3339, such as 2030-01-31T12:00:00Z",
            ));
            None
        }
    }
}
