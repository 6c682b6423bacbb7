//! Ephemeral `berth_project_env`: what a project's applications get, without storing it.

use async_trait::async_trait;
use berth_api::EnvVariable;
use berth_plugin::diagnostics::{Diagnostic, Outcome};
use berth_plugin::ephemeral::{EphemeralResource, OpenRequest, OpenResponse};
use berth_plugin::path::Path;
use berth_plugin::provider::Configured;
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::types::Type;
use berth_plugin::validate::one_of;
use berth_plugin::value::Value;

use crate::backend::Backend;
use crate::client::complaint;
use crate::resources::rules;

/// What stands for a secret that is no URL and that the token may not read.
const INERT: &str = "inert-value-of-a-plan";
/// The same for the URL of a database. Names under `.invalid` are promised to nobody.
const INERT_URL: &str = "postgresql://inert:inert-value-of-a-plan@plan.invalid:5432/inert";

/// What is asked for where the configuration names no network: as with the credentials of one
/// database, the published port where there is one.
const WHERE_EXPOSED: &str = "auto";

/// The ephemeral resource.
pub struct ProjectEnv {
    backend: Configured<Backend>,
}

impl ProjectEnv {
    /// Works with the backend that is configured later.
    pub fn new(backend: Configured<Backend>) -> Self {
        Self { backend }
    }
}

/// The value, or one of its form where it may not be read.
fn value(variable: &EnvVariable) -> &str {
    match &variable.value {
        Some(value) => value,
        // Whatever a user calls it, what berth manages is a URL, and nothing else is known to be.
        None if variable.managed_by.is_some() => INERT_URL,
        None => INERT,
    }
}

/// Whoever applies would hand stand-ins on in earnest.
fn in_earnest(closed: &[&str]) -> Diagnostic {
    Diagnostic::error(
        "Not allowed",
        format!(
            "The provider's token may write and may not read credentials in this project (the \
             scope is named \"credentials\"), so that an apply would hand on values that open \
             nothing: {}. `berthd token create --for apply` makes a token with both rights.",
            closed.join(", ")
        ),
    )
}

/// Notes as one text.
fn sentences(notes: &[String]) -> String {
    let said = notes.iter().map(|note| complaint("", note));
    said.collect::<Vec<_>>().join(" ")
}

#[async_trait]
impl EphemeralResource for ProjectEnv {
    fn type_name(&self) -> &str {
        "berth_project_env"
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("project_id")
                .required()
                .description("The project, by its id.")
                .validate(rules::id(
                    "proj_",
                    "berth_project.….id or data.berth_project.….id",
                )),
            Attribute::string("network")
                .optional()
                .description(
                    "From where the databases are reached: `project` for containers in the \
                     project's network, `public` for published ports, with a warning for each \
                     database that has none and is left out. Each database's published port \
                     when left out, and the project's network where it is not exposed.",
                )
                .validate(one_of(["project", "public"])),
            Attribute::map("variables", Type::String)
                .computed()
                .partly_sensitive()
                .description("The variables by name, as the project's applications get them."),
        ])
        .description(
            "The environment of a project's applications, for this run only: the values reach \
             no plan and no state. It has what is there when it is opened: make it depend on the \
             databases that it is to lead to.",
        )
    }

    async fn open(&self, request: OpenRequest<'_>, response: &mut OpenResponse) -> Outcome {
        let backend = self.backend.get()?;
        let project = request.config.require_string("project_id")?;
        let network = request.config.string("network")?;
        let asked = network.unwrap_or(WHERE_EXPOSED);
        let found = backend.client.project_env(project, asked).await;
        let at = |field: &str| (field == "network").then(|| Path::from(field));
        let found = found.map_err(|error| error.about(&"project_id".into(), at))?;
        // What one asked for is not all there; else notes tell of what is as it has to be.
        if network == Some("public") && !found.notes.is_empty() {
            response.diagnostics.push(
                Diagnostic::warning("Not all variables are there", sentences(&found.notes))
                    .at("network"),
            );
        }
        let variables = found.variables;
        let closed = |variable: &&EnvVariable| variable.value.is_none();
        let closed: Vec<&str> = variables
            .iter()
            .filter(closed)
            .map(|v| v.name.as_str())
            .collect();
        if !closed.is_empty() && !found.only_plans {
            return Err(in_earnest(&closed).into());
        }
        if !closed.is_empty() {
            response.diagnostics.push(Diagnostic::warning(
                "Variables that open nothing",
                format!(
                    "The provider's token may not read credentials, so that these are well \
                     formed and log nobody in: {}. An apply with a token of its own gets the \
                     real ones.",
                    closed.join(", ")
                ),
            ));
        }
        let pairs = variables
            .iter()
            .map(|variable| (variable.name.as_str(), value(variable)));
        response.result.set("variables", Value::map(pairs))?;
        Ok(())
    }
}
