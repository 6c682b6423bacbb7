//! From a pending row to its end: leases, steps one after the other, what becomes of failures.

use crate::backoff::{LONGEST_SILENCE_WAIT_MILLIS, LONGEST_WAIT_MILLIS, wait_millis};
use crate::error::{Class, chain};
use crate::step::{Next, Step};
use crate::subject::Subject;
use crate::{Control, Error, error};
use berth_domain::{Intent, Operation, OperationFailure, OperationKind, Timestamp};
use berth_store::{Advance, LeaseStatus};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long an operation is ours without a sign of life, in milliseconds.
const LEASE_MILLIS: i64 = 15_000;
/// Seconds between two signs of life.
const RENEW_SECONDS: u64 = 5;
/// How long a step may take before its row and its database tell of it.
const RECORD_AFTER_MILLIS: u64 = 100;
/// Attempts that fail one after the other, with somebody there to answer, before an operation
/// whose deadline has passed is given up.
const LAST_ATTEMPTS: u32 = 3;

/// An operation that this process works on.
pub(crate) struct Work {
    operation: Operation,
    /// What the row shows while it is worked on.
    progress: tokio::sync::Mutex<Progress>,
    /// Whether the row is found to be somebody else's.
    lost: AtomicBool,
}

/// How far an operation is, as its row shows it.
struct Progress {
    word: String,
    attempt: u32,
    /// Until when the row is ours, as far as we know.
    lease_until: Timestamp,
    /// Whether the last step is under way, which writes the row itself.
    settling: bool,
}

impl Work {
    fn still_ours(&self) -> Result<(), Error> {
        if self.lost.load(Ordering::Relaxed) {
            Err(Error::NotOurs)
        } else {
            Ok(())
        }
    }
}

/// Whether the lease of an operation lasts until it can be renewed.
pub(crate) fn is_ours_for_long(operation: &Operation, now: Timestamp) -> bool {
    operation
        .lease
        .as_ref()
        .is_some_and(|(_, until)| *until > now.plus_millis(LEASE_MILLIS / 3))
}

impl Control {
    /// Leases what is due and works on it, until the program ends.
    pub(crate) async fn serve_operations(self: Arc<Self>) {
        let seats = self.parts.limits.operations_at_once;
        let mut workers = JoinSet::new();
        // Some more than there are seats: a lease is a commit, and one serves them all.
        let mut leased = VecDeque::new();
        while !self.is_closing() {
            // Nobody renews what waits here. What is ours for a moment only comes again.
            let now = self.now();
            leased.retain(|operation| is_ours_for_long(operation, now));
            let free = seats.saturating_sub(workers.len());
            if free > leased.len() {
                match self.lease(seats + free - leased.len()).await {
                    Ok(more) => {
                        leased.retain(|own: &Operation| more.iter().all(|new| new.id != own.id));
                        leased.extend(more);
                    }
                    Err(error) => tracing::error!(error = chain(&error), "cannot look for work"),
                }
            }
            for operation in leased.drain(..free.min(leased.len())) {
                let control = Arc::clone(&self);
                workers.spawn(async move { control.work(operation).await });
            }
            tokio::select! {
                () = self.parts.wake.notified() => {}
                () = self.until_due(), if workers.len() < self.parts.limits.operations_at_once => {}
                Some(_) = workers.join_next() => {}
                () = self.closed() => {}
            }
        }
        while workers.join_next().await.is_some() {}
    }

    /// Takes up to `limit` operations that are due.
    pub(crate) async fn lease(&self, limit: usize) -> Result<Vec<Operation>, Error> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let store = &self.parts.store;
        let due = self.next_due_at().await?;
        let now = self.now();
        if limit == 0 || due.is_none_or(|due| due > now) {
            return Ok(Vec::new());
        }
        let write = async {
            let mut tx = store.begin().await?;
            let leased = tx
                .lease_due_operations(now, &self.holder, LEASE_MILLIS, limit)
                .await?;
            tx.commit().await?;
            Ok(leased)
        };
        write.await.map_err(error::store("lease operations"))
    }

    /// When the next operation is due; asked of the store only when something was written.
    async fn next_due_at(&self) -> Result<Option<Timestamp>, Error> {
        let version = *self.versions.borrow();
        if let Some(due) = self.next_due.at(version) {
            return Ok(due);
        }
        let due = self
            .parts
            .store
            .next_due_at()
            .await
            .map_err(error::store("look for operations"))?;
        self.next_due.keep(version, due);
        Ok(due)
    }

    /// Returns when an operation is due, and from time to time in between.
    async fn until_due(&self) {
        let longest_millis = self.parts.limits.poll_seconds.saturating_mul(1000).max(10);
        let due = self.next_due_at().await.unwrap_or_default();
        let millis = due
            .and_then(|due| u64::try_from(due.as_millis() - self.now().as_millis()).ok())
            .unwrap_or(longest_millis)
            .clamp(1, longest_millis);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// Works on an operation until it ends, has to wait longer, or is not ours any more.
    pub(crate) async fn work(&self, operation: Operation) {
        let started = Instant::now();
        let work = Work {
            progress: tokio::sync::Mutex::new(Progress {
                word: operation.step.clone(),
                attempt: operation.attempt,
                lease_until: operation
                    .lease
                    .as_ref()
                    .map_or(operation.due_at, |(_, until)| *until),
                settling: false,
            }),
            operation,
            lost: AtomicBool::new(false),
        };
        self.busy.fetch_add(1, Ordering::Relaxed);
        let _busy = OnDrop(|| {
            self.busy.fetch_sub(1, Ordering::Relaxed);
        });
        let done = tokio::select! {
            done = self.walk(&work) => done,
            never = self.keep_lease(&work) => match never {},
        };
        let operation = &work.operation;
        let duration_ms = millis(started);
        match done {
            Ok(()) => tracing::info!(
                operation.id = %operation.id, database.id = %operation.database_id,
                kind = operation.kind.as_str(), duration_ms, "operation left the loop",
            ),
            Err(error) if error.class() == Class::Leave => {
                tracing::debug!(operation.id = %operation.id, %error, "operation left alone");
            }
            // The lease runs out and somebody, probably we, takes it up again.
            Err(error) => tracing::error!(
                operation.id = %operation.id, error = chain(&error), "could not record an operation",
            ),
        }
    }

    /// Gives signs of life while the operation is worked on; finds out when it is not ours.
    async fn keep_lease(&self, work: &Work) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(Duration::from_secs(RENEW_SECONDS)).await;
            match self.record(work, None).await {
                Err(Error::NotOurs) => work.lost.store(true, Ordering::Relaxed),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "could not renew a lease");
                }
                Ok(()) => {}
            }
        }
    }

    /// Writes how far the operation is, and that it is still ours.
    async fn record(&self, work: &Work, entered: Option<(Step, &Subject)>) -> Result<(), Error> {
        let mut progress = work.progress.lock().await;
        if progress.settling {
            return Ok(());
        }
        let (word, now) = (&progress.word, self.now());
        self.advance(work, word, progress.attempt, now, Lease::Keep, entered)
            .await?;
        progress.lease_until = now.plus_millis(LEASE_MILLIS);
        Ok(())
    }

    /// Step after step. The row is read anew before each, since what is wanted may change.
    async fn walk(&self, work: &Work) -> Result<(), Error> {
        let operation = &work.operation;
        let _turn = self.locks.wait(&operation.instance).await;
        let mut reading = self.reading(&operation.database_id);
        // While it waited for its turn, another may have taken its place and be over by now.
        self.expect_ours(operation).await?;
        let mut word = operation.step.clone();
        // A step that fails may begin again from an earlier one, which then succeeds each time:
        // what is counted are the failures of the whole operation.
        let attempt = operation.attempt;
        loop {
            let subject = match reading.subject(self).await {
                Ok(Some(subject)) => subject,
                Ok(None) => return Err(Error::NotOurs),
                Err(error) => return self.give_back(work, &word, attempt, error).await,
            };
            let path = Step::path(operation.kind, subject.database.intent);
            let step = Step::resume(&word, path);
            self.enter(work, step, attempt).await?;
            if step.takes_away() {
                self.expect_unwanted(operation, subject).await?;
            }
            let done = match step {
                Step::Settle => self.settle(operation, subject).await,
                _ => self.attend_work(work, step, subject).await,
            };
            match done {
                Ok(()) => match step.after(path) {
                    None => return Ok(()),
                    Some(next) => {
                        word = next.as_str().to_owned();
                    }
                },
                Err(error) => return self.failed(work, step, attempt, subject, error).await,
            }
        }
    }

    /// Makes sure that the operation is ours and notes which step comes.
    ///
    /// The row learns of it only when the step takes long: every step may be repeated, so a
    /// crash loses nothing, and somebody waits for each commit.
    async fn enter(&self, work: &Work, step: Step, attempt: u32) -> Result<(), Error> {
        work.still_ours()?;
        let mut progress = work.progress.lock().await;
        progress.settling = step == Step::Settle;
        if progress.settling {
            return Ok(());
        }
        let (word, now) = (step.as_str(), self.now());
        word.clone_into(&mut progress.word);
        progress.attempt = attempt;
        if self.is_closing() {
            self.advance(work, word, attempt, now, Lease::GiveBack, None)
                .await?;
            return Err(Error::NotOurs);
        }
        let ends_soon = progress.lease_until <= now.plus_millis(LEASE_MILLIS / 3);
        drop(progress);
        if ends_soon {
            self.record(work, None).await?;
        }
        Ok(())
    }

    async fn attend_work(&self, work: &Work, step: Step, subject: &Subject) -> Result<(), Error> {
        let operation = &work.operation;
        let patience_seconds = step.patience_seconds();
        let attend = self.attend(step, operation.kind, subject, patience_seconds, || {
            work.still_ours()?;
            if self.is_closing() && step == Step::ObtainImages {
                return Err(Error::NotOurs);
            }
            self.locks.yield_to_others(&operation.instance)
        });
        let tell = async {
            tokio::time::sleep(Duration::from_millis(RECORD_AFTER_MILLIS)).await;
            if let Err(error) = self.record(work, Some((step, subject))).await {
                tracing::debug!(error = chain(&error), "could not record a step");
            }
            std::future::pending::<std::convert::Infallible>().await
        };
        tokio::select! {
            done = attend => done,
            never = tell => match never {},
        }
    }

    /// Repeats a step until it is done or has waited long enough.
    pub(crate) async fn attend(
        &self,
        step: Step,
        kind: OperationKind,
        subject: &Subject,
        patience_seconds: u64,
        ours: impl Fn() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let patience = Duration::from_secs(patience_seconds);
        let started = Instant::now();
        let mut polls = 0;
        loop {
            match self.step(step, kind, subject, polls).await? {
                Next::Go => {
                    let duration_ms = millis(started);
                    tracing::debug!(
                        database.id = %subject.database.id, step = step.as_str(), polls, duration_ms,
                        "step done",
                    );
                    return ours();
                }
                Next::Wait { millis } => {
                    ours()?;
                    if started.elapsed() >= patience {
                        return Err(Error::Silent {
                            seconds: patience_seconds,
                        });
                    }
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    polls += 1;
                }
            }
        }
    }

    /// Decides what becomes of a failed step, and writes it.
    async fn failed(
        &self,
        work: &Work,
        step: Step,
        attempt: u32,
        subject: &Subject,
        error: Error,
    ) -> Result<(), Error> {
        let operation = &work.operation;
        let class = error.class();
        if class == Class::Leave {
            return Err(error);
        }
        tracing::warn!(
            operation.id = %operation.id, database.id = %operation.database_id,
            step = step.as_str(), attempt, error = chain(&error), "a step failed",
        );
        let mut changed = None;
        let class = match class {
            Class::Permanent(_)
                if self
                    .draws_another_port(subject, &error, Some(&operation.id))
                    .await? =>
            {
                // What is told of it from here on is told of the new port.
                changed = self.subject(&operation.database_id).await?;
                Class::Transient
            }
            class => class,
        };
        let subject = changed.as_ref().unwrap_or(subject);
        let overdue = may_be_given_up(operation.kind)
            && self.now() >= operation.deadline_at
            && attempt + 1 >= LAST_ATTEMPTS;
        match class {
            Class::Permanent(code) => {
                self.give_up(operation, subject, code, error.sentence())
                    .await
            }
            Class::Transient if overdue => {
                let sentence = format!("it was not done in time: {}", error.sentence());
                self.give_up(operation, subject, "deadline_exceeded", sentence)
                    .await
            }
            Class::Unreachable => {
                self.tell_silence(&operation.database_id).await?;
                self.give_back(work, step.again_from().as_str(), 0, error)
                    .await
            }
            Class::Transient | Class::Leave => {
                self.give_back(work, step.again_from().as_str(), attempt, error)
                    .await
            }
        }
    }

    /// Leaves the operation to a later moment.
    async fn give_back(
        &self,
        work: &Work,
        word: &str,
        attempt: u32,
        error: Error,
    ) -> Result<(), Error> {
        let silent = error.class() == Class::Unreachable;
        let (attempt, longest) = if silent {
            // Silence is no failed attempt: when somebody answers again, all are still there.
            (0, LONGEST_SILENCE_WAIT_MILLIS)
        } else {
            (attempt + 1, LONGEST_WAIT_MILLIS)
        };
        let curve = if silent { 4 } else { attempt };
        let wait = wait_millis(curve, longest, self.jitter());
        let due = self.now().plus_millis(wait);
        let _progress = work.progress.lock().await;
        self.advance(work, word, attempt, due, Lease::GiveBack, None)
            .await
    }

    async fn advance(
        &self,
        work: &Work,
        word: &str,
        attempt: u32,
        due_at: Timestamp,
        lease: Lease,
        entered: Option<(Step, &Subject)>,
    ) -> Result<(), Error> {
        let operation = &work.operation;
        let now = self.now();
        let advance = Advance {
            step: word.to_owned(),
            attempt,
            due_at,
            lease_until: match lease {
                Lease::Keep => Some(now.plus_millis(LEASE_MILLIS)),
                Lease::GiveBack => None,
            },
        };
        let phase = entered.and_then(|(step, subject)| {
            let phase = step.phase_of(operation.kind, subject.database.intent);
            (subject.observation.phase != phase).then(|| {
                let mut observation = subject.observation.clone();
                phase.clone_into(&mut observation.phase);
                observation
            })
        });
        let write = async {
            let mut tx = self.parts.store.begin().await?;
            let status = tx
                .advance_operation(&operation.id, &self.holder, now, &advance)
                .await?;
            if status == LeaseStatus::Lost {
                tx.rollback().await?;
                return Ok(status);
            }
            if let Some(observation) = &phase {
                tx.put_observation(&operation.database_id, observation)
                    .await?;
            }
            tx.commit().await?;
            Ok(status)
        };
        match write.await.map_err(error::store("record a step"))? {
            LeaseStatus::Held => Ok(()),
            LeaseStatus::Lost => Err(Error::NotOurs),
        }
    }

    /// Ends an operation that cannot succeed.
    async fn give_up(
        &self,
        operation: &Operation,
        subject: &Subject,
        code: &str,
        message: String,
    ) -> Result<(), Error> {
        let failure = OperationFailure {
            code: code.to_owned(),
            message,
        };
        self.end_in_failure(operation, subject, failure).await
    }
}

/// Whether a lease goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    Keep,
    GiveBack,
}

/// What takes something away is tried for as long as it takes: giving up would leave
/// something behind that nobody asks for any more.
fn may_be_given_up(kind: OperationKind) -> bool {
    match kind {
        OperationKind::Destroy | OperationKind::Purge => false,
        OperationKind::Provision
        | OperationKind::Change
        | OperationKind::Sleep
        | OperationKind::Wake
        | OperationKind::Rotate
        | OperationKind::Restart
        | OperationKind::Restore => true,
    }
}

/// Whether an operation of that kind makes a database that was not there.
pub(crate) fn makes(kind: OperationKind, intent: Intent) -> bool {
    intent == Intent::Run && matches!(kind, OperationKind::Provision | OperationKind::Restore)
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Does something when it goes, also when the work around it is dropped.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
