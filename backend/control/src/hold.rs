//! Holding the clients of an engine that sleeps, and letting them through again: the steps of
//! sleep and wake that talk to the pooler.

use crate::error::{Class, chain};
use crate::step::Next;
use crate::steps::ASK_SECONDS_MAX;
use crate::subject::Subject;
use crate::{Control, Error};
use berth_domain::Database;
use berth_platform::{Endpoint, Error as PlatformError, Session};

/// How long clients are given to end what they do before their engine sleeps.
const DRAIN_SECONDS_MAX: u64 = 30;
/// Milliseconds between two questions to a pooler that is just starting.
const STARTING_POLL_MILLIS: u64 = 20;
/// How often it is asked before something else is wrong.
const STARTING_POLLS_MAX: u32 = 500;

impl Control {
    /// Clients wait from here on, and those that use the engine may end what they do. Whoever
    /// takes longer than that is cut off when the engine stops.
    ///
    /// # If interrupted
    /// Run it again: what is paused is left so.
    pub(crate) async fn pause_pooler(&self, subject: &Subject) -> Result<Next, Error> {
        let database = &subject.database;
        // What has never run has no clients, and its pooler may not be there.
        if subject.is_new() || database.pooler.is_none() {
            return Ok(Next::Go);
        }
        let held = async {
            let session = self.session(&database.instance, Endpoint::Pooler).await?;
            self.hold(database, session.as_ref()).await
        };
        if let Err(error) = held.await {
            if error.class() == Class::Unreachable {
                return Err(error);
            }
            tracing::info!(database.id = %database.id, error = chain(&error), "clients are cut off");
            self.charts
                .forget_session(&database.instance, Endpoint::Pooler);
        }
        Ok(Next::Go)
    }

    /// # If interrupted
    /// Run it again: what is paused is left so.
    pub(crate) async fn hold_clients(&self, subject: &Subject, polls: u32) -> Result<Next, Error> {
        let database = &subject.database;
        if subject.is_new() || database.pooler.is_none() {
            return Ok(Next::Go);
        }
        let held = async {
            let session = self.session(&database.instance, Endpoint::Pooler).await?;
            self.hold(database, session.as_ref()).await
        };
        match held.await {
            Ok(()) => Ok(Next::Go),
            Err(error) => {
                self.charts
                    .forget_session(&database.instance, Endpoint::Pooler);
                starting(error, polls)
            }
        }
    }

    /// Has the pooler hold its clients, unless it does.
    pub(crate) async fn hold(
        &self,
        database: &Database,
        session: &dyn Session,
    ) -> Result<(), Error> {
        let engine = self.engine(database)?;
        if self.holds(database, session).await? {
            return Ok(());
        }
        let pause = [engine.pause_pooler()];
        self.within(DRAIN_SECONDS_MAX, "hold the clients", session.run(&pause))
            .await
    }

    async fn holds(&self, database: &Database, session: &dyn Session) -> Result<bool, Error> {
        let engine = self.engine(database)?;
        let question = engine.ask_paused();
        let answer = session.ask(&question);
        let answer = self
            .within(ASK_SECONDS_MAX, "ask whether clients are held", answer)
            .await?;
        Ok(engine.is_paused(&answer))
    }

    /// # If interrupted
    /// Run it again: who is let through already is not held again.
    pub(crate) async fn resume_pooler(&self, subject: &Subject, polls: u32) -> Result<Next, Error> {
        let database = &subject.database;
        // What has never been as its row says has never slept.
        if subject.is_new() || database.pooler.is_none() {
            return Ok(Next::Go);
        }
        let resumed = async {
            let session = self.session(&database.instance, Endpoint::Pooler).await?;
            if self.holds(database, session.as_ref()).await? {
                let resume = [self.engine(database)?.resume_pooler()];
                self.within(
                    ASK_SECONDS_MAX,
                    "let the clients through",
                    session.run(&resume),
                )
                .await?;
            }
            Ok(())
        };
        match resumed.await {
            Ok(()) => Ok(Next::Go),
            Err(error) => {
                // A session of a pooler that is gone answers nothing any more.
                self.charts
                    .forget_session(&database.instance, Endpoint::Pooler);
                self.wait_for_answer(subject, polls, error).await
            }
        }
    }
}

/// What to do while a pooler does not answer: wait, for some time.
fn starting(error: Error, polls: u32) -> Result<Next, Error> {
    let may_come = matches!(
        &error,
        Error::Platform {
            source: PlatformError::NotAnswering { .. }
                | PlatformError::NoSuchInstance { .. }
                | PlatformError::Statement { .. },
            ..
        } | Error::TookTooLong { .. }
    );
    if may_come && polls < STARTING_POLLS_MAX {
        return Ok(Next::Wait {
            millis: STARTING_POLL_MILLIS,
        });
    }
    Err(error)
}
