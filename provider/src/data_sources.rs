//! What configurations look up.

mod audit;
mod catalogue;
mod database;
mod project;
mod server;

use std::sync::Arc;

use berth_plugin::data_source::DataSource;
use berth_plugin::provider::Configured;
use berth_plugin::schema::{Attribute, Schema};

use crate::backend::Backend;
use crate::resources::rules;

/// All of them.
pub fn all(backend: &Configured<Backend>) -> Vec<Arc<dyn DataSource>> {
    vec![
        Arc::new(project::Project::new(backend.clone())),
        Arc::new(database::Database::new(backend.clone())),
        Arc::new(catalogue::Plans::new(backend.clone())),
        Arc::new(catalogue::Engines::new(backend.clone())),
        Arc::new(catalogue::Regions::new(backend.clone())),
        Arc::new(server::Server::new(backend.clone())),
        Arc::new(audit::Audit::new(backend.clone())),
    ]
}

/// A text that is looked up.
fn text(name: &str, description: &str) -> Attribute {
    Attribute::string(name).computed().description(description)
}

/// A number that is looked up.
fn number(name: &str, description: &str) -> Attribute {
    Attribute::number(name).computed().description(description)
}

/// The attributes of a managed resource as a data source shows them: `keys` find the object,
/// everything else is answered.
fn shown(schema: &Schema, keys: &[&str], left_out: &[&str]) -> Vec<Attribute> {
    let attributes = schema.root().attributes().iter();
    attributes
        .filter(|attribute| !left_out.contains(&attribute.name()))
        .map(|attribute| {
            let name = attribute.name();
            let shown = match attribute.kind() {
                berth_plugin::schema::AttributeKind::Plain(ty) => Attribute::new(name, ty.clone()),
                berth_plugin::schema::AttributeKind::Nested(_, block) => Attribute::nested(
                    name,
                    block.attributes().iter().map(|inner| {
                        Attribute::new(inner.name(), inner.ty())
                            .computed()
                            .description(inner.markdown())
                    }),
                ),
            };
            let shown = shown.computed().description(attribute.markdown());
            match name {
                // A name that nothing can have is refused before anybody is asked for it.
                "name" if keys.contains(&name) => shown.optional().validate(rules::name()),
                name if keys.contains(&name) => shown.optional(),
                _ => shown,
            }
        })
        .collect()
}
