//! Which plans the living have.

use crate::sql::{Fields, Link};
use crate::{Error, Store, connect::Location, schema};
use sqlx::{AnyConnection, Connection};

/// A plan that living databases have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanUse {
    /// The plan's name.
    pub plan: String,
    /// How many have it.
    pub databases: u32,
    /// The names of a few of them.
    pub some: Vec<String>,
}

reads! {
    /// The plans of all living databases, each once.
    fn plans_in_use() -> Vec<PlanUse>;
}

impl Store {
    /// The same of the store at `url`; none where no store is.
    ///
    /// # Guarantees
    /// Nothing is made or changed, and no lock is taken.
    pub async fn plans_in_use_at(url: &str) -> Result<Vec<PlanUse>, Error> {
        sqlx::any::install_default_drivers();
        let location = Location::parse(url)?;
        let Some(mut conn) = location.look().await? else {
            return Ok(Vec::new());
        };
        let found = match schema::has_table(&location, &mut conn, "databases").await? {
            true => read(&mut conn).await?,
            false => Vec::new(),
        };
        conn.close().await.map_err(failed)?;
        Ok(found)
    }
}

async fn plans_in_use(link: &mut Link<'_>) -> Result<Vec<PlanUse>, Error> {
    read(link.conn).await
}

/// One row for each name that is told.
async fn read(conn: &mut AnyConnection) -> Result<Vec<PlanUse>, Error> {
    let rows = sqlx::query(
        "/* plans_in_use */ SELECT plan, name, living FROM ( \
           SELECT plan, name, COUNT(*) OVER (PARTITION BY plan) AS living, \
             ROW_NUMBER() OVER (PARTITION BY plan ORDER BY name, id) AS place \
           FROM databases WHERE intent <> 'destroy') AS ranked \
         WHERE place <= 3 ORDER BY plan, place",
    );
    let mut found: Vec<PlanUse> = Vec::new();
    for row in rows.fetch_all(conn).await.map_err(failed)? {
        let fields = Fields::of("databases", &row);
        let (plan, name) = (fields.text("plan")?, fields.text("name")?);
        match found.last_mut().filter(|last| last.plan == plan) {
            Some(last) => last.some.push(name),
            None => found.push(PlanUse {
                plan,
                databases: fields.narrow("living")?,
                some: vec![name],
            }),
        }
    }
    Ok(found)
}

fn failed(source: sqlx::Error) -> Error {
    Error::Query {
        act: "plans_in_use",
        source,
    }
}
