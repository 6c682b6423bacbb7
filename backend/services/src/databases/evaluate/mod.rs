//! What becomes of a wish: the one function behind plan and apply.
//!
//! It writes, reserves and draws nothing. What depends on an unknown is unknown; fewer unknowns
//! only refine: a value that was known stays, an error that was found stays.

mod inject;
mod life;
mod order;
mod place;
mod pooler;
mod reach;
mod room;
mod sleep;

pub(crate) use room::{addresses_of, addresses_planned};

use super::config::DatabaseConfig;
use super::facts::{Facts, RestoreFact};
use super::planned::{Essence, PlannedDatabase};
use super::rules::Rules;
use crate::{Code, FieldError, Given, Maybe, Note};
use berth_domain::{Database, DatabaseId, Fingerprint};
use sha2::{Digest, Sha256};

/// Errors that are kept; more help nobody, and a wish may have as many as it has entries.
const ERRORS_MAX: usize = 64;

/// What becomes of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The outcome; meaningless where errors are.
    pub planned: PlannedDatabase,
    /// What the user should know.
    pub notes: Vec<Note>,
    /// Why it is refused.
    pub errors: Vec<FieldError>,
    /// By which an equal request is known again; none while something is unknown.
    pub fingerprint: Option<Fingerprint>,
    /// The unclaimed database that this create resumes.
    pub resumes: Option<DatabaseId>,
}

/// What defaults come from.
#[derive(Debug, Clone, Copy)]
enum Base<'a> {
    /// Nothing: the catalogue's defaults.
    New,
    /// The row that is changed.
    Row(&'a Database),
    /// The destroyed row that comes back.
    Trash(&'a Database),
    /// A destroyed row, nobody knows yet which.
    Unknown,
}

impl<'a> Base<'a> {
    fn row(self) -> Option<&'a Database> {
        match self {
            Self::Row(row) | Self::Trash(row) => Some(row),
            Self::New | Self::Unknown => None,
        }
    }
}

struct Evaluator<'a> {
    base: Base<'a>,
    config: &'a DatabaseConfig,
    facts: &'a Facts,
    rules: &'a Rules,
    notes: Vec<Note>,
    errors: Vec<FieldError>,
}

/// Decides what becomes of `config`: a new database where `row` is none, else that one changed.
pub fn evaluate(
    row: Option<&Database>,
    config: &DatabaseConfig,
    facts: &Facts,
    rules: &Rules,
) -> Evaluation {
    let base = match (row, &facts.restore) {
        (Some(row), _) => Base::Row(row),
        (None, RestoreFact::Found(row)) => Base::Trash(row),
        (None, RestoreFact::NotAsked) => Base::New,
        // Where it cannot come back, nothing else is worth complaining of for want of it.
        (None, _) => Base::Unknown,
    };
    let mut evaluator = Evaluator {
        base,
        config,
        facts,
        rules,
        notes: Vec::new(),
        errors: Vec::new(),
    };
    let planned = evaluator.planned();
    evaluator.finish(planned)
}

impl Evaluator<'_> {
    fn planned(&mut self) -> PlannedDatabase {
        self.restored();
        let project_id = self.project();
        let name = self.name();
        let slug = self.slug(&name);
        let (engine, technology) = self.engine();
        let version = self.version(&engine);
        let plan = self.plan();
        let storage_gb = self.storage(&plan);
        let database_name = self.database_name(&engine, &slug);
        let username = self.username(&engine, &slug);
        let pooler = self.pooler(&engine, &plan);
        let expose = self.expose();
        let allow_list = self.allow_list(expose);
        let inject_env = self.inject_env(&slug);
        let mut planned = PlannedDatabase {
            id: self.base.row().map(|row| row.id.clone()).into(),
            project_id,
            name,
            slug,
            region: self.region(),
            replicas: self.replicas(),
            intent: self.intent(),
            credential_version: self.credential_version(),
            public_port: self.public_port(expose),
            tls_mode: self.tls_mode(),
            deletion_protection: self.deletion_protection(),
            recovery_window_days: self.recovery_window_days(),
            sleep_after_minutes: self.sleep_after_minutes(),
            tags: self.tags(),
            inject_env,
            created_at: self.base.row().map(|row| row.created_at).into(),
            technology,
            plan: plan.map(|plan| plan.name.clone()),
            engine: engine.map(|e| berth_domain::EngineName::new(e.name())),
            version,
            storage_gb,
            database_name,
            username,
            pooler,
            expose,
            allow_list,
        };
        self.leave_drawn_port_open(&mut planned);
        self.capacity(&plan);
        self.quota(&planned);
        self.sleep_needs_a_pooler(&planned);
        self.room(&planned);
        self.rotation_needs_an_engine(&planned);
        planned
    }

    fn finish(mut self, planned: PlannedDatabase) -> Evaluation {
        let restored = self.config.restore_from.value().map(String::as_str);
        let asked_port = self.config.public_port.value().copied();
        let fingerprint = match self.base {
            Base::Row(_) | Base::Unknown => None,
            Base::New | Base::Trash(_) => Essence::of(&planned, asked_port, restored)
                .and_then(|essence| serde_json::to_vec(&essence).ok())
                .map(|bytes| Fingerprint(hex::encode(Sha256::digest(bytes)))),
        };
        let resumes = self.resume(fingerprint.as_ref());
        Evaluation {
            planned,
            notes: self.notes,
            errors: self.errors,
            fingerprint,
            resumes,
        }
    }

    /// Whether the create is one that was begun before and never claimed.
    fn resume(&mut self, fingerprint: Option<&Fingerprint>) -> Option<DatabaseId> {
        let held = self.facts.resumable.as_ref()?;
        let berth_domain::Claim::Unclaimed { request, .. } = &held.claim else {
            return None;
        };
        match fingerprint {
            Some(ours) if ours != request => {
                let holder = super::facts::Holder {
                    id: held.id.clone(),
                    name: held.name.clone(),
                };
                self.name_taken(&holder);
                None
            }
            Some(_) => {
                self.notes.push(Note::warning(
                    Some("name"),
                    "A create that was interrupted is resumed",
                    format!("{} was begun by the same token with an equal request and never claimed; it is taken over instead of made twice.", held.id),
                ));
                Some(held.id.clone())
            }
            // Whether the requests are equal shows when all of this one is known.
            None => None,
        }
    }

    fn refuse(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.keep(|| FieldError::invalid(field, message));
    }

    fn refuse_as(&mut self, code: Code, field: &str, message: impl Into<String>) {
        self.keep(|| FieldError::of(code, field, message));
    }

    fn keep(&mut self, error: impl FnOnce() -> FieldError) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error());
        }
    }

    /// The value of a field: what was given and stands up to `read`; else the row's, else `fresh`.
    fn settle<G, T>(
        &mut self,
        given: &Given<G>,
        row: impl FnOnce(&Database) -> T,
        fresh: impl FnOnce(&mut Self) -> Maybe<T>,
        read: impl FnOnce(&mut Self, &G) -> Maybe<T>,
    ) -> Maybe<T> {
        match (given, self.base) {
            (Given::Unknown, _) => Maybe::Unknown,
            (Given::Value(value), _) => read(self, value),
            (Given::Absent | Given::Null, Base::Unknown) => Maybe::Unknown,
            (Given::Absent | Given::Null, Base::New) => fresh(self),
            (Given::Absent | Given::Null, Base::Row(found) | Base::Trash(found)) => {
                Maybe::Known(row(found))
            }
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
