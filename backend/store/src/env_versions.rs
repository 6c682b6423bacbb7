//! What variables were before they were replaced or removed, sealed.

use crate::kept::Touches;
use crate::sealing::Place;
use crate::sql::{Fields, Link};
use crate::{Error, Page, Tx};
use berth_domain::{EnvName, EnvVariable, ProjectId, Timestamp};
use sqlx::any::AnyRow;

const TABLE: &str = "env_versions";

/// One value that a variable had, without the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVersion {
    /// Its number in the project: the greater, the later it ended.
    pub version: i64,
    /// The variable's name.
    pub name: EnvName,
    /// Whether the value was sensitive.
    pub sensitive: bool,
    /// When it was given.
    pub updated_at: Timestamp,
    /// When it was replaced or removed.
    pub ended_at: Timestamp,
}

/// How much a project keeps of what its variables were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EnvVersionUse {
    /// How many values.
    pub versions: u64,
    /// The bytes that they take as they are sealed.
    pub bytes: u64,
}

reads! {
    /// A page of what the variables of a project were, the last that ended first; after the one
    /// of a number, if one is given.
    fn env_versions_page(
        project: &ProjectId,
        after: Option<i64>,
        limit: u32,
    ) -> Page<EnvVersion>;
    /// The number of what a variable was last.
    fn latest_env_version(project: &ProjectId, name: &EnvName) -> Option<i64>;
    /// One of them, opened.
    fn env_version(project: &ProjectId, version: i64) -> Option<EnvVariable>;
    /// How much is kept of them.
    fn env_version_use(project: &ProjectId) -> EnvVersionUse;
}

async fn env_versions_page(
    link: &mut Link<'_>,
    project: &ProjectId,
    after: Option<i64>,
    limit: u32,
) -> Result<Page<EnvVersion>, Error> {
    let rows = sql!(
        "env_versions_page",
        "SELECT version, name, sensitive, updated_at, ended_at FROM env_versions \
         WHERE project_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3"
    )
    .bind(project.as_str())
    .bind(after.unwrap_or(i64::MAX))
    .bind(i64::from(limit) + 1)
    .each(link, |row| {
        let fields = Fields::of(TABLE, row);
        Ok(EnvVersion {
            version: fields.integer("version")?,
            name: fields.parsed("name", EnvName::parse)?,
            sensitive: fields.flag("sensitive")?,
            updated_at: fields.time("updated_at")?,
            ended_at: fields.time("ended_at")?,
        })
    })
    .await?;
    Ok(Page::cut(rows, limit))
}

async fn latest_env_version(
    link: &mut Link<'_>,
    project: &ProjectId,
    name: &EnvName,
) -> Result<Option<i64>, Error> {
    sql!(
        "latest_env_version",
        "SELECT version FROM env_versions WHERE project_id = $1 AND name = $2 \
         ORDER BY version DESC LIMIT 1"
    )
    .bind(project.as_str())
    .bind(name.as_str())
    .optional(link)
    .await?
    .map(|row| Fields::of(TABLE, &row).integer("version"))
    .transpose()
}

async fn env_version(
    link: &mut Link<'_>,
    project: &ProjectId,
    version: i64,
) -> Result<Option<EnvVariable>, Error> {
    sql!(
        "env_version",
        "SELECT name, data_key, value, sensitive, created_at, updated_at FROM env_versions \
         WHERE project_id = $1 AND version = $2"
    )
    .bind(project.as_str())
    .bind(version)
    .optional(link)
    .await?
    .map(|row| read(link, project, version, &row))
    .transpose()
}

async fn env_version_use(link: &mut Link<'_>, project: &ProjectId) -> Result<EnvVersionUse, Error> {
    let row = sql!(
        "env_version_use",
        "SELECT COUNT(*) AS versions, \
         CAST(COALESCE(SUM(LENGTH(value)), 0) AS BIGINT) AS bytes \
         FROM env_versions WHERE project_id = $1"
    )
    .bind(project.as_str())
    .one(link)
    .await?;
    let fields = Fields::of(TABLE, &row);
    Ok(EnvVersionUse {
        versions: fields.narrow("versions")?,
        bytes: fields.narrow("bytes")?,
    })
}

fn row_name(project: &ProjectId, name: &EnvName, version: i64) -> String {
    format!("{project}/{name}/{version}")
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: TABLE,
        row,
        column: "value",
    }
}

fn read(
    link: &Link<'_>,
    project: &ProjectId,
    version: i64,
    row: &AnyRow,
) -> Result<EnvVariable, Error> {
    let fields = Fields::of(TABLE, row);
    let name = fields.parsed("name", EnvName::parse)?;
    let row = row_name(project, &name, version);
    let key = link.keys.row_key(TABLE, &row, &fields.text("data_key")?)?;
    Ok(EnvVariable {
        project_id: project.clone(),
        value: key.open(place(&row), &fields.text("value")?)?,
        sensitive: fields.flag("sensitive")?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
        name,
    })
}

impl Tx {
    /// Keeps what a variable is, sealed, because it ends at that moment; tells its number.
    pub async fn keep_env_version(
        &mut self,
        variable: &EnvVariable,
        ended_at: Timestamp,
    ) -> Result<i64, Error> {
        let last = sql!(
            "last_env_version",
            "SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) AS version FROM env_versions \
             WHERE project_id = $1"
        )
        .bind(variable.project_id.as_str())
        .one(&mut self.link())
        .await?;
        let version = Fields::of(TABLE, &last).integer("version")? + 1;
        let row = row_name(&variable.project_id, &variable.name, version);
        let mut link = self.write(Touches::Nothing);
        let key = link.keys.new_row_key(TABLE, &row)?;
        let value = key.seal(place(&row), &variable.value)?;
        sql!(
            "keep_env_version",
            "INSERT INTO env_versions (project_id, version, name, data_key, value, sensitive, \
             created_at, updated_at, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        )
        .bind(variable.project_id.as_str())
        .bind(version)
        .bind(variable.name.as_str())
        .bind(key.stored())
        .bind(value)
        .bind(i64::from(variable.sensitive))
        .bind_time(variable.created_at)
        .bind_time(variable.updated_at)
        .bind_time(ended_at)
        .execute(&mut link)
        .await?;
        Ok(version)
    }

    /// Removes the value of a project that ended first, if it did so before a moment; tells
    /// whether it did.
    pub async fn forget_oldest_env_version(
        &mut self,
        project: &ProjectId,
        before: Timestamp,
    ) -> Result<bool, Error> {
        let removed = sql!(
            "forget_oldest_env_version",
            "DELETE FROM env_versions WHERE project_id = $1 AND ended_at < $2 AND version = \
             (SELECT MIN(version) FROM env_versions WHERE project_id = $1)"
        )
        .bind(project.as_str())
        .bind_time(before)
        .execute(&mut self.write(Touches::Nothing))
        .await?;
        Ok(removed > 0)
    }

    /// Removes all that ended before a moment; tells how many.
    pub async fn forget_env_versions(&mut self, before: Timestamp) -> Result<u64, Error> {
        sql!(
            "forget_env_versions",
            "DELETE FROM env_versions WHERE ended_at < $1"
        )
        .bind_time(before)
        .execute(&mut self.write(Touches::Nothing))
        .await
    }
}
