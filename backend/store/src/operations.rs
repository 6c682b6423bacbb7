//! Operations, their steps and their leases.

use crate::kept::Touches;
use crate::sql::{Fields, Link, Statement};
use crate::{Error, Page, Tx};
use berth_domain::{
    DatabaseId, InstanceId, Operation, OperationFailure, OperationId, OperationKind,
    OperationState, ProjectId, Timestamp,
};
use sqlx::any::AnyRow;

const TABLE: &str = "operations";

macro_rules! columns {
    () => {
        "id, kind, database_id, project_id, instance, generation, state, step, attempt, due_at, \
         deadline_at, lease_holder, lease_until, failure_code, failure_message, created_at, \
         finished_at"
    };
}

/// Whether the work on an operation is still ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "work whose lease is lost must stop"]
pub enum LeaseStatus {
    /// It was, and what was asked for is written.
    Held,
    /// The lease ran out, went to somebody else, or the operation ended; nothing was written.
    Lost,
}

/// How an operation goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The step that comes next.
    pub step: String,
    /// How often it has been tried.
    pub attempt: u32,
    /// When it may be tried.
    pub due_at: Timestamp,
    /// Until when the lease goes on; none gives it back.
    pub lease_until: Option<Timestamp>,
}

reads! {
    /// The operation with that id.
    fn operation(id: &OperationId) -> Option<Operation>;
    /// The last operation of a database, ended or not.
    fn latest_operation(database: &DatabaseId) -> Option<Operation>;
    /// The operation of a database that is under way; there is one at most.
    fn pending_operation(database: &DatabaseId) -> Option<Operation>;
    /// Operations of a database, the last one first, that precede the one named.
    fn operations_page(
        database: &DatabaseId,
        after: Option<&OperationId>,
        limit: u32,
    ) -> Page<Operation>;
    /// When the next pending operation may be worked on: its due time, or the end of its lease
    /// when somebody works on it.
    fn next_due_at() -> Option<Timestamp>;
    /// How many operations are pending.
    fn pending_operations() -> u64;
}

async fn operation(link: &mut Link<'_>, id: &OperationId) -> Result<Option<Operation>, Error> {
    sql!(
        "operation",
        "SELECT ",
        columns!(),
        " FROM operations WHERE id = $1"
    )
    .bind(id.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn latest_operation(
    link: &mut Link<'_>,
    database: &DatabaseId,
) -> Result<Option<Operation>, Error> {
    sql!(
        "latest_operation",
        "SELECT ",
        columns!(),
        " FROM operations WHERE database_id = $1 ORDER BY ordinal DESC LIMIT 1"
    )
    .bind(database.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn pending_operation(
    link: &mut Link<'_>,
    database: &DatabaseId,
) -> Result<Option<Operation>, Error> {
    sql!(
        "pending_operation",
        "SELECT ",
        columns!(),
        " FROM operations WHERE database_id = $1 AND state = 'pending'"
    )
    .bind(database.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn operations_page(
    link: &mut Link<'_>,
    database: &DatabaseId,
    after: Option<&OperationId>,
    limit: u32,
) -> Result<Page<Operation>, Error> {
    let before = match after {
        None => i64::MAX,
        Some(id) => {
            let row = sql!(
                "operations_page_start",
                "SELECT ordinal FROM operations WHERE id = $1"
            )
            .bind(id.as_str())
            .optional(link)
            .await?
            .ok_or(Error::PageGone)?;
            Fields::of(TABLE, &row).integer("ordinal")?
        }
    };
    let rows = sql!(
        "operations_page",
        "SELECT ",
        columns!(),
        " FROM operations WHERE database_id = $1 AND ordinal < $2 ORDER BY ordinal DESC LIMIT $3"
    )
    .bind(database.as_str())
    .bind(before)
    .bind(i64::from(limit) + 1)
    .each(link, read)
    .await?;
    Ok(Page::cut(rows, limit))
}

async fn next_due_at(link: &mut Link<'_>) -> Result<Option<Timestamp>, Error> {
    let row = sql!(
        "next_due_at",
        "SELECT MIN(at) AS at FROM (\
         SELECT MIN(due_at) AS at FROM operations \
          WHERE state = 'pending' AND lease_until IS NULL \
         UNION ALL \
         SELECT MIN(CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END) AS at \
          FROM operations WHERE state = 'pending' AND lease_until IS NOT NULL) AS next"
    )
    .one(link)
    .await?;
    Fields::of(TABLE, &row).optional_time("at")
}

async fn pending_operations(link: &mut Link<'_>) -> Result<u64, Error> {
    let row = sql!(
        "pending_operations",
        "SELECT COUNT(*) AS pending FROM operations WHERE state = 'pending'"
    )
    .one(link)
    .await?;
    Fields::of(TABLE, &row).narrow("pending")
}

impl Tx {
    /// Writes a new operation. A database has one pending operation at most: supersede first.
    pub async fn insert_operation(&mut self, operation: &Operation) -> Result<(), Error> {
        let ordinal = self.next("operation").await?;
        let statement = sql!(
            "insert_operation",
            "INSERT INTO operations (",
            columns!(),
            ", ordinal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
             $16, $17, $18)"
        );
        bind(statement, operation)
            .bind(ordinal)
            .execute(&mut self.write(Touches::Database(&operation.database_id)))
            .await?;
        Ok(())
    }

    /// Takes up to `limit` pending operations that are due and that nobody works on, the longest
    /// due first, and holds them for `lease_millis`.
    pub async fn lease_due_operations(
        &mut self,
        now: Timestamp,
        holder: &str,
        lease_millis: i64,
        limit: u32,
    ) -> Result<Vec<Operation>, Error> {
        let mut leased = sql!(
            "lease_due_operations",
            "UPDATE operations SET lease_holder = $1, lease_until = $2 WHERE id IN \
             (SELECT id FROM (\
               SELECT id, due_at, ordinal FROM (\
                SELECT id, due_at, ordinal FROM operations \
                WHERE state = 'pending' AND lease_until IS NULL AND due_at <= $3 \
                ORDER BY due_at, ordinal LIMIT $4) AS free \
               UNION ALL \
               SELECT id, due_at, ordinal FROM operations \
               WHERE state = 'pending' AND lease_until IS NOT NULL \
               AND lease_until <= $3 AND due_at <= $3) AS due \
              ORDER BY due_at, ordinal LIMIT $4) \
             RETURNING ",
            columns!()
        )
        .bind(holder)
        .bind_time(now.plus_millis(lease_millis))
        .bind_time(now)
        .bind(i64::from(limit))
        .each(&mut self.link(), read)
        .await?;
        // Asking in vain is no change: the version stays.
        if !leased.is_empty() {
            self.touch(Touches::Nothing);
        }
        // `RETURNING` promises no order.
        leased.sort_by(|a, b| (a.due_at, &a.id).cmp(&(b.due_at, &b.id)));
        Ok(leased)
    }

    /// Moves an operation to its next step, only while `holder` has its lease.
    pub async fn advance_operation(
        &mut self,
        id: &OperationId,
        holder: &str,
        now: Timestamp,
        advance: &Advance,
    ) -> Result<LeaseStatus, Error> {
        let touched = sql!(
            "advance_operation",
            "UPDATE operations SET step = $4, attempt = $5, due_at = $6, lease_until = $7, \
             lease_holder = CASE WHEN $8 = 1 THEN lease_holder ELSE NULL END \
             WHERE id = $1 AND lease_holder = $2 AND lease_until > $3 AND state = 'pending'"
        )
        .bind(id.as_str())
        .bind(holder)
        .bind_time(now)
        .bind(advance.step.as_str())
        .bind(i64::from(advance.attempt))
        .bind_time(advance.due_at)
        .bind_optional_time(advance.lease_until)
        .bind(i64::from(advance.lease_until.is_some()))
        .execute(&mut self.write(Touches::Nothing))
        .await?;
        Ok(held(touched))
    }

    /// Ends an operation, only while `holder` has its lease: succeeded without a failure, failed
    /// with one.
    pub async fn finish_operation(
        &mut self,
        id: &OperationId,
        holder: &str,
        now: Timestamp,
        failure: Option<&OperationFailure>,
    ) -> Result<LeaseStatus, Error> {
        let state = match failure {
            None => OperationState::Succeeded,
            Some(_) => OperationState::Failed,
        };
        let touched = sql!(
            "finish_operation",
            "UPDATE operations SET state = $4, failure_code = $5, failure_message = $6, \
             finished_at = $3, lease_holder = NULL, lease_until = NULL \
             WHERE id = $1 AND lease_holder = $2 AND lease_until > $3 AND state = 'pending'"
        )
        .bind(id.as_str())
        .bind(holder)
        .bind_time(now)
        .bind(state.as_str())
        .bind(failure.map(|f| f.code.as_str()))
        .bind(failure.map(|f| f.message.as_str()))
        .execute(&mut self.write(Touches::End(id)))
        .await?;
        Ok(held(touched))
    }

    /// Ends the pending operation of a database, if there is one, because a later one takes its
    /// place; tells which. Whoever works on it finds its lease lost.
    pub async fn supersede_operations(
        &mut self,
        database: &DatabaseId,
        now: Timestamp,
    ) -> Result<Vec<OperationId>, Error> {
        let superseded = sql!(
            "supersede_operations",
            "UPDATE operations SET state = 'superseded', finished_at = $2, lease_holder = NULL, \
             lease_until = NULL WHERE database_id = $1 AND state = 'pending' RETURNING id"
        )
        .bind(database.as_str())
        .bind_time(now)
        .each(&mut self.write(Touches::Nothing), |row| {
            Fields::of(TABLE, row).parsed("id", OperationId::parse)
        })
        .await?;
        for id in &superseded {
            self.touch(Touches::End(id));
        }
        Ok(superseded)
    }

    /// Makes due at `now` what is due later than `latest`, which nobody waits for: the clock was
    /// ahead when that was written. Tells how many there were.
    pub async fn hasten_operations(
        &mut self,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<u64, Error> {
        let touched = sql!(
            "hasten_operations",
            "UPDATE operations SET due_at = $1 WHERE state = 'pending' AND due_at > $2"
        )
        .bind_time(now)
        .bind_time(latest)
        .execute(&mut self.link())
        .await?;
        if touched > 0 {
            self.touch(Touches::Nothing);
        }
        Ok(touched)
    }

    /// Ends every lease, so that what a dead predecessor worked on goes on at once; tells how
    /// many there were. Only for who knows that nobody else works on the store.
    pub async fn release_leases(&mut self) -> Result<u64, Error> {
        let touched = sql!(
            "release_leases",
            "UPDATE operations SET lease_holder = NULL, lease_until = NULL \
             WHERE state = 'pending' AND lease_holder IS NOT NULL"
        )
        .execute(&mut self.link())
        .await?;
        if touched > 0 {
            self.touch(Touches::Nothing);
        }
        Ok(touched)
    }

    /// Removes operations that ended before a moment, except the last one of each database,
    /// which says how it came to be what it is; tells how many.
    pub async fn forget_finished_operations(&mut self, before: Timestamp) -> Result<u64, Error> {
        sql!(
            "forget_finished_operations",
            "DELETE FROM operations WHERE finished_at < $1 AND EXISTS \
             (SELECT 1 FROM operations AS later WHERE later.database_id = operations.database_id \
              AND later.ordinal > operations.ordinal)"
        )
        .bind_time(before)
        .execute(&mut self.write(Touches::Nothing))
        .await
    }
}

fn held(touched: u64) -> LeaseStatus {
    if touched == 0 {
        LeaseStatus::Lost
    } else {
        LeaseStatus::Held
    }
}

fn bind<'q>(statement: Statement<'q>, operation: &'q Operation) -> Statement<'q> {
    let (holder, until) = match &operation.lease {
        None => (None, None),
        Some((holder, until)) => (Some(holder.as_str()), Some(*until)),
    };
    let failure = operation.failure.as_ref();
    statement
        .bind(operation.id.as_str())
        .bind(operation.kind.as_str())
        .bind(operation.database_id.as_str())
        .bind(operation.project_id.as_str())
        .bind(operation.instance.as_str())
        .bind(operation.generation)
        .bind(operation.state.as_str())
        .bind(operation.step.as_str())
        .bind(i64::from(operation.attempt))
        .bind_time(operation.due_at)
        .bind_time(operation.deadline_at)
        .bind(holder)
        .bind_optional_time(until)
        .bind(failure.map(|f| f.code.as_str()))
        .bind(failure.map(|f| f.message.as_str()))
        .bind_time(operation.created_at)
        .bind_optional_time(operation.finished_at)
}

fn read(row: &AnyRow) -> Result<Operation, Error> {
    let fields = Fields::of(TABLE, row);
    let lease = fields
        .optional_text("lease_holder")?
        .zip(fields.optional_time("lease_until")?);
    let failure = fields
        .optional_text("failure_code")?
        .zip(fields.optional_text("failure_message")?)
        .map(|(code, message)| OperationFailure { code, message });
    Ok(Operation {
        id: fields.parsed("id", OperationId::parse)?,
        kind: fields.word("kind", OperationKind::from_word)?,
        database_id: fields.parsed("database_id", DatabaseId::parse)?,
        project_id: fields.parsed("project_id", ProjectId::parse)?,
        instance: fields.parsed("instance", InstanceId::parse)?,
        generation: fields.integer("generation")?,
        state: fields.word("state", OperationState::from_word)?,
        step: fields.text("step")?,
        attempt: fields.narrow("attempt")?,
        due_at: fields.time("due_at")?,
        deadline_at: fields.time("deadline_at")?,
        lease,
        failure,
        created_at: fields.time("created_at")?,
        finished_at: fields.optional_time("finished_at")?,
    })
}
