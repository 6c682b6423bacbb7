//! The provider: its block, and the list of what it offers.

use std::sync::Arc;

use async_trait::async_trait;
use berth_plugin::data_source::DataSource;
use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::ephemeral::EphemeralResource;
use berth_plugin::object::Object;
use berth_plugin::provider::{ConfigureRequest, Configured, Provider};
use berth_plugin::resource::Resource;
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::validate::{Rule, text};

use crate::backend::Backend;
use crate::client::Error;
use crate::data_sources;
use crate::ephemeral::{
    database_credentials::DatabaseCredentials, project_env::ProjectEnv, token_secret::TokenSecret,
};
use crate::resources::{
    database::Database, project::Project, project_member::ProjectMember, token::Token,
};
use crate::settings::{self, Settings};

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The provider `berth`.
pub struct Berth {
    backend: Configured<Backend>,
    environment: Box<Lookup>,
}

impl Berth {
    /// A provider that reads the variables of this process where its block is silent.
    pub fn new() -> Self {
        Self::with_environment(|name| std::env::var(name).ok())
    }

    /// A provider with an environment of the caller's.
    pub fn with_environment(
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            backend: Configured::new(),
            environment: Box::new(environment),
        }
    }
}

impl Default for Berth {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Provider for Berth {
    fn name(&self) -> &str {
        "berth"
    }

    fn address(&self) -> &str {
        "berth-dev/berth"
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("endpoint")
                .optional()
                .description(
                    "Where berthd listens. `BERTH_ENDPOINT`; the local one, \
                     `http://127.0.0.1:8420`, by default.",
                )
                .validate(text(|endpoint| {
                    settings::parse_endpoint(endpoint)
                        .map(|_| ())
                        .map_err(|error| format!("{error}."))
                })),
            Attribute::string("token")
                .optional()
                .sensitive()
                .description(
                    "The token. `BERTH_TOKEN`. Without one the local berthd's own is read from its \
                 data root.",
                ),
            Attribute::string("token_file")
                .optional()
                .description("A file with the token in it. `BERTH_TOKEN_FILE`."),
            Attribute::string("project").optional().description(
                "The project of resources that name none, by id or name. `BERTH_PROJECT`; the \
                 default one otherwise.",
            ),
            Attribute::string("region").optional().description(
                "The region of databases that name none. `BERTH_REGION`; the project's or the \
                 server's otherwise.",
            ),
            Attribute::string("ca_cert_pem").optional().description(
                "Authorities to trust instead of the system's, as PEM. `BERTH_CA_CERT`.",
            ),
            Attribute::boolean("insecure_skip_verify")
                .optional()
                .description(
                    "Whether the server's certificate is taken unseen. For tests only. \
                 `BERTH_INSECURE_SKIP_VERIFY`.",
                ),
        ])
        .description("Managed databases on your own machines.")
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule::conflicting(["token", "token_file"])]
    }

    fn resources(&self) -> Vec<Arc<dyn Resource>> {
        vec![
            Arc::new(Project::new(self.backend.clone())),
            Arc::new(Database::new(self.backend.clone())),
            Arc::new(Token::new(self.backend.clone())),
            Arc::new(ProjectMember::new(self.backend.clone())),
        ]
    }

    fn data_sources(&self) -> Vec<Arc<dyn DataSource>> {
        data_sources::all(&self.backend)
    }

    fn ephemeral_resources(&self) -> Vec<Arc<dyn EphemeralResource>> {
        vec![
            Arc::new(DatabaseCredentials::new(self.backend.clone())),
            Arc::new(ProjectEnv::new(self.backend.clone())),
            Arc::new(TokenSecret::new(self.backend.clone())),
        ]
    }

    /// Opens no connection: a plan that asks nothing needs no backend.
    async fn configure(
        &self,
        request: ConfigureRequest<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Outcome {
        let config: &Object = request.config;
        if Settings::is_unknown(config) {
            self.backend.set(Backend::unknown());
            return Ok(());
        }
        let settings = Settings::read(config, &*self.environment, request.client_version)
            .map_err(Error::from)?;
        if settings.insecure_skip_verify {
            diagnostics.push(
                Diagnostic::warning(
                    "The server is not verified",
                    "Whoever is between this machine and berthd can read the token. Set \
                     ca_cert_pem instead of insecure_skip_verify.",
                )
                .at("insecure_skip_verify"),
            );
        }
        if settings.is_exposed() {
            diagnostics.push(
                Diagnostic::warning(
                    "The token crosses the network in the clear",
                    format!("{} is not encrypted. Use https.", settings.endpoint),
                )
                .at("endpoint"),
            );
        }
        self.backend.set(Backend::new(settings));
        Ok(())
    }
}
