//! `berth_database`: one database with its pooler and its login.

mod schema;
mod secrets;
mod told;

use std::time::Duration;

use async_trait::async_trait;
use berth_api::{Credentials, Database as Answer, DatabaseBody};
use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::object::Object;
use berth_plugin::path::Path;
use berth_plugin::provider::Configured;
use berth_plugin::resource::{
    CreateRequest, DeleteRequest, ImportRequest, ImportTarget, PlanRequest, PlanResponse,
    ReadRequest, Resource, StateResponse, UpdateRequest,
};
use berth_plugin::schema::Schema;
use berth_plugin::timeouts::Timeouts;
use berth_plugin::value::Value;

use super::{body, claimed_or, is_denied, misfit};
use crate::backend::Backend;
use crate::client::{Error, Shared, within};
use crate::convert::{fields_of, state_of};
use crate::journal::{self, Subject};
use crate::lookup::{self, DatabaseKey};
use crate::plan::{self, Kind};

pub(crate) use schema::{CLAIMED, PAST_THE_POOLER};
use secrets::{MOVES_CREDENTIALS, plan_secrets, withhold};
use told::{
    CHANGE_GOES_ON, CREATE_GOES_ON, IMPORT_FORMS, NOT_READ, NOT_YET, STILL_GOES_ON, not_made,
    not_now, not_taken_over, note_late_restore, open_engine, out_of_sight, undo, unwell,
};

/// The managed resource.
pub struct Database {
    backend: Configured<Backend>,
    kind: Kind,
}

impl Database {
    /// Works with the backend that is configured later.
    pub fn new(backend: Configured<Backend>) -> Self {
        let kind = Kind {
            name: "database",
            schema: schema::schema(),
            fields: schema::FIELDS,
            own: schema::OWN,
        };
        Self { backend, kind }
    }

    fn told(&self) -> impl Fn(Shared) -> Diagnostics + '_ {
        |error| error.diagnostics(|field| self.kind.path(field))
    }

    /// Why an order that berthd accepted was not seen through, and what becomes of it.
    fn unfinished(&self, error: Shared, what_goes_on: &str) -> Diagnostics {
        if let Some(summary) = error.gave_up() {
            let detail = format!("Gave up waiting: {}. {what_goes_on}", error.in_full());
            return Diagnostic::error(summary, detail).into();
        }
        match &*error {
            // It has ended, and the backend says how.
            Error::Operation { .. } => self.told()(error),
            _ => {
                let mut told = self.told()(Shared::clone(&error));
                let left_open = "It is not known how it ends";
                told.push(Diagnostic::warning(left_open, what_goes_on));
                told
            }
        }
    }

    /// Makes what is answered the state, with the attributes that are the provider's own as
    /// in `template`.
    fn state(&self, answer: &Answer, template: &Object, response: &mut StateResponse) -> Outcome {
        let fields = fields_of(answer).map_err(misfit)?;
        let types = self.kind.schema.object_type();
        let mut state = state_of(&fields, template, types, self.kind.own)?;
        // An engine may have no pooler where the configuration has one that is switched off.
        let written = template.get("pooler")?;
        if state.is_null("pooler")? && is_switched_off(written) {
            state.set("pooler", written.clone().unknown_to_null())?;
        }
        response.state.replace(state);
        Ok(response.private.set(plan::PRIVATE_ID, &answer.id)?)
    }

    /// Writes the credentials into the state; null, with a warning, where they are not to be
    /// had. What is null is planned as open, so that no state keeps it for good.
    fn expose(&self, read: Result<Credentials, Shared>, response: &mut StateResponse) -> Outcome {
        let found = match read {
            Ok(found) if found.inert => return withhold(NOT_READ, response),
            Ok(found) => found,
            Err(error) if is_denied(&error) => return withhold(NOT_READ, response),
            Err(error) => return Err(self.told()(error)),
        };
        let version = response.state.object().integer("credential_version")?;
        // The one that opens the database now is not the one that was ordered.
        if version != Some(found.credential_version) {
            return withhold(NOT_YET, response);
        }
        response.state.set("password", found.password)?;
        response.state.set("uri", found.uri)?;
        response.state.set("pooled_uri", found.pooled_uri)?;
        Ok(())
    }

    /// Waits for the create that was cut short, before a change takes over what it makes: a claim
    /// says that it runs, and ends the window in which a restore returns to the trash.
    async fn see_made(&self, backend: &Backend, request: &UpdateRequest<'_>) -> Outcome {
        let (client, prior) = (&backend.client, request.prior);
        if prior.boolean("claimed")? == Some(true) {
            return Ok(());
        }
        let id = prior.require_string("id")?;
        let name = prior.string("name")?.unwrap_or(id);
        let act = format!("creating database {name}");
        let look = client.outlast(&act, request.context, || client.database(id, None));
        let found = look.await.map_err(self.told())?;
        if found.claimed {
            // Somebody was faster. Its last operation is of a change, and not waited for.
            return Ok(());
        }
        let made = client.wait(&act, id, found.operation_id, request.context);
        made.await.map_err(|error| {
            let has_failed = matches!(*error, Error::Operation { .. });
            let mut told = self.unfinished(error, STILL_GOES_ON);
            if has_failed {
                told.push(not_made(name, id));
            }
            told
        })
    }

    /// Orders a change and sees it through.
    async fn change(
        &self,
        backend: &Backend,
        request: &UpdateRequest<'_>,
        body: DatabaseBody,
        response: &mut StateResponse,
    ) -> Outcome {
        let client = &backend.client;
        let id = request.prior.require_string("id")?;
        let changed = client.change_database(id, &body).await;
        let changed = changed.map_err(self.told())?;
        backend.snapshots.forget().await;
        let Some(operation) = changed.ordered_operation_id else {
            // What runs need not hear of it. The database's last operation, which may be under
            // way or have failed, is of another change.
            return self.state(&changed.database, request.planned, response);
        };
        // What is under way is not the state before any more, and not yet the plan.
        self.state(&changed.database, request.prior, response)?;
        if request.planned.get("password")?.is_unknown() {
            // Should the rest fail, the next refresh sees that they are missing.
            for name in schema::SECRETS {
                response.state.set(name, Value::Null)?;
            }
        }
        let act = format!("changing database {}", changed.database.name);
        client
            .wait(&act, id, Some(operation), request.context)
            .await
            .map_err(|error| self.unfinished(error, CHANGE_GOES_ON))?;
        let settled = client
            .outlast(&act, request.context, || client.database(id, None))
            .await
            .map_err(self.told())?;
        self.state(&settled, request.planned, response)
    }

    /// A changed engine is another database: the old one is destroyed, if it may be.
    async fn plan_replacement(
        &self,
        backend: &Backend,
        prior: &Object,
        response: &mut PlanResponse,
    ) -> Outcome {
        response.requires_replace.push(Path::from("engine"));
        if prior.boolean("deletion_protection")? == Some(true) {
            response.diagnostics.push(
                Diagnostic::error(
                    "Replacement refused",
                    "Another engine needs a new database, and this one is protected. To keep \
                     its data, order a second database beside it. To give it up, set \
                     deletion_protection = false, apply, and then change the engine.",
                )
                .at("engine"),
            );
            return Ok(());
        }
        if backend.client.is_known() {
            let id = prior.require_string("id")?;
            let told = self.kind.destruction(backend, id, None).await;
            response.diagnostics.append(told);
        }
        Ok(())
    }
}

/// Whether a pooler is written down and switched off.
fn is_switched_off(pooler: &Value) -> bool {
    pooler
        .as_object()
        .is_some_and(|pooler| pooler.boolean("enabled") == Ok(Some(false)))
}

#[async_trait]
impl Resource for Database {
    fn type_name(&self) -> &str {
        "berth_database"
    }

    fn schema(&self) -> Schema {
        self.kind.schema.clone()
    }

    fn timeouts(&self) -> Timeouts {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Timeouts {
            create: minutes(20),
            read: minutes(2),
            update: minutes(60),
            delete: minutes(20),
        }
    }

    async fn validate(&self, config: &Object, diagnostics: &mut Diagnostics) {
        let is_null = |name| config.is_null(name).unwrap_or(false);
        if is_null("engine") && is_null("restore_from") {
            diagnostics.push(
                Diagnostic::error(
                    "Missing engine",
                    "Say which engine to run, such as engine = \"postgresql\". Only with \
                     restore_from it may be left out.",
                )
                .at("engine"),
            );
        }
        if config.boolean("expose_credentials_in_state") == Ok(Some(true)) {
            diagnostics.push(
                Diagnostic::warning(
                    "The password will be in the state",
                    "Whoever reads the state can log in. The ephemeral resource \
                     berth_database_credentials hands credentials over without storing them.",
                )
                .at("expose_credentials_in_state"),
            );
        }
    }

    async fn plan(&self, request: PlanRequest<'_>, response: &mut PlanResponse) -> Outcome {
        let backend = self.backend.get()?;
        let prior = request.prior;
        if let (Some(config), Some(prior)) = (request.config, prior) {
            note_late_restore(config, prior, &mut response.diagnostics)?;
            let (engine, before) = (config.get("engine")?, prior.get("engine")?);
            if engine.is_unknown() {
                response.diagnostics.push(open_engine(before));
                return Ok(());
            }
            if engine.is_set() && engine != before {
                return self.plan_replacement(&backend, prior, response).await;
            }
        }
        let context = request.context;
        let work = self.kind.plan(&backend, request, response);
        within(context, "planning a database", work).await?;
        match &mut response.planned {
            Some(planned) => {
                // Any apply claims. What a create left unclaimed so has a difference that calls
                // for one.
                planned.set("claimed", true)?;
                plan_secrets(planned, prior)
            }
            None => Ok(()),
        }
    }

    /// The database stays unclaimed until it runs: when this ends before that, the state has
    /// its id, and a run that knows nothing of it finds it by its name and goes on.
    async fn create(&self, request: CreateRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let client = &backend.client;
        let order = self.kind.order(
            request.config,
            request.planned,
            None,
            &response.private,
            &backend,
        )?;
        let preset = order.preset.clone();
        let mut fields = plan::body(order);
        fields.insert("unclaimed".to_owned(), true.into());
        let ordered: DatabaseBody = body(fields)?;
        let made = client
            .create_database(&ordered)
            .await
            .map_err(|error| plan::of_provider(self.told()(error), &preset))?;
        self.state(&made, request.planned, response)?;
        backend.snapshots.forget().await;
        let act = format!("creating database {}", made.name);
        client
            .wait(&act, &made.id, made.operation_id, request.context)
            .await
            .map_err(|error| self.unfinished(error, CREATE_GOES_ON))?;
        let claimed = client
            .outlast(&act, request.context, || client.claim_database(&made.id))
            .await
            .map_err(|error| self.unfinished(error, CREATE_GOES_ON))?;
        self.state(&claimed, request.planned, response)?;
        if request.planned.get("password")?.is_unknown() {
            let act = format!("reading the credentials of {}", made.name);
            let read = client.outlast(&act, request.context, || client.credentials(&made.id, None));
            match read.await {
                // The client would destroy a database that is made and claimed for the want of
                // what the next run reads.
                Err(error) if !is_denied(&error) => withhold(&not_now(&error), response)?,
                read => self.expose(read, response)?,
            }
        }
        Ok(())
    }

    async fn read(&self, request: ReadRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        if !backend.client.is_known() {
            return Ok(());
        }
        let state = request.state;
        let id = state.require_string("id")?;
        let project = state.string("project_id")?;
        let look = backend.snapshots.database(id, project);
        let found = within(request.context, "reading a database", look).await;
        let found = found.map_err(self.told())?;
        let Some(database) = found else {
            response.state.remove();
            let name = state.string("name")?.unwrap_or(id);
            let by = journal::ender(&backend, Subject::Database(id)).await;
            response.diagnostics.push(out_of_sight(id, name, by));
            return Ok(());
        };
        if database.status == "destroyed" {
            response.state.remove();
            let summary = "A database was destroyed outside of this configuration";
            let by = journal::ender(&backend, Subject::Database(id)).await;
            let detail =
                by.map_or_else(|| undo(&database), |by| format!("{by} {}", undo(&database)));
            response
                .diagnostics
                .push(Diagnostic::warning(summary, detail));
            return Ok(());
        }
        backend.seen.note(self.kind.name, &database.name, id);
        response.diagnostics.append(unwell(&database));
        response.diagnostics.append(not_taken_over(&database));
        self.state(&database, state, response)?;
        let changed = journal::differing(&self.kind, state, response.state.object())?;
        let told = journal::explain(&backend, Subject::Database(id), &database.name, &changed);
        let told = within(request.context, "reading the journal", told).await?;
        response.diagnostics.append(told);
        let wanted = state.boolean("expose_credentials_in_state")? == Some(true);
        let mut known = !state.is_null("password")?;
        for name in MOVES_CREDENTIALS {
            known &= state.get(name)? == response.state.object().get(name)?;
        }
        if wanted && !known {
            let read = backend.client.credentials(id, None).await;
            self.expose(read, response)?;
        }
        Ok(())
    }

    async fn update(&self, request: UpdateRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let client = &backend.client;
        let id = request.prior.require_string("id")?;
        let fields = plan::change(&self.kind, request.config, request.prior, request.planned)?;
        self.see_made(&backend, &request).await?;
        if fields.is_empty() {
            // Only what the provider keeps to itself. The empty change claims what a create
            // left unclaimed.
            client
                .change_database(id, &DatabaseBody::default())
                .await
                .map_err(self.told())?;
            response.state.replace(request.planned.clone());
        } else {
            self.change(&backend, &request, body(fields)?, response)
                .await?;
        }
        if request.planned.get("password")?.is_unknown() {
            let act = format!("reading the credentials of {id}");
            let read = client.outlast(&act, request.context, || client.credentials(id, None));
            self.expose(read.await, response)?;
        }
        Ok(())
    }

    async fn delete(&self, request: DeleteRequest<'_>, _: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let id = request.prior.require_string("id")?;
        let name = request.prior.string("name")?.unwrap_or(id);
        let operation = backend.client.destroy_database(id, request.context).await;
        backend.snapshots.forget().await;
        let act = format!("destroying database {name}");
        backend
            .client
            .wait(&act, id, operation.map_err(self.told())?, request.context)
            .await
            .map_err(self.told())
    }

    /// By id, by name in the provider's project, or by `project/name`.
    async fn import(&self, request: ImportRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let key = match request.target {
            ImportTarget::Id(key) => key,
            ImportTarget::Identity(identity) => identity.require_string("id")?,
        };
        let is_alone = !key.contains('/');
        let (project, key) = match key.split('/').collect::<Vec<_>>()[..] {
            [project, name] => (Some(project), name),
            [id] if id.starts_with("db_") => (None, id),
            [name] => (backend.project.as_deref(), name),
            _ => {
                let detail = format!("{IMPORT_FORMS} Got {key:?}.");
                return Err(Diagnostic::error("Not the id of a database", detail).into());
            }
        };
        let key = DatabaseKey {
            key,
            at: Path::root(),
            project,
            project_at: Path::root(),
            is_preset: is_alone,
            forms: IMPORT_FORMS,
        };
        let mut found = lookup::database(&backend.client, key).await?;
        if found.status == "destroyed" {
            return Err(
                Diagnostic::error("A destroyed database cannot be imported", undo(&found)).into(),
            );
        }
        if !found.claimed {
            let claimed = backend.client.claim_database(&found.id).await;
            found = claimed_or(claimed, found).map_err(self.told())?;
        }
        let mut template = Object::null(self.kind.schema.object_type());
        template.set("expose_credentials_in_state", false)?;
        self.state(&found, &template, response)?;
        let state = response.state.object();
        let remember = self
            .kind
            .remember_found(&backend, state, &mut response.private);
        within(request.context, "planning a database", remember).await
    }
}
