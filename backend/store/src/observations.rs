//! What was last seen of databases.

use crate::kept::Touches;
use crate::sql::{Fields, Link, to_json};
use crate::{Error, Tx};
use berth_domain::{Condition, DatabaseId, Observation, Observed, Status, Timestamp, Truth};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

const TABLE: &str = "observations";

macro_rules! observation_columns {
    () => {
        "observed, observed_detail, observed_generation, phase, conditions, version_actual, \
         storage_used_bytes, connections, observed_at"
    };
}
pub(crate) use observation_columns;

reads! {
    /// What was last seen of a database; none when nobody has looked yet.
    fn observation(id: &DatabaseId) -> Option<Observation>;
}

async fn observation(link: &mut Link<'_>, id: &DatabaseId) -> Result<Option<Observation>, Error> {
    sql!(
        "observation",
        "SELECT ",
        observation_columns!(),
        " FROM observations WHERE database_id = $1"
    )
    .bind(id.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

impl Tx {
    /// Writes what was seen of a database over what was seen before. What is wanted stays
    /// untouched.
    pub async fn put_observation(
        &mut self,
        id: &DatabaseId,
        seen: &Observation,
    ) -> Result<(), Error> {
        let (observed, detail) = observed_columns(&seen.observed);
        let conditions: Vec<StoredCondition> =
            seen.conditions.iter().map(StoredCondition::of).collect();
        // More bytes than the column holds is more than any disk does.
        let bytes = seen
            .storage_used_bytes
            .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        sql!(
            "put_observation",
            "INSERT INTO observations (database_id, ",
            observation_columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (database_id) DO UPDATE SET observed = excluded.observed, \
             observed_detail = excluded.observed_detail, \
             observed_generation = excluded.observed_generation, phase = excluded.phase, \
             conditions = excluded.conditions, version_actual = excluded.version_actual, \
             storage_used_bytes = excluded.storage_used_bytes, \
             connections = excluded.connections, observed_at = excluded.observed_at"
        )
        .bind(id.as_str())
        .bind(observed)
        .bind(detail)
        .bind(seen.generation)
        .bind(seen.phase.as_str())
        .bind(to_json(TABLE, "conditions", &conditions)?)
        .bind(seen.version_actual.as_deref())
        .bind(bytes)
        .bind(seen.connections.map(i64::from))
        .bind_time(seen.observed_at)
        .execute(&mut self.write(Touches::Database(id)))
        .await?;
        Ok(())
    }
}

impl Tx {
    /// Writes that what was seen of a database at `seen_at` was found again at `at`, unless
    /// something else was seen since.
    pub async fn confirm_observation(
        &mut self,
        id: &DatabaseId,
        seen_at: Timestamp,
        at: Timestamp,
    ) -> Result<(), Error> {
        sql!(
            "confirm_observation",
            "UPDATE observations SET observed_at = $3 WHERE database_id = $1 AND observed_at = $2"
        )
        .bind(id.as_str())
        .bind_time(seen_at)
        .bind_time(at)
        .execute(&mut self.write(Touches::Database(id)))
        .await?;
        Ok(())
    }
}

/// Reads the observation beside a database, when there is one.
pub(crate) fn read_joined(row: &AnyRow) -> Result<Option<Observation>, Error> {
    match Fields::of(TABLE, row).optional_text("observed")? {
        None => Ok(None),
        Some(_) => read(row).map(Some),
    }
}

/// Reads what was seen of a database beside it, when anybody has looked.
pub(crate) fn read_observed_joined(row: &AnyRow) -> Result<Option<Observed>, Error> {
    let fields = Fields::of(TABLE, row);
    match fields.optional_text("observed")? {
        None => Ok(None),
        Some(_) => read_observed(&fields).map(Some),
    }
}

fn read(row: &AnyRow) -> Result<Observation, Error> {
    let fields = Fields::of(TABLE, row);
    let conditions: Vec<StoredCondition> = fields.json("conditions")?;
    Ok(Observation {
        observed: read_observed(&fields)?,
        generation: fields.integer("observed_generation")?,
        phase: fields.text("phase")?,
        conditions: conditions
            .into_iter()
            .map(|stored| {
                stored
                    .condition()
                    .ok_or_else(|| fields.meaningless("conditions"))
            })
            .collect::<Result<_, _>>()?,
        version_actual: fields.optional_text("version_actual")?,
        storage_used_bytes: fields.optional_narrow("storage_used_bytes")?,
        connections: fields.optional_narrow("connections")?,
        observed_at: fields.time("observed_at")?,
    })
}

/// What was seen as a word, and what belongs to the word.
fn observed_columns(observed: &Observed) -> (&'static str, Option<&str>) {
    match observed {
        Observed::Absent => ("absent", None),
        Observed::Starting => ("starting", None),
        Observed::Ready => ("ready", None),
        Observed::Stopped => ("stopped", None),
        Observed::Failed { reason } => ("failed", Some(reason)),
        Observed::Unknown { last } => ("unknown", Some(last.as_str())),
    }
}

fn read_observed(fields: &Fields<'_>) -> Result<Observed, Error> {
    let detail = fields.optional_text("observed_detail")?;
    let observed = match (fields.text("observed")?.as_str(), detail) {
        ("absent", None) => Some(Observed::Absent),
        ("starting", None) => Some(Observed::Starting),
        ("ready", None) => Some(Observed::Ready),
        ("stopped", None) => Some(Observed::Stopped),
        ("failed", Some(reason)) => Some(Observed::Failed { reason }),
        ("unknown", Some(last)) => Status::from_word(&last).map(|last| Observed::Unknown { last }),
        _ => None,
    };
    observed.ok_or_else(|| fields.meaningless("observed"))
}

/// A condition as it stands in its JSON column.
#[derive(Serialize, Deserialize)]
struct StoredCondition {
    kind: String,
    truth: String,
    reason: String,
    message: String,
    since: i64,
}

impl StoredCondition {
    fn of(condition: &Condition) -> Self {
        Self {
            kind: condition.kind.clone(),
            truth: condition.truth.as_str().to_owned(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            since: condition.since.as_millis(),
        }
    }

    fn condition(self) -> Option<Condition> {
        Some(Condition {
            truth: Truth::from_word(&self.truth)?,
            kind: self.kind,
            reason: self.reason,
            message: self.message,
            since: Timestamp::from_millis(self.since),
        })
    }
}
