//! `berth_database_credentials`: how to log in, without storing it.

use async_trait::async_trait;
use berth_api::{Credentials, Database};
use berth_plugin::diagnostics::{Diagnostic, Outcome};
use berth_plugin::ephemeral::{EphemeralResource, OpenRequest, OpenResponse};
use berth_plugin::path::Path;
use berth_plugin::provider::Configured;
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::validate::one_of;

use crate::backend::Backend;
use crate::convert::{fields_of, object_of};
use crate::resources::database::PAST_THE_POOLER;
use crate::resources::{is_denied, misfit, rules};

/// The ephemeral resource.
pub struct DatabaseCredentials {
    backend: Configured<Backend>,
}

impl DatabaseCredentials {
    /// Works with the backend that is configured later.
    pub fn new(backend: Configured<Backend>) -> Self {
        Self { backend }
    }
}

fn schema() -> Schema {
    let text = |name, description| Attribute::string(name).computed().description(description);
    let port = |name, description| Attribute::number(name).computed().description(description);
    Schema::new([
        Attribute::string("database_id")
            .required()
            .description("The database, by its id.")
            .validate(rules::id(
                "db_",
                "berth_database.….id or data.berth_database.….id",
            )),
        Attribute::string("network")
            .optional()
            .computed()
            .description(
                "As seen from where: `project` for containers in the project's network, \
                 `public` for the published port. Public when the database is exposed.",
            )
            .validate(one_of(["project", "public"])),
        text("host", "The engine's host."),
        port("port", "The engine's port."),
        text("pooler_host", "The pooler's host."),
        port("pooler_port", "The pooler's port."),
        text("username", "The login."),
        text("password", "Its password.").sensitive(),
        text("database", "The logical database."),
        text("ssl_mode", "`disable` or `require`."),
        text("uri", PAST_THE_POOLER).sensitive(),
        text("pooled_uri", "The URI through the pooler.").sensitive(),
        text(
            "ca_certificate",
            "The authority that signs its certificate, as PEM.",
        ),
    ])
    .description(
        "How to log in to a database, for this run only: the values reach no plan and no \
         state. Where the database should run and nobody is let in with them now, that is a \
         warning.",
    )
}

/// Why nobody is let in with these credentials now; nothing where they work as far as berthd has
/// seen, and where the database is stopped because somebody wanted it so. It hands out no password
/// that no login has proven, so that what is asked here is whether the database serves, and
/// whether another password is to come.
fn shut(database: &Database, credentials: &Credentials) -> Option<Diagnostic> {
    let (name, status) = (&database.name, database.status.as_str());
    let (handed, ordered) = (credentials.credential_version, database.credential_version);
    let (summary, detail) = if handed != ordered {
        (
            format!("{name} is about to get another password"),
            format!(
                "What is handed over is version {handed} of its password. Version {ordered} is \
                 ordered, and once it is in force this one is refused: run again then."
            ),
        )
    } else if status == "running" || status == "stopped" && database.stop_reason.is_some() {
        // Whoever comes to one that sleeps wakes it, and one that was stopped is as it was wanted.
        return None;
    } else {
        let reasons = database.conditions.iter();
        let reasons = reasons.filter(|one| one.status == "False" && !one.message.is_empty());
        let reasons: String = reasons.map(|one| format!(" {}", one.message)).collect();
        (
            format!("Nobody can log in to {name} now"),
            format!(
                "Its status is {status:?}, its phase {:?}.{reasons} The credentials are those of \
                 the database, and who uses them in this run finds it closed.",
                database.phase
            ),
        )
    };
    Some(Diagnostic::warning(summary, detail).at("database_id"))
}

#[async_trait]
impl EphemeralResource for DatabaseCredentials {
    fn type_name(&self) -> &str {
        "berth_database_credentials"
    }

    fn schema(&self) -> Schema {
        schema()
    }

    async fn open(&self, request: OpenRequest<'_>, response: &mut OpenResponse) -> Outcome {
        let backend = self.backend.get()?;
        let id = request.config.require_string("database_id")?;
        let network = request.config.string("network")?;
        let at = |field: &str| (field == "network").then(|| Path::from(field));
        let credentials = backend
            .client
            .credentials(id, network)
            .await
            .map_err(|error| error.about(&"database_id".into(), at))?;
        if credentials.inert {
            response.diagnostics.push(Diagnostic::warning(
                "Credentials that open nothing",
                "The token may plan and not read credentials, so that password and URIs are \
                 well formed and log nobody in. An apply with a token of its own gets the real \
                 ones.",
            ));
        } else {
            match backend.client.database(id, None).await {
                Ok(database) => {
                    if let Some(told) = shut(&database, &credentials) {
                        response.diagnostics.push(told);
                    }
                }
                // Whoever may only read credentials has them.
                Err(error) if is_denied(&error) => {}
                Err(error) => response.diagnostics.push(
                    Diagnostic::warning(
                        "Credentials that were not checked",
                        format!(
                            "They are handed over, and whether the database serves could not \
                             be asked: {error}"
                        ),
                    )
                    .at("database_id"),
                ),
            }
        }
        let mut fields = fields_of(&credentials).map_err(misfit)?;
        fields.insert("database_id".to_owned(), id.into());
        response
            .result
            .replace(object_of(&fields, schema().object_type())?);
        Ok(())
    }
}
