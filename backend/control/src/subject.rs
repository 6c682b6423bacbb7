//! What an operation works on, as the rows say at this moment.

use crate::certificates::{Kept, ServerCertificate, place};
use crate::spec::{Rows, certificate_names, instance_spec};
use crate::storage::Pressure;
use crate::{Control, Error, error};
use berth_domain::{Database, DatabaseId, EngineName, Observation, Project, Status};
use berth_engines::Description;
use berth_platform::{InstanceSpec, Origin};
use berth_services::random;
use berth_store::{CredentialState, CredentialVersion, Follower};

/// A database and everything its instance follows from.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) database: Database,
    pub(crate) project: Project,
    /// The password that its users are told.
    pub(crate) current: Option<CredentialVersion>,
    /// A password that is to become the current one once a login with it was proven.
    pub(crate) next: Option<CredentialVersion>,
    pub(crate) observation: Observation,
}

impl Subject {
    /// The password that the engine is to know: the next one, where there is one.
    pub(crate) fn wanted(&self) -> Result<&CredentialVersion, Error> {
        self.next
            .as_ref()
            .or(self.current.as_ref())
            .ok_or_else(|| Error::NoCredentials {
                database: self.database.id.clone(),
            })
    }

    /// Whether it has never been as its row says. From the first time on it has data, and an
    /// empty database in its place would be a lie.
    pub(crate) fn is_new(&self) -> bool {
        self.observation.generation == 0
    }

    /// The status that its users read.
    pub(crate) fn status(&self) -> Status {
        self.observation.status(self.database.intent)
    }
}

/// A subject that is read anew whenever its rows have changed, and only then: who works on it
/// asks before each step.
pub(crate) struct Reading {
    id: DatabaseId,
    follower: Follower,
    known: Option<Subject>,
}

impl Reading {
    /// The subject as the rows say now; none when there is no such row.
    pub(crate) async fn subject(&mut self, control: &Control) -> Result<Option<&Subject>, Error> {
        // Asked first: what changes while it is read is read again.
        if self.follower.has_changed() {
            self.known = None;
        }
        if self.known.is_none() {
            self.known = control.subject(&self.id).await?;
        }
        Ok(self.known.as_ref())
    }
}

impl Control {
    /// Begins to read what an operation on that database works on.
    pub(crate) fn reading(&self, id: &DatabaseId) -> Reading {
        Reading {
            id: id.clone(),
            follower: self.parts.store.follow_database(id),
            known: None,
        }
    }

    /// Reads what an operation on that database works on; none when there is no such row.
    pub(crate) async fn subject(&self, id: &DatabaseId) -> Result<Option<Subject>, Error> {
        let store = &self.parts.store;
        let Some(database) = store
            .database_by_id(id)
            .await
            .map_err(error::store("read the database"))?
        else {
            return Ok(None);
        };
        let project = store
            .project_by_id(&database.project_id)
            .await
            .map_err(error::store("read the project"))?
            .ok_or_else(|| Error::ProjectGone {
                project: database.project_id.clone(),
            })?;
        let (mut current, mut next) = (None, None);
        for version in store
            .credentials(id)
            .await
            .map_err(error::store("read the credentials"))?
        {
            match version.state {
                CredentialState::Current => current = Some(version),
                CredentialState::Next => next = Some(version),
            }
        }
        let observation = store
            .observation(id)
            .await
            .map_err(error::store("read the observation"))?
            .unwrap_or_else(|| Observation::none_yet(database.created_at));
        Ok(Some(Subject {
            database,
            project,
            current,
            next,
            observation,
        }))
    }

    /// What the engine of that database says and answers.
    pub(crate) fn engine(&self, database: &Database) -> Result<&dyn Description, Error> {
        self.engine_named(&database.engine)
    }

    /// The same by the engine's name.
    pub(crate) fn engine_named(&self, name: &EngineName) -> Result<&dyn Description, Error> {
        let found = self.parts.engines.get(name);
        found.map_err(|source| Error::Engine { source })
    }

    /// The instance that the rows ask for.
    pub(crate) async fn spec(&self, subject: &Subject) -> Result<InstanceSpec, Error> {
        let plan = self
            .parts
            .catalogue
            .plan(&subject.database.plan)
            .ok_or_else(|| Error::PlanGone {
                plan: subject.database.plan.clone(),
            })?;
        let certificate = self.certificate(&subject.database).await?;
        instance_spec(
            &Rows {
                database: &subject.database,
                project: &subject.project,
                plan,
                verifier: &subject.wanted()?.verifier,
                certificate: &certificate,
                authority: &self.parts.certificates.authority(),
                pressure: Pressure::of(&subject.observation.conditions),
                origin: if subject.is_new() {
                    Origin::MayBeNew
                } else {
                    Origin::MustExist
                },
            },
            &self.parts.addresses,
        )
    }

    /// The certificate of a database's instance: the one that was stored, or a new one that
    /// is stored before anybody sees it, so that a repetition renders the same instance.
    async fn certificate(&self, database: &Database) -> Result<ServerCertificate, Error> {
        let store = &self.parts.store;
        let name = place(&database.instance);
        let names = certificate_names(database, &self.parts.addresses);
        let now = self.now();
        let kept = store
            .secret(&name)
            .await
            .map_err(error::store("read the certificate"))?;
        if let Some(kept) = kept.as_ref().and_then(Kept::from_text)
            && kept.serves(&names, now)
        {
            return Ok(kept.certificate);
        }
        let serial = random(self.parts.entropy.as_ref());
        let certificate = self
            .parts
            .certificates
            .issue(&names, serial, now)
            .map_err(|source| Error::Certificate {
                database: database.id.clone(),
                source,
            })?;
        let kept = Kept { names, certificate };
        let write = async {
            let mut tx = store.begin().await?;
            tx.put_secret(&name, &kept.to_text()).await?;
            tx.commit().await
        };
        write.await.map_err(error::store("store the certificate"))?;
        Ok(kept.certificate)
    }
}
