//! Refreshing, importing and upgrading states.

use serde_json::Value as Json;

use super::apply::identity;
use super::finish::{bug, object_of, repaired, storable};
use super::run::{collect, run, run_now};
use super::{ImportResource, ProviderServer, ReadResource, ResourceEntry, ResourceState, steps};
use crate::core_rules::Violation;
use crate::diagnostics::{Diagnostic, Diagnostics, Outcome};
use crate::path::Path;
use crate::private::Private;
use crate::resource::{ImportRequest, ImportTarget, ReadRequest, State, StateResponse};
use crate::timeouts::Operation;
use crate::value::Value;
use crate::wire::json;

impl ProviderServer {
    /// Looks at one object. Private data and identity are kept unless the author changes
    /// them; an object that is gone is null, without an error.
    pub async fn read_resource(&self, request: ReadResource) -> ResourceState {
        let mut answer = ResourceState {
            state: request.state.clone(),
            private: request.private.clone(),
            identity: request.identity.clone(),
            diagnostics: Diagnostics::new(),
        };
        if let Err(errors) = self.read_into(request, &mut answer).await {
            answer.diagnostics.append(errors);
        }
        answer
    }

    async fn read_into(&self, request: ReadResource, answer: &mut ResourceState) -> Outcome {
        let entry = self.resource(&request.type_name)?;
        let Some(before) = object_of(request.state, "state")? else {
            return Ok(());
        };
        let mut private = Private::decode(&request.private)?;
        let imported = private.take_imported();
        let mut response = StateResponse {
            state: State::present(before.clone()),
            private,
            diagnostics: Diagnostics::new(),
        };
        let limit = entry.timeouts.limit(Operation::Read, Some(&before));
        let context = self.context(limit, request.capabilities);
        let request = ReadRequest {
            state: &before,
            context: &context,
        };
        let what = format!("read the {}", entry.resource.type_name());
        let handler = entry.resource.read(request, &mut response);
        let outcome = run(&what, &context, handler).await;
        let diagnostics = &mut answer.diagnostics;
        *diagnostics = response.diagnostics;
        collect(outcome, diagnostics);
        if diagnostics.has_errors() {
            return Ok(());
        }
        let Some(object) = response.state.into_object() else {
            answer.state = Value::Null;
            answer.private = Vec::new();
            answer.identity = None;
            return Ok(());
        };
        let object = repaired(&entry.schema, object, Some(&before), diagnostics);
        // What an import left empty says nothing about how the object was configured.
        let object = if imported {
            object
        } else {
            steps::keep_meaning(&entry.schema.root, &before, object)
        };
        let object = storable(&entry.schema, object, diagnostics);
        let found = identity(entry, Some(&before), &object, diagnostics);
        answer.identity = found.or(answer.identity.take());
        answer.private = response.private.encode();
        answer.state = Value::Object(object);
        Ok(())
    }

    /// Finds one object that exists. The host reads it right afterwards.
    pub async fn import_resource(&self, request: ImportResource) -> ResourceState {
        let mut answer = ResourceState {
            state: Value::Null,
            private: Vec::new(),
            identity: request.identity.clone(),
            diagnostics: Diagnostics::new(),
        };
        if let Err(errors) = self.import_into(request, &mut answer).await {
            answer.diagnostics.append(errors);
        }
        answer
    }

    async fn import_into(&self, request: ImportResource, answer: &mut ResourceState) -> Outcome {
        let entry = self.resource(&request.type_name)?;
        let identity = match request.identity {
            Some(identity) => object_of(identity, "identity")?,
            None => None,
        };
        let mut response = StateResponse {
            state: State::null(entry.schema.object_type()),
            private: Private::new(),
            diagnostics: Diagnostics::new(),
        };
        let limit = entry.timeouts.limit(Operation::Read, None);
        let context = self.context(limit, request.capabilities);
        let target = match &identity {
            Some(identity) => ImportTarget::Identity(identity),
            None if request.id.trim().is_empty() => {
                return Err(Diagnostic::error(
                    "Missing import id",
                    format!(
                        "The id to import is empty. Say which {} it is: import ADDRESS ID.",
                        entry.resource.type_name()
                    ),
                )
                .into());
            }
            None => ImportTarget::Id(&request.id),
        };
        let request = ImportRequest {
            target,
            context: &context,
        };
        let what = format!("import the {}", entry.resource.type_name());
        let handler = entry.resource.import(request, &mut response);
        let outcome = run(&what, &context, handler).await;
        let diagnostics = &mut answer.diagnostics;
        *diagnostics = response.diagnostics;
        collect(outcome, diagnostics);
        if diagnostics.has_errors() {
            return Ok(());
        }
        let Some(object) = response.state.into_object() else {
            return Err(Diagnostic::error(
                "Nothing to import",
                "There is no object with this identifier.",
            )
            .into());
        };
        let object = repaired(&entry.schema, object, None, diagnostics);
        let object = storable(&entry.schema, object, diagnostics);
        let found = entry.identity_of(&object).map(Value::Object);
        answer.identity = found.or(answer.identity.take());
        response.private.mark_imported();
        answer.private = response.private.encode();
        answer.state = Value::Object(object);
        Ok(())
    }

    /// Reads a stored state of `version` under today's schema; null with errors when it
    /// cannot be read.
    pub async fn upgrade_resource(
        &self,
        type_name: &str,
        version: i64,
        raw_json: &[u8],
    ) -> (Value, Diagnostics) {
        match self.upgraded(type_name, version, raw_json) {
            Ok(value) => (value, Diagnostics::new()),
            Err(diagnostics) => (Value::Null, diagnostics),
        }
    }

    fn upgraded(&self, type_name: &str, version: i64, raw_json: &[u8]) -> Outcome<Value> {
        let entry = self.resource(type_name)?;
        let ty = entry.schema.ty();
        let unreadable = |error: json::JsonError| {
            let path = error.path.clone();
            Diagnostic::error("State cannot be read", format!("{error}.")).at(path)
        };
        let value = if version == entry.schema.version {
            json::decode_lenient(raw_json, &ty).map_err(unreadable)?
        } else {
            let old: Json = serde_json::from_slice(raw_json).map_err(|_| {
                Diagnostic::error("State cannot be read", "The stored state is not JSON.")
            })?;
            let new = upgrade(entry, version, old)?;
            json::from_json(&new, &ty).map_err(unreadable)?
        };
        match value {
            Value::Object(object) => Ok(Value::Object(steps::without_write_only(
                &entry.schema.root,
                object,
            ))),
            _ => Err(Diagnostic::error(
                "State cannot be upgraded",
                format!("The state of version {version} is empty."),
            )
            .into()),
        }
    }

    /// Reads a stored identity. No version of an identity has been given up so far, so every
    /// version is read leniently.
    pub async fn upgrade_identity(
        &self,
        type_name: &str,
        version: i64,
        raw_json: &[u8],
    ) -> (Value, Diagnostics) {
        let read = || -> Outcome<Value> {
            let entry = self.resource(type_name)?;
            let Some(identity) = &entry.identity else {
                return Err(Diagnostic::error(
                    "No identity",
                    format!("Objects of type {type_name} have no identity."),
                )
                .into());
            };
            json::decode_lenient(raw_json, &identity.ty()).map_err(|error| {
                let detail = format!("The identity of version {version}: {error}.");
                Diagnostic::error("Identity cannot be read", detail).into()
            })
        };
        match read() {
            Ok(value) => (value, Diagnostics::new()),
            Err(diagnostics) => (Value::Null, diagnostics),
        }
    }
}

fn upgrade(entry: &ResourceEntry, version: i64, old: Json) -> Outcome<Json> {
    let Some(upgrader) = entry.upgraders.iter().find(|u| u.version == version) else {
        let now = entry.schema.version;
        let problem = format!("cannot be brought from version {version} to version {now}");
        let violation = Violation::new(&Path::root(), problem);
        return Err(bug("State cannot be upgraded", violation).into());
    };
    run_now("upgrade a state", || (upgrader.run)(old))?
}
