//! Tables and their changes: forward only, each within one transaction.

use crate::Error;
use crate::connect::Location;
use crate::error::is_held;
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Connection, Row};

/// Each schema and the statements that lead to it from the one before. A published one is never
/// edited: its checksum stands in every store.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("migrations/0001_nouns.sql")),
    (2, include_str!("migrations/0002_owner.sql")),
    (3, include_str!("migrations/0003_people.sql")),
    (4, include_str!("migrations/0004_env.sql")),
    (5, include_str!("migrations/0005_sleep.sql")),
    (6, include_str!("migrations/0006_audit.sql")),
    (7, include_str!("migrations/0007_many.sql")),
    (8, include_str!("migrations/0008_kept_values.sql")),
    (9, include_str!("migrations/0009_sleep_and_wake.sql")),
];

/// Whether there is a table of that name.
pub(crate) async fn has_table(
    location: &Location,
    conn: &mut AnyConnection,
    name: &'static str,
) -> Result<bool, Error> {
    let question = if location.is_postgres() {
        "/* has_table */ SELECT COUNT(*) FROM information_schema.tables \
         WHERE table_schema = current_schema() AND table_name = $1"
    } else {
        "/* has_table */ SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1"
    };
    let counted = sqlx::query(question).bind(name).fetch_one(conn).await;
    let count = counted.and_then(|row| row.try_get::<i64, _>(0));
    count
        .map(|count| count > 0)
        .map_err(|source| Error::of_statement("has_table", source))
}

/// Brings the tables to the newest schema; refuses a store that is newer than this program.
pub(crate) async fn migrate(location: &Location, conn: &mut AnyConnection) -> Result<(), Error> {
    let applied = applied(conn).await?;
    let known = MIGRATIONS.last().map_or(0, |(version, _)| *version);
    if let Some((found, _)) = applied.iter().rfind(|(version, _)| *version > known) {
        return Err(Error::Newer {
            found: *found,
            known,
        });
    }
    for (version, text) in MIGRATIONS {
        let checksum = hex::encode(Sha256::digest(text.as_bytes()));
        match applied.iter().find(|(done, _)| done == version) {
            Some((_, stored)) if *stored == checksum => {}
            Some(_) => return Err(Error::Altered { version: *version }),
            None => apply(location, conn, *version, text, &checksum)
                .await
                .map_err(|source| match source {
                    source if is_held(&source) => Error::of_statement("migrate", source),
                    source => Error::Migrate {
                        version: *version,
                        source,
                    },
                })?,
        }
    }
    Ok(())
}

async fn applied(conn: &mut AnyConnection) -> Result<Vec<(i64, String)>, Error> {
    let failed = |source| Error::of_statement("applied_migrations", source);
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS schema_migrations \
         (version BIGINT PRIMARY KEY, checksum TEXT NOT NULL)",
    )
    .execute(&mut *conn)
    .await
    .map_err(failed)?;
    sqlx::query(
        "/* applied_migrations */ SELECT version, checksum FROM schema_migrations ORDER BY version",
    )
    .fetch_all(conn)
    .await
    .map_err(failed)?
    .iter()
    .map(|row| {
        Ok((
            row.try_get(0).map_err(failed)?,
            row.try_get(1).map_err(failed)?,
        ))
    })
    .collect()
}

async fn apply(
    location: &Location,
    conn: &mut AnyConnection,
    version: i64,
    text: &'static str,
    checksum: &str,
) -> Result<(), sqlx::Error> {
    let mut tx = conn.begin_with(location.begin_write()).await?;
    sqlx::raw_sql(text).execute(&mut *tx).await?;
    sqlx::query("/* apply_migration */ INSERT INTO schema_migrations VALUES ($1, $2)")
        .bind(version)
        .bind(checksum.to_owned())
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}
