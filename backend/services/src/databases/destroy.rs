//! Taking databases away, and bringing them back.

use super::change::Reference;
use super::config::DatabaseConfig;
use super::create::ClaimManner;
use super::facts::Authority;
use super::find::not_found;
use crate::error::Doing;
use crate::note::size_text;
use crate::services::{Answered, Begun, Happened, Keyed, journal};
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Given, Note, Services};
use berth_domain::{Database, DatabaseId, Intent, Observation, OperationKind, Scope, Timestamp};
use berth_store::{DatabaseFilter, DatabaseRecord, Lifetime, Page, Tx};

impl Services {
    /// Takes a database away; its data stays in the trash until the window ends. Repeatable: a
    /// destroyed one stays as it is.
    pub async fn destroy_database(
        &self,
        caller: &Caller,
        reference: Reference<'_>,
    ) -> Result<DatabaseRecord, Error> {
        let begun = self.begin::<DatabaseRecord>(caller, None).await?;
        let Begun::Write(mut writing) = begun else {
            return Err(unkeyed());
        };
        let record = {
            let mut view = View::Tx(&mut writing.tx);
            self.find(&mut view, caller, reference.database, reference.project)
                .await?
        };
        if record.database.is_living() {
            let now = writing.now;
            self.destroy_row(&mut writing.tx, caller, record.database.clone(), now)
                .await?;
        }
        let record = self.reread(&mut writing.tx, &record.database.id).await?;
        match self.commit(writing, record).await? {
            Answered::Fresh(record) => Ok(record),
            Answered::Replayed(_) => Err(unkeyed()),
        }
    }

    /// Marks a living row as destroyed and orders its removal.
    pub(crate) async fn destroy_row(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        mut row: Database,
        now: Timestamp,
    ) -> Result<(), Error> {
        if row.deletion_protection {
            return Err(Error::fields(vec![protected(&row)]));
        }
        let days = self.kept_days(&row, caller.authority());
        row.intent = Intent::Destroy;
        row.destroyed_at = Some(now);
        row.recoverable_until = Some(now.plus_days(i64::from(days)));
        row.updated_at = now;
        row.generation += 1;
        tx.update_database(&row)
            .await
            .doing("mark a database as destroyed")?;
        let operation = self.order(tx, &row, OperationKind::Destroy, now).await?;
        journal(
            tx,
            &caller.actor,
            now,
            Happened {
                kind: "database.destroyed",
                project: Some(&row.project_id),
                database: Some(&row.id),
                operation: Some(&operation.id),
                message: format!(
                    "{} was destroyed; its data is kept for {days} days",
                    row.name
                ),
            },
        )
        .await
    }

    /// Days for which the data is kept: what the database says, and at least the floor for
    /// those who may not make data unrecoverable.
    fn kept_days(&self, row: &Database, authority: Authority) -> u32 {
        match authority {
            Authority::Unprotects => row.recovery_window_days,
            Authority::Writes | Authority::Plans => row
                .recovery_window_days
                .max(self.rules.limits.recovery_floor_days),
        }
    }

    /// What the destruction of a database means, before it is agreed to.
    pub(crate) fn destroy_notes(
        &self,
        row: &Database,
        observation: Option<&Observation>,
        authority: Authority,
    ) -> Vec<Note> {
        let size = observation
            .and_then(|o| o.storage_used_bytes)
            .map_or_else(|| "data of unknown size".to_owned(), size_text);
        let connections = match observation.and_then(|o| o.connections) {
            None => String::new(),
            Some(1) => " 1 connection is open.".to_owned(),
            Some(count) => format!(" {count} connections are open."),
        };
        let days = match authority {
            // Who plans is not who applies; the floor may or may not hold for that one.
            Authority::Plans => row.recovery_window_days,
            authority => self.kept_days(row, authority),
        };
        let floor = self.rules.limits.recovery_floor_days;
        let fate = match days {
            0 if authority == Authority::Plans && floor > 0 => format!(
                "Its recovery window is 0 days: a token with the scope \"unprotect\" removes the data for good at once, any other keeps it for {floor} days."
            ),
            0 => "The data is removed for good at once and cannot be restored.".to_owned(),
            days => format!(
                "The data is kept stopped for {days} days from then on and returns with restore_from = {{ deleted_database_id = \"{}\" }}; after that it is removed for good.",
                row.id
            ),
        };
        vec![Note::warning(
            None,
            format!("{} will be destroyed", row.name),
            format!("{} holds {size}.{connections} {fate}", row.name),
        )]
    }

    /// A page of the destroyed databases that can still be restored, in the order in which they
    /// were made.
    pub async fn trash(
        &self,
        caller: &Caller,
        after: Option<&DatabaseId>,
        limit: u32,
    ) -> Result<Page<DatabaseRecord>, Error> {
        let filter = DatabaseFilter {
            project: caller.project.clone(),
            lifetime: Lifetime::Recoverable,
            ..DatabaseFilter::default()
        };
        self.store
            .databases_page(&filter, after, limit)
            .await
            .doing("list the trash")
    }

    /// Brings a destroyed database back as it was, under another name when one is given.
    pub async fn undelete_database(
        &self,
        caller: &Caller,
        id: &str,
        name: Option<String>,
        keyed: Option<Keyed<'_, DatabaseRecord>>,
    ) -> Result<Answered<DatabaseRecord>, Error> {
        // What is not there is said as for every other route of this id.
        if DatabaseId::parse(id).is_err() {
            return Err(not_found());
        }
        let record = self.database(caller, id, None).await?;
        if record.database.is_living() && keyed.is_none() {
            return Err(Error::refused(
                Code::NotDestroyed,
                format!("{} is not destroyed", record.database.name),
            ));
        }
        let config = DatabaseConfig {
            restore_from: Given::Value(id.to_owned()),
            name: name.into(),
            ..DatabaseConfig::default()
        };
        self.create_database(caller, &config, ClaimManner::AtOnce, keyed)
            .await
    }

    /// Removes the data of a destroyed database for good, before its window ends.
    pub async fn purge_database(&self, caller: &Caller, id: &str) -> Result<DatabaseRecord, Error> {
        caller.need(Scope::Unprotect)?;
        let Begun::Write(mut writing) = self.begin::<DatabaseRecord>(caller, None).await? else {
            return Err(unkeyed());
        };
        let now = writing.now;
        let mut row = {
            let mut view = View::Tx(&mut writing.tx);
            self.find(&mut view, caller, id, None).await?.database
        };
        if row.is_living() {
            return Err(Error::refused(
                Code::NotDestroyed,
                format!("{} is not destroyed: destroy it first", row.name),
            ));
        }
        if row.purged_at.is_none() {
            row.recoverable_until = Some(now);
            row.updated_at = now;
            row.generation += 1;
            writing
                .tx
                .update_database(&row)
                .await
                .doing("end a recovery window")?;
            let operation = self
                .order(&mut writing.tx, &row, OperationKind::Purge, now)
                .await?;
            journal(
                &mut writing.tx,
                &caller.actor,
                now,
                Happened {
                    kind: "database.purge_ordered",
                    project: Some(&row.project_id),
                    database: Some(&row.id),
                    operation: Some(&operation.id),
                    message: format!("the data of {} is to be removed for good", row.name),
                },
            )
            .await?;
        }
        let record = self.reread(&mut writing.tx, &row.id).await?;
        match self.commit(writing, record).await? {
            Answered::Fresh(record) => Ok(record),
            Answered::Replayed(_) => Err(unkeyed()),
        }
    }
}

/// Why a protected database stays.
pub(crate) fn protected(row: &Database) -> FieldError {
    FieldError::of(
        Code::Protected,
        "deletion_protection",
        format!(
            "{} is protected: set deletion_protection = false first, which needs the scope \"unprotect\", then destroy it",
            row.name
        ),
    )
}

pub(crate) fn unkeyed() -> Error {
    Error::Inconsistent {
        act: "write",
        reason: "a request without a key has an earlier answer".to_owned(),
    }
}
