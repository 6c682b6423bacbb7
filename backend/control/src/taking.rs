//! What is taken away, and that nobody wants it any more at that moment.

use crate::subject::Subject;
use crate::upkeep::SWEEP_SECONDS_MAX;
use crate::{Control, Error, error};
use berth_domain::{Database, Operation, OperationState};
use berth_platform::DataFate;

impl Control {
    /// An error when what is about to be taken away was asked for again, as it may have been
    /// while the operation waited for its turn: its next sign of life would tell too late.
    pub(crate) async fn expect_unwanted(
        &self,
        operation: &Operation,
        subject: &Subject,
    ) -> Result<(), Error> {
        if subject.database.is_living() {
            return Err(Error::NotOurs);
        }
        // After the row of the database: whoever wants it again changes both at once.
        self.expect_ours(operation).await
    }

    /// An error when another took the operation's place, or took it over, as the store says now.
    pub(crate) async fn expect_ours(&self, operation: &Operation) -> Result<(), Error> {
        let row = self.parts.store.operation(&operation.id).await;
        let row = row.map_err(error::store("look whether an operation is ours"))?;
        let is_ours = row.is_some_and(|row| {
            let holder = row.lease.map(|(holder, _)| holder);
            row.state == OperationState::Pending && holder.as_ref() == Some(&self.holder)
        });
        if is_ours { Ok(()) } else { Err(Error::NotOurs) }
    }

    /// Takes away what is left of a database that was destroyed, unless somebody works on it.
    pub(crate) async fn take_remains_away(&self, database: &Database) -> Result<(), Error> {
        let Some(_turn) = self.locks.try_now(&database.instance) else {
            return Ok(());
        };
        let store = &self.parts.store;
        let pending = store.pending_operation(&database.id).await;
        if pending
            .map_err(error::store("look for an operation"))?
            .is_some()
        {
            return Ok(());
        }
        // Since the row was read, a restore may have been asked for and be over.
        let row = store.database_by_id(&database.id).await;
        let row = row.map_err(error::store("read the database"))?;
        let Some(database) = row.filter(|row| !row.is_living()) else {
            return Ok(());
        };
        let fate = match database.purged_at {
            Some(_) => DataFate::Purge,
            None => DataFate::Trash,
        };
        let remove = self.parts.platform.remove(&database.instance, fate);
        self.of_platform(SWEEP_SECONDS_MAX, "take remains away", remove)
            .await
    }
}
