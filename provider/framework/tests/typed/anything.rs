//! A resource of any schema, and ways in which it can be wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::object::Object;
use berth_plugin::provider::{ConfigureRequest, Provider};
use berth_plugin::resource::{
    CreateRequest, DeleteRequest, ImportRequest, ImportTarget, PlanRequest, PlanResponse,
    ReadRequest, Resource, StateResponse, UpdateRequest,
};
use berth_plugin::schema::{
    Attribute, AttributeKind, Block, IdentityAttribute, IdentitySchema, Nesting, Schema,
};
use berth_plugin::types::Type;
use berth_plugin::value::Value;

pub const TYPE: &str = "test_anything";

/// One mistake an author could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    None,
    /// Plans a configured name as unknown.
    ForgetsName,
    /// Plans a value for a name that is not known yet.
    GuessesName,
    /// Plans something else each time it is asked.
    PlansAtRandom,
    /// Returns another name than was planned.
    ChangesName,
    /// Leaves the id unknown.
    LeavesUnknown,
    /// Succeeds without saying that there is an object.
    MakesNothing,
    /// Returns a number for the name.
    WrongType,
    /// Gives an object another id when it is updated.
    ChangesIdentity,
}

/// Makes objects of any schema. Computed values are new ones each time they are unknown.
pub struct Anything {
    pub schema: Schema,
    pub mistake: Mistake,
    made: AtomicU64,
    objects: Arc<Mutex<BTreeMap<String, Object>>>,
}

impl Anything {
    pub fn new(schema: Schema, mistake: Mistake) -> Self {
        Self {
            schema,
            mistake,
            made: AtomicU64::new(0),
            objects: Arc::default(),
        }
    }

    fn next(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    fn filled(&self, planned: &Object) -> Object {
        fill_block(self.schema.root(), planned.clone(), &mut || self.next())
    }

    fn store(&self, object: &Object) -> Outcome {
        let id = object.require_string("id")?.to_owned();
        self.objects.lock().unwrap().insert(id, object.clone());
        Ok(())
    }

    fn find(&self, id: &str) -> Option<Object> {
        self.objects.lock().unwrap().get(id).cloned()
    }
}

#[async_trait]
impl Resource for Anything {
    fn type_name(&self) -> &str {
        TYPE
    }

    fn schema(&self) -> Schema {
        self.schema.clone()
    }

    fn identity_schema(&self) -> Option<IdentitySchema> {
        Some(IdentitySchema::new([IdentityAttribute::string("id")]))
    }

    async fn plan(&self, request: PlanRequest<'_>, response: &mut PlanResponse) -> Outcome {
        response.private.set("hint", "planned")?;
        let (Some(config), Some(planned)) = (request.config, &mut response.planned) else {
            return Ok(());
        };
        if request.changed {
            let derived = match config.get("name")?.as_str() {
                Some(name) => format!("host-{name}").into(),
                None => Value::unknown(),
            };
            planned.set("derived", derived)?;
        }
        match self.mistake {
            Mistake::ForgetsName => planned.set("name", Value::unknown())?,
            Mistake::GuessesName if config.is_unknown("name")? => planned.set("name", "guess")?,
            Mistake::PlansAtRandom => planned.set("derived", self.next().to_string())?,
            _ => {}
        }
        Ok(())
    }

    async fn create(&self, request: CreateRequest<'_>, response: &mut StateResponse) -> Outcome {
        if response.private.get::<String>("hint")?.is_none() {
            return Err(Diagnostic::error("Lost", "What plan noted did not arrive.").into());
        }
        let mut object = self.filled(request.planned);
        self.store(&object)?;
        response.private.set("made", &true)?;
        match self.mistake {
            Mistake::ChangesName => object.set("name", "other")?,
            Mistake::LeavesUnknown => object.set("id", Value::unknown())?,
            Mistake::WrongType => object.set("name", 5)?,
            Mistake::MakesNothing => return Ok(()),
            _ => {}
        }
        response.state.replace(object);
        Ok(())
    }

    async fn read(&self, request: ReadRequest<'_>, response: &mut StateResponse) -> Outcome {
        match self.find(request.state.require_string("id")?) {
            Some(object) => response.state.replace(object),
            None => response.state.remove(),
        }
        Ok(())
    }

    async fn update(&self, request: UpdateRequest<'_>, response: &mut StateResponse) -> Outcome {
        if response.private.get::<bool>("made")?.is_none() {
            return Err(Diagnostic::error("Lost", "What create noted did not arrive.").into());
        }
        let mut object = self.filled(request.planned);
        if self.mistake == Mistake::ChangesIdentity {
            object.set("id", "another")?;
        }
        self.store(&object)?;
        response.state.replace(object);
        Ok(())
    }

    async fn delete(&self, request: DeleteRequest<'_>, _: &mut StateResponse) -> Outcome {
        let id = request.prior.require_string("id")?;
        self.objects.lock().unwrap().remove(id);
        Ok(())
    }

    async fn import(&self, request: ImportRequest<'_>, response: &mut StateResponse) -> Outcome {
        let id = match request.target {
            ImportTarget::Id(id) => id,
            ImportTarget::Identity(identity) => identity.require_string("id")?,
        };
        response.state.set("id", id)?;
        response.private.set("made", &true)?;
        Ok(())
    }
}

fn fill_block(block: &Block, object: Object, next: &mut dyn FnMut() -> u64) -> Object {
    object.map_values(|name, value| {
        if let Some(attribute) = block.attribute(name) {
            return fill_attribute(attribute, value, next);
        }
        match block.blocks().iter().find(|nested| nested.name() == name) {
            Some(nested) => fill_nested(nested.content(), value, next),
            None => value,
        }
    })
}

fn fill_attribute(attribute: &Attribute, value: Value, next: &mut dyn FnMut() -> u64) -> Value {
    if attribute.is_write_only() {
        return Value::Null;
    }
    match attribute.kind() {
        AttributeKind::Plain(ty) => fill_plain(ty, value, next),
        AttributeKind::Nested(nesting, block) if value.is_unknown() => {
            let unknown = Object::null(&block.object_type()).map_values(|_, _| Value::unknown());
            let object = Value::Object(fill_block(block, unknown, next));
            match nesting {
                Nesting::Single => object,
                Nesting::List => Value::List(vec![object]),
                Nesting::Set => Value::set([object]),
                Nesting::Map => Value::map([("made", object)]),
            }
        }
        AttributeKind::Nested(_, block) => fill_nested(block, value, next),
    }
}

fn fill_nested(block: &Block, value: Value, next: &mut dyn FnMut() -> u64) -> Value {
    let mut fill = |value: Value| match value {
        Value::Object(object) => Value::Object(fill_block(block, object, next)),
        other => other,
    };
    match value {
        Value::List(elements) => Value::List(elements.into_iter().map(fill).collect()),
        Value::Set(set) => Value::Set(set.into_iter().map(fill).collect()),
        Value::Map(map) => Value::Map(map.into_iter().map(|(k, v)| (k, fill(v))).collect()),
        other => fill(other),
    }
}

fn fill_plain(ty: &Type, value: Value, next: &mut dyn FnMut() -> u64) -> Value {
    if !value.is_unknown() {
        return value;
    }
    match ty {
        Type::Bool => Value::Bool(next().is_multiple_of(2)),
        // Beyond every number that is configured.
        Type::Number => (1_000_000 + next()).into(),
        Type::String => format!("made-{}", next()).into(),
        Type::Dynamic => Value::dynamic(Type::String, format!("made-{}", next())),
        Type::List(ty) => Value::List(vec![fill_plain(ty, Value::unknown(), next)]),
        Type::Set(ty) => Value::set([fill_plain(ty, Value::unknown(), next)]),
        Type::Map(ty) => Value::map([("made", fill_plain(ty, Value::unknown(), next))]),
        Type::Object(object) => {
            let values: Vec<_> = object
                .iter()
                .map(|(name, ty)| (name, fill_plain(ty, Value::unknown(), next)))
                .collect();
            Value::object(values)
        }
        Type::Tuple(types) => {
            let values = types
                .iter()
                .map(|ty| fill_plain(ty, Value::unknown(), next));
            Value::Tuple(values.collect())
        }
    }
}

/// A provider of the resources it is given.
pub struct TestProvider(pub Vec<Arc<dyn Resource>>);

impl TestProvider {
    pub fn of(resource: impl Resource) -> Self {
        Self(vec![Arc::new(resource)])
    }
}

#[async_trait]
impl Provider for TestProvider {
    fn name(&self) -> &str {
        "test"
    }

    fn address(&self) -> &str {
        "registry.example/berth-dev/test"
    }

    fn version(&self) -> &str {
        "0.0.0"
    }

    fn schema(&self) -> Schema {
        Schema::new([])
    }

    fn resources(&self) -> Vec<Arc<dyn Resource>> {
        self.0.clone()
    }

    async fn configure(&self, _: ConfigureRequest<'_>, _: &mut Diagnostics) -> Outcome {
        Ok(())
    }
}
