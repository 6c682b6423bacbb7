//! Sealed texts by name: the authority's key, certificates of instances.

use crate::kept::Touches;
use crate::sealing::Place;
use crate::sql::{Fields, Link};
use crate::{Error, Tx};
use berth_domain::Secret;

const TABLE: &str = "secrets";

fn place(name: &str) -> Place<'_> {
    Place {
        table: TABLE,
        row: name,
        column: "sealed",
    }
}

reads! {
    /// The secret of that name.
    fn secret(name: &str) -> Option<Secret>;
}

async fn secret(link: &mut Link<'_>, name: &str) -> Result<Option<Secret>, Error> {
    let row = sql!(
        "secret",
        "SELECT data_key, sealed FROM secrets WHERE name = $1"
    )
    .bind(name)
    .optional(link)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let fields = Fields::of(TABLE, &row);
    let key = link.keys.row_key(TABLE, name, &fields.text("data_key")?)?;
    key.open(place(name), &fields.text("sealed")?).map(Some)
}

impl Tx {
    /// Seals a text under a name, over the one that is there.
    pub async fn put_secret(&mut self, name: &str, secret: &Secret) -> Result<(), Error> {
        let mut link = self.write(Touches::Nothing);
        let key = link.keys.new_row_key(TABLE, name)?;
        let sealed = key.seal(place(name), secret)?;
        sql!(
            "put_secret",
            "INSERT INTO secrets (name, data_key, sealed) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET data_key = excluded.data_key, \
             sealed = excluded.sealed"
        )
        .bind(name)
        .bind(key.stored())
        .bind(sealed)
        .execute(&mut link)
        .await?;
        Ok(())
    }

    /// Forgets the secret of that name; none is fine.
    pub async fn remove_secret(&mut self, name: &str) -> Result<(), Error> {
        sql!("remove_secret", "DELETE FROM secrets WHERE name = $1")
            .bind(name)
            .execute(&mut self.write(Touches::Nothing))
            .await?;
        Ok(())
    }
}
