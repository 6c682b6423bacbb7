//! From the messages of the protocol to the framework's types.

use crate::diagnostics::Diagnostic;
use crate::logging::error_chain;
use crate::path::Path;
use crate::proto::tfplugin6 as proto;
use crate::resource::ClientCapabilities;
use crate::schema::{IdentitySchema, Schema};
use crate::types::Type;
use crate::value::Value;
use crate::wire::{json, msgpack, sensitive};

/// A value of `schema`'s type. Its secrets are kept out of logs from here on.
pub(crate) fn object(
    message: Option<proto::DynamicValue>,
    schema: &Schema,
) -> Result<Value, Diagnostic> {
    let value = value(message, &schema.ty())?;
    sensitive::remember(schema, &value);
    Ok(value)
}

/// A value of type `ty`. A message that is not there, or empty, is null.
pub(crate) fn value(message: Option<proto::DynamicValue>, ty: &Type) -> Result<Value, Diagnostic> {
    let Some(message) = message else {
        return Ok(Value::Null);
    };
    if !message.msgpack.is_empty() {
        msgpack::decode(&message.msgpack, ty).map_err(|error| unreadable(&error, &error.path))
    } else if !message.json.is_empty() {
        json::decode(&message.json, ty).map_err(|error| unreadable(&error, &error.path))
    } else {
        Ok(Value::Null)
    }
}

fn unreadable(error: &(dyn std::error::Error + 'static), path: &Path) -> Diagnostic {
    Diagnostic::error(
        "Value does not fit the schema",
        format!(
            "The provider could not read a value it was sent: {}.",
            error_chain(error)
        ),
    )
    .at(path.clone())
}

/// An identity, where there is one and the resource has identities.
pub(crate) fn identity(
    message: Option<proto::ResourceIdentityData>,
    schema: Option<&IdentitySchema>,
) -> Result<Option<Value>, Diagnostic> {
    let (Some(message), Some(schema)) = (message, schema) else {
        return Ok(None);
    };
    let identity = value(message.identity_data, &schema.ty())?;
    Ok((!identity.is_null()).then_some(identity))
}

/// What the host understands; nothing, when it does not say.
pub(crate) fn capabilities(message: Option<proto::ClientCapabilities>) -> ClientCapabilities {
    let message = message.unwrap_or_default();
    ClientCapabilities {
        deferral_allowed: message.deferral_allowed,
        write_only_attributes_allowed: message.write_only_attributes_allowed,
    }
}

/// The JSON of a stored value. States of hosts older than 0.12 are stored in another way, which
/// nobody can have made with this provider.
pub(crate) fn raw_state(message: Option<proto::RawState>) -> Result<bytes::Bytes, Diagnostic> {
    match message {
        Some(message) if !message.json.is_empty() => Ok(message.json),
        _ => Err(Diagnostic::error(
            "State cannot be read",
            "The stored state is empty or in a form that was given up in Terraform 0.12.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_null_in_each_of_its_forms() {
        assert_eq!(value(None, &Type::String), Ok(Value::Null));
        let empty = proto::DynamicValue::default();
        assert_eq!(value(Some(empty), &Type::String), Ok(Value::Null));
    }

    #[test]
    fn json_is_read_where_there_is_no_msgpack() {
        let message = proto::DynamicValue {
            json: "\"text\"".into(),
            ..proto::DynamicValue::default()
        };
        assert_eq!(value(Some(message), &Type::String), Ok("text".into()));
    }

    #[test]
    fn a_value_of_another_type_is_an_error_and_not_a_guess() {
        let message = proto::DynamicValue {
            json: "[1]".into(),
            ..proto::DynamicValue::default()
        };
        assert!(value(Some(message), &Type::Bool).is_err());
    }

    #[test]
    fn a_state_of_before_the_flood_is_refused() {
        let message = proto::RawState {
            flatmap: [("id".to_owned(), "1".to_owned())].into(),
            ..proto::RawState::default()
        };
        assert!(raw_state(Some(message)).is_err());
    }
}
