//! Events of the journal, and what a refresh tells by them of changes that others made.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::object::Object;
use serde_json::{Value as Json, json};

use crate::backend::Backend;
use crate::client::Fields;
use crate::plan::Kind;

/// Objects whose changes are explained in one run, since each costs a request.
const EXPLAINED_MAX: u32 = 5;
/// Events of one object that are looked at.
const EVENTS_MAX: usize = 100;
/// Changes by different people that one warning tells apart.
const AUTHORS_MAX: usize = 3;

/// One event.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a>(&'a Fields);

impl<'a> Entry<'a> {
    /// The event with these fields.
    pub fn of(fields: &'a Fields) -> Self {
        Self(fields)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Json::as_str)
    }

    /// A fact of who did it, which the answer keeps together.
    fn actor(&self, name: &str) -> Option<&'a str> {
        self.0.get("actor")?.get(name)?.as_str()
    }

    /// Who did it, in words: `anna with token ci (tok_1) from 10.0.0.1`.
    fn author(&self) -> String {
        let (user, token) = (self.actor("user_name"), self.actor("token_name"));
        let token = token.zip(self.actor("token_id"));
        let token = token.map(|(name, id)| format!("token {name} ({id})"));
        let mut author = match (user, token) {
            (Some(user), Some(token)) => format!("{user} with {token}"),
            (Some(one), None) => one.to_owned(),
            (None, Some(one)) => one,
            (None, None) => match self.actor("kind") {
                Some("local") => "an administrator on berthd's host".to_owned(),
                _ => "berthd itself".to_owned(),
            },
        };
        if let Some(address) = self.actor("address") {
            author.push_str(&format!(" from {address}"));
        }
        author
    }

    /// The changes, field by field.
    fn changes(&self) -> impl Iterator<Item = &'a Json> {
        self.0
            .get("changes")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
    }

    /// Whether it changed the field, or something in it.
    fn touches(&self, field: &str) -> bool {
        self.changes().any(|change| {
            let path = change
                .get("field")
                .and_then(Json::as_str)
                .unwrap_or_default();
            path.split(['.', '[']).next() == Some(field)
        })
    }

    /// The event as configurations see it: who did it beside what was done, values as JSON.
    pub fn fields(&self) -> Fields {
        let mut fields = self.0.clone();
        for name in ["user_id", "user_name", "token_id", "token_name", "address"] {
            let fact = self.actor(name).map(Json::from);
            fields.insert(name.to_owned(), fact.unwrap_or_default());
        }
        let who = match (self.actor("user_name"), self.actor("token_name")) {
            (Some(user), Some(token)) => format!("{user} ({token})"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) => self.actor("kind").unwrap_or("system").to_owned(),
        };
        fields.insert("actor".to_owned(), who.into());
        let spelled = |value: Option<&Json>| match value {
            None | Some(Json::Null) => Json::Null,
            Some(value) => value.to_string().into(),
        };
        let changes = self.changes().map(|change| {
            json!({
                "field": change.get("field"), "sensitive": change.get("sensitive") == Some(&json!(true)),
                "from": spelled(change.get("from")), "to": spelled(change.get("to")),
            })
        });
        fields.insert("changes".to_owned(), changes.collect());
        fields
    }
}

/// How many objects were explained in this run.
#[derive(Debug, Default)]
pub struct Explained(AtomicU32);

/// An object that a refresh found otherwise than the state has it.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// As the state had it.
    pub before: &'a Object,
    /// As it is.
    pub after: &'a Object,
}

/// Says who changed what the refresh found changed; nothing where nothing was.
pub async fn explain(backend: &Backend, kind: &Kind, found: Found<'_>) -> Outcome<Diagnostics> {
    let mut told = Diagnostics::new();
    let mut changed = Vec::new();
    for field in kind
        .fields
        .iter()
        .filter(|field| !kind.own.contains(&field.name))
    {
        if found.before.get(field.name)? != found.after.get(field.name)? {
            changed.push(field.name);
        }
    }
    if changed.is_empty() {
        return Ok(told);
    }
    match backend.explained.0.fetch_add(1, Ordering::Relaxed) {
        before if before < EXPLAINED_MAX => {}
        EXPLAINED_MAX => {
            told.push(Diagnostic::warning(
                "More was changed since this state was written",
                format!(
                    "{} is not as the state has it, and perhaps others are not. Only the first \
                     {EXPLAINED_MAX} are explained; the data source berth_audit tells who \
                     changed the rest.",
                    found.name
                ),
            ));
            return Ok(told);
        }
        _ => return Ok(told),
    }
    if let Some(detail) = detail(backend, kind.name, found, &changed).await {
        let summary = format!("{} was changed since this state was written", found.name);
        told.push(Diagnostic::warning(summary, detail));
    }
    Ok(told)
}

/// Who destroyed a database, as a sentence; nothing where the journal does not tell, or where
/// enough was explained in this run.
pub async fn destroyer(backend: &Backend, id: &str) -> Option<String> {
    let count = &backend.explained.0;
    let one_more = |explained| (explained < EXPLAINED_MAX).then_some(explained + 1);
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
        .ok()?;
    let filters = [
        ("database_id", id.to_owned()),
        ("kind", "database.destroyed".to_owned()),
    ];
    match backend.client.newest_events(&filters, 1).await {
        Err(error) => Some(format!("Who did it is not known: {error}.")),
        Ok(events) => events.first().map(Entry::of).map(|event| {
            let at = event.text("at").unwrap_or("a time that is not told");
            format!("{} destroyed it at {at}.", event.author())
        }),
    }
}

/// One sentence for each of those who changed something.
async fn detail(
    backend: &Backend,
    kind: &str,
    found: Found<'_>,
    changed: &[&str],
) -> Option<String> {
    let subject = match kind {
        "project" => "project_id",
        _ => "database_id",
    };
    // What was read, and what befell the databases of a project, is not asked for.
    let filters = [(subject, found.id.to_owned()), ("kind", kind.to_owned())];
    let events = match backend.client.newest_events(&filters, EVENTS_MAX).await {
        Ok(events) => events,
        Err(error) => {
            return Some(format!(
                "Changed: {}. Who did it is not known: {error}.",
                changed.join(", ")
            ));
        }
    };
    let events = events.iter().map(Entry::of);
    let mut left: BTreeSet<&str> = changed.iter().copied().collect();
    let mut sentences = Vec::new();
    for event in events {
        let touched: Vec<&str> = left
            .iter()
            .copied()
            .filter(|field| event.touches(field))
            .collect();
        if touched.is_empty() || sentences.len() == AUTHORS_MAX {
            continue;
        }
        left.retain(|field| !touched.contains(field));
        sentences.push(format!(
            "{} changed {} at {}.",
            event.author(),
            touched.join(", "),
            event.text("at").unwrap_or("a time that is not told"),
        ));
    }
    if sentences.is_empty() {
        // Nobody changed it: an older state does not have all that a newer provider knows.
        return None;
    }
    if !left.is_empty() {
        let left: Vec<&str> = left.into_iter().collect();
        sentences.push(format!(
            "Who changed {} is not among the last events.",
            left.join(", ")
        ));
    }
    sentences.push("The plan sets back what the configuration says otherwise.".to_owned());
    Some(sentences.join(" "))
}
