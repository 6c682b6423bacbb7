//! What is ordered: engine, version, size, place.

use super::{Base, Evaluator};
use crate::bounds::{STORAGE_GB, outside};
use crate::databases::facts::ProjectFact;
use crate::note::{not_one_of, size_text};
use crate::{Code, Given, Maybe, Note};
use berth_domain::{Plan, VersionState};
use berth_engines::Description;

impl<'a> Evaluator<'a> {
    pub(super) fn engine(&mut self) -> (Maybe<&'a dyn Description>, Maybe<Option<String>>) {
        let word = match (&self.config.engine, self.base) {
            (Given::Unknown, _) => return (Maybe::Unknown, Maybe::Unknown),
            (Given::Value(word), _) => word.as_str(),
            (_, Base::Row(row) | Base::Trash(row)) => row.engine.as_str(),
            (_, Base::Unknown) => return (Maybe::Unknown, Maybe::Unknown),
            (_, Base::New) => {
                let names: Vec<_> = self.rules.engines.iter().map(Description::name).collect();
                self.refuse(
                    "engine",
                    format!("is required: use one of {}", names.join(", ")),
                );
                return (Maybe::Unknown, Maybe::Unknown);
            }
        };
        let engine = match self.rules.engines.find(word) {
            Ok(engine) => engine,
            Err(error) => {
                self.refuse("engine", error.to_string());
                return (Maybe::Unknown, Maybe::Unknown);
            }
        };
        let Some(row) = self.base.row() else {
            let ordered = (word != engine.name()).then(|| word.to_owned());
            // With a row that nobody knows yet, its own word may still come.
            let technology = match self.base {
                Base::Unknown => Maybe::Unknown,
                _ => Maybe::Known(ordered),
            };
            return (Maybe::Known(engine), technology);
        };
        if row.engine.as_str() != engine.name() {
            self.refuse(
                "engine",
                format!(
                    "cannot change in place: {} is a {} database; destroy it and create another",
                    row.id, row.engine
                ),
            );
            return (Maybe::Unknown, Maybe::Unknown);
        }
        (Maybe::Known(engine), Maybe::Known(row.technology.clone()))
    }

    pub(super) fn version(&mut self, engine: &Maybe<&'a dyn Description>) -> Maybe<String> {
        let engine = *engine;
        self.settle(
            &self.config.version,
            |row| row.version.clone(),
            |this| match engine {
                Maybe::Known(engine) => this.default_version(engine),
                Maybe::Unknown => Maybe::Unknown,
            },
            |this, word| match engine {
                // The version of a row is its own, whatever engine the wish names.
                Maybe::Known(engine) => this.checked_version(engine, word),
                Maybe::Unknown => Maybe::Known(word.clone()),
            },
        )
    }

    fn default_version(&mut self, engine: &dyn Description) -> Maybe<String> {
        let default = engine.default_version();
        let newest = engine
            .versions()
            .iter()
            .rev()
            .filter(|v| v.state == VersionState::Supported)
            .map(|v| v.name);
        let found = std::iter::once(default)
            .chain(newest)
            .find(|name| self.facts.unavailable(engine.name(), name).is_none());
        match found {
            Some(name) => {
                self.version_notes(engine, name);
                Maybe::Known(name.to_owned())
            }
            None => {
                let reason = self
                    .facts
                    .unavailable(engine.name(), default)
                    .unwrap_or_default()
                    .to_owned();
                self.refuse(
                    "version",
                    format!("no version of {} can be had here: {reason}", engine.title()),
                );
                Maybe::Unknown
            }
        }
    }

    fn checked_version(&mut self, engine: &dyn Description, word: &str) -> Maybe<String> {
        let known: Vec<_> = engine.versions().iter().map(|v| v.name).collect();
        if let Some(row) = self.base.row() {
            if row.version != word {
                self.refuse(
                    "version",
                    format!(
                        "database {} runs version {}, and changing it in place is not offered yet: keep \"{}\", or create a database of version {word} and copy the data",
                        row.name, row.version, row.version
                    ),
                );
                return Maybe::Unknown;
            }
            return Maybe::Known(word.to_owned());
        }
        // A row that nobody knows yet may have a version that can no longer be ordered.
        if matches!(self.base, Base::Unknown) {
            return Maybe::Known(word.to_owned());
        }
        if !known.contains(&word) {
            self.refuse(
                "version",
                not_one_of(word, &format!("a version of {}", engine.title()), &known),
            );
            return Maybe::Unknown;
        }
        if let Some(reason) = self.facts.unavailable(engine.name(), word) {
            let message = format!("{} {word} cannot be had here: {reason}", engine.title());
            self.refuse("version", message);
            return Maybe::Unknown;
        }
        self.version_notes(engine, word);
        Maybe::Known(word.to_owned())
    }

    fn version_notes(&mut self, engine: &dyn Description, name: &str) {
        let Some(version) = engine.versions().iter().find(|v| v.name == name) else {
            return;
        };
        let title = engine.title();
        if let Some(delay) = self.facts.delay(engine.name(), name) {
            self.notes.push(Note::warning(
                Some("version"),
                format!("{title} {name} is not on the host yet"),
                delay,
            ));
        }
        for note in version.notes {
            self.notes
                .push(Note::info("version", format!("{title} {name}"), *note));
        }
        let summary = match version.state {
            VersionState::Supported => return,
            VersionState::Deprecated => "is near its end",
            VersionState::EndOfLife => "gets no fixes any more",
        };
        self.notes.push(Note::warning(
            Some("version"),
            format!("{title} {name} {summary}"),
            format!(
                "Its makers say so; {} is the default here.",
                engine.default_version()
            ),
        ));
    }

    pub(super) fn plan(&mut self) -> Maybe<&'a Plan> {
        let catalogue = &self.rules.catalogue;
        let names: Vec<&str> = catalogue.plans.iter().map(|p| p.name.as_str()).collect();
        let found = match (&self.config.plan, self.base) {
            (Given::Unknown, _) | (Given::Absent | Given::Null, Base::Unknown) => {
                return Maybe::Unknown;
            }
            (Given::Absent | Given::Null, Base::New) => return self.rules.default_plan().into(),
            (Given::Value(name), _) => (name.as_str(), catalogue.plan(name)),
            (_, Base::Row(row) | Base::Trash(row)) => {
                (row.plan.as_str(), catalogue.plan(&row.plan))
            }
        };
        match found {
            (_, Some(plan)) => {
                self.resized(plan);
                Maybe::Known(plan)
            }
            (name, None) => {
                self.refuse("plan", not_one_of(name, "a plan", &names));
                Maybe::Unknown
            }
        }
    }

    fn resized(&mut self, plan: &Plan) {
        let Base::Row(row) = self.base else { return };
        if row.plan == plan.name {
            return;
        }
        let connections = self.facts.connections();
        if connections > plan.max_connections {
            self.refuse(
                "plan",
                format!("{} accepts {} connections and {connections} are open: close some, or take a larger plan", plan.name, plan.max_connections),
            );
        }
        self.notes.push(Note::warning(
            Some("plan"),
            format!("{} restarts", row.name),
            format!(
                "Going from {} to {} restarts the engine: its {connections} connections are closed, and new ones wait for some seconds.",
                row.plan, plan.name
            ),
        ));
    }

    pub(super) fn storage(&mut self, plan: &Maybe<&'a Plan>) -> Maybe<u32> {
        let plan = *plan;
        let asked = match (&self.config.storage_gb, self.base) {
            (Given::Unknown, _) | (Given::Absent | Given::Null, Base::Unknown) => Maybe::Unknown,
            (Given::Value(gb), _) => Maybe::Known(*gb),
            (_, Base::Row(row) | Base::Trash(row)) => {
                plan.map(|p| row.storage_gb.max(p.storage_gb_min))
            }
            (_, Base::New) => plan.map(|p| p.storage_gb_default),
        };
        let Maybe::Known(gb) = asked else {
            return Maybe::Unknown;
        };
        if let Some(row) = self.base.row()
            && gb < row.storage_gb
        {
            let used = self
                .facts
                .observation
                .as_ref()
                .and_then(|o| o.storage_used_bytes);
            let used = used
                .map(|bytes| format!(" ({} are in use)", size_text(bytes)))
                .unwrap_or_default();
            self.refuse(
                "storage_gb",
                format!("cannot shrink from {} to {gb}{used}: keep at least {}, or copy the data into a smaller database", row.storage_gb, row.storage_gb),
            );
            return Maybe::Unknown;
        }
        if !(STORAGE_GB.0..=STORAGE_GB.1).contains(&gb) {
            self.refuse("storage_gb", outside(gb, STORAGE_GB));
            return Maybe::Unknown;
        }
        if let Maybe::Known(plan) = plan
            && !(plan.storage_gb_min..=plan.storage_gb_max).contains(&gb)
        {
            self.refuse(
                "storage_gb",
                format!(
                    "is {gb}: the plan {} takes {} to {}",
                    plan.name, plan.storage_gb_min, plan.storage_gb_max
                ),
            );
            return Maybe::Unknown;
        }
        if matches!(self.base, Base::New) {
            self.notes.push(Note::info(
                "storage_gb",
                "What happens when the storage is full",
                format!("At 80 % of {gb} GB a condition says so; at 100 % the database becomes read-only until it is below 90 %."),
            ));
        }
        Maybe::Known(gb)
    }

    pub(super) fn region(&mut self) -> Maybe<String> {
        self.settle(
            &self.config.region,
            |row| row.region.clone(),
            |this| match &this.facts.project {
                ProjectFact::Found(project) => project
                    .default_region
                    .clone()
                    .or_else(|| this.rules.default_region().map(str::to_owned))
                    .into(),
                ProjectFact::Unknown | ProjectFact::Missing { .. } => Maybe::Unknown,
            },
            |this, word| this.checked_region(word),
        )
    }

    fn checked_region(&mut self, word: &str) -> Maybe<String> {
        if let Some(row) = self.base.row() {
            if row.region != word {
                self.refuse(
                    "region",
                    format!(
                        "{} is in {}, and moving between regions is not offered yet: keep \"{}\"",
                        row.id, row.region, row.region
                    ),
                );
                return Maybe::Unknown;
            }
            return Maybe::Known(word.to_owned());
        }
        if matches!(self.base, Base::New) && !self.rules.catalogue.has_region(word) {
            let known: Vec<_> = self
                .rules
                .catalogue
                .regions
                .iter()
                .map(String::as_str)
                .collect();
            self.refuse("region", not_one_of(word, "a region", &known));
            return Maybe::Unknown;
        }
        Maybe::Known(word.to_owned())
    }

    pub(super) fn replicas(&mut self) -> Maybe<u32> {
        self.settle(
            &self.config.replicas,
            |row| row.replicas,
            |_| Maybe::Known(1),
            |this, count| {
                if *count == 1 {
                    Maybe::Known(1)
                } else {
                    this.refuse(
                        "replicas",
                        format!("is {count}: one member is what can be had so far, so use 1"),
                    );
                    Maybe::Unknown
                }
            },
        )
    }

    /// Whether the host carries one more of that plan.
    pub(super) fn capacity(&mut self, plan: &Maybe<&'a Plan>) {
        let (Maybe::Known(plan), Some(host)) = (*plan, self.facts.host) else {
            return;
        };
        if plan.cpu_millis > host.cpu_millis {
            self.notes.push(Note::warning(
                Some("plan"),
                "The host has less CPU than the plan",
                format!(
                    "{} promises {} thousandths of a core; the host's {} are what it gets.",
                    plan.name, plan.cpu_millis, host.cpu_millis
                ),
            ));
        }
        // What is there already is not refused for an edit of something else.
        if let Base::Row(row) = self.base
            && let Some(before) = self.rules.catalogue.plan(&row.plan)
            && before.memory_mb >= plan.memory_mb
        {
            return;
        }
        let allowed = self.rules.memory_mb_allowed(host.memory_mb);
        let wanted = self.facts.memory_mb_promised + u64::from(plan.memory_mb);
        if wanted > allowed {
            self.refuse_as(
                Code::CapacityExceeded,
                "plan",
                format!(
                    "{} needs {} MiB of memory, and {} of the {allowed} MiB that may be promised are: take a smaller plan, destroy something, or raise the overcommit of berthd",
                    plan.name, plan.memory_mb, self.facts.memory_mb_promised
                ),
            );
        }
    }
}
