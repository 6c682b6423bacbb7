//! Passwords and their verifiers, sealed.

use crate::kept::Touches;
use crate::sealing::{Keys, Place};
use crate::sql::{Fields, Link};
use crate::{Error, Tx};
use berth_domain::{DatabaseId, Secret};
use sqlx::any::AnyRow;

const TABLE: &str = "credentials";

/// Whether a password is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialState {
    /// It opens the database.
    Current,
    /// It is about to: stored before the engine hears of it.
    Next,
}

impl CredentialState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Current, Self::Next]
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

/// One password of a database's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialVersion {
    /// Its number: the database's `credential_version` that asked for it.
    pub version: i64,
    /// The password.
    pub password: Secret,
    /// What engine and pooler keep of it.
    pub verifier: Secret,
    /// Whether it is in force.
    pub state: CredentialState,
}

reads! {
    /// The passwords of a database: at most one in force and one that is about to be, the older
    /// first.
    fn credentials(id: &DatabaseId) -> Vec<CredentialVersion>;
}

async fn credentials(
    link: &mut Link<'_>,
    id: &DatabaseId,
) -> Result<Vec<CredentialVersion>, Error> {
    let keys = link.keys;
    sql!(
        "credentials",
        "SELECT version, state, data_key, password, verifier FROM credentials \
         WHERE database_id = $1 ORDER BY version"
    )
    .bind(id.as_str())
    .each(link, |row| read(keys, id, row))
    .await
}

fn row_name(id: &DatabaseId, version: i64) -> String {
    format!("{id}/{version}")
}

fn place<'a>(row: &'a str, column: &'static str) -> Place<'a> {
    Place {
        table: TABLE,
        row,
        column,
    }
}

fn read(keys: &Keys, id: &DatabaseId, row: &AnyRow) -> Result<CredentialVersion, Error> {
    let fields = Fields::of(TABLE, row);
    let version = fields.integer("version")?;
    let name = row_name(id, version);
    let key = keys.row_key(TABLE, &name, &fields.text("data_key")?)?;
    Ok(CredentialVersion {
        version,
        password: key.open(place(&name, "password"), &fields.text("password")?)?,
        verifier: key.open(place(&name, "verifier"), &fields.text("verifier")?)?,
        state: fields.word("state", CredentialState::from_word)?,
    })
}

impl Tx {
    /// Seals a password and its verifier. Takes the place of the one with that version, and of
    /// another one in the same state.
    pub async fn put_credentials(
        &mut self,
        id: &DatabaseId,
        credential: &CredentialVersion,
    ) -> Result<(), Error> {
        let name = row_name(id, credential.version);
        let mut link = self.write(Touches::Database(id));
        let key = link.keys.new_row_key(TABLE, &name)?;
        let password = key.seal(place(&name, "password"), &credential.password)?;
        let verifier = key.seal(place(&name, "verifier"), &credential.verifier)?;
        sql!(
            "put_credentials_clear",
            "DELETE FROM credentials WHERE database_id = $1 AND (version = $2 OR state = $3)"
        )
        .bind(id.as_str())
        .bind(credential.version)
        .bind(credential.state.as_str())
        .execute(&mut link)
        .await?;
        sql!(
            "put_credentials",
            "INSERT INTO credentials (database_id, version, state, data_key, password, verifier) \
             VALUES ($1, $2, $3, $4, $5, $6)"
        )
        .bind(id.as_str())
        .bind(credential.version)
        .bind(credential.state.as_str())
        .bind(key.stored())
        .bind(password)
        .bind(verifier)
        .execute(&mut link)
        .await?;
        Ok(())
    }

    /// Puts the password of that version in force and forgets all others.
    pub async fn promote_credentials(
        &mut self,
        id: &DatabaseId,
        version: i64,
    ) -> Result<(), Error> {
        let mut link = self.write(Touches::Database(id));
        sql!(
            "promote_credentials_forget",
            "DELETE FROM credentials WHERE database_id = $1 AND version <> $2"
        )
        .bind(id.as_str())
        .bind(version)
        .execute(&mut link)
        .await?;
        let touched = sql!(
            "promote_credentials",
            "UPDATE credentials SET state = 'current' WHERE database_id = $1 AND version = $2"
        )
        .bind(id.as_str())
        .bind(version)
        .execute(&mut link)
        .await?;
        match touched {
            // The others are still there once the caller has given this transaction up.
            0 => Err(Error::Conflict {
                id: row_name(id, version),
            }),
            _ => Ok(()),
        }
    }

    /// Forgets all passwords of a database; for a purge.
    pub async fn remove_credentials(&mut self, id: &DatabaseId) -> Result<(), Error> {
        sql!(
            "remove_credentials",
            "DELETE FROM credentials WHERE database_id = $1"
        )
        .bind(id.as_str())
        .execute(&mut self.write(Touches::Database(id)))
        .await?;
        Ok(())
    }
}
