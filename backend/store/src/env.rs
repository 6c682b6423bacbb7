//! Variables that users gave to projects, sealed.

use crate::kept::Touches;
use crate::sealing::{Keys, Place};
use crate::sql::{Fields, Link};
use crate::{Error, Tx};
use berth_domain::{EnvName, EnvVariable, ProjectId, Timestamp};
use sqlx::any::AnyRow;

const TABLE: &str = "env_variables";

reads! {
    /// The variables that users gave to a project, by name.
    fn env_variables(project: &ProjectId) -> Vec<EnvVariable>;
}

async fn env_variables(
    link: &mut Link<'_>,
    project: &ProjectId,
) -> Result<Vec<EnvVariable>, Error> {
    let keys = link.keys;
    let mut variables = sql!(
        "env_variables",
        "SELECT name, data_key, value, sensitive, created_at, updated_at FROM env_variables \
         WHERE project_id = $1"
    )
    .bind(project.as_str())
    .each(link, |row| read(keys, project, row))
    .await?;
    // Not in SQL: the two databases order texts differently.
    variables.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(variables)
}

fn row_name(project: &ProjectId, name: &EnvName) -> String {
    format!("{project}/{name}")
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: TABLE,
        row,
        column: "value",
    }
}

fn read(keys: &Keys, project: &ProjectId, row: &AnyRow) -> Result<EnvVariable, Error> {
    let fields = Fields::of(TABLE, row);
    let name = fields.parsed("name", EnvName::parse)?;
    let row = row_name(project, &name);
    let key = keys.row_key(TABLE, &row, &fields.text("data_key")?)?;
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
    /// Seals a variable, over the one of that name; the moment of the first one stays.
    pub async fn put_env_variable(&mut self, variable: &EnvVariable) -> Result<(), Error> {
        let row = row_name(&variable.project_id, &variable.name);
        let mut link = self.write(Touches::Nothing);
        let key = link.keys.new_row_key(TABLE, &row)?;
        let value = key.seal(place(&row), &variable.value)?;
        sql!(
            "put_env_variable",
            "INSERT INTO env_variables \
             (project_id, name, data_key, value, sensitive, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (project_id, name) DO UPDATE SET data_key = excluded.data_key, \
             value = excluded.value, sensitive = excluded.sensitive, \
             updated_at = excluded.updated_at"
        )
        .bind(variable.project_id.as_str())
        .bind(variable.name.as_str())
        .bind(key.stored())
        .bind(value)
        .bind(i64::from(variable.sensitive))
        .bind_time(variable.created_at)
        .bind_time(variable.updated_at)
        .execute(&mut link)
        .await?;
        Ok(())
    }

    /// Takes a variable away; tells whether there was one.
    pub async fn remove_env_variable(
        &mut self,
        project: &ProjectId,
        name: &EnvName,
    ) -> Result<bool, Error> {
        let removed = sql!(
            "remove_env_variable",
            "DELETE FROM env_variables WHERE project_id = $1 AND name = $2"
        )
        .bind(project.as_str())
        .bind(name.as_str())
        .execute(&mut self.write(Touches::Nothing))
        .await?;
        Ok(removed > 0)
    }

    /// Writes down that a project had its first database, so that the first use of its
    /// environment makes none; tells whether that is news.
    pub async fn mark_auto_provisioned(
        &mut self,
        project: &ProjectId,
        at: Timestamp,
    ) -> Result<bool, Error> {
        let marked = sql!(
            "mark_auto_provisioned",
            "UPDATE projects SET auto_provisioned_at = $2 \
             WHERE id = $1 AND auto_provisioned_at IS NULL"
        )
        .bind(project.as_str())
        .bind_time(at)
        .execute(&mut self.write(Touches::Nothing))
        .await?;
        Ok(marked > 0)
    }
}
