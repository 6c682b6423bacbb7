//! `data.berth_server`: the installation that serves it all.

use async_trait::async_trait;
use berth_plugin::data_source::{DataSource, ReadDataRequest, ReadDataResponse};
use berth_plugin::diagnostics::{Diagnostics, Outcome};
use berth_plugin::provider::Configured;
use berth_plugin::schema::{Attribute, Schema};

use super::{number, text};
use crate::backend::Backend;
use crate::convert::{fields_of, object_of};
use crate::resources::misfit;

/// The data source.
pub struct Server {
    backend: Configured<Backend>,
}

impl Server {
    /// Works with the backend that is configured later.
    pub fn new(backend: Configured<Backend>) -> Self {
        Self { backend }
    }
}

fn schema() -> Schema {
    Schema::new([
        text("version", "berthd's version."),
        text(
            "installation",
            "Eight hexadecimal digits that tell installations apart.",
        ),
        text("runtime", "`docker` or `fake`."),
        Attribute::nested(
            "capacity",
            [
                number("cpu_millis", "CPU of the host in thousandths of a core."),
                number("memory_mb", "Memory of the host in MiB."),
                number("memory_mb_allowed", "Memory that may be promised in MiB."),
                number("memory_mb_promised", "Memory promised to databases in MiB."),
                number(
                    "storage_gb_promised",
                    "Storage promised to databases in GB.",
                ),
                number("databases", "Living databases."),
            ],
        )
        .computed()
        .description("What the host has, and what is promised of it."),
    ])
    .description("The installation of berthd that serves it all.")
}

#[async_trait]
impl DataSource for Server {
    fn type_name(&self) -> &str {
        "berth_server"
    }

    fn schema(&self) -> Schema {
        schema()
    }

    async fn read(&self, _: ReadDataRequest<'_>, response: &mut ReadDataResponse) -> Outcome {
        let backend = self.backend.get()?;
        let server = backend
            .client
            .server()
            .await
            .map_err(|e| Diagnostics::from(&*e))?;
        let fields = fields_of(&server).map_err(misfit)?;
        response
            .state
            .replace(object_of(&fields, schema().object_type())?);
        Ok(())
    }
}
