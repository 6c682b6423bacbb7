//! Events of the journal, and what a refresh tells by them of changes that others made.

mod subject;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::object::Object;
use serde_json::{Value as Json, json};

use crate::backend::Backend;
use crate::client::{Fields, Shared};
use crate::plan::Kind;

pub use subject::Subject;

/// Objects whose changes are explained in one run, since each costs a request.
const EXPLAINED_MAX: u32 = 5;
/// Events of each kind that are looked at for one object: what befalls it by itself is not among
/// them, so that these are as many changes.
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

    /// When it happened.
    fn at(&self) -> &'a str {
        self.text("at").unwrap_or("a time that is not told")
    }

    /// Its place among all events.
    fn sequence(&self) -> i64 {
        let sequence = self.0.get("sequence").and_then(Json::as_i64);
        sequence.unwrap_or_default()
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

impl Explained {
    /// Whether there is room for one more; none for the first that there is no room for.
    fn admits(&self) -> Option<bool> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            before if before < EXPLAINED_MAX => Some(true),
            EXPLAINED_MAX => None,
            _ => Some(false),
        }
    }

    /// The same for what is told in any case: whoever finds no room leaves the rest as it is.
    fn takes(&self) -> bool {
        let one_more = |explained| (explained < EXPLAINED_MAX).then_some(explained + 1);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.is_ok()
    }
}

/// The attributes of an object that can be ordered and are not as the state had them.
pub fn differing(kind: &Kind, before: &Object, after: &Object) -> Outcome<Vec<&'static str>> {
    let mut differing = Vec::new();
    for field in kind
        .fields
        .iter()
        .filter(|field| !kind.own.contains(&field.name))
    {
        if before.get(field.name)? != after.get(field.name)? {
            differing.push(field.name);
        }
    }
    Ok(differing)
}

/// Says who changed what the refresh found changed; nothing where nothing was.
pub async fn explain(
    backend: &Backend,
    subject: Subject<'_>,
    name: &str,
    changed: &[&str],
) -> Outcome<Diagnostics> {
    let mut told = Diagnostics::new();
    if changed.is_empty() {
        return Ok(told);
    }
    match backend.explained.admits() {
        Some(true) => {}
        Some(false) => return Ok(told),
        None => {
            told.push(Diagnostic::warning(
                "More was changed since this state was written",
                format!(
                    "{name} is not as the state has it, and perhaps others are not. Only the \
                     first {EXPLAINED_MAX} are explained; the data source berth_audit tells who \
                     changed the rest.",
                ),
            ));
            return Ok(told);
        }
    }
    if let Some(detail) = detail(backend, subject, changed).await {
        let summary = format!("{name} was changed since this state was written");
        told.push(Diagnostic::warning(summary, detail));
    }
    Ok(told)
}

/// Who ended an object, as a sentence; nothing where enough was explained in this run.
pub async fn ender(backend: &Backend, subject: Subject<'_>) -> Option<String> {
    if !backend.explained.takes() {
        return None;
    }
    let window = match Window::of(backend, subject, &[subject.end()]).await {
        Err(error) => return Some(format!("Who did it is not known: {error}.")),
        Ok(window) => window,
    };
    Some(match window.entries().first() {
        None => format!("Who did it is not {}.", window.extent()),
        Some(event) => {
            let verb = subject.end_verb();
            format!("{} {verb} it at {}.", event.author(), event.at())
        }
    })
}

/// The part of the journal that is looked at for an object.
struct Window<'a> {
    subject: Subject<'a>,
    events: Vec<Fields>,
    /// Whether there may be more events than these.
    is_full: bool,
}

impl<'a> Window<'a> {
    /// The newest events of those kinds.
    async fn of(
        backend: &Backend,
        subject: Subject<'a>,
        kinds: &[&'static str],
    ) -> Result<Self, Shared> {
        let mut window = Self {
            subject,
            events: Vec::new(),
            is_full: false,
        };
        for kind in kinds {
            let mut filters = vec![("kind", (*kind).to_owned())];
            filters.extend(subject.filter());
            let found = backend.client.newest_events(&filters, EVENTS_MAX).await;
            let found = match found {
                // The object went out of sight, and its part of the journal with it.
                Err(error) if error.is_absence() => continue,
                found => found?,
            };
            window.is_full |= found.len() >= EVENTS_MAX;
            window.events.extend(found);
        }
        Ok(window)
    }

    /// Those of the object, the newest first.
    fn entries(&self) -> Vec<Entry<'_>> {
        let all = self.events.iter().map(Entry::of);
        let mut own: Vec<_> = all.filter(|event| self.subject.is_of(event)).collect();
        own.sort_by_key(|event| std::cmp::Reverse(event.sequence()));
        own
    }

    /// Where something is not that is not in it.
    fn extent(&self) -> String {
        match self.is_full {
            true => format!("among the last {EVENTS_MAX} events of that kind"),
            false => "in the part of the journal that the provider's token may read".to_owned(),
        }
    }
}

/// What one of those who changed something did.
struct Share {
    author: String,
    /// Fields, and when: the newest change of each.
    acts: Vec<String>,
}

/// Who made the newest change of each field. Takes out of `left` what somebody is known for, and
/// gives the first few of those, the newest first, with the fields that yet others changed.
fn shares<'a>(
    entries: impl IntoIterator<Item = Entry<'a>>,
    left: &mut BTreeSet<&'a str>,
) -> (Vec<Share>, Vec<&'a str>) {
    let mut shares: Vec<Share> = Vec::new();
    let mut further = Vec::new();
    for event in entries {
        let fields = left.iter().copied();
        let touched: Vec<&str> = fields.filter(|field| event.touches(field)).collect();
        if touched.is_empty() {
            continue;
        }
        left.retain(|field| !touched.contains(field));
        let (author, act) = (
            event.author(),
            format!("{} at {}", touched.join(", "), event.at()),
        );
        let known = shares.iter().position(|share| share.author == author);
        match known {
            Some(at) => shares[at].acts.push(act),
            None if shares.len() < AUTHORS_MAX => shares.push(Share {
                author,
                acts: vec![act],
            }),
            None => further.extend(touched),
        }
    }
    (shares, further)
}

/// One sentence for each of those who changed something.
async fn detail(backend: &Backend, subject: Subject<'_>, changed: &[&str]) -> Option<String> {
    let window = match Window::of(backend, subject, subject.changes()).await {
        Ok(window) => window,
        Err(error) => {
            return Some(format!(
                "Changed: {}. Who did it is not known: {error}.",
                changed.join(", ")
            ));
        }
    };
    let mut left: BTreeSet<&str> = changed.iter().copied().collect();
    let (shares, further) = shares(window.entries(), &mut left);
    let sentence =
        |share: &Share| format!("{} changed {}.", share.author, share.acts.join(" and "));
    let mut sentences: Vec<String> = shares.iter().map(sentence).collect();
    if !further.is_empty() {
        sentences.push(format!(
            "Others changed {}: the data source berth_audit tells who.",
            further.join(", ")
        ));
    }
    if sentences.is_empty() && !window.is_full && !subject.is_told_whole() {
        // Nobody changed it: an older state does not have all that a newer provider knows.
        return None;
    }
    if !left.is_empty() {
        let left: Vec<&str> = left.into_iter().collect();
        let (left, extent) = (left.join(", "), window.extent());
        sentences.push(format!("Who changed {left} is not {extent}."));
    }
    sentences.push("The plan sets back what the configuration says otherwise.".to_owned());
    Some(sentences.join(" "))
}
