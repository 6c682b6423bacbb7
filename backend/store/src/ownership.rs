//! Whose store it is: the installation that it was made for, and the root key that opens it.

use crate::connect::Location;
use crate::lent::Patience;
use crate::sealing::{Keys, Place};
use crate::sql::{Fields, Link};
use crate::{Error, Store, schema};
use berth_domain::{InstallationId, Secret};
use sqlx::{AnyConnection, Connection, Row};

/// What the key check seals; its content does not matter, only that it opens.
const KEY_CHECK: &str = "this text opens with the right root key";
const KEY_CHECK_TABLE: &str = "key_check";
const KEY_CHECK_ROW: &str = "root";
const META_TABLE: &str = "meta";
const INSTALLATION: &str = "installation";

impl Store {
    /// Whether the store at `url` was made with a root key: if so, no other key may be made for
    /// it.
    ///
    /// # Guarantees
    /// Nothing is made or changed, and no lock is taken. No store is no key.
    pub async fn has_key_check(url: &str) -> Result<bool, Error> {
        sqlx::any::install_default_drivers();
        let location = Location::parse(url)?;
        let Some(mut conn) = location.look().await? else {
            return Ok(false);
        };
        let failed = |source| Error::of_statement("has_key_check", source);
        let mut found = schema::has_table(&location, &mut conn, KEY_CHECK_TABLE).await?;
        if found {
            let row = sqlx::query("/* has_key_check */ SELECT COUNT(*) FROM key_check")
                .fetch_one(&mut conn)
                .await
                .map_err(failed)?;
            found = row.try_get::<i64, _>(0).map_err(failed)? > 0;
        }
        conn.close().await.map_err(failed)?;
        Ok(found)
    }

    /// Whether the store at `url` was made with a root key, and with this one: another is
    /// refused as [`Error::WrongRootKey`].
    ///
    /// # Guarantees
    /// Nothing is made or changed, and no lock is taken. No store was made with no key.
    pub async fn check_key(url: &str, keys: &Keys) -> Result<bool, Error> {
        sqlx::any::install_default_drivers();
        let location = Location::parse(url)?;
        let Some(mut conn) = location.look().await? else {
            return Ok(false);
        };
        let mut link = Link {
            conn: &mut conn,
            keys,
            patience: &mut Patience::of(location.patience_max()),
        };
        let found = schema::has_table(&location, link.conn, KEY_CHECK_TABLE).await?
            && opens(&mut link).await?;
        conn.close().await.map_err(|source| Error::Query {
            act: "check_key",
            source,
        })?;
        Ok(found)
    }
}

/// Refuses the store of another installation. A new store, and one from before stores knew
/// whose they are, is nobody's yet.
pub(crate) async fn refuse_other(
    location: &Location,
    link: &mut Link<'_>,
    own: &InstallationId,
) -> Result<(), Error> {
    if !schema::has_table(location, link.conn, META_TABLE).await? {
        return Ok(());
    }
    let row = sql!("owner", "SELECT value FROM meta WHERE name = $1")
        .bind(INSTALLATION)
        .optional(link)
        .await?;
    let Some(row) = row else { return Ok(()) };
    let owner = Fields::of(META_TABLE, &row).text("value")?;
    if owner == own.as_str() {
        return Ok(());
    }
    Err(Error::OtherInstallation {
        owner,
        own: own.to_string(),
    })
}

/// Checks the root key and writes down whose the store is; in a new store both are written in
/// one transaction.
pub(crate) async fn claim(
    location: &Location,
    conn: &mut AnyConnection,
    keys: &Keys,
    own: &InstallationId,
) -> Result<(), Error> {
    let failed = |source| Error::of_statement("claim", source);
    let begun = conn.begin_with(location.begin_write()).await;
    let mut tx = begun.map_err(failed)?;
    let mut link = Link {
        conn: &mut tx,
        keys,
        patience: &mut Patience::of(location.patience_max()),
    };
    check_keys(&mut link).await?;
    sql!(
        "claim",
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
    )
    .bind(INSTALLATION)
    .bind(own.as_str())
    .execute(&mut link)
    .await?;
    tx.commit().await.map_err(failed)
}

/// Where the known text is sealed.
const PLACE: Place<'_> = Place {
    table: KEY_CHECK_TABLE,
    row: KEY_CHECK_ROW,
    column: "sealed",
};

/// Opens the known text, or seals it when the store is new.
async fn check_keys(link: &mut Link<'_>) -> Result<(), Error> {
    if opens(link).await? {
        return Ok(());
    }
    let key = link.keys.new_row_key(KEY_CHECK_TABLE, KEY_CHECK_ROW)?;
    let sealed = key.seal(PLACE, &Secret::new(KEY_CHECK))?;
    sql!(
        "check_keys_first",
        "INSERT INTO key_check (id, data_key, sealed) VALUES ($1, $2, $3)"
    )
    .bind(KEY_CHECK_ROW)
    .bind(key.stored())
    .bind(sealed)
    .execute(link)
    .await?;
    Ok(())
}

/// Opens the known text with the root key; false where none was sealed yet.
async fn opens(link: &mut Link<'_>) -> Result<bool, Error> {
    let found = sql!(
        "check_keys",
        "SELECT data_key, sealed FROM key_check WHERE id = $1"
    )
    .bind(KEY_CHECK_ROW)
    .optional(link)
    .await?;
    let Some(row) = found else {
        return Ok(false);
    };
    let fields = Fields::of(KEY_CHECK_TABLE, &row);
    let (stored, sealed) = (fields.text("data_key")?, fields.text("sealed")?);
    let opened = link
        .keys
        .row_key(KEY_CHECK_TABLE, KEY_CHECK_ROW, &stored)
        .and_then(|key| key.open(PLACE, &sealed));
    match opened {
        Ok(text) if text.reveal() == KEY_CHECK => Ok(true),
        Ok(_) | Err(Error::Unseal { .. }) => Err(Error::WrongRootKey),
        Err(other) => Err(other),
    }
}
