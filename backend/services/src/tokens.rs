//! Tokens: who may ask for what.

use crate::audit;
use crate::error::Doing;
use crate::expected::{Expected, tag_of_token};
use crate::services::{Answered, Begun, Happened, Keyed, Replay, Writing, journal_changes};
use crate::token_secrets;
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Given, Services, random};
use berth_domain::{FieldChange, Preset, Scope, Scopes, Secret, Timestamp, Token, TokenId, UserId};
use berth_store::{Page, TokenFilter, Tx};
use sha2::{Digest, Sha256};

/// What every token's secret begins with, so that it is known when it leaks.
pub const TOKEN_PREFIX: &str = "berth_";
const NAME_CHARACTERS_MAX: usize = 64;

/// A token that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewToken {
    /// Its name, for people; it has to have one.
    pub name: Option<String>,
    /// Its rights, by their words.
    pub scopes: Option<Vec<String>>,
    /// A usual set of rights instead.
    pub preset: Option<String>,
    /// Whose it is, by id or name; the caller's own when nobody is named.
    pub user: Option<String>,
    /// The one project it is bound to, by id or name.
    pub project: Option<String>,
    /// When it ends, in RFC 3339.
    pub expires_at: Option<String>,
    /// Whether its secret is kept, sealed, to be read again.
    pub keep_secret: bool,
}

/// What is to be different of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenConfig {
    /// Its name, for people.
    pub name: Given<String>,
    /// When it ends, in RFC 3339; null is never.
    pub expires_at: Given<String>,
}

/// A token and its secret, which is known this once.
#[derive(Debug, Clone)]
pub struct MadeToken {
    /// The token.
    pub token: Token,
    /// What its bearer sends.
    pub secret: Secret,
}

/// A key under which the same request for a token may come again, and how its answer is read.
pub struct KeyedToken<'a> {
    /// The key, and how the answer is written down.
    pub keyed: Keyed<'a, MadeToken>,
    /// Whose secret stands in an answer that was written down so.
    pub token_in: &'a (dyn Fn(&Replay) -> Option<TokenId> + Send + Sync),
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
            .bearer_by_hash(&hash(secret))
            .await
            .doing("look for a token")?
            .ok_or_else(refused)?;
        let now = self.clock.now();
        if found.token.revoked_at.is_some() {
            return Err(Error::refused(
                Code::Unauthenticated,
                "This token was revoked",
            ));
        }
        if found.token.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::refused(
                Code::Unauthenticated,
                "This token has expired",
            ));
        }
        Caller::of(&found, address).ok_or_else(refused)
    }

    /// Makes a token with a secret of its own. That the answer is given again is one more reading
    /// of the secret, and in the journal as such.
    pub async fn create_token(
        &self,
        caller: &Caller,
        wish: &NewToken,
        keyed: Option<KeyedToken<'_>>,
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
        keyed: Option<KeyedToken<'_>>,
    ) -> Result<Answered<MadeToken>, Error> {
        caller.need(Scope::Admin)?;
        let token_in = keyed.as_ref().map(|keyed| keyed.token_in);
        let keyed = keyed.map(|keyed| keyed.keyed);
        let mut writing = match self.begin(caller, keyed).await? {
            Begun::Write(writing) => writing,
            Begun::Replay(replay) => {
                let token = token_in.and_then(|token_in| token_in(&replay));
                self.secret_told_again(caller, token).await?;
                return Ok(Answered::Replayed(replay));
            }
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
        if wish.keep_secret {
            token_secrets::keep(&mut writing.tx, &token.id, &secret).await?;
        }
        let mut changes = audit::made(&audit::token(&token));
        changes.push(FieldChange::secret("secret"));
        token_event(
            &mut writing.tx,
            caller,
            now,
            &token,
            "token.created",
            changes,
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
        let name = wish.name.as_deref().unwrap_or_default();
        match &wish.name {
            Some(name) => check_name(name, &mut errors),
            None => errors.push(FieldError::invalid("name", "is required: what it is for")),
        }
        let scopes = scopes_of(wish, &mut errors);
        if let Some(scope) = caller.scopes.lacking(&scopes) {
            let field = if wish.preset.is_some() {
                "preset"
            } else {
                "scopes"
            };
            errors.push(not_had(field, scope));
        }
        let expires_at = expiry(wish.expires_at.as_deref(), now, &mut errors);
        outlives(caller, expires_at, &mut errors);
        let user_id = self.owner_of_token(tx, caller, wish, &mut errors).await?;
        let mut project_id = caller.project.clone();
        // Whoever sees a project may bind a token of its own to it.
        let looking = Caller {
            asks: None,
            ..caller.clone()
        };
        if let Some(reference) = &wish.project {
            match self
                .project_row(&mut View::Tx(tx), &looking, reference)
                .await
            {
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
            name: name.to_owned(),
            hash: hash(secret),
            scopes,
            project_id,
            user_id,
            created_at: now,
            expires_at,
            revoked_at: None,
        })
    }

    /// Whose a new token is to be: the caller's own, or anybody's for the administrator.
    async fn owner_of_token(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        wish: &NewToken,
        errors: &mut Vec<FieldError>,
    ) -> Result<UserId, Error> {
        let Some(reference) = &wish.user else {
            return Ok(caller.user());
        };
        match self.seen_user(&mut View::Tx(tx), caller, reference).await {
            Ok(user) => return Ok(user.id),
            Err(Error::Refused { code, message, .. }) => {
                errors.push(FieldError::of(code, "user_id", message));
            }
            Err(other) => return Err(other),
        }
        Ok(caller.user())
    }

    /// A page of the tokens that the caller sees, oldest first, without their secrets: all, for
    /// a token bound to a project those bound to it too, for a member its own.
    pub async fn tokens(
        &self,
        caller: &Caller,
        after: Option<&TokenId>,
        limit: u32,
    ) -> Result<Page<Token>, Error> {
        caller.need(Scope::Admin)?;
        let filter = TokenFilter {
            project: caller.project.clone(),
            user: caller.roles.as_ref().map(|_| caller.user()),
        };
        self.store
            .tokens_page(&filter, after, limit)
            .await
            .doing("list tokens")
    }

    /// One token, without its secret.
    pub async fn token(&self, caller: &Caller, id: &str) -> Result<Token, Error> {
        caller.need(Scope::Admin)?;
        let id = TokenId::parse(id).map_err(|_| missing())?;
        let found = self.store.token_by_id(&id).await.doing("read a token")?;
        found.filter(|t| sees_token(caller, t)).ok_or_else(missing)
    }

    /// Gives a token another name or another end. The secret stays what it is.
    pub async fn update_token(
        &self,
        caller: &Caller,
        id: &str,
        wish: &TokenConfig,
        expected: &Expected,
    ) -> Result<Token, Error> {
        caller.need(Scope::Admin)?;
        let Begun::Write(mut writing) = self.begin::<Token>(caller, None).await? else {
            return Err(crate::databases::unkeyed());
        };
        let before = token_to_write(&mut writing, caller, id).await?;
        expected.check(|| tag_of_token(&before))?;
        if before.revoked_at.is_some() {
            return Err(Error::refused(
                Code::TokenRevoked,
                format!(
                    "{} was revoked, and stays so: make another token",
                    before.id
                ),
            ));
        }
        let now = writing.now;
        let mut errors = Vec::new();
        let ends = match &wish.expires_at {
            Given::Absent | Given::Unknown => before.expires_at,
            Given::Null => None,
            // The end that it has may be said again, also when it is past.
            Given::Value(text)
                if before.expires_at.is_some() && Timestamp::parse(text) == before.expires_at =>
            {
                before.expires_at
            }
            Given::Value(text) => expiry(Some(text), now, &mut errors),
        };
        if is_longer(ends, before.expires_at) {
            if let Some(scope) = caller.scopes.lacking(&before.scopes) {
                errors.push(not_had("expires_at", scope));
            }
            outlives(caller, ends, &mut errors);
        }
        let name = match &wish.name {
            Given::Absent | Given::Unknown => before.name.clone(),
            Given::Value(name) => {
                check_name(name, &mut errors);
                name.clone()
            }
            Given::Null => {
                let message = "cannot be null: every token has a name";
                errors.push(FieldError::invalid("name", message));
                before.name.clone()
            }
        };
        if !errors.is_empty() {
            return Err(Error::fields(errors));
        }
        let token = Token {
            name,
            expires_at: ends,
            ..before.clone()
        };
        if token != before {
            let tx = &mut writing.tx;
            let ended = tx.set_token_end(&token.id, ends).await;
            ended.doing("change the end of a token")?;
            let named = tx.set_token_name(&token.id, &token.name).await;
            named.doing("change the name of a token")?;
            let changes = audit::changes(&audit::token(&before), &audit::token(&token));
            token_event(
                &mut writing.tx,
                caller,
                now,
                &token,
                "token.changed",
                changes,
            )
            .await?;
        }
        match self.commit(writing, token).await? {
            Answered::Fresh(token) => Ok(token),
            Answered::Replayed(_) => Err(crate::databases::unkeyed()),
        }
    }

    /// Revokes a token at once. Repeatable.
    pub async fn revoke_token(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        caller.need(Scope::Admin)?;
        let Begun::Write(mut writing) = self.begin::<()>(caller, None).await? else {
            return Err(crate::databases::unkeyed());
        };
        let token = token_to_write(&mut writing, caller, id).await?;
        let now = writing.now;
        let revoked = writing.tx.revoke_token(&token.id, now).await;
        if revoked.doing("revoke a token")? {
            token_revoked(&mut writing.tx, caller, now, &token).await?;
            self.commit(writing, ()).await?;
        }
        Ok(())
    }
}

/// Writes down that a token opens nothing any more.
pub(crate) async fn token_revoked(
    tx: &mut Tx,
    caller: &Caller,
    now: Timestamp,
    token: &Token,
) -> Result<(), Error> {
    token_secrets::forget(tx, &token.id).await?;
    let changes = vec![audit::field(
        "revoked_at",
        serde_json::Value::Null,
        audit::moment(Some(now)),
    )];
    token_event(tx, caller, now, token, "token.revoked", changes).await
}

async fn token_event(
    tx: &mut Tx,
    caller: &Caller,
    now: Timestamp,
    token: &Token,
    kind: &'static str,
    changes: Vec<FieldChange>,
) -> Result<(), Error> {
    let act = match kind {
        "token.created" => "made",
        "token.revoked" => "revoked",
        _ => "changed",
    };
    journal_changes(
        tx,
        &caller.actor,
        now,
        Happened {
            kind,
            project: token.project_id.as_ref(),
            database: None,
            operation: None,
            message: format!("token {} ({}) was {act}", token.name, token.id),
        },
        changes,
    )
    .await
}

/// The token of a change, when the caller sees it.
pub(crate) async fn token_to_write<T>(
    writing: &mut Writing<'_, T>,
    caller: &Caller,
    id: &str,
) -> Result<Token, Error> {
    let id = TokenId::parse(id).map_err(|_| missing())?;
    let found = writing.tx.token_by_id(&id).await;
    let found = found.doing("look for a token")?;
    found.filter(|t| sees_token(caller, t)).ok_or_else(missing)
}

fn missing() -> Error {
    Error::refused(Code::TokenNotFound, "Token not found")
}

fn sees_token(caller: &Caller, token: &Token) -> bool {
    let bound_alike = caller.project.is_none() || token.project_id == caller.project;
    let own = caller.roles.is_none() || token.user_id == caller.user();
    bound_alike && own
}

fn check_name(name: &str, errors: &mut Vec<FieldError>) {
    let length = name.chars().count();
    if !(1..=NAME_CHARACTERS_MAX).contains(&length) || name.chars().any(char::is_control) {
        errors.push(FieldError::invalid(
            "name",
            format!("use 1 to {NAME_CHARACTERS_MAX} printable characters"),
        ));
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

/// Why a right is neither given nor prolonged: nobody hands on what it does not have.
fn not_had(field: &'static str, scope: Scope) -> FieldError {
    FieldError::of(
        Code::ScopeMissing,
        field,
        format!(
            "gives the scope \"{}\", which the token that asks does not have itself",
            scope.as_str()
        ),
    )
}

/// Whether the first end is later than the second; none is never.
fn is_longer(end: Option<Timestamp>, than: Option<Timestamp>) -> bool {
    match (end, than) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(end), Some(than)) => end > than,
    }
}

/// Refuses an end that is later than that of the token that asks.
fn outlives(caller: &Caller, end: Option<Timestamp>, errors: &mut Vec<FieldError>) {
    if let Some(own) = caller.ends
        && is_longer(end, Some(own))
    {
        errors.push(FieldError::invalid(
            "expires_at",
            format!("is later than {own}, when the token that asks ends: say that or earlier"),
        ));
    }
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
