//! Plans: what the backend is asked, and what of its answer becomes the planned state.
//!
//! The backend decides what an order leads to; here it is decided what the order is. An
//! attribute that the configuration leaves out means different things in a change, and the
//! table of [`Field`]s says which.

mod answer;
mod found;
mod names;
mod order;
mod preset;

use std::collections::BTreeSet;

use berth_api::{Note, PlanItem, PlannedItem, Severity};
use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::object::Object;
use berth_plugin::path::Path;
use berth_plugin::private::Private;
use berth_plugin::resource::{PlanRequest, PlanResponse};
use berth_plugin::schema::Schema;
use berth_plugin::value::Value;
use serde_json::{Map, Value as Json};

use crate::backend::Backend;
use crate::client::complaint;
use crate::convert::json_of;

use answer::{Source, fill};
use names::{UNSEEN, contested, is_taken, place};
use order::{Order, adopted};

pub use preset::{named, of_provider};

/// Under this key of the private state stands the id of the object. A replacement is planned
/// as a create that still has it, which is the only trace of what it replaces.
pub const PRIVATE_ID: &str = "id";
/// Under this key stand the [`Manner::Adopted`] attributes that the configuration gave.
const PRIVATE_CONFIGURED: &str = "configured";

/// What it means that the configuration leaves an attribute out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// There is nothing: the API's `null`.
    Absent,
    /// The schema has a default.
    Default,
    /// It stays as it is; at create the backend chooses.
    Sticky,
    /// The backend keeps it by itself: an order is silent about it.
    Kept,
    /// As [`Manner::Sticky`]; but once the configuration gave it and does so no more, the
    /// backend's default returns.
    Adopted,
    /// It counts at create and never again.
    Once,
}

/// An attribute that a request of the API may carry.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The name, in the schema and in the API.
    pub name: &'static str,
    /// What leaving it out means.
    pub manner: Manner,
}

/// How one kind of object is planned.
#[derive(Debug)]
pub struct Kind {
    /// The API's word.
    pub name: &'static str,
    /// The schema.
    pub schema: Schema,
    /// What can be ordered.
    pub fields: &'static [Field],
    /// What the provider decides by itself.
    pub own: &'static [&'static str],
}

impl Kind {
    /// The attribute that a field of the API is, for diagnostics.
    pub fn path(&self, field: &str) -> Option<Path> {
        let field = field.strip_prefix("config.").unwrap_or(field);
        let first = field.split(['.', '[']).next()?;
        let attribute = self.schema.root().attribute(first)?;
        // Only nested attributes have paths below themselves that a user has written.
        let nested = matches!(
            attribute.kind(),
            berth_plugin::schema::AttributeKind::Nested(..)
        );
        Some(Path::from(if nested { field } else { first }))
    }

    /// What is ordered: the whole of it, as for a create.
    ///
    /// `planned` has the schema's defaults in it, `prior` is what is there already.
    pub fn order(
        &self,
        config: &Object,
        planned: &Object,
        prior: Option<&Object>,
        private: &Private,
        backend: &Backend,
    ) -> Outcome<Order> {
        let configured = configured(private)?;
        let mut order = Order::default();
        for field in self.fields {
            let given = config.get(field.name)?;
            let there = prior.map(|prior| prior.get(field.name)).transpose()?;
            let value = match (field.manner, there) {
                (Manner::Once, Some(_)) => continue,
                (Manner::Adopted, Some(there)) => adopted(field.name, given, there, &configured),
                _ if !given.is_null() => given.clone(),
                (Manner::Kept, _) => continue,
                (Manner::Default, _) => planned.get(field.name)?.clone(),
                (Manner::Sticky, Some(there)) => there.clone(),
                _ => {
                    order.add_preset(field.name, backend);
                    continue;
                }
            };
            order.add(field.name, &value);
        }
        Ok(order)
    }

    /// Plans a create, a change, a replacement or a destruction.
    pub async fn plan(
        &self,
        backend: &Backend,
        request: PlanRequest<'_>,
        response: &mut PlanResponse,
    ) -> Outcome {
        let Some(config) = request.config else {
            return self
                .plan_destruction(backend, request.prior, response)
                .await;
        };
        let Some(planned) = response.planned.take() else {
            return Ok(());
        };
        if !backend.client.is_known() {
            response.planned = Some(planned);
            return Ok(());
        }
        if let Some(prior) = request.prior
            && planned.get("name")? == prior.get("name")?
            && !backend.seen.stays(prior.require_string("id")?)
        {
            let name = prior.string("name")?.unwrap_or_default();
            response.diagnostics.push(self.twice(name));
        }
        let order = self.order(config, &planned, request.prior, request.private, backend)?;
        remember_configured(self, config, &mut response.private)?;
        let asked = request.prior.is_none_or(|prior| order.differs_from(prior));
        let answer = if asked {
            let id = request
                .prior
                .map(|prior| prior.require_string("id"))
                .transpose()?;
            let replaced: Option<String> = match id {
                Some(_) => None,
                None => request.private.get(PRIVATE_ID)?,
            };
            self.ask(backend, id, order, replaced, &mut response.diagnostics)
                .await
        } else {
            None
        };
        let planned = self.planned(config, planned, request.prior, asked, answer.as_ref())?;
        response.planned = Some(planned);
        Ok(())
    }

    /// Asks what would come of an order. None when it is refused; the diagnostics say why.
    async fn ask(
        &self,
        backend: &Backend,
        id: Option<&str>,
        order: Order,
        replaced: Option<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<PlannedItem> {
        let order = order.without_nulls();
        let preset = order.preset;
        let item = PlanItem {
            kind: self.name.to_owned(),
            id: id.map(str::to_owned),
            replaces: replaced,
            destroy: false,
            config: order.config,
            unknown: order.unknown,
        };
        let is_new = item.id.is_none() && item.replaces.is_none();
        // A replacement is never asked for a destroy plan, so what the destruction costs is
        // asked here.
        let (answer, ()) = tokio::join!(backend.gather.plan(item.clone()), async {
            if let Some(id) = &item.replaces {
                let told = self.destruction(backend, id, None).await;
                diagnostics.append(told);
            }
        });
        let answer = match answer {
            Ok(answer) if is_new && contested(&answer) => {
                let unheld = self.beside(backend, item, diagnostics).await;
                Ok(unheld.unwrap_or(answer))
            }
            answer => answer,
        };
        match answer {
            Err(error) => {
                let told = error.diagnostics(|field| self.path(field));
                diagnostics.append(of_provider(told, &preset));
                None
            }
            Ok(answer) => {
                let is_blind = is_new && backend.seen.is_blind();
                diagnostics.append(of_provider(self.tell(&answer, is_blind), &preset));
                if is_new && let Some((project, name)) = place(&answer) {
                    let is_first = backend.seen.makes(self.name, project, name);
                    if !is_first {
                        diagnostics.push(self.again(name));
                    }
                }
                Some(answer)
            }
        }
    }

    /// The replacement of a tainted object arrives as a plain create, whose name its
    /// predecessor still has; the backend refuses it, or takes it for a create to resume. That
    /// the predecessor was refreshed in this run is the only trace of it. What would come of
    /// the order once it is gone; none when nothing of the state is in the way.
    async fn beside(
        &self,
        backend: &Backend,
        mut item: PlanItem,
        diagnostics: &mut Diagnostics,
    ) -> Option<PlannedItem> {
        let name = item.config.get("name")?.as_str()?.to_owned();
        for holder in backend.seen.holders(self.name, &name) {
            item.replaces = Some(holder.clone());
            let answer = match backend.gather.plan(item.clone()).await {
                Ok(answer) if !contested(&answer) => answer,
                // It is another one that is in the way, or the question has no answer.
                Ok(_) | Err(_) => continue,
            };
            if backend.seen.yields(&holder) {
                diagnostics.push(self.held(&name, &holder));
                // When it stays, nothing is destroyed, and no error is called for.
                for told in self.destruction(backend, &holder, Some(&name)).await.iter() {
                    diagnostics.push(match told.is_error() {
                        true => Diagnostic::warning(
                            "The object in the way cannot be destroyed",
                            format!("When it is tainted, the apply fails: {told}"),
                        ),
                        false => told.clone(),
                    });
                }
            } else {
                diagnostics.push(self.twice(&name));
            }
            return Some(answer);
        }
        None
    }

    async fn plan_destruction(
        &self,
        backend: &Backend,
        prior: Option<&Object>,
        response: &mut PlanResponse,
    ) -> Outcome {
        let Some(prior) = prior else {
            return Ok(());
        };
        let (Some(id), name) = (prior.string("id")?, prior.string("name")?) else {
            return Ok(());
        };
        if backend.client.is_known() {
            let told = self.destruction(backend, id, name).await;
            response.diagnostics.append(told);
        }
        Ok(())
    }

    /// What the destruction of an object costs, or why it is refused.
    pub async fn destruction(
        &self,
        backend: &Backend,
        id: &str,
        name: Option<&str>,
    ) -> Diagnostics {
        let item = PlanItem {
            kind: self.name.to_owned(),
            id: Some(id.to_owned()),
            replaces: None,
            destroy: true,
            config: Map::new(),
            unknown: Vec::new(),
        };
        let mut diagnostics = Diagnostics::new();
        // No attribute is wrong: the fields are those of what would go, which may be all that
        // is in a project.
        match backend.gather.plan(item).await {
            Err(error) => diagnostics.append(error.diagnostics(|_| None)),
            // What is gone already needs no destruction, and none is refused.
            Ok(answer) if answer.errors.iter().any(|error| error.field == "id") => {}
            Ok(answer) => {
                for note in &answer.notes {
                    self.note(note, &mut diagnostics);
                }
                for error in &answer.errors {
                    let summary = format!("This {} cannot be destroyed", self.name);
                    let said = complaint(&error.field, &error.message);
                    diagnostics.push(Diagnostic::error(summary, self.whose(name, said)));
                }
            }
        }
        diagnostics
    }

    /// Why something stays, with the word for what it is where that is another kind of object.
    fn whose(&self, name: Option<&str>, said: String) -> String {
        let who = said.split_once(" is protected").map(|(who, _)| who);
        match who {
            Some(who) if self.name == "project" && Some(who) != name => format!("Database {said}"),
            _ => said,
        }
    }

    /// `is_blind` says that nothing of the state was refreshed, and that the object is new.
    fn tell(&self, answer: &PlannedItem, is_blind: bool) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        for note in &answer.notes {
            self.note(note, &mut diagnostics);
        }
        for error in &answer.errors {
            let path = self.path(&error.field).unwrap_or_default();
            let summary = match path.is_root() {
                true => format!("This {} cannot be planned", self.name),
                false => "Invalid value".to_owned(),
            };
            let mut detail = complaint(&error.field, &error.message);
            if is_blind && is_taken(error) {
                detail.push_str(UNSEEN);
            }
            diagnostics.push(Diagnostic::error(summary, detail).at(path));
        }
        diagnostics
    }

    fn note(&self, note: &Note, diagnostics: &mut Diagnostics) {
        match note.severity {
            // The host knows errors and warnings; what is merely worth knowing would look
            // like a warning.
            Severity::Info => tracing::info!(note = note.message, "{}", note.summary),
            Severity::Warning => {
                let path = note.field.as_deref().and_then(|field| self.path(field));
                diagnostics.push(
                    Diagnostic::warning(note.summary.clone(), note.message.clone())
                        .at(path.unwrap_or_default()),
                );
            }
        }
    }

    /// The planned state: what is configured as it is written, the provider's own attributes
    /// as the caller left them, and the rest as the backend answers or as it is.
    fn planned(
        &self,
        config: &Object,
        planned: Object,
        prior: Option<&Object>,
        asked: bool,
        answer: Option<&PlannedItem>,
    ) -> Outcome<Object> {
        let types = self.schema.object_type();
        let mut result = planned.clone();
        for attribute in self.schema.root().attributes() {
            let name = attribute.name();
            if self.own.contains(&name) || !attribute.is_computed() {
                continue;
            }
            let source = match (asked, prior, types.get(name)) {
                (false, Some(prior), _) => Source::There(prior.get(name)?),
                (_, _, Some(ty)) => Source::Answer(answer, ty),
                _ => continue,
            };
            let has_default = self
                .fields
                .iter()
                .any(|field| field.name == name && field.manner == Manner::Default);
            let value = match config.get(name)? {
                Value::Null if has_default => continue,
                Value::Null => source.value(name)?,
                Value::Object(given) => fill(name, given, &source)?,
                written => written.clone(),
            };
            result.set(name, value)?;
        }
        Ok(result)
    }
}

fn configured(private: &Private) -> Outcome<BTreeSet<String>> {
    Ok(private.get(PRIVATE_CONFIGURED)?.unwrap_or_default())
}

/// Notes which adopted attributes the configuration gives, for the plan that finds them gone.
fn remember_configured(kind: &Kind, config: &Object, private: &mut Private) -> Outcome {
    let mut configured = BTreeSet::new();
    let adopted = |field: &&Field| field.manner == Manner::Adopted;
    for field in kind.fields.iter().filter(adopted) {
        let value = config.get(field.name)?;
        if value.is_null() {
            continue;
        }
        configured.insert(field.name.to_owned());
        if let Value::Object(object) = value {
            let given = object.iter().filter(|(_, value)| !value.is_null());
            configured.extend(given.map(|(inner, _)| format!("{}.{inner}", field.name)));
        }
    }
    Ok(private.set(PRIVATE_CONFIGURED, &configured)?)
}

/// The fields in which `planned` differs from `prior`, as a change carries them. What the
/// backend changes along with them by itself is not among them.
pub fn change(
    kind: &Kind,
    config: &Object,
    prior: &Object,
    planned: &Object,
) -> Outcome<Map<String, Json>> {
    let mut change = Map::new();
    for field in kind.fields {
        let (before, after) = (prior.get(field.name)?, planned.get(field.name)?);
        let follows = match field.manner {
            Manner::Once => true,
            Manner::Sticky | Manner::Kept => config.get(field.name)?.is_null(),
            Manner::Absent | Manner::Default | Manner::Adopted => false,
        };
        if follows || before == after {
            continue;
        }
        if let Some(json) = json_of(after) {
            change.insert(field.name.to_owned(), json);
        }
    }
    Ok(change)
}

/// The fields of a create: the order, without what is left to the backend.
pub fn body(order: Order) -> Map<String, Json> {
    order.without_nulls().config
}
