//! Configuring, data sources, ephemeral resources and functions.

use super::finish::{bug, object_of, repaired};
use super::run::{collect, run, run_now, run_unlimited};
use super::{OpenedEphemeral, ProviderServer, RenewedEphemeral};
use crate::core_rules::{self, Violation};
use crate::data_source::{ReadDataRequest, ReadDataResponse};
use crate::diagnostics::{Diagnostics, Outcome};
use crate::ephemeral::{OpenRequest, OpenResponse, RenewResponse};
use crate::function::FunctionError;
use crate::object::Object;
use crate::path::Path;
use crate::private::Private;
use crate::provider::ConfigureRequest;
use crate::resource::{ClientCapabilities, State};
use crate::schema::Schema;
use crate::timeouts::{Operation, Timeouts};
use crate::value::Value;
use crate::wire::json::unknown_paths;

impl ProviderServer {
    /// Hands the provider its configuration.
    pub async fn configure(
        &self,
        config: Value,
        client_version: &str,
        capabilities: ClientCapabilities,
    ) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        let schema = &self.catalogue().provider;
        let config = match object_of(config, "configuration") {
            Ok(config) => config.unwrap_or_else(|| Object::null(schema.object_type())),
            Err(error) => return error.into(),
        };
        let request = ConfigureRequest {
            config: &config,
            client_version,
            capabilities,
        };
        let handler = self.provider.configure(request, &mut diagnostics);
        let outcome = run_unlimited("take its configuration", handler).await;
        collect(outcome.and_then(|outcome| outcome), &mut diagnostics);
        diagnostics
    }

    /// Looks one data source up; null with errors when that fails.
    pub async fn read_data_source(&self, type_name: &str, config: Value) -> (Value, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        match self.read_data(type_name, config, &mut diagnostics).await {
            Ok(object) if !diagnostics.has_errors() => (Value::Object(object), diagnostics),
            Ok(_) => (Value::Null, diagnostics),
            Err(errors) => {
                diagnostics.append(errors);
                (Value::Null, diagnostics)
            }
        }
    }

    async fn read_data(
        &self,
        type_name: &str,
        config: Value,
        diagnostics: &mut Diagnostics,
    ) -> Outcome<Object> {
        let entry = self.data_source(type_name)?;
        let config = object_of(config, "configuration")?
            .unwrap_or_else(|| Object::null(entry.schema.object_type()));
        let limit = Timeouts::default().limit(Operation::Read, Some(&config));
        let context = self.context(limit, ClientCapabilities::default());
        let mut response = ReadDataResponse {
            state: State::absent(config.clone()),
            diagnostics: Diagnostics::new(),
        };
        let request = ReadDataRequest {
            config: &config,
            context: &context,
        };
        let what = format!("read the data source {type_name}");
        let handler = entry.data_source.read(request, &mut response);
        let outcome = run(&what, &context, handler).await;
        *diagnostics = response.diagnostics;
        collect(outcome, diagnostics);
        whole(&entry.schema, response.state, diagnostics)
    }

    /// Opens one ephemeral resource.
    pub async fn open_ephemeral(&self, type_name: &str, config: Value) -> OpenedEphemeral {
        let mut answer = OpenedEphemeral {
            result: Value::Null,
            private: Vec::new(),
            renew_at: None,
            diagnostics: Diagnostics::new(),
        };
        match self.open(type_name, config, &mut answer).await {
            Ok(object) if !answer.diagnostics.has_errors() => answer.result = Value::Object(object),
            Ok(_) => {}
            Err(errors) => answer.diagnostics.append(errors),
        }
        answer
    }

    async fn open(
        &self,
        type_name: &str,
        config: Value,
        answer: &mut OpenedEphemeral,
    ) -> Outcome<Object> {
        let entry = self.ephemeral(type_name)?;
        let config = object_of(config, "configuration")?
            .unwrap_or_else(|| Object::null(entry.schema.object_type()));
        let limit = Timeouts::default().limit(Operation::Create, Some(&config));
        let context = self.context(limit, ClientCapabilities::default());
        let mut response = OpenResponse {
            result: State::absent(config.clone()),
            private: Private::new(),
            renew_at: None,
            diagnostics: Diagnostics::new(),
        };
        let request = OpenRequest {
            config: &config,
            context: &context,
        };
        let what = format!("open the ephemeral resource {type_name}");
        let handler = entry.ephemeral.open(request, &mut response);
        let outcome = run(&what, &context, handler).await;
        answer.diagnostics = response.diagnostics;
        collect(outcome, &mut answer.diagnostics);
        answer.private = response.private.encode();
        answer.renew_at = response.renew_at;
        let diagnostics = &mut answer.diagnostics;
        let object = whole(&entry.schema, response.result, diagnostics)?;
        if !diagnostics.has_errors() {
            for violation in core_rules::plan_valid(&entry.schema.root, None, &config, &object) {
                diagnostics.push(bug("Provider returned an invalid result", violation));
            }
        }
        Ok(object)
    }

    /// Makes one ephemeral resource last longer.
    pub async fn renew_ephemeral(&self, type_name: &str, private: &[u8]) -> RenewedEphemeral {
        let mut answer = RenewedEphemeral {
            private: private.to_vec(),
            renew_at: None,
            diagnostics: Diagnostics::new(),
        };
        if let Err(errors) = self.renew(type_name, private, &mut answer).await {
            answer.diagnostics.append(errors);
        }
        answer
    }

    async fn renew(
        &self,
        type_name: &str,
        private: &[u8],
        answer: &mut RenewedEphemeral,
    ) -> Outcome {
        let entry = self.ephemeral(type_name)?;
        let limit = Timeouts::default().read;
        let context = self.context(limit, ClientCapabilities::default());
        let mut response = RenewResponse {
            private: Private::decode(private)?,
            renew_at: None,
            diagnostics: Diagnostics::new(),
        };
        let handler = entry.ephemeral.renew(&context, &mut response);
        let outcome = run("renew an ephemeral resource", &context, handler).await;
        answer.diagnostics = response.diagnostics;
        collect(outcome, &mut answer.diagnostics);
        answer.private = response.private.encode();
        answer.renew_at = response.renew_at;
        Ok(())
    }

    /// Ends one ephemeral resource.
    pub async fn close_ephemeral(&self, type_name: &str, private: &[u8]) -> Diagnostics {
        let close = async {
            let entry = self.ephemeral(type_name)?;
            let private = Private::decode(private)?;
            let limit = Timeouts::default().read;
            let context = self.context(limit, ClientCapabilities::default());
            let handler = entry.ephemeral.close(&context, &private);
            run("close an ephemeral resource", &context, handler).await
        };
        let mut diagnostics = Diagnostics::new();
        collect(close.await, &mut diagnostics);
        diagnostics
    }

    /// Computes one function. A result of another type than the signature says is an error.
    pub fn call_function(&self, name: &str, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let Some(entry) = self.catalogue().functions.get(name) else {
            let text = format!("This provider offers no function named {name}.");
            return Err(FunctionError::new(text));
        };
        let (fixed, variadic) = (
            entry.signature.parameters.len(),
            entry.signature.variadic.is_some(),
        );
        if arguments.len() < fixed || (arguments.len() > fixed && !variadic) {
            let text = format!("Expected {fixed} arguments, got {}.", arguments.len());
            return Err(FunctionError::new(text));
        }
        let failed = |_| {
            FunctionError::new("The function failed unexpectedly. This is a bug in the provider.")
        };
        let result =
            run_now("call a function", || entry.function.call(&arguments)).map_err(failed)??;
        match core_rules::conforms(&result, &entry.signature.returns, &Path::root()) {
            Ok(()) => Ok(result),
            Err(violation) => Err(FunctionError::new(format!(
                "The result {}. This is a bug in the provider.",
                violation.problem
            ))),
        }
    }
}

/// A result that is there, of the right type, and known throughout.
fn whole(schema: &Schema, state: State, diagnostics: &mut Diagnostics) -> Outcome<Object> {
    if diagnostics.has_errors() {
        return Ok(Object::null(schema.object_type()));
    }
    let Some(object) = state.into_object() else {
        let violation = Violation::new(&Path::root(), "was reported neither found nor missing");
        return Err(bug("Provider returned nothing", violation).into());
    };
    let object = repaired(schema, object, None, diagnostics);
    for path in unknown_paths(&object) {
        let violation = Violation::new(&path, "is unknown in the result");
        diagnostics.push(bug("Provider left a value unknown", violation));
    }
    Ok(object)
}
