//! What becomes of a wish for a project: the one function behind plan and apply.

use super::quota::{PlannedQuota, QuotaConfig, exceeded, planned_quota, sleep_after_minutes};
use crate::databases::{Authority, Rules};
use crate::note::{counted, not_one_of};
use crate::tags::check_tags;
use crate::{Code, Error, FieldError, Given, Maybe, Note};
use berth_domain::{
    Claim, Fingerprint, Name, OnDestroy, Project, ProjectId, Scope, Slug, Timestamp,
};
use berth_store::ProjectUse;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The longest description.
const DESCRIPTION_CHARACTERS_MAX: usize = 256;

/// What is wanted of a project, as its user wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ProjectConfig {
    /// Its name.
    pub name: Given<String>,
    /// A sentence for people.
    pub description: Given<String>,
    /// The region of databases that name none.
    pub default_region: Given<String>,
    /// Whether its destruction is refused.
    pub deletion_protection: Given<bool>,
    /// `refuse` or `cascade`.
    pub on_destroy: Given<String>,
    /// Minutes without a client after which its databases sleep.
    pub sleep_after_minutes: Given<u32>,
    /// How much it may have.
    pub quota: Given<QuotaConfig>,
    /// Labels.
    pub tags: Given<BTreeMap<String, String>>,
    /// Whether its first database is made when its environment is first used.
    pub auto_provision: Given<bool>,
}

impl ProjectConfig {
    /// Says what `row` says wherever nothing was said.
    pub fn over(self, row: &Project) -> Self {
        Self {
            name: self.name.or_keep(|| Some(row.name.to_string())),
            description: self.description.or_keep(|| row.description.clone()),
            default_region: self.default_region.or_keep(|| row.default_region.clone()),
            deletion_protection: self
                .deletion_protection
                .or_keep(|| Some(row.deletion_protection)),
            on_destroy: self
                .on_destroy
                .or_keep(|| Some(row.on_destroy.as_str().to_owned())),
            sleep_after_minutes: self.sleep_after_minutes.or_keep(|| row.sleep_after_minutes),
            quota: self.quota.or_keep(|| row.quota.map(QuotaConfig::of)),
            tags: self.tags.or_keep(|| Some(row.tags.clone())),
            auto_provision: self.auto_provision.or_keep(|| Some(row.auto_provision)),
        }
    }
}

/// Every attribute of a project, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedProject {
    /// Its id.
    pub id: Maybe<ProjectId>,
    /// Its name.
    pub name: Maybe<Name>,
    /// What its network is named after.
    pub slug: Maybe<Slug>,
    /// A sentence for people.
    pub description: Maybe<Option<String>>,
    /// The region of databases that name none.
    pub default_region: Maybe<Option<String>>,
    /// Whether its destruction is refused.
    pub deletion_protection: Maybe<bool>,
    /// What its destruction does to what is in it.
    pub on_destroy: Maybe<OnDestroy>,
    /// Minutes without a client after which its databases sleep.
    pub sleep_after_minutes: Maybe<Option<u32>>,
    /// How much it may have.
    pub quota: Maybe<Option<PlannedQuota>>,
    /// Labels.
    pub tags: Maybe<BTreeMap<String, String>>,
    /// Whether its first database is made when its environment is first used.
    pub auto_provision: Maybe<bool>,
    /// When it was made.
    pub created_at: Maybe<Timestamp>,
}

impl PlannedProject {
    /// A row, all of which is known.
    pub fn of(row: &Project) -> Self {
        Self {
            id: Maybe::Known(row.id.clone()),
            name: Maybe::Known(row.name.clone()),
            slug: Maybe::Known(row.slug.clone()),
            description: Maybe::Known(row.description.clone()),
            default_region: Maybe::Known(row.default_region.clone()),
            deletion_protection: Maybe::Known(row.deletion_protection),
            on_destroy: Maybe::Known(row.on_destroy),
            sleep_after_minutes: Maybe::Known(row.sleep_after_minutes),
            quota: Maybe::Known(row.quota.map(PlannedQuota::from)),
            tags: Maybe::Known(row.tags.clone()),
            auto_provision: Maybe::Known(row.auto_provision),
            created_at: Maybe::Known(row.created_at),
        }
    }

    /// The directory with its env files.
    pub fn env_dir(&self, rules: &Rules) -> Maybe<String> {
        self.slug.as_ref().map(|slug| rules.addresses.env_dir(slug))
    }

    /// The network of its databases.
    pub fn network_name(&self, rules: &Rules) -> Maybe<String> {
        self.slug
            .as_ref()
            .map(|slug| rules.addresses.network_name(slug))
    }

    /// Writes the outcome into a row.
    pub fn write_into(self, row: &mut Project) -> Result<(), Error> {
        fn sure<T>(value: Maybe<T>, field: &'static str) -> Result<T, Error> {
            value.known().ok_or(Error::Inconsistent {
                act: "store a project",
                reason: format!("{field} is still unknown"),
            })
        }
        row.name = sure(self.name, "name")?;
        row.slug = sure(self.slug, "slug")?;
        row.description = sure(self.description, "description")?;
        row.default_region = sure(self.default_region, "default_region")?;
        row.deletion_protection = sure(self.deletion_protection, "deletion_protection")?;
        row.on_destroy = sure(self.on_destroy, "on_destroy")?;
        row.sleep_after_minutes = sure(self.sleep_after_minutes, "sleep_after_minutes")?;
        row.quota = match sure(self.quota, "quota")? {
            Some(planned) => Some(sure(planned.known().into(), "quota")?),
            None => None,
        };
        row.tags = sure(self.tags, "tags")?;
        row.auto_provision = sure(self.auto_provision, "auto_provision")?;
        Ok(())
    }

    fn essence(&self) -> Option<Fingerprint> {
        let essence = (
            self.name.as_ref().known()?.as_str(),
            self.description.as_ref().known()?,
            self.default_region.as_ref().known()?,
            self.deletion_protection.known()?,
            self.on_destroy.known()?.as_str(),
            self.tags.as_ref().known()?,
            self.auto_provision.known()?,
            self.sleep_after_minutes.known()?,
            match self.quota.known()? {
                Some(quota) => {
                    let quota = quota.known()?;
                    Some((quota.databases, quota.storage_gb))
                }
                None => None,
            },
        );
        let bytes = serde_json::to_vec(&essence).ok()?;
        Some(Fingerprint(hex::encode(Sha256::digest(bytes))))
    }
}

/// What the rules need to know besides the row and the wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectFacts {
    /// What the caller may do.
    pub authority: Authority,
    /// The living project with that name, other than the one in question.
    pub name_holder: Option<ProjectHolder>,
    /// The living project with that slug, other than the one in question.
    pub slug_holder: Option<ProjectHolder>,
    /// The unclaimed project of the same token and name.
    pub resumable: Option<Box<Project>>,
    /// What the databases of the one in question have.
    pub in_use: ProjectUse,
    /// A destroyed project of that name that holds variables, which a new one will not have.
    pub forsaken: Option<Forsaken>,
}

/// A destroyed project whose place a new one takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forsaken {
    /// Which one.
    pub id: ProjectId,
    /// How many variables people gave it.
    pub variables: usize,
}

/// Who has a name already. Names are unique over the installation, so that a caller learns of a
/// project that it does not see; no more than that there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectHolder {
    /// A project that the caller sees.
    Seen(ProjectId),
    /// One that it does not see.
    Unseen,
}

/// What becomes of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectEvaluation {
    /// The outcome; meaningless where errors are.
    pub planned: PlannedProject,
    /// What the user should know.
    pub notes: Vec<Note>,
    /// Why it is refused.
    pub errors: Vec<FieldError>,
    /// Why it is refused while something is there that may go before it: a plan warns of it.
    pub in_the_way: Vec<FieldError>,
    /// By which an equal request is known again.
    pub fingerprint: Option<Fingerprint>,
    /// The unclaimed project that this create resumes.
    pub resumes: Option<ProjectId>,
}

struct Evaluator<'a> {
    row: Option<&'a Project>,
    config: &'a ProjectConfig,
    facts: &'a ProjectFacts,
    rules: &'a Rules,
    notes: Vec<Note>,
    errors: Vec<FieldError>,
    in_the_way: Vec<FieldError>,
}

/// Decides what becomes of `config`: a new project where `row` is none, else that one changed.
pub fn evaluate_project(
    row: Option<&Project>,
    config: &ProjectConfig,
    facts: &ProjectFacts,
    rules: &Rules,
) -> ProjectEvaluation {
    let mut evaluator = Evaluator {
        row,
        config,
        facts,
        rules,
        notes: Vec::new(),
        errors: Vec::new(),
        in_the_way: Vec::new(),
    };
    let name = evaluator.name();
    let slug = evaluator.slug(&name);
    let planned = PlannedProject {
        id: row.map(|row| row.id.clone()).into(),
        created_at: row.map(|row| row.created_at).into(),
        description: evaluator.description(),
        default_region: evaluator.default_region(),
        deletion_protection: evaluator.deletion_protection(),
        on_destroy: evaluator.on_destroy(),
        sleep_after_minutes: evaluator.sleep_after_minutes(),
        quota: evaluator.quota(),
        tags: evaluator.tags(),
        auto_provision: evaluator.auto_provision(),
        name,
        slug,
    };
    evaluator.finish(planned)
}

impl Evaluator<'_> {
    fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError::invalid(field, message));
    }

    fn finish(mut self, planned: PlannedProject) -> ProjectEvaluation {
        let fingerprint = match self.row {
            Some(_) => None,
            None => planned.essence(),
        };
        if let Some(forsaken) = &self.facts.forsaken {
            let (id, variables) = (&forsaken.id, counted(forsaken.variables as u64, "variable"));
            self.notes.push(Note::warning(
                Some("name"),
                "A project of that name was destroyed",
                format!("{id} has {variables} of its own, which the new project will not have. To bring it back instead: berthd trash restore {id}, then terraform import."),
            ));
        }
        let mut resumes = None;
        if let Some(held) = &self.facts.resumable
            && let Claim::Unclaimed { request, .. } = &held.claim
            && let Some(ours) = &fingerprint
        {
            if ours == request {
                self.notes.push(Note::warning(
                    Some("name"),
                    "A create that was interrupted is resumed",
                    format!("{} was begun by the same token with an equal request and never claimed; it is taken over instead of made twice.", held.id),
                ));
                resumes = Some(held.id.clone());
            } else {
                let id = held.id.clone();
                self.name_taken(&ProjectHolder::Seen(id));
            }
        }
        ProjectEvaluation {
            planned,
            notes: self.notes,
            errors: self.errors,
            in_the_way: self.in_the_way,
            fingerprint,
            resumes,
        }
    }

    fn name(&mut self) -> Maybe<Name> {
        let text = match (&self.config.name, self.row) {
            (Given::Unknown, _) => return Maybe::Unknown,
            (Given::Value(text), _) => text.as_str(),
            (Given::Absent | Given::Null, Some(row)) => row.name.as_str(),
            (Given::Absent | Given::Null, None) => {
                self.refuse(
                    "name",
                    "is required: 3 to 48 lower-case letters, digits and hyphens",
                );
                return Maybe::Unknown;
            }
        };
        match Name::parse(text) {
            Ok(name) => {
                if let Some(holder) = &self.facts.name_holder {
                    let holder = holder.clone();
                    self.name_taken(&holder);
                }
                Maybe::Known(name)
            }
            Err(error) => {
                self.refuse("name", error.to_string());
                Maybe::Unknown
            }
        }
    }

    fn name_taken(&mut self, holder: &ProjectHolder) {
        let name = self.config.name.value().cloned().unwrap_or_default();
        let message = match holder {
            ProjectHolder::Seen(holder) => format!(
                "{name} exists already as {holder}. Choose another name, or take the existing one over: terraform import berth_project.NAME {holder}"
            ),
            ProjectHolder::Unseen => format!(
                "{name} is the name of a project that this token does not see: choose another name"
            ),
        };
        self.errors
            .push(FieldError::of(Code::NameTaken, "name", message));
    }

    fn slug(&mut self, name: &Maybe<Name>) -> Maybe<Slug> {
        if let Some(row) = self.row {
            return Maybe::Known(row.slug.clone());
        }
        let slug = name.as_ref().map(Slug::of);
        if let (Maybe::Known(slug), Some(holder)) = (&slug, &self.facts.slug_holder)
            && self.facts.name_holder.is_none()
        {
            let holder = match holder {
                ProjectHolder::Seen(holder) => holder.to_string(),
                ProjectHolder::Unseen => "another project".to_owned(),
            };
            self.errors.push(FieldError::of(
                Code::SlugTaken,
                "name",
                format!("the network would be named after \"{slug}\", which {holder} has for life: choose another name"),
            ));
        }
        slug
    }

    fn description(&mut self) -> Maybe<Option<String>> {
        match &self.config.description {
            Given::Unknown => Maybe::Unknown,
            Given::Absent | Given::Null => Maybe::Known(None),
            Given::Value(text) => {
                let length = text.chars().count();
                let plain = !text.chars().any(|c| c.is_control() && c != '\n');
                if length > DESCRIPTION_CHARACTERS_MAX {
                    self.refuse(
                        "description",
                        format!(
                            "has {length} characters: use at most {DESCRIPTION_CHARACTERS_MAX}"
                        ),
                    );
                    return Maybe::Unknown;
                }
                if !plain {
                    let message = "has control characters: use printable ones and line breaks";
                    self.refuse("description", message);
                    return Maybe::Unknown;
                }
                Maybe::Known(Some(text.clone()))
            }
        }
    }

    fn default_region(&mut self) -> Maybe<Option<String>> {
        match (&self.config.default_region, self.row) {
            (Given::Unknown, _) => Maybe::Unknown,
            // Written down, so that it stays what the plan said.
            (Given::Absent | Given::Null, _) => {
                Maybe::Known(self.rules.default_region().map(str::to_owned))
            }
            (Given::Value(word), row) => {
                let kept = row.is_some_and(|row| row.default_region.as_ref() == Some(word));
                if kept || self.rules.catalogue.has_region(word) {
                    return Maybe::Known(Some(word.clone()));
                }
                let known: Vec<_> = self
                    .rules
                    .catalogue
                    .regions
                    .iter()
                    .map(String::as_str)
                    .collect();
                self.refuse("default_region", not_one_of(word, "a region", &known));
                Maybe::Unknown
            }
        }
    }

    fn deletion_protection(&mut self) -> Maybe<bool> {
        let wanted = match &self.config.deletion_protection {
            Given::Unknown => return Maybe::Unknown,
            Given::Absent | Given::Null => false,
            Given::Value(wanted) => *wanted,
        };
        if self.row.is_some_and(|row| row.deletion_protection) && !wanted {
            let scope = Scope::Unprotect.as_str();
            match self.facts.authority {
                Authority::Unprotects => {}
                Authority::Writes => self.errors.push(FieldError::of(
                    Code::ScopeMissing,
                    "deletion_protection",
                    format!("turning deletion protection off needs a token with the scope \"{scope}\""),
                )),
                Authority::Plans => self.notes.push(Note::warning(
                    Some("deletion_protection"),
                    format!("The apply needs the scope \"{scope}\""),
                    "A token without it is refused: turning deletion protection off can make data unrecoverable.",
                )),
            }
        }
        Maybe::Known(wanted)
    }

    fn on_destroy(&mut self) -> Maybe<OnDestroy> {
        match &self.config.on_destroy {
            Given::Unknown => Maybe::Unknown,
            Given::Absent | Given::Null => Maybe::Known(OnDestroy::Refuse),
            Given::Value(word) => match OnDestroy::from_word(word) {
                Some(choice) => Maybe::Known(choice),
                None => {
                    let message =
                        not_one_of(word, "a choice for on_destroy", &["refuse", "cascade"]);
                    self.refuse("on_destroy", message);
                    Maybe::Unknown
                }
            },
        }
    }

    fn sleep_after_minutes(&mut self) -> Maybe<Option<u32>> {
        let (minutes, wrong) = sleep_after_minutes(&self.config.sleep_after_minutes);
        self.errors.extend(wrong);
        minutes
    }

    fn quota(&mut self) -> Maybe<Option<PlannedQuota>> {
        let (quota, wrong) = planned_quota(&self.config.quota);
        self.errors.extend(wrong);
        if let (Maybe::Known(Some(planned)), Some(row)) = (&quota, self.row) {
            self.in_the_way = exceeded(planned, row.quota, self.facts.in_use);
        }
        quota
    }

    fn auto_provision(&self) -> Maybe<bool> {
        match &self.config.auto_provision {
            Given::Unknown => Maybe::Unknown,
            Given::Absent | Given::Null => Maybe::Known(false),
            Given::Value(wanted) => Maybe::Known(*wanted),
        }
    }

    fn tags(&mut self) -> Maybe<BTreeMap<String, String>> {
        match &self.config.tags {
            Given::Unknown => Maybe::Unknown,
            Given::Absent | Given::Null => Maybe::Known(BTreeMap::new()),
            Given::Value(tags) => {
                let wrong = check_tags(tags);
                if wrong.is_empty() {
                    return Maybe::Known(tags.clone());
                }
                self.errors.extend(wrong);
                Maybe::Unknown
            }
        }
    }
}
