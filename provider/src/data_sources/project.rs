//! `data.berth_project`: a project that is managed elsewhere.

use async_trait::async_trait;
use berth_plugin::data_source::{DataSource, ReadDataRequest, ReadDataResponse};
use berth_plugin::diagnostics::Outcome;
use berth_plugin::provider::Configured;
use berth_plugin::resource::Resource;
use berth_plugin::schema::Schema;
use berth_plugin::validate::Rule;

use super::shown;
use crate::backend::Backend;
use crate::convert::{fields_of, object_of};
use crate::lookup;
use crate::resources::{self, misfit};

/// The data source.
pub struct Project {
    backend: Configured<Backend>,
}

impl Project {
    /// Works with the backend that is configured later.
    pub fn new(backend: Configured<Backend>) -> Self {
        Self { backend }
    }
}

#[async_trait]
impl DataSource for Project {
    fn type_name(&self) -> &str {
        "berth_project"
    }

    fn schema(&self) -> Schema {
        let managed = resources::project::Project::new(self.backend.clone()).schema();
        Schema::new(shown(&managed, &["id", "name"], &["on_destroy"]))
            .description("Looks a project up by its id or its name.")
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule::exactly_one_of(["id", "name"])]
    }

    async fn read(&self, request: ReadDataRequest<'_>, response: &mut ReadDataResponse) -> Outcome {
        let backend = self.backend.get()?;
        let config = request.config;
        let (key, at) = match config.string("id")? {
            Some(id) => (id, "id"),
            None => (config.require_string("name")?, "name"),
        };
        let project = lookup::project(&backend.client, key, at.into()).await?;
        let fields = fields_of(&project).map_err(misfit)?;
        response
            .state
            .replace(object_of(&fields, self.schema().object_type())?);
        Ok(())
    }
}
