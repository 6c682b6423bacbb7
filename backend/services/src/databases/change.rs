//! Changing a database that lives.

use super::config::DatabaseConfig;
use super::find::not_found;
use crate::audit;
use crate::error::Doing;
use crate::expected::tag_of_database;
use crate::services::{Answered, Begun, Happened, Keyed, Writing, journal_changes};
use crate::view::View;
use crate::{Caller, Code, Error, Expected, FieldError, Given, Services};
use berth_domain::{
    Claim, Condition, Database, FieldChange, Intent, Observation, OperationId, OperationKind,
    Timestamp,
};
use berth_store::{DatabaseRecord, Tx};

/// A change that is not of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is to run.
    Start,
    /// It is to stop and keep its data.
    Stop,
    /// It stops and starts again once.
    Restart,
    /// It gets a new password.
    Rotate,
}

/// A database after a change, and what the change itself ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The database. Its last operation may be another's.
    pub record: DatabaseRecord,
    /// The operation of this change; none when what runs need not hear of it.
    pub ordered: Option<OperationId>,
}

/// Where the database to change is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// Its id or name.
    pub database: &'a str,
    /// The project that narrows a name.
    pub project: Option<&'a str>,
}

impl Services {
    /// Changes what `config` names and nothing else, of the state that is expected.
    pub async fn update_database(
        &self,
        caller: &Caller,
        reference: Reference<'_>,
        config: &DatabaseConfig,
        expected: &Expected,
    ) -> Result<Changed, Error> {
        if config.restore_from.value().is_some() {
            return Err(Error::fields(vec![FieldError::invalid(
                "restore_from",
                "acts once, when a database is created: leave it out of a change",
            )]));
        }
        match self
            .alter(
                caller,
                reference,
                Alteration::Config(config, expected),
                None,
            )
            .await?
        {
            Answered::Fresh(changed) => Ok(changed),
            Answered::Replayed(_) => Err(Error::Inconsistent {
                act: "change a database",
                reason: "a request without a key has an earlier answer".to_owned(),
            }),
        }
    }

    /// Starts, stops, restarts, or gives a new password.
    pub async fn act_on_database(
        &self,
        caller: &Caller,
        reference: Reference<'_>,
        act: Act,
        keyed: Option<Keyed<'_, Changed>>,
    ) -> Result<Answered<Changed>, Error> {
        self.alter(caller, reference, Alteration::Act(act), keyed)
            .await
    }

    async fn alter(
        &self,
        caller: &Caller,
        reference: Reference<'_>,
        alteration: Alteration<'_>,
        keyed: Option<Keyed<'_, Changed>>,
    ) -> Result<Answered<Changed>, Error> {
        let world = self.world().await;
        let mut writing = match self.begin(caller, keyed).await? {
            Begun::Write(writing) => writing,
            Begun::Replay(replay) => return Ok(Answered::Replayed(replay)),
        };
        let now = writing.now;
        let row = self.living(&mut writing, caller, reference).await?;
        alteration.expected().check(|| tag_of_database(&row))?;
        let row = self.taken_over(&mut writing, caller, row).await?;
        let config = alteration.config(&row).over(&row);
        let evaluation = self
            .evaluated(&mut writing.tx, caller, &world, &row, &config, now)
            .await?;
        let mut changed = row.clone();
        evaluation.planned.write_into(&mut changed)?;
        let drawn = self.draw_port(&mut writing.tx, &mut changed, now).await?;
        if let Some(drawn) = drawn {
            tell(&mut writing.tx, &row, drawn, now).await?;
        }
        if changed.intent == Intent::Sleep && alteration.wakes(&row, &changed) {
            changed.intent = Intent::Run;
        }
        let restart = matches!(alteration, Alteration::Act(Act::Restart));
        if restart && changed.intent != Intent::Run {
            return Err(Error::refused(
                Code::NotRunning,
                format!("{} is stopped: start it instead", row.name),
            ));
        }
        let ordered = if changed != row || restart {
            self.write_change(&mut writing, caller, &row, changed, restart)
                .await?
        } else {
            None
        };
        let record = self.reread(&mut writing.tx, &row.id).await?;
        self.commit(writing, Changed { record, ordered }).await
    }

    /// Writes the change down, and names the operation that it leaves.
    async fn write_change<T>(
        &self,
        writing: &mut Writing<'_, T>,
        caller: &Caller,
        before: &Database,
        mut changed: Database,
        restart: bool,
    ) -> Result<Option<OperationId>, Error> {
        let (tx, now) = (&mut writing.tx, writing.now);
        let kind = kind_of_change(before, &changed, restart);
        changed.generation += 1;
        changed.updated_at = now;
        tx.update_database(&changed)
            .await
            .doing("store a changed database")?;
        let ordered = match kind {
            Some(kind) => Some(self.order(tx, &changed, kind, now).await?.id),
            None => None,
        };
        let mut changes = audit::changes(&audit::database(before), &audit::database(&changed));
        let message = message(&changed, &changes, restart);
        if before.credential_version != changed.credential_version {
            changes.push(FieldChange::secret("password"));
        }
        journal_changes(
            tx,
            &caller.actor,
            now,
            Happened {
                kind: if restart {
                    "database.restarted"
                } else {
                    "database.changed"
                },
                project: Some(&changed.project_id),
                database: Some(&changed.id),
                operation: ordered.as_ref(),
                message,
            },
            changes,
        )
        .await?;
        Ok(ordered)
    }

    /// The database to change, which must be there for its users.
    pub(super) async fn living<T>(
        &self,
        writing: &mut Writing<'_, T>,
        caller: &Caller,
        reference: Reference<'_>,
    ) -> Result<Database, Error> {
        let mut view = View::Tx(&mut writing.tx);
        let record = self
            .find(&mut view, caller, reference.database, reference.project)
            .await?;
        let row = record.database;
        if row.is_living() {
            return Ok(row);
        }
        Err(match row.purged_at {
            Some(_) => not_found(),
            None => Error::refused(
                Code::Destroyed,
                format!(
                    "{} is destroyed: bring it back with restore_from = {{ deleted_database_id = \"{}\" }}",
                    row.name, row.id
                ),
            ),
        })
    }

    /// The client that created it has taken it over. May be said again.
    pub async fn claim_database(
        &self,
        caller: &Caller,
        reference: Reference<'_>,
        keyed: Option<Keyed<'_, DatabaseRecord>>,
    ) -> Result<Answered<DatabaseRecord>, Error> {
        let mut writing = match self.begin(caller, keyed).await? {
            Begun::Write(writing) => writing,
            Begun::Replay(replay) => return Ok(Answered::Replayed(replay)),
        };
        let row = self.living(&mut writing, caller, reference).await?;
        if let Claim::Unclaimed { token, .. } = &row.claim
            && caller.token().is_some_and(|own| own != token)
        {
            return Err(Error::refused(
                Code::ClaimRefused,
                format!("{} is being created by another token", row.name),
            ));
        }
        let row = self.taken_over(&mut writing, caller, row).await?;
        let record = self.reread(&mut writing.tx, &row.id).await?;
        self.commit(writing, record).await
    }

    /// The row, claimed. Whoever changes a database has it: the request that ordered it must
    /// not resume it any more.
    async fn taken_over<T>(
        &self,
        writing: &mut Writing<'_, T>,
        caller: &Caller,
        mut row: Database,
    ) -> Result<Database, Error> {
        if row.claim == Claim::Claimed {
            return Ok(row);
        }
        row.claim = Claim::Claimed;
        row.recoverable_until = None;
        writing
            .tx
            .claim_database(&row.id)
            .await
            .doing("claim a database")?;
        let now = writing.now;
        journal_changes(
            &mut writing.tx,
            &caller.actor,
            now,
            Happened {
                kind: "database.claimed",
                project: Some(&row.project_id),
                database: Some(&row.id),
                operation: None,
                message: format!("{} was taken over", row.name),
            },
            vec![audit::field("claimed", false.into(), true.into())],
        )
        .await?;
        Ok(row)
    }
}

enum Alteration<'a> {
    Config(&'a DatabaseConfig, &'a Expected),
    Act(Act),
}

impl Alteration<'_> {
    /// Whether what slept is wanted awake: it was asked for, a new password has to be proven, or
    /// there is no pooler any more that a client could wake it by.
    fn wakes(&self, before: &Database, after: &Database) -> bool {
        matches!(self, Self::Act(Act::Start | Act::Restart))
            || after.credential_version != before.credential_version
            || (before.pooler.is_some() && after.pooler.is_none())
    }

    fn expected(&self) -> &Expected {
        match self {
            Self::Config(_, expected) => expected,
            Self::Act(_) => &Expected::Anything,
        }
    }

    /// The act as a wish for attributes.
    fn config(&self, row: &Database) -> DatabaseConfig {
        let status = |word: &str| DatabaseConfig {
            desired_status: Given::Value(word.to_owned()),
            ..DatabaseConfig::default()
        };
        match self {
            Self::Config(config, _) => (*config).clone(),
            Self::Act(Act::Start) => status("running"),
            Self::Act(Act::Stop) => status("stopped"),
            Self::Act(Act::Restart) => DatabaseConfig::default(),
            Self::Act(Act::Rotate) => DatabaseConfig {
                credential_version: Given::Value(row.credential_version.saturating_add(1)),
                ..DatabaseConfig::default()
            },
        }
    }
}

/// Adds a condition to what is known of a database.
async fn tell(
    tx: &mut Tx,
    row: &Database,
    condition: Condition,
    now: Timestamp,
) -> Result<(), Error> {
    let known = tx.observation(&row.id).await.doing("read an observation")?;
    let mut known = known.unwrap_or_else(|| Observation::none_yet(now));
    known
        .conditions
        .retain(|found| found.kind != condition.kind);
    known.conditions.push(condition);
    tx.put_observation(&row.id, &known)
        .await
        .doing("store what is known of a database")
}

/// The work that a change leaves; none when only the row says something else.
fn kind_of_change(before: &Database, after: &Database, restart: bool) -> Option<OperationKind> {
    if after.credential_version != before.credential_version {
        return Some(OperationKind::Rotate);
    }
    if restart {
        return Some(OperationKind::Restart);
    }
    // What runs knows nothing of these.
    let told_only = Database {
        name: before.name.clone(),
        tags: before.tags.clone(),
        inject_env: before.inject_env.clone(),
        deletion_protection: before.deletion_protection,
        recovery_window_days: before.recovery_window_days,
        sleep_after_minutes: before.sleep_after_minutes,
        claim: before.claim.clone(),
        ..after.clone()
    };
    (told_only != *before).then_some(OperationKind::Change)
}

/// Which attributes changed, for people.
fn message(after: &Database, changes: &[FieldChange], restart: bool) -> String {
    if restart {
        return format!("{} restarts", after.name);
    }
    let fields: Vec<_> = changes.iter().map(|change| change.field.as_str()).collect();
    format!("{}: {} changed", after.name, fields.join(", "))
}
