//! Making a database, new or out of the trash.

use super::config::DatabaseConfig;
use super::evaluate::{Evaluation, evaluate};
use super::facts::{ProjectFact, RestoreFact};
use super::gather::{Gatherer, World};
use super::taken::Taken;
use crate::audit;
use crate::error::Doing;
use crate::services::{Answered, Begun, Happened, Keyed, Writing, journal_changes};
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Services, random, random_password};
use berth_domain::{
    Claim, Condition, Database, DatabaseId, EngineName, FieldChange, Fingerprint, InstanceId,
    Intent, Name, Observation, OperationKind, Project, Slug, Timestamp, TlsMode,
};
use berth_store::{CredentialState, CredentialVersion, DatabaseRecord, Tx};
use std::collections::{BTreeMap, BTreeSet};

/// Names that are tried for a project that comes back and whose own is taken.
const REVIVED_NAMES_TRIED_MAX: u32 = 1000;
/// The longest name.
const NAME_CHARACTERS_MAX: usize = 48;

/// Whether the client will say that it has the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimManner {
    /// It has it with the answer.
    AtOnce,
    /// Its last call says so; until then an equal request resumes the create.
    Later,
}

impl ClaimManner {
    /// The manner of a request that says whether its client claims later.
    pub fn of(unclaimed: bool) -> Self {
        if unclaimed { Self::Later } else { Self::AtOnce }
    }
}

impl Services {
    /// Makes a database, brings one back out of the trash, or resumes a create that was begun
    /// by the same token with an equal request.
    pub async fn create_database(
        &self,
        caller: &Caller,
        config: &DatabaseConfig,
        manner: ClaimManner,
        keyed: Option<Keyed<'_, DatabaseRecord>>,
    ) -> Result<Answered<DatabaseRecord>, Error> {
        let world = self.world().await;
        match self.begin(caller, keyed).await? {
            Begun::Write(writing) => {
                self.create_in(writing, &world, caller, config, manner)
                    .await
            }
            Begun::Replay(replay) => Ok(Answered::Replayed(replay)),
        }
    }

    /// The same in a transaction that was begun already.
    pub(super) async fn create_in(
        &self,
        mut writing: Writing<'_, DatabaseRecord>,
        world: &World,
        caller: &Caller,
        config: &DatabaseConfig,
        manner: ClaimManner,
    ) -> Result<Answered<DatabaseRecord>, Error> {
        let now = writing.now;
        let (evaluation, facts) = {
            let mut view = View::Tx(&mut writing.tx);
            let gatherer = Gatherer {
                services: self,
                view: &mut view,
                caller,
                world,
                taken: &Taken::default(),
                replaces: None,
                now,
            };
            let facts = gatherer.facts(None, config).await?;
            (evaluate(None, config, &facts, &self.rules), facts)
        };
        if !evaluation.errors.is_empty() {
            return Err(Error::fields(evaluation.errors));
        }
        if let Some(id) = &evaluation.resumes {
            let record = self.reread(&mut writing.tx, id).await?;
            return self.commit(writing, record).await;
        }
        let claim = claim_of(manner, caller, evaluation.fingerprint.clone());
        let id = match (facts.restore, facts.project) {
            (RestoreFact::Found(row), ProjectFact::Found(project)) => {
                self.bring_back(
                    &mut writing.tx,
                    caller,
                    config,
                    *row,
                    *project,
                    evaluation,
                    claim,
                    now,
                )
                .await?
            }
            (_, ProjectFact::Found(project)) => {
                self.make(&mut writing.tx, caller, &project, evaluation, claim, now)
                    .await?
            }
            (_, ProjectFact::Unknown | ProjectFact::Missing { .. }) => {
                return Err(Error::Inconsistent {
                    act: "create a database",
                    reason: "its project is unknown".to_owned(),
                });
            }
        };
        let record = self.reread(&mut writing.tx, &id).await?;
        self.commit(writing, record).await
    }

    /// Writes a new row with its password and orders its provisioning.
    async fn make(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: &Project,
        evaluation: Evaluation,
        claim: Claim,
        now: Timestamp,
    ) -> Result<DatabaseId, Error> {
        let mut row = blank(
            DatabaseId::from_entropy(random(&*self.entropy)),
            InstanceId::from_entropy(random(&*self.entropy)),
            project,
            claim,
            now,
        );
        evaluation.planned.write_into(&mut row)?;
        let mut observation = Observation::none_yet(now);
        observation
            .conditions
            .extend(self.draw_port(tx, &mut row, now).await?);
        tx.insert_database(&row).await.doing("store a database")?;
        self.first_password(tx, &row).await?;
        tx.put_observation(&row.id, &observation)
            .await
            .doing("store what is known of a database")?;
        let operation = self.order(tx, &row, OperationKind::Provision, now).await?;
        let mut changes = audit::made(&audit::database(&row));
        changes.push(FieldChange::secret("password"));
        journal_changes(
            tx,
            &caller.actor,
            now,
            Happened {
                kind: "database.created",
                project: Some(&row.project_id),
                database: Some(&row.id),
                operation: Some(&operation.id),
                message: format!("{} {} {} was ordered", row.engine, row.version, row.name),
            },
            changes,
        )
        .await?;
        Ok(row.id)
    }

    async fn first_password(&self, tx: &mut Tx, row: &Database) -> Result<(), Error> {
        let engine = self
            .rules
            .engines
            .get(&row.engine)
            .map_err(|e| Error::Inconsistent {
                act: "make a password",
                reason: e.to_string(),
            })?;
        let password = random_password(&*self.entropy);
        let verifier = engine.verifier(&password, random(&*self.entropy));
        let credential = CredentialVersion {
            version: row.credential_version,
            password,
            verifier,
            state: CredentialState::Current,
        };
        tx.put_credentials(&row.id, &credential)
            .await
            .doing("seal a password")
    }

    /// Brings a destroyed row back: same id, instance, login and password.
    #[expect(clippy::too_many_arguments, reason = "each is one fact of the act")]
    async fn bring_back(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        config: &DatabaseConfig,
        mut row: Database,
        mut project: Project,
        evaluation: Evaluation,
        claim: Claim,
        now: Timestamp,
    ) -> Result<DatabaseId, Error> {
        if project.destroyed_at.is_some() {
            let field = "restore_from.deleted_database_id";
            self.revive(tx, caller, &mut project, field, now).await?;
        }
        let before = audit::database(&row);
        evaluation.planned.write_into(&mut row)?;
        row.destroyed_at = None;
        // Until somebody has it, its destruction has to return it to the trash as it was.
        if claim == Claim::Claimed {
            row.recoverable_until = None;
        }
        row.claim = claim;
        row.updated_at = now;
        row.generation += 1;
        let drawn = self.draw_port(tx, &mut row, now).await?;
        tx.update_database(&row)
            .await
            .doing("bring a database back")?;
        let known = tx.observation(&row.id).await.doing("read an observation")?;
        let mut observation = Observation::of_restored(known.as_ref(), now);
        // Neither a port that is drawn now nor one that is asked for is the one that was told of.
        if drawn.is_some() || config.public_port.value().is_some() {
            let told = &mut observation.conditions;
            told.retain(|found| found.kind != Condition::PORT_MAY_CHANGE);
        }
        observation.conditions.extend(drawn);
        tx.put_observation(&row.id, &observation)
            .await
            .doing("store what is known of a database")?;
        let operation = self.order(tx, &row, OperationKind::Restore, now).await?;
        journal_changes(
            tx,
            &caller.actor,
            now,
            Happened {
                kind: "database.restored",
                project: Some(&row.project_id),
                database: Some(&row.id),
                operation: Some(&operation.id),
                message: format!("{} is brought back out of the trash", row.name),
            },
            audit::changes(&before, &audit::database(&row)),
        )
        .await?;
        Ok(row.id)
    }

    /// A destroyed project comes back, at the latest with the first database that is restored
    /// into it: under its own name, or, where somebody has that or its slug by now, under the
    /// next free one. A new project of that name must not keep what was destroyed from coming
    /// back. What stands in the way is told of `field`.
    pub(crate) async fn revive(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: &mut Project,
        field: &'static str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let before = audit::project(project);
        let (name, slug) = free_for(tx, project, field).await?;
        project.name = name;
        project.slug = slug;
        project.destroyed_at = None;
        project.updated_at = now;
        project.generation += 1;
        tx.update_project(project)
            .await
            .doing("bring a project back")?;
        journal_changes(
            tx,
            &caller.actor,
            now,
            Happened {
                kind: "project.restored",
                project: Some(&project.id),
                database: None,
                operation: None,
                message: format!(
                    "project {} is back, with its variables and members",
                    project.name
                ),
            },
            audit::changes(&before, &audit::project(project)),
        )
        .await
    }

    pub(super) async fn reread(
        &self,
        tx: &mut Tx,
        id: &DatabaseId,
    ) -> Result<DatabaseRecord, Error> {
        let found = tx.database_record(id).await.doing("read a database")?;
        found.ok_or_else(|| Error::Inconsistent {
            act: "read a database",
            reason: format!("{id} is not there"),
        })
    }

    /// What becomes of a wish, in the transaction that carries it out.
    pub(super) async fn evaluated(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        world: &World,
        row: &Database,
        config: &DatabaseConfig,
        now: Timestamp,
    ) -> Result<Evaluation, Error> {
        let mut view = View::Tx(tx);
        let gatherer = Gatherer {
            services: self,
            view: &mut view,
            caller,
            world,
            taken: &Taken::default(),
            replaces: None,
            now,
        };
        let facts = gatherer.facts(Some(row), config).await?;
        let evaluation = evaluate(Some(row), config, &facts, &self.rules);
        if evaluation.errors.is_empty() {
            Ok(evaluation)
        } else {
            Err(Error::fields(evaluation.errors))
        }
    }
}

/// The local socket has no token to resume by, so what it makes is its own at once.
pub(crate) fn claim_of(
    manner: ClaimManner,
    caller: &Caller,
    fingerprint: Option<Fingerprint>,
) -> Claim {
    match (manner, caller.token(), fingerprint) {
        (ClaimManner::Later, Some(token), Some(request)) => Claim::Unclaimed {
            token: token.clone(),
            request,
        },
        _ => Claim::Claimed,
    }
}

/// Name and slug for a project that comes back: its own, or the first with a number that are
/// both free.
async fn free_for(
    tx: &mut Tx,
    project: &Project,
    field: &'static str,
) -> Result<(Name, Slug), Error> {
    let numbered = (2..=REVIVED_NAMES_TRIED_MAX).filter_map(|number| {
        let tail = format!("-{number}");
        let head: String = project
            .name
            .as_str()
            .chars()
            .take(NAME_CHARACTERS_MAX - tail.len())
            .collect();
        let name = Name::parse(&format!("{}{tail}", head.trim_end_matches('-'))).ok()?;
        let slug = Slug::of(&name);
        Some((name, slug))
    });
    let own = (project.name.clone(), project.slug.clone());
    for (name, slug) in std::iter::once(own).chain(numbered) {
        let named = tx
            .project_by_name(&name)
            .await
            .doing("look for a project")?;
        let slugged = tx
            .living_project_by_slug(&slug)
            .await
            .doing("look for a project")?;
        if named.is_none() && slugged.is_none() {
            return Ok((name, slug));
        }
    }
    Err(Error::fields(vec![FieldError::of(
        Code::NameTaken,
        field,
        format!(
            "the project {} was destroyed, and others have the name \"{}\" and every number after it: destroy one of them first",
            project.id, project.name
        ),
    )]))
}

/// A row before the outcome is written into it.
fn blank(
    id: DatabaseId,
    instance: InstanceId,
    project: &Project,
    claim: Claim,
    now: Timestamp,
) -> Database {
    Database {
        id,
        project_id: project.id.clone(),
        name: project.name.clone(),
        slug: project.slug.clone(),
        engine: EngineName::new(""),
        technology: None,
        version: String::new(),
        plan: String::new(),
        region: String::new(),
        storage_gb: 0,
        replicas: 1,
        intent: Intent::Run,
        instance,
        database_name: String::new(),
        username: String::new(),
        pooler: None,
        credential_version: 1,
        expose: false,
        public_port: None,
        allow_list: BTreeSet::new(),
        tls_mode: TlsMode::Allow,
        deletion_protection: false,
        recovery_window_days: 0,
        sleep_after_minutes: None,
        tags: BTreeMap::new(),
        inject_env: BTreeMap::new(),
        claim,
        generation: 1,
        created_at: now,
        updated_at: now,
        destroyed_at: None,
        recoverable_until: None,
        purged_at: None,
    }
}
