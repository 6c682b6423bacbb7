//! `berth_token`: a token of the API, for a pipeline or an application.

use std::time::SystemTime;

use async_trait::async_trait;
use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::object::Object;
use berth_plugin::path::Path;
use berth_plugin::provider::Configured;
use berth_plugin::resource::{
    CreateRequest, DeleteRequest, ImportRequest, ImportTarget, PlanRequest, PlanResponse,
    ReadRequest, Resource, StateResponse, UpdateRequest,
};
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::types::Type;
use berth_plugin::validate::{each, length, one_of, size, text};
use berth_plugin::value::Value;
use serde_json::Value as Json;

use super::{is_denied, rules, times, unread};
use crate::backend::Backend;
use crate::client::{Fields, Shared};
use crate::convert::{json_of, state_of};
use crate::journal::{self, Subject};

/// The words for what a token may do.
const SCOPES: [&str; 7] = [
    "read",
    "plan",
    "write",
    "credentials",
    "fork",
    "unprotect",
    "admin",
];
/// What the backend knows nothing of, or does not tell.
const OWN: &[&str] = &["expose_secret_in_state", "secret"];

/// The managed resource.
pub struct Token {
    backend: Configured<Backend>,
    schema: Schema,
    clock: fn() -> SystemTime,
}

impl Token {
    /// Works with the backend that is configured later.
    pub fn new(backend: Configured<Backend>) -> Self {
        let schema = schema();
        let clock = times::now;
        Self {
            backend,
            schema,
            clock,
        }
    }

    fn told(&self) -> impl Fn(Shared) -> Diagnostics + '_ {
        |error| error.diagnostics(|field| self.schema.root().attribute(field).map(|_| field.into()))
    }

    fn state(&self, fields: &Fields, template: &Object, response: &mut StateResponse) -> Outcome {
        let types = self.schema.object_type();
        let state = state_of(fields, template, types, OWN)?;
        response.state.replace(state);
        Ok(())
    }

    /// Writes the secret into the state, when that is wanted.
    async fn expose(&self, backend: &Backend, id: &str, response: &mut StateResponse) -> Outcome {
        let exposed = response.state.object().boolean("expose_secret_in_state")?;
        if exposed == Some(true) {
            let found = backend.client.token_secret(id).await.map_err(self.told())?;
            response.state.set("secret", found.secret)?;
        }
        Ok(())
    }
}

fn schema() -> Schema {
    Schema::new([
        Attribute::string("id")
            .computed()
            .keep_prior()
            .description("The id, which begins with `tok_`."),
        Attribute::string("name")
            .required()
            .description("The name, for people: 1 to 64 characters. The journal names it.")
            .validate(length(1..=64)),
        Attribute::string("user_id")
            .optional()
            .computed()
            .keep_prior()
            .modify(berth_plugin::modifiers::Modifier::requires_replace_if_configured())
            .description(
                "The user it belongs to, whose memberships bound what it reaches. The one of \
                 the provider's own token when left out. Another user is another token.",
            )
            .validate(rules::id("usr_", "`berthd user list`")),
        Attribute::set("scopes", Type::String)
            .required()
            .requires_replace()
            .description(
                "What it may do: `read`, `plan`, `write`, `credentials`, `unprotect`, `admin`; \
                 `fork` is reserved: nothing needs it yet. Other scopes are another token.",
            )
            .validate(size(1..))
            .validate(rules::no_nulls())
            .validate(each(one_of(SCOPES))),
        Attribute::string("project_id")
            .optional()
            .requires_replace()
            .description(
                "The one project it is bound to, by its id; all that its user sees when left out. \
                 Another project is another token.",
            )
            .validate(rules::id(
                "proj_",
                "berth_project.….id or data.berth_project.….id",
            )),
        Attribute::string("expires_at")
            .optional()
            .same_meaning(|one, other| times::same(one.as_str(), other.as_str()))
            .description(
                "When it ends, in RFC 3339 and to the second; never when left out. It changes \
                 in place.",
            )
            .validate(text(|at| times::parse(at).map(|_| ()))),
        Attribute::boolean("expose_secret_in_state")
            .optional()
            .default(false)
            .description(
                "Whether `secret` is written into the state, for clients without ephemeral \
                 values.",
            ),
        Attribute::string("secret")
            .computed()
            .sensitive()
            .description("The secret. Null unless `expose_secret_in_state`."),
    ])
    .description(
        "A token of the API. Its secret is in no plan and no state: the ephemeral resource \
         `berth_token_secret` hands it over. Destroying the resource revokes the token at once.",
    )
}

/// The secret: null unless it is wanted, kept as long as the token is the same.
fn plan_secret(planned: &mut Object, prior: Option<&Object>) -> Outcome {
    let switch = planned.get("expose_secret_in_state")?;
    let (open, wanted) = (switch.is_unknown(), *switch == Value::from(true));
    let there = prior.map(|prior| prior.get("secret")).transpose()?;
    let secret = match there.filter(|secret| !secret.is_null()) {
        Some(secret) if wanted => secret.clone(),
        _ if wanted || open => Value::unknown(),
        _ => Value::Null,
    };
    planned.set("secret", secret)?;
    Ok(())
}

/// Refuses to order an end that is over already; `now` is when the plan is made.
fn check_end(planned: &Object, prior: Option<&Object>, now: SystemTime) -> Outcome<Diagnostics> {
    let mut told = Diagnostics::new();
    let at = planned.string("expires_at")?;
    let before = prior.map(|prior| prior.string("expires_at")).transpose()?;
    if !times::same(at, before.flatten())
        && let Some(at) = at.filter(|at| times::is_over(at, now))
    {
        told.push(
            Diagnostic::error(
                "Already over",
                format!("The token would have ended at {at}. Give a time that is still to come."),
            )
            .at("expires_at"),
        );
    }
    Ok(told)
}

/// What is said of a token that is not found any more, and who revoked it. One of another user is
/// answered as if there were none.
fn out_of_sight(id: &str, name: &str, by: Option<String>) -> Diagnostic {
    let by = by.map(|by| format!(" {by}")).unwrap_or_default();
    Diagnostic::warning(
        "A token is not found any more",
        format!(
            "The provider's token sees no token {name} ({id}): it ended long ago, or it is out of \
             this token's reach, and its secret is still valid.{by} The plan makes a new one, \
             with a secret of its own. Where the old one may still be there, do not apply it: \
             the administrator's token finds the old one as before, and `berthd token revoke \
             {id}` ends it."
        ),
    )
}

/// What a refresh found otherwise than the state has it, of what can change.
fn changed(before: &Object, after: &Object) -> Outcome<Vec<&'static str>> {
    let mut changed = Vec::new();
    if before.string("name")? != after.string("name")? {
        changed.push("name");
    }
    // A moment has many spellings.
    if !times::same(before.string("expires_at")?, after.string("expires_at")?) {
        changed.push("expires_at");
    }
    Ok(changed)
}

/// The fields of `object` that a request carries; a time in the one spelling that is stored.
fn fields(object: &Object, names: &[&str]) -> Outcome<Fields> {
    let mut fields = Fields::new();
    for name in names {
        let value = match (*name, object.get(name)?) {
            ("expires_at", Value::String(at)) => times::in_seconds(at).into(),
            (_, value) => json_of(value).unwrap_or(Json::Null),
        };
        fields.insert((*name).to_owned(), value);
    }
    Ok(fields)
}

#[async_trait]
impl Resource for Token {
    fn type_name(&self) -> &str {
        "berth_token"
    }

    fn schema(&self) -> Schema {
        self.schema.clone()
    }

    async fn validate(&self, config: &Object, diagnostics: &mut Diagnostics) {
        if config.boolean("expose_secret_in_state") == Ok(Some(true)) {
            diagnostics.push(
                Diagnostic::warning(
                    "The secret will be in the state",
                    "Whoever reads the state can use the token. The ephemeral resource \
                     berth_token_secret hands the secret over without storing it.",
                )
                .at("expose_secret_in_state"),
            );
        }
    }

    async fn plan(&self, request: PlanRequest<'_>, response: &mut PlanResponse) -> Outcome {
        let Some(planned) = &mut response.planned else {
            return Ok(());
        };
        // A replacement is planned once more as a create, which no longer has the old secret.
        plan_secret(planned, request.prior)?;
        let told = check_end(planned, request.prior, (self.clock)())?;
        response.diagnostics.append(told);
        Ok(())
    }

    async fn create(&self, request: CreateRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let names = ["name", "scopes", "user_id", "project_id", "expires_at"];
        let mut wish = fields(request.planned, &names)?;
        wish.retain(|_, value| !value.is_null());
        wish.insert("keep_secret".to_owned(), true.into());
        let made = backend.client.create_token(&wish).await;
        let (made, secret) = made.map_err(self.told())?;
        self.state(&made, request.planned, response)?;
        let bound = made.get("project_id").and_then(Json::as_str);
        if let Some(bound) = bound.filter(|_| !wish.contains_key("project_id")) {
            return self.refuse_bound(&backend, &made, bound, response).await;
        }
        let exposed = request.planned.boolean("expose_secret_in_state")? == Some(true);
        let secret = exposed.then_some(secret);
        Ok(response.state.set("secret", secret)?)
    }

    async fn read(&self, request: ReadRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        if !backend.client.is_known() {
            return Ok(());
        }
        let id = request.state.require_string("id")?;
        let found = match backend.client.token(id).await {
            Ok(found) => found,
            Err(error) if error.is_absence() => {
                response.state.remove();
                let name = request.state.string("name")?.unwrap_or(id);
                let by = journal::ender(&backend, Subject::Token(id)).await;
                response.diagnostics.push(out_of_sight(id, name, by));
                return Ok(());
            }
            Err(error) if is_denied(&error) => {
                response.diagnostics.push(unread(&format!("Token {id}")));
                return Ok(());
            }
            Err(error) => return Err(self.told()(error)),
        };
        let at = |field: &str| found.get(field).and_then(Json::as_str);
        let name = at("name").unwrap_or(id);
        let subject = Subject::Token(id);
        if let Some(revoked) = at("revoked_at") {
            let by = journal::ender(&backend, subject).await;
            let by = by.map(|by| format!(" {by}")).unwrap_or_default();
            response.diagnostics.push(Diagnostic::warning(
                format!("{name} was revoked"),
                format!(
                    "Token {id} was revoked at {revoked} and cannot be brought back.{by} The \
                     plan makes a new one, with a secret of its own."
                ),
            ));
            response.state.remove();
            return Ok(());
        }
        if let Some(end) = at("expires_at").filter(|end| times::is_over(end, (self.clock)())) {
            response.diagnostics.push(Diagnostic::warning(
                format!("{name} has expired"),
                format!("Token {id} ended at {end}. A later expires_at brings it back, in place."),
            ));
        }
        self.state(&found, request.state, response)?;
        let changed = changed(request.state, response.state.object())?;
        let told = journal::explain(&backend, subject, name, &changed).await?;
        response.diagnostics.append(told);
        Ok(())
    }

    async fn update(&self, request: UpdateRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let id = request.prior.require_string("id")?;
        let mut change = fields(request.planned, &["name", "expires_at"])?;
        let before = fields(request.prior, &["name", "expires_at"])?;
        change.retain(|name, value| before.get(name) != Some(value));
        let mut state = request.planned.clone();
        if !change.is_empty() {
            let changed = backend.client.change_token(id, &change).await;
            let changed = changed.map_err(self.told())?;
            state = state_of(&changed, request.planned, self.schema.object_type(), OWN)?;
        }
        response.state.replace(state);
        if request.planned.get("secret")?.is_unknown() {
            response.state.set("secret", Value::Null)?;
            self.expose(&backend, id, response).await?;
        }
        Ok(())
    }

    async fn delete(&self, request: DeleteRequest<'_>, _: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let id = request.prior.require_string("id")?;
        backend.client.revoke_token(id).await.map_err(self.told())
    }

    /// By id: names of tokens need not be unique.
    async fn import(&self, request: ImportRequest<'_>, response: &mut StateResponse) -> Outcome {
        let backend = self.backend.get()?;
        let id = match request.target {
            ImportTarget::Id(id) => id,
            ImportTarget::Identity(identity) => identity.require_string("id")?,
        };
        let found = backend.client.token(id).await.map_err(self.told())?;
        if let Some(at) = found.get("revoked_at").and_then(Json::as_str) {
            return Err(Diagnostic::error(
                "A revoked token cannot be imported",
                format!("Token {id} was revoked at {at} and cannot be brought back."),
            )
            .into());
        }
        let mut template = Object::null(self.schema.object_type());
        template.set("expose_secret_in_state", false)?;
        self.state(&found, &template, response)
    }
}

impl Token {
    /// A token that is bound although the configuration binds it to nothing: the state could
    /// never agree, so it is taken back.
    async fn refuse_bound(
        &self,
        backend: &Backend,
        made: &Fields,
        bound: &str,
        response: &mut StateResponse,
    ) -> Outcome {
        let id = made.get("id").and_then(Json::as_str).unwrap_or_default();
        backend.client.revoke_token(id).await.map_err(self.told())?;
        response.state.remove();
        Err(Diagnostic::error(
            "Bound to one project",
            format!(
                "The provider's own token is bound to project {bound}, and so is every token it \
                 makes. Write project_id = {bound:?}."
            ),
        )
        .at(Path::from("project_id"))
        .into())
    }
}
