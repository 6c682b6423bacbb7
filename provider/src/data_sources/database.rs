//! `data.berth_database`: a database that is managed elsewhere, with the facts that change
//! by themselves and therefore stand in no resource.

use async_trait::async_trait;
use berth_plugin::data_source::{DataSource, ReadDataRequest, ReadDataResponse};
use berth_plugin::diagnostics::Outcome;
use berth_plugin::path::Path;
use berth_plugin::provider::Configured;
use berth_plugin::resource::Resource;
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::validate::Rule;

use super::{number, shown, text};
use crate::backend::Backend;
use crate::convert::{fields_of, object_of};
use crate::lookup::{self, DatabaseKey};
use crate::resources::{self, misfit};

/// What a resource has and a lookup has not: what only an order says, and secrets.
const LEFT_OUT: [&str; 5] = [
    "expose_credentials_in_state",
    "password",
    "pooled_uri",
    "restore_from",
    "uri",
];

/// The data source.
pub struct Database {
    backend: Configured<Backend>,
}

impl Database {
    /// Works with the backend that is configured later.
    pub fn new(backend: Configured<Backend>) -> Self {
        Self { backend }
    }
}

fn volatile() -> Vec<Attribute> {
    vec![
        text(
            "status",
            "`provisioning`, `running`, `stopped`, `error` or `destroyed`.",
        ),
        text(
            "stop_reason",
            "Why it is stopped: `user`, or `sleep` when the next client wakes it; else null.",
        ),
        text("phase", "What is going on, in a word."),
        text("version_actual", "The engine's own version text."),
        number("storage_used_bytes", "Bytes that the data takes."),
        number(
            "connections",
            "Client connections when it was last looked at.",
        ),
        text("observed_at", "When it was last looked at."),
        text("destroyed_at", "When it was destroyed."),
        text("recoverable_until", "Until when it can be restored."),
        Attribute::nested_list(
            "conditions",
            [
                text("type", "Its name, such as `Ready`."),
                text("status", "`True`, `False` or `Unknown`."),
                text("reason", "A word for programs."),
                text("message", "A sentence for people."),
                text("since", "Since when it is so."),
            ],
        )
        .computed()
        .description("Facts beside the status."),
    ]
}

#[async_trait]
impl DataSource for Database {
    fn type_name(&self) -> &str {
        "berth_database"
    }

    fn schema(&self) -> Schema {
        let managed = resources::database::Database::new(self.backend.clone()).schema();
        let keys = ["id", "name", "project_id"];
        // Here nothing is planned.
        let looked_up = |attribute: Attribute| match attribute.name() {
            "claimed" => attribute.description(resources::database::CLAIMED),
            "project_id" => attribute
                .description("The project, by its id or name; the provider's, or the default one."),
            _ => attribute,
        };
        let shown = shown(&managed, &keys, &LEFT_OUT).into_iter();
        Schema::new(shown.map(looked_up).chain(volatile())).description(
            "Looks a database up by its id, or by its name and project. A destroyed one is \
             found by its id while its data is kept.",
        )
    }

    fn rules(&self) -> Vec<Rule> {
        vec![
            Rule::exactly_one_of(["id", "name"]),
            Rule::conflicting(["id", "project_id"]),
        ]
    }

    async fn read(&self, request: ReadDataRequest<'_>, response: &mut ReadDataResponse) -> Outcome {
        let backend = self.backend.get()?;
        let config = request.config;
        let (key, at) = match config.string("id")? {
            Some(id) => (id, "id"),
            None => (config.require_string("name")?, "name"),
        };
        let written = config.string("project_id")?;
        let project = written.or(backend.project.as_deref());
        let key = DatabaseKey {
            key,
            at: at.into(),
            project: project.filter(|_| at == "name"),
            project_at: match written {
                Some(_) => "project_id".into(),
                None => Path::root(),
            },
            is_preset: written.is_none(),
            forms: "",
        };
        let database = lookup::database(&backend.client, key).await?;
        let fields = fields_of(&database).map_err(misfit)?;
        response
            .state
            .replace(object_of(&fields, self.schema().object_type())?);
        Ok(())
    }
}
