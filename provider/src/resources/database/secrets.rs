//! The attributes of a database that hold its credentials, where a configuration asks for them.

use berth_plugin::diagnostics::{Diagnostic, Outcome};
use berth_plugin::object::Object;
use berth_plugin::resource::StateResponse;
use berth_plugin::value::Value;

use super::schema::SECRETS;

/// The attributes whose change makes new credentials, or new addresses in the URIs.
pub(super) const MOVES_CREDENTIALS: [&str; 10] = [
    "credential_version",
    "expose",
    "host",
    "pooler",
    "pooler_host",
    "public_host",
    "public_port",
    "tls_mode",
    "uri_template",
    "username",
];

/// Plans the attributes with secrets in them: null unless they are asked for, kept while
/// nothing moves them, else open until the apply.
pub(super) fn plan_secrets(planned: &mut Object, prior: Option<&Object>) -> Outcome {
    let switch = planned.get("expose_credentials_in_state")?;
    let stays = |prior: &Object| -> Outcome<bool> {
        let mut stays = prior.get("expose_credentials_in_state")? == &Value::from(true)
            && !prior.is_null("password")?;
        for name in MOVES_CREDENTIALS {
            stays &= prior.get(name)? == planned.get(name)?;
        }
        Ok(stays)
    };
    let open = switch.is_unknown();
    let wanted = *switch == Value::from(true);
    let kept = match prior {
        Some(prior) if wanted && stays(prior)? => Some(prior),
        _ => None,
    };
    for name in SECRETS {
        let value = match kept {
            Some(prior) => prior.get(name)?.clone(),
            None if wanted || open => Value::unknown(),
            None => Value::Null,
        };
        planned.set(name, value)?;
    }
    Ok(())
}

/// Leaves the credentials out of the state, and says why.
pub(super) fn withhold(reason: &str, response: &mut StateResponse) -> Outcome {
    for name in SECRETS {
        response.state.set(name, Value::Null)?;
    }
    let name = response.state.object().require_string("name")?;
    let summary = format!("The credentials of {name} are not in the state");
    let told = Diagnostic::warning(summary, reason);
    response
        .diagnostics
        .push(told.at("expose_credentials_in_state"));
    Ok(())
}
