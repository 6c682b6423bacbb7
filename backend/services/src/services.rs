//! The services as a whole, and how each of them writes.

use crate::databases::Rules;
use crate::error::Doing;
use crate::{Caller, Code, Entropy, Error, Outside, random};
use berth_domain::{
    Actor, Clock, Database, DatabaseId, Event, FieldChange, Operation, OperationId, OperationKind,
    OperationState, ProjectId, Secret, Timestamp,
};
use berth_store::{IdempotencyRecord, Store, Tx};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

/// The step of an operation that nobody has worked on yet; the control loop knows which is first.
pub const FIRST_STEP: &str = "begin";
/// After that long an operation is given up, unless the platform is silent.
const OPERATION_MINUTES_MAX: i64 = 30;
/// How long an answer is given again to the same key.
const IDEMPOTENCY_HOURS: i64 = 24;
/// Streams of events that look into the journal at the same time. All are woken by the same
/// commit, and what else is read must not wait for each of them.
const STREAMS_LOOKING_MAX: usize = 1;

/// What the services are made of.
pub struct Parts {
    /// Where rows are kept.
    pub store: Store,
    /// What the installation allows.
    pub rules: Rules,
    /// Where the present comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// The world.
    pub outside: Arc<dyn Outside>,
    /// Wakes the control loop after a commit that leaves it work.
    pub wake: Arc<Notify>,
    /// What runs the databases: `docker` or `fake`.
    pub runtime: String,
    /// berthd's own version.
    pub version: String,
}

/// What a request means. Cheap to share; every method may be called at the same time as any.
pub struct Services {
    pub(crate) store: Store,
    pub(crate) rules: Rules,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) outside: Arc<dyn Outside>,
    wake: Arc<Notify>,
    /// Turns of streams of events.
    pub(crate) looks: Semaphore,
    pub(crate) runtime: String,
    pub(crate) version: String,
}

/// A key under which the same request may come again, and how its answer is written down.
pub struct Keyed<'a, T> {
    /// The key that was sent.
    pub key: String,
    /// A hash of the request, by which another one under the same key is told apart.
    pub request_hash: String,
    /// The HTTP status and body of the answer.
    pub answer: &'a (dyn Fn(&T) -> (u16, String) + Send + Sync),
}

/// An answer that was given before to the same request under the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Its HTTP status.
    pub status: u16,
    /// Its body.
    pub body: Secret,
}

/// What a write comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered<T> {
    /// It was done now.
    Fresh(T),
    /// It had been done before.
    Replayed(Replay),
}

/// A transaction, and what has to be written with it.
pub(crate) struct Writing<'a, T> {
    pub(crate) tx: Tx,
    pub(crate) now: Timestamp,
    caller: String,
    keyed: Option<Keyed<'a, T>>,
}

/// Whether a write is to be done.
pub(crate) enum Begun<'a, T> {
    Write(Writing<'a, T>),
    Replay(Replay),
}

impl Services {
    /// Puts the services together; nothing is read or written yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            store: parts.store,
            rules: parts.rules,
            clock: parts.clock,
            entropy: parts.entropy,
            outside: parts.outside,
            wake: parts.wake,
            looks: Semaphore::new(STREAMS_LOOKING_MAX),
            runtime: parts.runtime,
            version: parts.version,
        }
    }

    /// What the installation allows.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The present, by the clock of the services.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// berthd's own version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the store answers.
    pub async fn ready(&self) -> Result<(), Error> {
        self.store.ping().await.doing("reach the store")
    }

    /// The number of commits so far; the version of every answer that reads the store.
    pub async fn store_version(&self) -> Result<i64, Error> {
        self.store.version().await.doing("read the store's version")
    }

    /// Begins to write, unless the same request was answered before.
    pub(crate) async fn begin<'a, T>(
        &self,
        caller: &Caller,
        keyed: Option<Keyed<'a, T>>,
    ) -> Result<Begun<'a, T>, Error> {
        let mut tx = self.store.begin().await.doing("begin to write")?;
        // After the wait for the writer: what is written later is never the older one.
        let now = self.clock.now();
        let caller = caller
            .token()
            .map_or_else(|| "local".to_owned(), ToString::to_string);
        if let Some(keyed) = &keyed {
            tx.forget_idempotency_records(now.plus_seconds(-IDEMPOTENCY_HOURS * 3600))
                .await
                .doing("forget old answers")?;
            let found = tx
                .idempotency_record(&caller, &keyed.key)
                .await
                .doing("look for an earlier answer")?;
            if let Some(found) = found {
                if found.request_hash != keyed.request_hash {
                    return Err(Error::refused(
                        Code::IdempotencyKeyReused,
                        "This Idempotency-Key was used for another request",
                    ));
                }
                return Ok(Begun::Replay(Replay {
                    status: found.status,
                    body: found.body,
                }));
            }
        }
        Ok(Begun::Write(Writing {
            tx,
            now,
            caller,
            keyed,
        }))
    }

    /// Makes what was written durable, with its answer, and wakes those who wait for it.
    pub(crate) async fn commit<T>(
        &self,
        mut writing: Writing<'_, T>,
        value: T,
    ) -> Result<Answered<T>, Error> {
        if let Some(keyed) = writing.keyed {
            let (status, body) = (keyed.answer)(&value);
            writing
                .tx
                .insert_idempotency_record(&IdempotencyRecord {
                    caller: writing.caller,
                    key: keyed.key,
                    request_hash: keyed.request_hash,
                    status,
                    body: Secret::new(body),
                    created_at: writing.now,
                })
                .await
                .doing("write an answer down")?;
        }
        // A client that hangs up here must not leave work that nobody begins.
        let (tx, wake) = (writing.tx, Arc::clone(&self.wake));
        let durable = tokio::spawn(async move {
            let durable = tx.commit().await;
            wake.notify_one();
            durable
        });
        match durable.await {
            Ok(durable) => durable.doing("make a change durable")?,
            Err(stopped) => {
                return Err(Error::Inconsistent {
                    act: "make a change durable",
                    reason: stopped.to_string(),
                });
            }
        };
        Ok(Answered::Fresh(value))
    }

    /// Orders work on a database in place of what is pending for it.
    ///
    /// What is superseded is not lost: the loop works toward the row as it is, and an operation
    /// that has more to do than the new one gives it its kind.
    pub(crate) async fn order(
        &self,
        tx: &mut Tx,
        row: &Database,
        kind: OperationKind,
        now: Timestamp,
    ) -> Result<Operation, Error> {
        let pending = tx
            .pending_operation(&row.id)
            .await
            .doing("look for pending work")?;
        let kind = pending.map_or(kind, |pending| stronger(pending.kind, kind));
        tx.supersede_operations(&row.id, now)
            .await
            .doing("supersede pending work")?;
        let operation = Operation {
            id: OperationId::from_entropy(random(&*self.entropy)),
            kind,
            database_id: row.id.clone(),
            project_id: row.project_id.clone(),
            instance: row.instance.clone(),
            generation: row.generation,
            state: OperationState::Pending,
            step: FIRST_STEP.to_owned(),
            attempt: 0,
            due_at: now,
            deadline_at: now.plus_seconds(OPERATION_MINUTES_MAX * 60),
            lease: None,
            failure: None,
            created_at: now,
            finished_at: None,
        };
        tx.insert_operation(&operation).await.doing("order work")?;
        Ok(operation)
    }
}

/// What is told of a change, in the journal.
pub(crate) struct Happened<'a> {
    pub(crate) kind: &'static str,
    pub(crate) project: Option<&'a ProjectId>,
    pub(crate) database: Option<&'a DatabaseId>,
    pub(crate) operation: Option<&'a OperationId>,
    pub(crate) message: String,
}

/// Writes into the journal who did what, where no field got another value.
pub(crate) async fn journal(
    tx: &mut Tx,
    actor: &Actor,
    now: Timestamp,
    happened: Happened<'_>,
) -> Result<(), Error> {
    journal_changes(tx, actor, now, happened, Vec::new()).await
}

/// Writes into the journal who changed what to what.
pub(crate) async fn journal_changes(
    tx: &mut Tx,
    actor: &Actor,
    now: Timestamp,
    happened: Happened<'_>,
    changes: Vec<FieldChange>,
) -> Result<(), Error> {
    tx.append_event(&Event {
        sequence: 0,
        kind: happened.kind.to_owned(),
        actor: actor.clone(),
        project_id: happened.project.cloned(),
        database_id: happened.database.cloned(),
        operation_id: happened.operation.cloned(),
        message: happened.message,
        changes,
        at: now,
    })
    .await
    .doing("write the journal")?;
    Ok(())
}

/// The kind of an operation that does what both do.
fn stronger(pending: OperationKind, new: OperationKind) -> OperationKind {
    use OperationKind::{Change, Destroy, Provision, Purge, Restart, Restore, Rotate, Sleep, Wake};
    match (pending, new) {
        (_, Destroy | Purge | Restore | Provision) => new,
        // To make a database is more than to change it.
        (Provision | Restore, Change | Rotate | Restart | Sleep | Wake) => pending,
        (Rotate | Restart, Change | Sleep | Wake) => pending,
        // What was ordered of it stays a change, whether it ends asleep or awake.
        (Change, Sleep | Wake) => pending,
        // A start takes up the new password, too; a rotation alone would restart nothing.
        (Restart, Rotate) => pending,
        (_, Change | Rotate | Restart | Sleep | Wake) => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_database_is_not_weakened_by_a_change() {
        use OperationKind::*;
        for change in [Change, Rotate, Restart, Sleep, Wake] {
            assert_eq!(stronger(Provision, change), Provision);
            assert_eq!(stronger(Restore, change), Restore);
        }
        for pending in [Change, Rotate, Restart] {
            assert_eq!(stronger(pending, Wake), pending);
            assert_eq!(stronger(Sleep, pending), pending);
        }
        assert_eq!(stronger(Sleep, Wake), Wake);
        assert_eq!(stronger(Rotate, Change), Rotate);
        assert_eq!(stronger(Change, Rotate), Rotate);
        assert_eq!(stronger(Restart, Rotate), Restart);
        assert_eq!(stronger(Rotate, Restart), Restart);
        for kind in OperationKind::ALL {
            assert_eq!(stronger(kind, Destroy), Destroy);
        }
        assert_eq!(stronger(Destroy, Restore), Restore);
    }
}
