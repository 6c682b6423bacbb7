//! Destroyed databases: restorable, due to be purged, forgotten.

use crate::databases::{database_columns, read};
use crate::kept::Touches;
use crate::sql::Link;
use crate::{Error, Tx};
use berth_domain::{Database, DatabaseId, ProjectId, Timestamp};

reads! {
    /// Destroyed databases whose data is still there, the one destroyed last first; of one
    /// project when given.
    fn destroyed_databases(project: Option<&ProjectId>) -> Vec<Database>;
    /// Destroyed databases whose window has ended and whose data is still there, the longest due
    /// first.
    fn purge_due(now: Timestamp, limit: u32) -> Vec<Database>;
}

async fn destroyed_databases(
    link: &mut Link<'_>,
    project: Option<&ProjectId>,
) -> Result<Vec<Database>, Error> {
    sql!(
        "destroyed_databases",
        "SELECT ",
        database_columns!(),
        " FROM databases WHERE intent = 'destroy' AND purged_at IS NULL \
         AND ($1 = '' OR project_id = $1) ORDER BY destroyed_at DESC, id"
    )
    .bind(project.map_or("", ProjectId::as_str))
    .each(link, read)
    .await
}

async fn purge_due(
    link: &mut Link<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Database>, Error> {
    sql!(
        "purge_due",
        "SELECT ",
        database_columns!(),
        " FROM databases WHERE intent = 'destroy' AND purged_at IS NULL \
         AND recoverable_until <= $1 ORDER BY recoverable_until, id LIMIT $2"
    )
    .bind_time(now)
    .bind(i64::from(limit))
    .each(link, read)
    .await
}

impl Tx {
    /// Marks the data of a destroyed database as removed for good and forgets its passwords. The
    /// row stays, so that its id goes on saying `destroyed`.
    pub async fn mark_purged(&mut self, id: &DatabaseId, at: Timestamp) -> Result<(), Error> {
        let touched = sql!(
            "mark_purged",
            "UPDATE databases SET purged_at = $2, updated_at = $2 \
             WHERE id = $1 AND intent = 'destroy' AND purged_at IS NULL"
        )
        .bind(id.as_str())
        .bind_time(at)
        .execute(&mut self.write(Touches::Database(id)))
        .await?;
        if touched == 0 {
            return Err(Error::Conflict { id: id.to_string() });
        }
        self.remove_credentials(id).await
    }

    /// Removes the rows of databases that were purged before a moment, with all that belongs to
    /// them; tells how many. Events stay, and so does that their projects had a database.
    pub async fn forget_purged_databases(&mut self, before: Timestamp) -> Result<u64, Error> {
        let mut link = self.write(Touches::Everything);
        sql!(
            "remember_purged_databases",
            "UPDATE projects SET auto_provisioned_at = $1 WHERE auto_provisioned_at IS NULL \
             AND id IN (SELECT project_id FROM databases WHERE purged_at < $1)"
        )
        .bind_time(before)
        .execute(&mut link)
        .await?;
        sql!(
            "forget_purged_operations",
            "DELETE FROM operations WHERE database_id IN \
             (SELECT id FROM databases WHERE purged_at < $1)"
        )
        .bind_time(before)
        .execute(&mut link)
        .await?;
        sql!(
            "forget_purged_observations",
            "DELETE FROM observations WHERE database_id IN \
             (SELECT id FROM databases WHERE purged_at < $1)"
        )
        .bind_time(before)
        .execute(&mut link)
        .await?;
        sql!(
            "forget_purged_credentials",
            "DELETE FROM credentials WHERE database_id IN \
             (SELECT id FROM databases WHERE purged_at < $1)"
        )
        .bind_time(before)
        .execute(&mut link)
        .await?;
        sql!(
            "forget_purged_databases",
            "DELETE FROM databases WHERE purged_at < $1"
        )
        .bind_time(before)
        .execute(&mut link)
        .await
    }
}
