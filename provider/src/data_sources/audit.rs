//! `data.berth_audit`: who changed what, and when.

use async_trait::async_trait;
use berth_plugin::data_source::{DataSource, ReadDataRequest, ReadDataResponse};
use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::object::Object;
use berth_plugin::path::Path;
use berth_plugin::provider::Configured;
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::validate::{text as checked, whole};
use serde_json::{Map, Value as Json};

use super::{number, text};
use crate::backend::Backend;
use crate::convert::object_of;
use crate::journal::Entry;
use crate::resources::{rules, times};

/// Events that are answered when no number is asked for.
const EVENTS_DEFAULT: usize = 100;
/// The most events that may be asked for: more would make a state that nobody can carry.
const EVENTS_MAX: i64 = 10_000;
/// The filters that the API takes as they are written.
const FILTERS: [&str; 6] = [
    "project_id",
    "database_id",
    "kind",
    "actor",
    "since",
    "until",
];

/// The data source.
pub struct Audit {
    backend: Configured<Backend>,
}

impl Audit {
    /// Works with the backend that is configured later.
    pub fn new(backend: Configured<Backend>) -> Self {
        Self { backend }
    }
}

fn schema() -> Schema {
    let filter =
        |name: &str, description: &str| Attribute::string(name).optional().description(description);
    let time = |name: &str, description: &str| {
        filter(name, description).validate(checked(|at| times::parse(at).map(|_| ())))
    };
    Schema::new([
        filter("project_id", "Only what concerns that project, by its id.").validate(rules::id(
            "proj_",
            "berth_project.….id or data.berth_project.….id",
        )),
        filter("database_id", "Only what concerns that database.").validate(rules::id(
            "db_",
            "berth_database.….id or data.berth_database.….id",
        )),
        filter(
            "kind",
            "Only events of that kind, such as `database.changed`.",
        ),
        filter(
            "actor",
            "Only what that token (`tok_…`) or a token of that user (`usr_…`) did.",
        ),
        time(
            "since",
            "Only what happened at that time or later, in RFC 3339.",
        ),
        time("until", "Only what happened before that time, in RFC 3339."),
        Attribute::number("limit")
            .optional()
            .description("How many events at most, 1 to 10000; 100 when left out.")
            .validate(whole(1..=EVENTS_MAX)),
        Attribute::nested_list("events", events())
            .computed()
            .description("The events, the newest first."),
    ])
    .description("The journal: who changed what and when, and who read credentials.")
}

fn events() -> Vec<Attribute> {
    let change = [
        text("field", "The field, as the API names it."),
        text("from", "What it was, as JSON; null for a secret."),
        text("to", "What it became, as JSON; null for a secret."),
        Attribute::boolean("sensitive")
            .computed()
            .description("Whether it is a secret, of which only the change is told."),
    ];
    vec![
        number("sequence", "Rises with each event."),
        text("at", "When it happened."),
        text("kind", "What happened, as `noun.verb`."),
        text("message", "A sentence for people."),
        text(
            "actor",
            "Who did it: `system`, `local`, or a person with its token.",
        ),
        text("user_id", "The user whose token did it."),
        text("user_name", "That user's name at that time."),
        text("token_id", "The token that did it."),
        text("token_name", "That token's name."),
        text("address", "The address that it came from."),
        text("project_id", "The project concerned."),
        text("database_id", "The database concerned."),
        text("operation_id", "The operation concerned."),
        Attribute::nested_list("changes", change)
            .computed()
            .description("What it changed, field by field."),
    ]
}

/// The filters as the API takes them, each time in the one spelling that it knows.
fn filters(config: &Object) -> Outcome<Vec<(&'static str, String)>> {
    let mut filters = Vec::new();
    for name in FILTERS {
        let Some(value) = config.string(name)? else {
            continue;
        };
        let value = match name {
            "since" | "until" => times::canonical(value),
            _ => value.to_owned(),
        };
        filters.push((name, value));
    }
    Ok(filters)
}

#[async_trait]
impl DataSource for Audit {
    fn type_name(&self) -> &str {
        "berth_audit"
    }

    fn schema(&self) -> Schema {
        schema()
    }

    async fn validate(&self, config: &Object, diagnostics: &mut Diagnostics) {
        let at = |name| {
            let text = config.string(name).ok().flatten()?;
            times::parse(text).ok()
        };
        if let (Some(since), Some(until)) = (at("since"), at("until"))
            && since >= until
        {
            diagnostics.push(
                Diagnostic::error("Nothing can match", "until is not later than since.")
                    .at("until"),
            );
        }
    }

    async fn read(&self, request: ReadDataRequest<'_>, response: &mut ReadDataResponse) -> Outcome {
        let backend = self.backend.get()?;
        let config = request.config;
        let limit = config.integer("limit")?;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let found = backend
            .client
            .newest_events(&filters(config)?, limit.unwrap_or(EVENTS_DEFAULT))
            .await;
        let at = |field: &str| FILTERS.contains(&field).then(|| Path::from(field));
        let found = found.map_err(|error| error.diagnostics(at))?;
        let events = found.iter().map(|event| Entry::of(event).fields());
        let fields = Map::from_iter([("events".to_owned(), events.map(Json::Object).collect())]);
        let mut state = object_of(&fields, schema().object_type())?;
        for name in FILTERS.iter().chain(&["limit"]) {
            state.set(name, config.get(name)?.clone())?;
        }
        response.state.replace(state);
        Ok(())
    }
}
