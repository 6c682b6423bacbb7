//! `berth_project_member`: the part that a user has in a project.

use async_trait::async_trait;
use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::object::Object;
use berth_plugin::provider::Configured;
use berth_plugin::resource::{
    CreateRequest, DeleteRequest, ImportRequest, ImportTarget, ReadRequest, Resource,
    StateResponse, UpdateRequest,
};
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::validate::one_of;
use serde_json::Value as Json;

use super::{is_denied, rules, unread};
use crate::backend::Backend;
use crate::client::{Fields, Shared};
use crate::convert::state_of;
use crate::journal::{self, Subject};

/// The managed resource.
pub struct ProjectMember {
    backend: Configured<Backend>,
    schema: Schema,
}

impl ProjectMember {
    /// Works with the backend that is configured later.
    pub fn new(backend: Configured<Backend>) -> Self {
        let schema = schema();
        Self { backend, schema }
    }

    fn told(&self) -> impl Fn(Shared) -> Diagnostics + '_ {
        |error| error.diagnostics(|field| self.schema.root().attribute(field).map(|_| field.into()))
    }

    fn state(&self, fields: &Fields, template: &Object, response: &mut StateResponse) -> Outcome {
        let types = self.schema.object_type();
        let state = state_of(fields, template, types, &[])?;
        response.state.replace(state);
        Ok(())
    }

    async fn put(&self, planned: &Object, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let (project, user) = key(planned)?;
        let role = planned.require_string("role")?;
        let put = backend.client.put_member(project, user, role).await;
        self.state(&put.map_err(self.told())?, planned, response)
    }
}

fn schema() -> Schema {
    Schema::new([
        Attribute::string("project_id")
            .required()
            .requires_replace()
            .description("The project, by its id.")
            .validate(rules::id(
                "proj_",
                "berth_project.….id or data.berth_project.….id",
            )),
        Attribute::string("user_id")
            .required()
            .requires_replace()
            .description("The user, by its id.")
            .validate(rules::id("usr_", "`berthd user list`")),
        Attribute::string("role")
            .required()
            .description(
                "`viewer` sees and plans; `editor` also changes and reads credentials; `owner` \
                 also manages members and turns protection off. It changes in place.",
            )
            .validate(one_of(["owner", "editor", "viewer"])),
    ])
    .description(
        "A user's part in a project. It bounds what the user's tokens reach; a token's scopes \
         bound it further. The part of the provider's own user is not removed: its destruction \
         leaves it in the project, with a warning, and it goes with the project.",
    )
}

/// The project and the user that a state is about.
fn key(state: &Object) -> Outcome<(&str, &str)> {
    let project = state.require_string("project_id")?;
    Ok((project, state.require_string("user_id")?))
}

/// Why a user's part in a project is left as it is.
fn stays(project: &str, user: &str) -> Diagnostic {
    Diagnostic::warning(
        "The provider's own user stays in the project",
        format!(
            "The provider's token is one of {user}, who would see nothing of project {project} \
             without this part in it: whatever else is to be destroyed there would be taken for \
             gone and live on. The part is not managed any more and goes with the project. To \
             leave a project that stays, let another of its owners remove the user."
        ),
    )
}

/// What is said of a member whom somebody took out of a project.
fn removed(project: &str, user: &str, by: Option<String>) -> Diagnostic {
    let by = by.map(|by| format!(" {by}")).unwrap_or_default();
    Diagnostic::warning(
        "A member was removed outside of this configuration",
        format!(
            "{user} is no member of project {project} any more.{by} The plan adds the user again. \
             When berthd has deleted the user, the apply is refused: take the part out of the \
             configuration, or give it to another user."
        ),
    )
}

#[async_trait]
impl Resource for ProjectMember {
    fn type_name(&self) -> &str {
        "berth_project_member"
    }

    fn schema(&self) -> Schema {
        self.schema.clone()
    }

    /// A part that somebody else gave is not taken over, unless it is the very same: then it
    /// may as well be that of a run whose answer was lost.
    async fn create(&self, request: CreateRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let (project, user) = key(request.planned)?;
        let there = match backend.client.member(project, user).await {
            Ok(there) => Some(there),
            Err(error) if error.is_absence() => None,
            Err(error) => return Err(self.told()(error)),
        };
        let role = there.as_ref().and_then(|there| there.get("role"));
        let role = role.and_then(Json::as_str);
        let wanted = request.planned.require_string("role")?;
        if let Some(role) = role.filter(|role| *role != wanted) {
            return Err(Diagnostic::error(
                "A member already",
                format!(
                    "{user} is {role} of project {project}. To manage that here, run `terraform \
                     import ADDRESS {project}/{user}` (or `tofu import …`) and apply again."
                ),
            )
            .at("user_id")
            .into());
        }
        self.put(request.planned, response).await
    }

    async fn read(&self, request: ReadRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        if !backend.client.is_known() {
            return Ok(());
        }
        let (project, user) = key(request.state)?;
        let subject = Subject::Member { project, user };
        match backend.client.member(project, user).await {
            Ok(found) => {
                self.state(&found, request.state, response)?;
                let (before, after) = (request.state, response.state.object());
                let differs = before.get("role")? != after.get("role")?;
                let changed: &[&str] = if differs { &["role"] } else { &[] };
                let name = format!("The part of {user} in project {project}");
                let told = journal::explain(&backend, subject, &name, changed).await?;
                response.diagnostics.append(told);
                Ok(())
            }
            Err(error) if error.is_absence() => {
                response.state.remove();
                // The members of a project that is gone went with it, which is told of that.
                if error.code() == Some("member_not_found") {
                    let by = journal::ender(&backend, subject).await;
                    response.diagnostics.push(removed(project, user, by));
                }
                Ok(())
            }
            Err(error) if is_denied(&error) => {
                let what = format!("Member {user} of project {project}");
                response.diagnostics.push(unread(&what));
                Ok(())
            }
            Err(error) => Err(self.told()(error)),
        }
    }

    async fn update(&self, request: UpdateRequest<'_>, response: &mut StateResponse) -> Outcome {
        self.put(request.planned, response).await
    }

    /// The part of the provider's own user stays: it is what the rest of a destruction needs,
    /// and goes with the project.
    async fn delete(&self, request: DeleteRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let (project, user) = key(request.prior)?;
        if backend
            .client
            .is_own_member(user)
            .await
            .map_err(self.told())?
        {
            response.diagnostics.push(stays(project, user));
            return Ok(());
        }
        let removed = backend.client.remove_member(project, user).await;
        removed.map_err(self.told())
    }

    /// By `project/user`, each by id or name.
    async fn import(&self, request: ImportRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let (project, user) = match request.target {
            ImportTarget::Identity(identity) => key(identity)?,
            ImportTarget::Id(text) => text.split_once('/').ok_or_else(|| {
                Diagnostic::error(
                    "Not the id of a member",
                    format!("Expected PROJECT/USER, such as \"proj_…/usr_…\", got {text:?}."),
                )
            })?,
        };
        let found = backend.client.member(project, user).await;
        let template = Object::null(self.schema.object_type());
        self.state(&found.map_err(self.told())?, &template, response)
    }
}
