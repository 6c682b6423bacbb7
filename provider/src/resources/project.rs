//! `berth_project`: a group of databases with a network of their own.

use async_trait::async_trait;
use berth_plugin::diagnostics::{Diagnostic, Outcome};
use berth_plugin::object::Object;
use berth_plugin::path::Path;
use berth_plugin::provider::Configured;
use berth_plugin::resource::{
    CreateRequest, DeleteRequest, ImportRequest, ImportTarget, PlanRequest, PlanResponse,
    ReadRequest, Resource, StateResponse, UpdateRequest,
};
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::types::Type;
use berth_plugin::validate::{length, one_of, whole};

use super::{body, claimed_or, misfit, rules};
use crate::backend::Backend;
use crate::client::{Shared, within};
use crate::convert::{fields_of, state_of};
use crate::journal::{self, Subject};
use crate::lookup;
use crate::plan::{self, Field, Kind, Manner};

const FIELDS: &[Field] = &[
    Field {
        name: "name",
        manner: Manner::Absent,
    },
    Field {
        name: "description",
        manner: Manner::Absent,
    },
    Field {
        name: "default_region",
        manner: Manner::Adopted,
    },
    Field {
        name: "deletion_protection",
        manner: Manner::Default,
    },
    Field {
        name: "on_destroy",
        manner: Manner::Default,
    },
    Field {
        name: "auto_provision",
        manner: Manner::Default,
    },
    Field {
        name: "sleep_after_minutes",
        manner: Manner::Absent,
    },
    Field {
        name: "quota",
        manner: Manner::Absent,
    },
    Field {
        name: "tags",
        manner: Manner::Absent,
    },
];

/// The managed resource.
pub struct Project {
    backend: Configured<Backend>,
    kind: Kind,
}

impl Project {
    /// Works with the backend that is configured later.
    pub fn new(backend: Configured<Backend>) -> Self {
        let kind = Kind {
            name: "project",
            schema: schema(),
            fields: FIELDS,
            own: &[],
        };
        Self { backend, kind }
    }

    fn told(&self) -> impl Fn(Shared) -> berth_plugin::diagnostics::Diagnostics + '_ {
        |error| error.diagnostics(|field| self.kind.path(field))
    }

    fn state(
        &self,
        project: &berth_api::Project,
        template: &Object,
        response: &mut StateResponse,
    ) -> Outcome {
        let fields = fields_of(project).map_err(misfit)?;
        let types = self.kind.schema.object_type();
        response
            .state
            .replace(state_of(&fields, template, types, self.kind.own)?);
        Ok(response.private.set(plan::PRIVATE_ID, &project.id)?)
    }
}

fn schema() -> Schema {
    Schema::new([
        Attribute::string("id")
            .computed()
            .keep_prior()
            .description("The id, which begins with `proj_`."),
        Attribute::string("name")
            .required()
            .description(
                "The name, unique in the installation: 3 to 48 lower-case letters, digits and \
                 hyphens. It can be changed; `slug` and the network's name stay.",
            )
            .validate(rules::name()),
        Attribute::string("description")
            .optional()
            .description("A sentence for people, at most 256 characters.")
            .validate(length(..=256)),
        Attribute::string("default_region")
            .optional()
            .computed()
            .description("The region of databases that name none."),
        Attribute::boolean("deletion_protection")
            .optional()
            .default(true)
            .description(
                "Whether its destruction is refused while databases, variables of its own or \
                 further members are in it. On by default.",
            ),
        Attribute::string("on_destroy")
            .optional()
            .default("refuse")
            .description(
                "What happens to a project with databases or variables of its own in it: `refuse` \
                 its destruction, or `cascade` and destroy them too, each database into its \
                 recovery window. The project and its variables can come back for 30 days.",
            )
            .validate(one_of(["refuse", "cascade"])),
        Attribute::boolean("auto_provision")
            .optional()
            .default(false)
            .description(
                "Whether its first database is made when its environment is first used: by \
                 `berthd run`, or by a reading of it with a token that may read credentials. \
                 Plans and ephemeral resources make none.",
            ),
        Attribute::number("sleep_after_minutes")
            .optional()
            .description(
                "Minutes without a client after which its databases sleep; never when left \
                 out. The next client wakes them, and to Terraform they run all the while.",
            )
            .validate(whole(1..=43_200)),
        quota(),
        Attribute::map("tags", Type::String)
            .optional()
            .description(
                "Labels: at most 64, with keys of up to 128 and values of up to 256 characters.",
            )
            .validate(rules::no_nulls()),
        Attribute::string("slug")
            .computed()
            .keep_prior()
            .description("Made from the name at create and kept for life."),
        Attribute::string("network_name")
            .computed()
            .keep_prior()
            .description("The container network of its databases."),
        Attribute::string("env_dir")
            .computed()
            .keep_prior()
            .description(
                "The directory on berthd's host with its env files, in memory: `dotenv` for \
                 Compose, `docker` for `docker run --env-file`.",
            ),
        Attribute::string("created_at")
            .computed()
            .keep_prior()
            .description("When it was made."),
    ])
    .description("A project: databases that share a network and a bill of rights.")
}

fn quota() -> Attribute {
    Attribute::nested(
        "quota",
        [
            Attribute::number("databases")
                .optional()
                .description("The most databases.")
                .validate(whole(0..=100_000)),
            Attribute::number("storage_gb")
                .optional()
                .description("The most storage of its databases in all, in GB.")
                .validate(whole(0..=10_000_000)),
        ],
    )
    .optional()
    .description(
        "How much it may have, as a plan already says of a database that is too much. It cannot \
         be lowered below what is there then.",
    )
}

/// What is said of a project that is not there any more, and who did it. Whoever may not see a
/// project is answered as if there were none.
fn gone(id: &str, name: &str, by: Option<String>) -> Diagnostic {
    let by = by.map(|by| format!(" {by}")).unwrap_or_default();
    Diagnostic::warning(
        "A project is not there any more",
        format!(
            "The provider's token sees no project {name} ({id}): it was destroyed, or the \
             token's user is no member any more.{by} A destroyed one comes back within 30 days, \
             with its variables and members, by POST /v1/projects/{id}/undelete. The plan makes \
             a new one."
        ),
    )
}

#[async_trait]
impl Resource for Project {
    fn type_name(&self) -> &str {
        "berth_project"
    }

    fn schema(&self) -> Schema {
        self.kind.schema.clone()
    }

    async fn plan(&self, request: PlanRequest<'_>, response: &mut PlanResponse) -> Outcome {
        let backend = self.backend.get()?;
        let context = request.context;
        let work = self.kind.plan(&backend, request, response);
        within(context, "planning a project", work).await
    }

    async fn create(&self, request: CreateRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let order = self.kind.order(
            request.config,
            request.planned,
            None,
            &response.private,
            &backend,
        )?;
        let mut fields = plan::body(order);
        fields.insert("unclaimed".to_owned(), true.into());
        let made = backend
            .client
            .create_project(&body(fields)?)
            .await
            .map_err(self.told())?;
        self.state(&made, request.planned, response)?;
        backend.snapshots.forget().await;
        let act = format!("creating project {}", made.name);
        let claim = || backend.client.claim_project(&made.id);
        let claimed = backend.client.outlast(&act, request.context, claim).await;
        self.state(&claimed.map_err(self.told())?, request.planned, response)
    }

    async fn read(&self, request: ReadRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        if !backend.client.is_known() {
            return Ok(());
        }
        let id = request.state.require_string("id")?;
        let look = backend.snapshots.project(id);
        let found = within(request.context, "reading a project", look).await;
        match found.map_err(self.told())? {
            Some(project) => {
                backend.seen.note(self.kind.name, &project.name, id);
                self.state(&project, request.state, response)?;
                let after = response.state.object();
                let changed = journal::differing(&self.kind, request.state, after)?;
                let told =
                    journal::explain(&backend, Subject::Project(id), &project.name, &changed);
                let told = within(request.context, "reading the journal", told).await?;
                response.diagnostics.append(told);
                Ok(())
            }
            None => {
                response.state.remove();
                let name = request.state.string("name")?.unwrap_or(id);
                let by = journal::ender(&backend, Subject::Project(id)).await;
                response.diagnostics.push(gone(id, name, by));
                Ok(())
            }
        }
    }

    async fn update(&self, request: UpdateRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let id = request.prior.require_string("id")?;
        let fields = plan::change(&self.kind, request.config, request.prior, request.planned)?;
        let project = backend
            .client
            .change_project(id, &body(fields)?)
            .await
            .map_err(self.told())?;
        backend.snapshots.forget().await;
        // The change has claimed it, too.
        self.state(&project, request.planned, response)
    }

    async fn delete(&self, request: DeleteRequest<'_>, _: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let id = request.prior.require_string("id")?;
        let cascades = request.prior.string("on_destroy")? == Some("cascade");
        let destroyed = backend.client.destroy_project(id, !cascades).await;
        backend.snapshots.forget().await;
        destroyed.map_err(self.told())
    }

    /// By id or by name.
    async fn import(&self, request: ImportRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let key = match request.target {
            ImportTarget::Id(key) => key,
            ImportTarget::Identity(identity) => identity.require_string("id")?,
        };
        let mut project = lookup::project(&backend.client, key, Path::root()).await?;
        if !project.claimed {
            let claimed = backend.client.claim_project(&project.id).await;
            project = claimed_or(claimed, project).map_err(self.told())?;
        }
        let template = Object::null(self.kind.schema.object_type());
        self.state(&project, &template, response)
    }
}
