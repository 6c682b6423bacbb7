//! Taking databases away, and bringing them back.

use super::change::Reference;
use super::config::DatabaseConfig;
use super::create::ClaimManner;
use super::facts::Authority;
use super::find::not_found;
use crate::audit;
use crate::error::Doing;
use crate::note::{days_text, size_text};
use crate::services::{Answered, Begun, Happened, Keyed, journal_changes};
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Given, Note, Services};
use berth_domain::{
    Claim, Database, DatabaseId, Intent, Observation, OperationKind, Scope, Timestamp,
};
use berth_store::{DatabaseFilter, DatabaseRecord, Lifetime, Page, Tell, Told, Tx};
use std::sync::Arc;

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
        if is_shielded(&row, caller) {
            return Err(Error::fields(vec![protected(&row)]));
        }
        let until = self.kept_until(&row, caller.authority_in(Some(&row.project_id)), now);
        let before = audit::database(&row);
        row.intent = Intent::Destroy;
        row.destroyed_at = Some(now);
        row.recoverable_until = Some(until);
        row.updated_at = now;
        row.generation += 1;
        tx.update_database(&row)
            .await
            .doing("mark a database as destroyed")?;
        let operation = self.order(tx, &row, OperationKind::Destroy, now).await?;
        journal_changes(
            tx,
            &caller.actor,
            now,
            Happened {
                kind: "database.destroyed",
                project: Some(&row.project_id),
                database: Some(&row.id),
                operation: Some(&operation.id),
                message: format!("{} was destroyed; its data is kept until {until}", row.name),
            },
            audit::changes(&before, &audit::database(&row)),
        )
        .await
    }

    /// Until when the data is kept. A restored database that nobody claimed returns to the
    /// trash no worse than it left it.
    fn kept_until(&self, row: &Database, authority: Authority, now: Timestamp) -> Timestamp {
        match (&row.claim, row.recoverable_until) {
            (Claim::Unclaimed { .. }, Some(before)) => {
                before.max(now.plus_days(i64::from(self.unclaimed_days_min())))
            }
            _ => now.plus_days(i64::from(self.kept_days(row, authority))),
        }
    }

    /// Nobody chose to give up what was never taken over, so that some of the window is left
    /// whatever the database and the installation say.
    fn unclaimed_days_min(&self) -> u32 {
        self.rules.limits.recovery_floor_days.max(1)
    }

    /// Days for which the data is kept: what the database says, and at least the floor for
    /// those who may not make data unrecoverable.
    fn kept_days(&self, row: &Database, authority: Authority) -> u32 {
        if row.claim != Claim::Claimed {
            return row.recovery_window_days.max(self.unclaimed_days_min());
        }
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
        let unclaimed = row.claim != Claim::Claimed;
        let days = match authority {
            // Who plans is not who applies; the floor may or may not hold for that one.
            Authority::Plans if !unclaimed => row.recovery_window_days,
            authority => self.kept_days(row, authority),
        };
        let floor = self.rules.limits.recovery_floor_days;
        let fate = match days {
            _ if unclaimed && row.recoverable_until.is_some() => format!(
                "It was brought back out of the trash by a create that was not finished, and returns there with its data and its former recovery window; restore_from = {{ deleted_database_id = \"{}\" }} brings it back.",
                row.id
            ),
            0 if authority == Authority::Plans && floor > 0 => format!(
                "Its recovery window is 0 days: a token with the scope \"unprotect\" removes the data for good at once, any other keeps it for {}.",
                days_text(floor)
            ),
            0 => "The data is removed for good at once and cannot be restored.".to_owned(),
            days => format!(
                "The data is kept stopped for {} from then on and returns with restore_from = {{ deleted_database_id = \"{}\" }}; after that it is removed for good.",
                days_text(days),
                row.id
            ),
        };
        let claim = match (unclaimed, row.deletion_protection) {
            (false, _) => "",
            (true, false) => {
                " The create that ordered it was not finished, and nobody has taken it over."
            }
            (true, true) => {
                " The create that ordered it was not finished, and nobody has taken it over: until then deletion_protection does not hold for the token that ordered it."
            }
        };
        vec![Note::warning(
            None,
            format!("{} will be destroyed", row.name),
            format!("{} holds {size}.{connections}{claim} {fate}", row.name),
        )]
    }

    /// A page of what is told of the destroyed databases that can still be restored, in the
    /// order in which they were made.
    pub async fn trash(
        &self,
        caller: &Caller,
        after: Option<&DatabaseId>,
        limit: u32,
        tell: &Tell<'_>,
    ) -> Result<Page<Arc<Told>>, Error> {
        let reach = caller.reach();
        let filter = DatabaseFilter {
            project: reach.project,
            member: reach.member,
            lifetime: Lifetime::Recoverable,
            ..DatabaseFilter::default()
        };
        self.store
            .told_databases_page(&filter, after, limit, tell)
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
            let before = audit::database(&row);
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
            let changes = audit::changes(&before, &audit::database(&row));
            journal_changes(
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
                changes,
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

/// Whether its protection refuses the destruction to this caller. What nobody has taken over
/// is not protected from the token that ordered it, so that a create that failed can be made
/// anew; who plans plans for that one.
pub(crate) fn is_shielded(row: &Database, caller: &Caller) -> bool {
    row.deletion_protection
        && match &row.claim {
            Claim::Claimed => true,
            Claim::Unclaimed { token, .. } => {
                caller.token() != Some(token)
                    && caller.authority_in(Some(&row.project_id)) != Authority::Plans
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
