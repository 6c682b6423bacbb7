//! A provider that does nothing: it answers what it was asked.
//!
//! Tests drive it to see the framework alone, and benches take it for the floor below which no
//! provider made with the framework can get. `echo_value` therefore has the shape of a small
//! real resource; everything else here exists to misbehave on demand.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_plugin::data_source::{DataSource, ReadDataRequest, ReadDataResponse};
use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::ephemeral::{EphemeralResource, OpenRequest, OpenResponse, RenewResponse};
use berth_plugin::function::{Function, FunctionError, Parameter, Signature};
use berth_plugin::object::Object;
use berth_plugin::provider::{ConfigureRequest, Provider};
use berth_plugin::resource::{
    Context, CreateRequest, DeleteRequest, ImportRequest, ImportTarget, PlanRequest, PlanResponse,
    ReadRequest, Resource, StateResponse, UpdateRequest,
};
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::types::Type;
use berth_plugin::value::Value;

/// How often a handler that blocks looks whether it may go on.
const BLOCKED_POLL_MILLISECONDS: u64 = 5;
/// How often it looks before it gives up: half a minute.
const BLOCKED_POLLS_MAX: u32 = 6_000;

/// Set, it makes the process panic outside of any call.
const PANIC_VARIABLE: &str = "ECHO_PANIC";

#[expect(clippy::panic, reason = "this provider exists to misbehave on demand")]
fn main() -> ExitCode {
    berth_plugin::serve::serve(|| {
        if let Ok(message) = std::env::var(PANIC_VARIABLE) {
            panic!("{message}");
        }
        Echo
    })
}

struct Echo;

#[async_trait]
impl Provider for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn address(&self) -> &str {
        "berth-dev/echo"
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("token").optional().sensitive(),
            Attribute::string("note").optional(),
        ])
    }

    fn resources(&self) -> Vec<Arc<dyn Resource>> {
        vec![Arc::new(EchoValue), Arc::new(EchoFault)]
    }

    fn data_sources(&self) -> Vec<Arc<dyn DataSource>> {
        vec![Arc::new(EchoLookup)]
    }

    fn ephemeral_resources(&self) -> Vec<Arc<dyn EphemeralResource>> {
        vec![Arc::new(EchoSecret)]
    }

    fn functions(&self) -> Vec<Arc<dyn Function>> {
        vec![Arc::new(Reverse)]
    }

    async fn configure(
        &self,
        request: ConfigureRequest<'_>,
        _diagnostics: &mut Diagnostics,
    ) -> Outcome {
        tracing::info!(config = ?request.config, "configured");
        Ok(())
    }
}

/// As many attributes as a `berth_project` has, of the same types, all that the configuration
/// does not give made from its name: what a client does with each attribute is in the floor too.
struct EchoValue;

#[async_trait]
impl Resource for EchoValue {
    fn type_name(&self) -> &str {
        "echo_value"
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("name").required(),
            Attribute::string("description").optional(),
            Attribute::string("slug").computed(),
            Attribute::string("default_region")
                .optional()
                .default("here")
                .requires_replace(),
            Attribute::boolean("deletion_protection")
                .optional()
                .default(true),
            Attribute::string("on_destroy").optional().default("refuse"),
            Attribute::boolean("auto_provision")
                .optional()
                .default(false),
            Attribute::number("sleep_after_minutes").optional(),
            Attribute::nested(
                "quota",
                [
                    Attribute::number("databases").optional(),
                    Attribute::number("storage_gb").optional(),
                ],
            )
            .optional(),
            Attribute::string("network_name").computed(),
            Attribute::string("env_dir").computed(),
            Attribute::map("tags", Type::String).optional(),
            Attribute::string("id").computed().keep_prior(),
            Attribute::string("created_at").computed().keep_prior(),
        ])
    }

    async fn plan(&self, request: PlanRequest<'_>, response: &mut PlanResponse) -> Outcome {
        if let Some(planned) = response.planned.as_mut().filter(|_| request.changed) {
            derive(planned)?;
        }
        Ok(())
    }

    async fn create(&self, request: CreateRequest<'_>, response: &mut StateResponse) -> Outcome {
        let mut made = request.planned.clone();
        let id = format!("echo_{}", made.require_string("name")?);
        made.set("id", id)?;
        made.set("created_at", "1970-01-01T00:00:00Z")?;
        derive(&mut made)?;
        response.state.replace(made);
        Ok(())
    }

    async fn read(&self, request: ReadRequest<'_>, response: &mut StateResponse) -> Outcome {
        // An import gives no more than id and name.
        if request.state.is_null("slug")? {
            let mut found = request.state.clone();
            derive(&mut found)?;
            response.state.replace(found);
        }
        Ok(())
    }

    async fn update(&self, request: UpdateRequest<'_>, response: &mut StateResponse) -> Outcome {
        let mut made = request.planned.clone();
        derive(&mut made)?;
        response.state.replace(made);
        Ok(())
    }

    async fn delete(&self, _request: DeleteRequest<'_>, _response: &mut StateResponse) -> Outcome {
        Ok(())
    }

    async fn import(&self, request: ImportRequest<'_>, response: &mut StateResponse) -> Outcome {
        let ImportTarget::Id(id) = request.target else {
            return Err(Diagnostic::error("No identity", "Import by id instead.").into());
        };
        response.state.set("id", id)?;
        response.state.set("name", id.trim_start_matches("echo_"))?;
        Ok(())
    }
}

/// What follows from the name, as soon as there is one.
fn derive(object: &mut Object) -> Outcome {
    if object.is_unknown("name")? {
        return Ok(());
    }
    let slug = object.require_string("name")?.to_lowercase();
    object.set("network_name", format!("echo-{slug}"))?;
    object.set("env_dir", format!("/run/echo/{slug}"))?;
    object.set("slug", slug)?;
    Ok(())
}

/// Goes wrong in the way its configuration names.
struct EchoFault;

#[async_trait]
impl Resource for EchoFault {
    fn type_name(&self) -> &str {
        "echo_fault"
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("kind").required(),
            Attribute::string("text").optional(),
            Attribute::string("secret").optional().sensitive(),
            Attribute::string("secret_wo").optional().write_only(),
            Attribute::string("id").computed().keep_prior(),
        ])
    }

    async fn create(&self, request: CreateRequest<'_>, response: &mut StateResponse) -> Outcome {
        let mut made = request.planned.clone();
        made.set("id", "fault_1")?;
        response.state.replace(made);
        misbehave(request.config, request.context).await
    }

    async fn read(&self, _request: ReadRequest<'_>, _response: &mut StateResponse) -> Outcome {
        Ok(())
    }

    async fn update(&self, request: UpdateRequest<'_>, response: &mut StateResponse) -> Outcome {
        misbehave(request.config, request.context).await?;
        response.state.replace(request.planned.clone());
        Ok(())
    }

    async fn delete(&self, _request: DeleteRequest<'_>, _response: &mut StateResponse) -> Outcome {
        Ok(())
    }
}

async fn misbehave(config: &Object, context: &Context) -> Outcome {
    let text = config.string("text")?.unwrap_or_default();
    match config.require_string("kind")? {
        "panic" => {
            #[expect(clippy::panic, reason = "this resource exists to panic")]
            {
                panic!("asked to: {text}")
            }
        }
        "wait_for_stop" => {
            touch(&Path::new(text).join("begun"))?;
            context.stop.cancelled().await;
            Err(Diagnostic::error("Stopped", "The user wants to stop.").into())
        }
        "block" => block(Path::new(text)),
        "log" => {
            let secret = config.string("secret")?;
            let write_only = config.string("secret_wo")?;
            tracing::info!(?secret, write_only, "saw {secret:?} and {write_only:?}");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Holds the thread, as an author's blocking call would: from the file `begun` in `directory`
/// until there is one called `go`, and then leaves `done`.
fn block(directory: &Path) -> Outcome {
    touch(&directory.join("begun"))?;
    for _ in 0..BLOCKED_POLLS_MAX {
        if directory.join("go").exists() {
            return touch(&directory.join("done"));
        }
        std::thread::sleep(Duration::from_millis(BLOCKED_POLL_MILLISECONDS));
    }
    Err(Diagnostic::error("Blocked for too long", "Nobody made the file.").into())
}

fn touch(path: &Path) -> Outcome {
    let written = std::fs::write(path, "");
    written.map_err(|error| Diagnostic::error("Cannot leave a mark", error.to_string()).into())
}

struct EchoLookup;

#[async_trait]
impl DataSource for EchoLookup {
    fn type_name(&self) -> &str {
        "echo_lookup"
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("text").required(),
            Attribute::string("result").computed(),
        ])
    }

    async fn read(&self, request: ReadDataRequest<'_>, response: &mut ReadDataResponse) -> Outcome {
        let text = request.config.require_string("text")?;
        response.state.set("result", text)?;
        Ok(())
    }
}

/// Gives back what it is given, as a secret.
struct EchoSecret;

#[async_trait]
impl EphemeralResource for EchoSecret {
    fn type_name(&self) -> &str {
        "echo_secret"
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("text").required(),
            Attribute::string("secret").computed().sensitive(),
        ])
    }

    async fn open(&self, request: OpenRequest<'_>, response: &mut OpenResponse) -> Outcome {
        let text = request.config.require_string("text")?;
        response.result.set("secret", text)?;
        response.private.set("text", text)?;
        Ok(())
    }

    async fn renew(&self, _context: &Context, _response: &mut RenewResponse) -> Outcome {
        Ok(())
    }
}

struct Reverse;

impl Function for Reverse {
    fn name(&self) -> &str {
        "reverse"
    }

    fn signature(&self) -> Signature {
        Signature::new([Parameter::new("text", Type::String)], Type::String)
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        let text = arguments.first().and_then(Value::as_str);
        let text = text.ok_or_else(|| FunctionError::argument(0, "It is not a text."))?;
        Ok(text.chars().rev().collect::<String>().into())
    }
}
