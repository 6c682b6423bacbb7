//! Work under way, and waiting for it.

use crate::databases::Reference;
use crate::error::Doing;
use crate::{Caller, Code, Error, Services};
use berth_domain::{Operation, OperationId, OperationState};
use berth_store::Page;
use std::time::Duration;
use tokio::time::Instant;

/// The longest that one request waits.
pub const WAIT_SECONDS_MAX: u64 = 60;

impl Services {
    /// One operation.
    pub async fn operation(&self, caller: &Caller, id: &str) -> Result<Operation, Error> {
        let id = OperationId::parse(id).map_err(|_| not_found())?;
        let found = self.store.operation(&id).await.doing("read an operation")?;
        let found = found
            .filter(|o| caller.sees(&o.project_id))
            .ok_or_else(not_found)?;
        caller.admitted(&found.project_id)?;
        Ok(found)
    }

    /// The same, as soon as it has ended, or as it is after `wait_seconds`, at most a minute.
    pub async fn await_operation(
        &self,
        caller: &Caller,
        id: &str,
        wait_seconds: u64,
    ) -> Result<Operation, Error> {
        let own = OperationId::parse(id).map_err(|_| not_found())?;
        let wait = Duration::from_secs(wait_seconds.min(WAIT_SECONDS_MAX));
        let deadline = Instant::now() + wait;
        loop {
            // Before it is read: an end in between is heard of.
            let ending = self.store.follow_operation(&own);
            let operation = self.operation(caller, id).await?;
            if operation.state != OperationState::Pending || Instant::now() >= deadline {
                return Ok(operation);
            }
            // When the time is up, it is read once more as it is then.
            let _late = tokio::time::timeout_at(deadline, ending.come()).await;
        }
    }

    /// A page of the operations of a database, the last one first.
    pub async fn operations(
        &self,
        caller: &Caller,
        reference: Reference<'_>,
        after: Option<&OperationId>,
        limit: u32,
    ) -> Result<Page<Operation>, Error> {
        let record = self
            .database(caller, reference.database, reference.project)
            .await?;
        self.store
            .operations_page(&record.database.id, after, limit)
            .await
            .doing("list operations")
    }
}

fn not_found() -> Error {
    Error::refused(Code::OperationNotFound, "Operation not found")
}
