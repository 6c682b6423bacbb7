//! `data.berth_plans`, `data.berth_engines`, `data.berth_regions`: what can be ordered.

use async_trait::async_trait;
use berth_plugin::data_source::{DataSource, ReadDataRequest, ReadDataResponse};
use berth_plugin::diagnostics::{Diagnostics, Outcome};
use berth_plugin::provider::Configured;
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::types::Type;

use super::{number, text};
use crate::backend::Backend;
use crate::convert::{fields_of, object_of};
use crate::resources::misfit;

macro_rules! catalogue_source {
    ($(#[$doc:meta])* $name:ident, $type_name:literal, $schema:ident) => {
        $(#[$doc])*
        pub struct $name {
            backend: Configured<Backend>,
        }

        impl $name {
            /// Works with the backend that is configured later.
            pub fn new(backend: Configured<Backend>) -> Self {
                Self { backend }
            }
        }

        #[async_trait]
        impl DataSource for $name {
            fn type_name(&self) -> &str {
                $type_name
            }

            fn schema(&self) -> Schema {
                $schema()
            }

            async fn read(
                &self,
                _: ReadDataRequest<'_>,
                response: &mut ReadDataResponse,
            ) -> Outcome {
                read(&self.backend, $schema(), response).await
            }
        }
    };
}

catalogue_source!(
    /// The sizes.
    Plans, "berth_plans", plans
);
catalogue_source!(
    /// The engines with their versions.
    Engines, "berth_engines", engines
);
catalogue_source!(
    /// The places.
    Regions, "berth_regions", regions
);

/// The schema has the one list of the catalogue that the data source is named after.
async fn read(
    backend: &Configured<Backend>,
    schema: Schema,
    response: &mut ReadDataResponse,
) -> Outcome {
    let backend = backend.get()?;
    let catalogue = backend
        .client
        .catalogue()
        .await
        .map_err(|e| Diagnostics::from(&*e))?;
    let fields = fields_of(&catalogue).map_err(misfit)?;
    response
        .state
        .replace(object_of(&fields, schema.object_type())?);
    Ok(())
}

fn plans() -> Schema {
    Schema::new([Attribute::nested_list(
        "plans",
        [
            text("name", "Its name, for `plan`."),
            text("description", "A sentence for people."),
            number("cpu_millis", "CPU time in thousandths of a core."),
            number("memory_mb", "Memory in MiB."),
            number(
                "storage_gb_default",
                "Storage in GB when none is asked for.",
            ),
            number("storage_gb_min", "The least storage in GB."),
            number("storage_gb_max", "The most storage in GB."),
            number("max_connections", "Connections that the engine accepts."),
        ],
    )
    .computed()
    .description("The sizes; the first is the default.")])
    .description("The sizes that databases can have.")
}

fn engines() -> Schema {
    let versions = Attribute::nested_list(
        "versions",
        [
            text("version", "The major version, for `version`."),
            text("state", "`supported`, `deprecated` or `end_of_life`."),
            text("image", "The image that runs it."),
            Attribute::list("notes", Type::String)
                .computed()
                .description("What to know of that image."),
            text(
                "unavailable",
                "Why it cannot be had here; null when it can.",
            ),
        ],
    );
    Schema::new([Attribute::nested_list(
        "engines",
        [
            text("name", "Its name, for `engine`."),
            text("title", "Its name for people."),
            text(
                "default_version",
                "The version of databases that name none.",
            ),
            versions
                .computed()
                .description("Its versions, oldest first."),
            Attribute::boolean("has_pooler")
                .computed()
                .description("Whether databases of it can have a pooler."),
            number("port", "The port it listens on in the project's network."),
        ],
    )
    .computed()
    .description("The engines.")])
    .description("The engines that databases can run, and their versions.")
}

fn regions() -> Schema {
    Schema::new([
        Attribute::nested_list("regions", [text("name", "Its name, for `region`.")])
            .computed()
            .description("The regions; the first is the default."),
    ])
    .description("The regions that databases can be in.")
}
