//! API tokens; only the hash of each is kept.

use crate::kept::Touches;
use crate::members::roles_of;
use crate::sql::{Fields, Link};
use crate::{Error, Page, Store, Tx};
use berth_domain::{ProjectId, Role, Scope, Scopes, Timestamp, Token, TokenId, UserId};
use sqlx::any::AnyRow;
use std::collections::BTreeMap;
use std::sync::Arc;

const TABLE: &str = "tokens";

macro_rules! columns {
    () => {
        "id, name, hash, scopes, project_id, user_id, created_at, expires_at, revoked_at"
    };
}

/// A token and who bears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The token, which may be revoked or expired.
    pub token: Token,
    /// The name of its user; none when that one is gone.
    pub user_name: Option<String>,
    /// What its user is in which project.
    pub roles: BTreeMap<ProjectId, Role>,
}

/// Which tokens to list; what is left out does not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenFilter {
    /// Those that are bound to one project.
    pub project: Option<ProjectId>,
    /// Those of one person.
    pub user: Option<UserId>,
}

reads! {
    /// The token whose secret has that SHA-256, revoked and expired ones included.
    fn token_by_hash(hash: &str) -> Option<Token>;
    /// The token with that id.
    fn token_by_id(id: &TokenId) -> Option<Token>;
    /// Tokens, oldest first, that follow the one named.
    fn tokens_page(
        filter: &TokenFilter,
        after: Option<&TokenId>,
        limit: u32,
    ) -> Page<Token>;
}

impl Store {
    /// The token whose secret has that SHA-256, revoked and expired ones included, and its user.
    pub async fn bearer_by_hash(&self, hash: &str) -> Result<Option<Arc<Bearer>>, Error> {
        let kept = &self.inner().kept;
        if let Some(bearer) = kept.bearer(hash) {
            return Ok(Some(bearer));
        }
        let read = self.at_one_version("bearer_by_hash", async |link, _| {
            bearer_by_hash(link, hash).await
        });
        let (version, found) = read.await?;
        let found = found.map(Arc::new);
        if let Some(bearer) = &found {
            kept.keep_bearer(version, hash, bearer);
        }
        Ok(found)
    }
}

async fn bearer_by_hash(link: &mut Link<'_>, hash: &str) -> Result<Option<Bearer>, Error> {
    let found = sql!(
        "bearer_by_hash",
        "SELECT tokens.*, users.name AS user_name FROM tokens \
         LEFT JOIN users ON users.id = tokens.user_id WHERE hash = $1"
    )
    .bind(hash)
    .optional(link)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let token = read(&row)?;
    Ok(Some(Bearer {
        user_name: Fields::of("users", &row).optional_text("user_name")?,
        roles: roles_of(link, &token.user_id).await?,
        token,
    }))
}

async fn token_by_hash(link: &mut Link<'_>, hash: &str) -> Result<Option<Token>, Error> {
    sql!(
        "token_by_hash",
        "SELECT ",
        columns!(),
        " FROM tokens WHERE hash = $1"
    )
    .bind(hash)
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn token_by_id(link: &mut Link<'_>, id: &TokenId) -> Result<Option<Token>, Error> {
    sql!(
        "token_by_id",
        "SELECT ",
        columns!(),
        " FROM tokens WHERE id = $1"
    )
    .bind(id.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn tokens_page(
    link: &mut Link<'_>,
    filter: &TokenFilter,
    after: Option<&TokenId>,
    limit: u32,
) -> Result<Page<Token>, Error> {
    let (since, id) = match after {
        None => (i64::MIN, ""),
        Some(id) => {
            let row = token_by_id(link, id).await?.ok_or(Error::PageGone)?;
            (row.created_at.as_millis(), id.as_str())
        }
    };
    let rows = sql!(
        "tokens_page",
        "SELECT ",
        columns!(),
        " FROM tokens WHERE (created_at, id) > ($1, $2) AND ($3 = '' OR project_id = $3) \
         AND ($4 = '' OR user_id = $4) ORDER BY created_at, id LIMIT $5"
    )
    .bind(since)
    .bind(id)
    .bind(filter.project.as_ref().map_or("", ProjectId::as_str))
    .bind(filter.user.as_ref().map_or("", UserId::as_str))
    .bind(i64::from(limit) + 1)
    .each(link, read)
    .await?;
    Ok(Page::cut(rows, limit))
}

impl Tx {
    /// Writes a new token.
    pub async fn insert_token(&mut self, token: &Token) -> Result<(), Error> {
        let scopes: Vec<&str> = token.scopes.iter().map(Scope::as_str).collect();
        sql!(
            "insert_token",
            "INSERT INTO tokens (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        )
        .bind(token.id.as_str())
        .bind(token.name.as_str())
        .bind(token.hash.as_str())
        .bind(scopes.join(" "))
        .bind(token.project_id.as_ref().map(ProjectId::as_str))
        .bind(token.user_id.as_str())
        .bind_time(token.created_at)
        .bind_optional_time(token.expires_at)
        .bind_optional_time(token.revoked_at)
        .execute(&mut self.write(Touches::People))
        .await?;
        Ok(())
    }

    /// Gives a token another end; tells whether there is such a token.
    pub async fn set_token_end(
        &mut self,
        id: &TokenId,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let touched = sql!(
            "set_token_end",
            "UPDATE tokens SET expires_at = $2 WHERE id = $1"
        )
        .bind(id.as_str())
        .bind_optional_time(expires_at)
        .execute(&mut self.write(Touches::People))
        .await?;
        Ok(touched > 0)
    }

    /// Gives a token another name; tells whether there is such a token.
    pub async fn set_token_name(&mut self, id: &TokenId, name: &str) -> Result<bool, Error> {
        let touched = sql!(
            "set_token_name",
            "UPDATE tokens SET name = $2 WHERE id = $1"
        )
        .bind(id.as_str())
        .bind(name)
        .execute(&mut self.write(Touches::People))
        .await?;
        Ok(touched > 0)
    }

    /// Revokes every token of a person that was not revoked; tells which.
    pub async fn revoke_tokens_of(
        &mut self,
        user: &UserId,
        at: Timestamp,
    ) -> Result<Vec<Token>, Error> {
        self.touch(Touches::People);
        sql!(
            "revoke_tokens_of",
            "UPDATE tokens SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL \
             RETURNING ",
            columns!()
        )
        .bind(user.as_str())
        .bind_time(at)
        .each(&mut self.link(), read)
        .await
    }

    /// Revokes a token; tells whether this was the call that did it.
    pub async fn revoke_token(&mut self, id: &TokenId, at: Timestamp) -> Result<bool, Error> {
        let touched = sql!(
            "revoke_token",
            "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL"
        )
        .bind(id.as_str())
        .bind_time(at)
        .execute(&mut self.write(Touches::People))
        .await?;
        Ok(touched > 0)
    }

    /// Removes tokens that were revoked or expired before a moment; tells how many. Where all
    /// were, they stay: a store without tokens is one at its first start, which is given a new
    /// one.
    pub async fn forget_ended_tokens(&mut self, before: Timestamp) -> Result<u64, Error> {
        let forgotten = sql!(
            "forget_ended_tokens",
            "DELETE FROM tokens WHERE (revoked_at < $1 OR expires_at < $1) AND EXISTS \
             (SELECT 1 FROM tokens AS other \
              WHERE (other.revoked_at IS NULL OR other.revoked_at >= $1) \
              AND (other.expires_at IS NULL OR other.expires_at >= $1))"
        )
        .bind_time(before)
        .execute(&mut self.write(Touches::People))
        .await?;
        if forgotten > 0 {
            self.forget_secrets_without_tokens().await?;
        }
        Ok(forgotten)
    }
}

fn read(row: &AnyRow) -> Result<Token, Error> {
    let fields = Fields::of(TABLE, row);
    let scopes = fields
        .text("scopes")?
        .split_ascii_whitespace()
        .map(Scope::parse)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| fields.meaningless("scopes"))?;
    Ok(Token {
        id: fields.parsed("id", TokenId::parse)?,
        name: fields.text("name")?,
        hash: fields.text("hash")?,
        scopes: Scopes::of(scopes),
        project_id: fields.optional_parsed("project_id", ProjectId::parse)?,
        user_id: fields.parsed("user_id", UserId::parse)?,
        created_at: fields.time("created_at")?,
        expires_at: fields.optional_time("expires_at")?,
        revoked_at: fields.optional_time("revoked_at")?,
    })
}
