//! Ephemeral `berth_token_secret`: a token's secret, without storing it.

use async_trait::async_trait;
use berth_plugin::diagnostics::{Diagnostic, Outcome};
use berth_plugin::ephemeral::{EphemeralResource, OpenRequest, OpenResponse};
use berth_plugin::path::Path;
use berth_plugin::provider::Configured;
use berth_plugin::schema::{Attribute, Schema};

use crate::backend::Backend;
use crate::resources::rules;

/// The ephemeral resource.
pub struct TokenSecret {
    backend: Configured<Backend>,
}

impl TokenSecret {
    /// Works with the backend that is configured later.
    pub fn new(backend: Configured<Backend>) -> Self {
        Self { backend }
    }
}

#[async_trait]
impl EphemeralResource for TokenSecret {
    fn type_name(&self) -> &str {
        "berth_token_secret"
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("token_id")
                .required()
                .description("The token, by its id. `berth_token` made it.")
                .validate(rules::id("tok_", "`berthd token list`")),
            Attribute::string("secret")
                .computed()
                .sensitive()
                .description("What its bearer sends."),
        ])
        .description(
            "The secret of a token, for this run only: it reaches no plan and no state. It is \
             the same each time, so that reading it ends nothing that uses it.",
        )
    }

    async fn open(&self, request: OpenRequest<'_>, response: &mut OpenResponse) -> Outcome {
        let backend = self.backend.get()?;
        let id = request.config.require_string("token_id")?;
        let found = backend.client.token_secret(id).await;
        let at = Path::from("token_id");
        let found = found.map_err(|error| error.about(&at, |_| None))?;
        if found.inert {
            response.diagnostics.push(Diagnostic::warning(
                "A secret that opens nothing",
                "The provider's token may plan and not read the secrets of tokens, so that the \
                 secret is well formed and belongs to no token. An apply with a token of its \
                 own gets the real one.",
            ));
        }
        response.result.set("secret", found.secret)?;
        Ok(())
    }
}
