//! The steps themselves: each one short function, safe to repeat.

use crate::failpoint::Side;
use crate::step::{Next, Step};
use crate::subject::Subject;
use crate::{Control, Error, error};
use berth_domain::{InstanceId, Observed, OperationKind, Statement};
use berth_engines::{Owner, UserVerifier};
use berth_platform::{
    ANSWER_SECONDS_MAX, DataFate, Endpoint, Error as PlatformError, InstanceSpec, Login, Power,
    Session, Supply,
};
use berth_services::{random, random_password};
use berth_store::{CredentialState, CredentialVersion};
use std::sync::Arc;

/// The longest that making an instance may take.
const ENSURE_SECONDS_MAX: u64 = 900;
/// The longest that taking an instance away may take; an engine that writes its memory out
/// is given two minutes by its own stop timeout.
const REMOVE_SECONDS_MAX: u64 = 300;
/// The longest that one question to the platform, an engine or a pooler may take.
pub(crate) const ASK_SECONDS_MAX: u64 = 10;
/// The longest that a look at an instance may take: the platform's answer comes after that of
/// the instance's own processes, and one of them that hangs is not the platform's silence.
const LOOK_SECONDS_MAX: u64 = ANSWER_SECONDS_MAX + ASK_SECONDS_MAX;
/// The longest that the administrator's statements may take.
const SAY_SECONDS_MAX: u64 = 60;

/// Milliseconds between two attempts to reach what is just starting.
const POLL_MILLIS: u64 = 10;
/// Milliseconds between two looks at what is going down.
const STOPPING_POLL_MILLIS: u64 = 100;
/// Milliseconds between two looks whether an image has come.
const IMAGES_POLL_MILLIS: u64 = 300;
/// What is told of a database whose image is gone.
const IMAGE_REPLACED: &str = "the image that it ran on is gone from this host or no more known; it goes on under the one that has the name now";
/// How many attempts to reach an engine or pooler in a row are made before the platform is
/// asked what became of it, and again after as many more.
const POLLS_BETWEEN_LOOKS: u32 = 50;
/// How many attempts to log in may be refused while a pooler takes up its new user list.
const REFUSALS_MAX: u32 = 500;

impl Control {
    /// Does a step once. `polls` counts how often it has answered that it waits.
    pub(crate) async fn step(
        &self,
        step: Step,
        kind: OperationKind,
        subject: &Subject,
        polls: u32,
    ) -> Result<Next, Error> {
        if polls == 0 {
            self.failpoints.pass(step, Side::Before)?;
        }
        let next = match step {
            Step::StoreCredentials => self.store_credentials(subject).await,
            Step::SetVerifier => self.set_verifier(subject).await,
            Step::StopInstance => self.stop_instance(subject).await,
            Step::ObtainImages => self.obtain_images(subject).await,
            Step::EnsureInstance => self.ensure_instance(subject).await,
            Step::AwaitEngine => self.await_engine(subject, polls).await,
            Step::Bootstrap => self.bootstrap(subject).await,
            Step::ProveLogin => self.prove_login(subject, polls).await,
            Step::PausePooler => self.pause_pooler(subject).await,
            Step::HoldClients => self.hold_clients(subject, polls).await,
            Step::ResumePooler => self.resume_pooler(subject, polls).await,
            Step::AwaitStopped => self.await_stopped(kind, subject).await,
            Step::RemoveInstance => self.remove(subject, DataFate::Trash).await,
            Step::PurgeData => self.remove(subject, DataFate::Purge).await,
            // Written by the journal, in the transaction that ends the operation.
            Step::Settle => Ok(Next::Go),
        }?;
        if next == Next::Go && step != Step::Settle {
            self.failpoints.pass(step, Side::After)?;
        }
        Ok(next)
    }

    /// A password is stored before anybody outside hears of it: whatever happens next, what
    /// the engine knows can be found in the store.
    async fn store_credentials(&self, subject: &Subject) -> Result<Next, Error> {
        let version = subject.database.credential_version;
        let known = subject.next.as_ref().or(subject.current.as_ref());
        if known.is_some_and(|known| known.version >= version) {
            return Ok(Next::Go);
        }
        let entropy = self.parts.entropy.as_ref();
        let password = random_password(entropy);
        let verifier = self
            .engine(&subject.database)?
            .verifier(&password, random(entropy));
        let made = CredentialVersion {
            version,
            password,
            verifier,
            state: match subject.current {
                Some(_) => CredentialState::Next,
                None => CredentialState::Current,
            },
        };
        let write = async {
            let mut tx = self.parts.store.begin().await?;
            tx.put_credentials(&subject.database.id, &made).await?;
            tx.commit().await
        };
        write.await.map_err(error::store("store the credentials"))?;
        Ok(Next::Go)
    }

    /// # If interrupted
    /// Run it again: the new password is stored, and the engine takes the same verifier twice.
    async fn set_verifier(&self, subject: &Subject) -> Result<Next, Error> {
        let statements = self.verifier_statements(subject)?;
        self.say(subject, Endpoint::Engine, "set the verifier", &statements)
            .await?;
        Ok(Next::Go)
    }

    async fn stop_instance(&self, subject: &Subject) -> Result<Next, Error> {
        let mut spec = self.spec(subject).await?;
        spec.power = Power::Stopped;
        self.ensure(&spec).await
    }

    /// # If interrupted
    /// Run it again: what is being got goes on by itself or begins again.
    async fn obtain_images(&self, subject: &Subject) -> Result<Next, Error> {
        let database = &subject.database;
        let endpoints: &[Endpoint] = match database.pooler {
            Some(_) => &[Endpoint::Engine, Endpoint::Pooler],
            None => &[Endpoint::Engine],
        };
        let obtain = self.parts.platform.obtain_images(
            &database.instance,
            &database.engine,
            &database.version,
            endpoints,
        );
        match self
            .of_platform(ASK_SECONDS_MAX, "look for its images", obtain)
            .await?
        {
            Supply::Here => Ok(Next::Go),
            Supply::Replaced => {
                // Before the instance is bound to the other one, after which nobody knows.
                self.note(database, "database.image_replaced", IMAGE_REPLACED)
                    .await?;
                Ok(Next::Go)
            }
            Supply::OnTheWay => Ok(Next::Wait {
                millis: IMAGES_POLL_MILLIS,
            }),
        }
    }

    async fn ensure_instance(&self, subject: &Subject) -> Result<Next, Error> {
        let spec = self.spec(subject).await?;
        self.ensure(&spec).await
    }

    async fn ensure(&self, spec: &InstanceSpec) -> Result<Next, Error> {
        match spec.power {
            Power::Stopped => self.charts.forget_sessions(&spec.instance),
            Power::Asleep => self.charts.forget_session(&spec.instance, Endpoint::Engine),
            Power::Running => {}
        }
        let ensure = self.parts.platform.ensure(spec);
        self.of_platform(ENSURE_SECONDS_MAX, "make the instance", ensure)
            .await?;
        Ok(Next::Go)
    }

    async fn await_engine(&self, subject: &Subject, polls: u32) -> Result<Next, Error> {
        let probe = self.engine(&subject.database)?.probe();
        match self
            .say(subject, Endpoint::Engine, "reach the engine", &[probe])
            .await
        {
            Ok(()) => Ok(Next::Go),
            Err(error) => self.wait_for_answer(subject, polls, error).await,
        }
    }

    /// # If interrupted
    /// Run it again: each statement looks first whether it was said before.
    async fn bootstrap(&self, subject: &Subject) -> Result<Next, Error> {
        let mut statements = self.engine(&subject.database)?.bootstrap(&Owner {
            database_name: subject.database.database_name.clone(),
            username: subject.database.username.clone(),
        });
        statements.extend(self.verifier_statements(subject)?);
        self.say(
            subject,
            Endpoint::Engine,
            "set up the first database",
            &statements,
        )
        .await?;
        Ok(Next::Go)
    }

    /// # Guarantees
    /// Go means: the application's own login works where applications log in, and while a
    /// password is being replaced, that the old one is refused there.
    async fn prove_login(&self, subject: &Subject, polls: u32) -> Result<Next, Error> {
        let wanted = subject.wanted()?;
        if subject.next.is_some() && subject.database.pooler.is_some() && polls == 0 {
            let reconnect = self.engine(&subject.database)?.reconnect_pooler();
            // A pooler that does not answer yet has no connections to replace.
            if let Err(error) = self
                .say(
                    subject,
                    Endpoint::Pooler,
                    "reconnect the pooler",
                    &reconnect,
                )
                .await
            {
                return self.wait_for_answer(subject, polls, error).await;
            }
        }
        let probe = self.engine(&subject.database)?.probe();
        let proven = async {
            let session = self.log_in(subject, wanted).await?;
            let answer = session.run(std::slice::from_ref(&probe));
            self.within(ASK_SECONDS_MAX, "use the login", answer).await
        };
        match proven.await {
            Ok(()) => {}
            Err(Error::Platform {
                source: source @ PlatformError::LoginRefused { .. },
                ..
            }) => {
                return if polls < REFUSALS_MAX {
                    Ok(Next::Wait {
                        millis: POLL_MILLIS,
                    })
                } else {
                    Err(Error::LoginRefused { source })
                };
            }
            Err(error) => return self.wait_for_answer(subject, polls, error).await,
        }
        self.old_password_is_refused(subject).await
    }

    async fn old_password_is_refused(&self, subject: &Subject) -> Result<Next, Error> {
        let (Some(old), Some(_)) = (&subject.current, &subject.next) else {
            return Ok(Next::Go);
        };
        match self.log_in(subject, old).await {
            Err(Error::Platform {
                source: PlatformError::LoginRefused { .. },
                ..
            }) => Ok(Next::Go),
            Ok(_) => Ok(Next::Wait {
                millis: POLL_MILLIS,
            }),
            Err(error) => Err(error),
        }
    }

    async fn await_stopped(&self, kind: OperationKind, subject: &Subject) -> Result<Next, Error> {
        match self.look(&subject.database.instance).await? {
            // It is down, and a new password needs an engine to be told of it.
            Observed::Stopped | Observed::Absent | Observed::Failed { .. }
                if kind == OperationKind::Rotate
                    || (kind == OperationKind::Restart && subject.next.is_some()) =>
            {
                Err(Error::StoppedWhileRotating)
            }
            Observed::Stopped | Observed::Absent | Observed::Failed { .. } => Ok(Next::Go),
            Observed::Ready | Observed::Starting | Observed::Unknown { .. } => Ok(Next::Wait {
                millis: STOPPING_POLL_MILLIS,
            }),
        }
    }

    async fn remove(&self, subject: &Subject, fate: DataFate) -> Result<Next, Error> {
        let instance = &subject.database.instance;
        self.charts.forget_sessions(instance);
        let remove = self.parts.platform.remove(instance, fate);
        self.of_platform(REMOVE_SECONDS_MAX, "take the instance away", remove)
            .await?;
        Ok(Next::Go)
    }

    /// What to do while something that was started does not answer: wait, and look from time
    /// to time whether it is still there at all.
    pub(crate) async fn wait_for_answer(
        &self,
        subject: &Subject,
        polls: u32,
        error: Error,
    ) -> Result<Next, Error> {
        let starting = matches!(
            &error,
            Error::Platform {
                source: PlatformError::NotAnswering { .. } | PlatformError::NoSuchInstance { .. },
                ..
            } | Error::TookTooLong { .. }
        );
        if !starting {
            return Err(error);
        }
        if polls % POLLS_BETWEEN_LOOKS == POLLS_BETWEEN_LOOKS - 1 {
            match self.look(&subject.database.instance).await? {
                Observed::Failed { reason } => return Err(Error::Down { reason }),
                Observed::Absent | Observed::Stopped => return Err(Error::Vanished),
                Observed::Ready | Observed::Starting | Observed::Unknown { .. } => {}
            }
        }
        Ok(Next::Wait {
            millis: POLL_MILLIS,
        })
    }

    /// What exists of an instance.
    pub(crate) async fn look(&self, instance: &InstanceId) -> Result<Observed, Error> {
        let observe = self.parts.platform.observe(instance);
        self.of_platform(LOOK_SECONDS_MAX, "look at the instance", observe)
            .await
    }

    /// Says something as the administrator, over the session that is kept or a new one.
    pub(crate) async fn say(
        &self,
        subject: &Subject,
        endpoint: Endpoint,
        act: &'static str,
        statements: &[Statement],
    ) -> Result<(), Error> {
        let instance = &subject.database.instance;
        if let Some(kept) = self.charts.session(instance, endpoint) {
            let said = kept.run(statements);
            if self.within(SAY_SECONDS_MAX, act, said).await.is_ok() {
                return Ok(());
            }
            // The process behind a kept session may be gone and another in its place; every
            // statement may be said again.
            self.charts.forget_session(instance, endpoint);
        }
        let session = self.session(instance, endpoint).await?;
        let said = session.run(statements);
        let said = self.within(SAY_SECONDS_MAX, act, said).await;
        if said.is_err() {
            self.charts.forget_session(instance, endpoint);
        }
        said
    }

    /// The session that is kept, or a new one that is kept from here on.
    pub(crate) async fn session(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
    ) -> Result<Arc<dyn Session>, Error> {
        if let Some(session) = self.charts.session(instance, endpoint) {
            return Ok(session);
        }
        let open = self.parts.platform.session(instance, endpoint);
        let session = self.within(ASK_SECONDS_MAX, "open a session", open).await?;
        Ok(self.charts.keep_session(instance, endpoint, session))
    }

    /// Logs in as an application does, where it does.
    async fn log_in(
        &self,
        subject: &Subject,
        credentials: &CredentialVersion,
    ) -> Result<Box<dyn Session>, Error> {
        let endpoint = match subject.database.pooler {
            Some(_) => Endpoint::Pooler,
            None => Endpoint::Engine,
        };
        let login = Login {
            database_name: subject.database.database_name.clone(),
            username: subject.database.username.clone(),
            password: credentials.password.clone(),
        };
        let instance = &subject.database.instance;
        let open = self.parts.platform.login(instance, endpoint, &login);
        self.within(ASK_SECONDS_MAX, "log in", open).await
    }

    fn verifier_statements(&self, subject: &Subject) -> Result<Vec<Statement>, Error> {
        Ok(self.engine(&subject.database)?.set_verifier(&UserVerifier {
            username: subject.database.username.clone(),
            verifier: subject.wanted()?.verifier.clone(),
        }))
    }
}
