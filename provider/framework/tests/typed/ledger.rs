//! A resource as an author writes one, over a server that misbehaves on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::object::Object;
use berth_plugin::resource::{
    CreateRequest, DeleteRequest, ImportRequest, ImportTarget, PlanRequest, PlanResponse,
    ReadRequest, Resource, StateResponse, UpdateRequest, Upgrader,
};
use berth_plugin::schema::{Attribute, IdentityAttribute, IdentitySchema, Schema};
use berth_plugin::testing::TestHost;
use berth_plugin::timeouts::{self, Operation, Timeouts};
use berth_plugin::types::Type;
use berth_plugin::validate::{self, Rule};
use berth_plugin::value::Value;
use serde_json::json;

use crate::anything::TestProvider;

pub const TYPE: &str = "test_ledger";

/// A text that must never be seen outside a request.
pub const SECRET: &str = "hunter2-planted";

/// What the server does beside its duty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Good,
    /// Answers an empty text where nothing was given.
    EmptyForNull,
    /// Fails a create once the object is there.
    FailsAfterCreate,
    /// Makes the handler panic once the object is there.
    PanicsAfterCreate,
    /// Fails an update halfway: the name is changed, the rest is not.
    FailsHalfwayThroughUpdate,
    /// Answers in another Unicode form of the same text.
    Decomposes,
    /// Refuses to delete.
    RefusesDelete,
    /// Makes the handlers of read, plan and validate panic.
    Panics,
}

#[derive(Default)]
pub struct Server {
    pub objects: BTreeMap<String, Object>,
    pub mood: Mood,
    pub updates: u64,
    pub limits: Vec<(&'static str, Duration)>,
    pub plans_with_note: Vec<bool>,
}

/// Shared with the test, which plays the server's operator.
#[derive(Clone, Default)]
pub struct Ledger {
    pub server: Arc<Mutex<Server>>,
    /// Declares, wrongly, that the entity tag never changes.
    pub keeps_etag: bool,
    /// Copies the whole configuration into the state, write-only values included.
    pub copies_config: bool,
}

impl Ledger {
    pub fn mood(&self, mood: Mood) {
        self.server.lock().unwrap().mood = mood;
    }

    pub fn host(&self) -> TestHost {
        TestHost::new(TestProvider::of(self.clone())).unwrap()
    }

    fn is(&self, mood: Mood) -> bool {
        self.server.lock().unwrap().mood == mood
    }

    fn limit(&self, name: &'static str, limit: Duration) {
        self.server.lock().unwrap().limits.push((name, limit));
    }

    /// What the server makes of a plan.
    fn stored(&self, planned: &Object, id: &str) -> Outcome<Object> {
        let mut server = self.server.lock().unwrap();
        server.updates += 1;
        let number = server.updates;
        let mut object = planned.clone();
        object.set("id", id)?;
        object.set("etag", format!("etag-{number}"))?;
        if let Some(label) = planned.string("label")? {
            object.set("label", label.to_lowercase())?;
        }
        if server.mood == Mood::EmptyForNull {
            for name in ["note", "label"] {
                if object.is_null(name)? {
                    object.set(name, "")?;
                }
            }
            object.set("tags", Value::Map(BTreeMap::new()))?;
        }
        if server.mood == Mood::Decomposes {
            object.set(
                "name",
                planned.require_string("name")?.replace('é', "e\u{301}"),
            )?;
        }
        let grants = planned.get("grants")?.clone();
        if let Value::Set(grants) = grants {
            let filled = grants.into_iter().map(|grant| match grant {
                Value::Object(mut grant) => {
                    if grant.is_unknown("token").unwrap() {
                        let user = grant.require_string("user").unwrap();
                        let token = format!("token-{user}-{number}");
                        grant.set("token", token).unwrap();
                    }
                    Value::Object(grant)
                }
                other => other,
            });
            object.set("grants", Value::Set(filled.collect()))?;
        }
        server.objects.insert(id.to_owned(), object.clone());
        Ok(object)
    }
}

#[async_trait]
impl Resource for Ledger {
    fn type_name(&self) -> &str {
        TYPE
    }

    fn schema(&self) -> Schema {
        let etag = Attribute::string("etag").computed();
        let etag = if self.keeps_etag {
            etag.keep_prior()
        } else {
            etag
        };
        Schema::new([
            Attribute::string("id").computed().keep_prior(),
            etag,
            Attribute::string("name")
                .required()
                .validate(validate::length(1..=20)),
            Attribute::string("kind")
                .required()
                .requires_replace()
                .validate(validate::one_of(["journal", "account"])),
            Attribute::string("note").optional(),
            Attribute::number("size").optional().default(10),
            Attribute::string("label").optional().same_meaning(|a, b| {
                let lower = |value: &Value| value.as_str().map(str::to_lowercase);
                lower(a) == lower(b)
            }),
            Attribute::map("tags", Type::String).optional(),
            Attribute::string("secret_wo").optional().write_only(),
            Attribute::number("secret_version").optional(),
            Attribute::nested(
                "settings",
                [
                    Attribute::string("mode").optional().default("plain"),
                    Attribute::string("made").computed(),
                ],
            )
            .optional(),
            Attribute::nested_set(
                "grants",
                [
                    Attribute::string("user").required(),
                    Attribute::string("token").computed(),
                ],
            )
            .optional(),
            Attribute::string("old").optional().deprecated("Use note."),
        ])
        .version(2)
        .block(timeouts::block([Operation::Create, Operation::Delete]))
    }

    fn identity_schema(&self) -> Option<IdentitySchema> {
        Some(IdentitySchema::new([IdentityAttribute::string("id")]))
    }

    fn timeouts(&self) -> Timeouts {
        Timeouts {
            create: Duration::from_secs(77),
            ..Timeouts::default()
        }
    }

    fn rules(&self) -> Vec<Rule> {
        vec![
            Rule::required_together(["secret_wo", "secret_version"]),
            Rule::conflicting(["note", "old"]),
        ]
    }

    fn upgraders(&self) -> Vec<Upgrader> {
        vec![
            // Version 0 had the size as text, under another name, and a colour.
            Upgrader::from_version(0, |old| {
                Ok(
                    json!({"id": old["id"], "name": old["title"], "kind": "journal",
                          "size": old["big"]}),
                )
            }),
            Upgrader::from_version(1, |mut old| {
                let map = old.as_object_mut().ok_or_else(|| {
                    Diagnostics::from(Diagnostic::error("Bad state", "It is no object."))
                })?;
                map.remove("colour");
                map.insert("kind".into(), "account".into());
                Ok(old)
            }),
        ]
    }

    async fn validate(&self, config: &Object, diagnostics: &mut Diagnostics) {
        assert!(!self.is(Mood::Panics), "the server is in a bad mood");
        if config.string("name").is_ok_and(|name| name == Some("root")) {
            diagnostics.push(Diagnostic::error("Reserved name", "root is reserved.").at("name"));
        }
    }

    async fn plan(&self, request: PlanRequest<'_>, response: &mut PlanResponse) -> Outcome {
        assert!(!self.is(Mood::Panics), "the server is in a bad mood");
        let noted = request.private.get::<bool>("planned")?.is_some();
        self.server.lock().unwrap().plans_with_note.push(noted);
        response.private.set("planned", &true)?;
        if let Some(planned) = &mut response.planned
            && let Ok(Some(settings)) = planned.object("settings")
        {
            // Derived from the mode alone, so known at plan.
            let mut settings = settings.clone();
            let made = match settings.get("mode")?.as_str() {
                Some(mode) => Value::from(format!("made-{mode}")),
                None => Value::unknown(),
            };
            settings.set("made", made)?;
            planned.set("settings", settings)?;
        }
        Ok(())
    }

    async fn create(&self, request: CreateRequest<'_>, response: &mut StateResponse) -> Outcome {
        self.limit("create", request.context.limit);
        response.private.set("born", &true)?;
        let id = format!("led_{}", self.server.lock().unwrap().updates);
        let object = self.stored(request.planned, &id)?;
        response.state.set("id", id)?;
        if self.copies_config {
            response
                .state
                .set("secret_wo", request.config.get("secret_wo")?.clone())?;
        }
        if self.is(Mood::FailsAfterCreate) {
            return Err(Diagnostic::error("Server failed", "After the object was made.").into());
        }
        assert!(
            !self.is(Mood::PanicsAfterCreate),
            "the server is in a bad mood"
        );
        let secret = response.state.object().get("secret_wo")?.clone();
        response.state.replace(object);
        response.state.set("secret_wo", secret)?;
        Ok(())
    }

    async fn read(&self, request: ReadRequest<'_>, response: &mut StateResponse) -> Outcome {
        assert!(!self.is(Mood::Panics), "the server is in a bad mood");
        let id = request.state.require_string("id")?;
        match self.server.lock().unwrap().objects.get(id) {
            Some(object) => response.state.replace(object.clone()),
            None => response.state.remove(),
        }
        Ok(())
    }

    async fn update(&self, request: UpdateRequest<'_>, response: &mut StateResponse) -> Outcome {
        if self.is(Mood::FailsHalfwayThroughUpdate) {
            response
                .state
                .set("name", request.planned.get("name")?.clone())?;
            return Err(Diagnostic::error("Server failed", "Only the name is changed.").into());
        }
        let id = request.prior.require_string("id")?;
        response.state.replace(self.stored(request.planned, id)?);
        Ok(())
    }

    async fn delete(&self, request: DeleteRequest<'_>, _: &mut StateResponse) -> Outcome {
        self.limit("delete", request.context.limit);
        if self.is(Mood::RefusesDelete) {
            return Err(Diagnostic::error("Not empty", "There are entries in it.").into());
        }
        let id = request.prior.require_string("id")?;
        self.server.lock().unwrap().objects.remove(id);
        Ok(())
    }

    async fn import(&self, request: ImportRequest<'_>, response: &mut StateResponse) -> Outcome {
        let id = match request.target {
            ImportTarget::Id(id) => id,
            ImportTarget::Identity(identity) => identity.require_string("id")?,
        };
        response.state.set("id", id)?;
        Ok(())
    }
}
