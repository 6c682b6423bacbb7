//! From the framework's types to the messages of the protocol.

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;

use crate::diagnostics::{Diagnostic, Diagnostics, Severity};
use crate::function::{FunctionError, Parameter, Signature};
use crate::path::{Path, Step};
use crate::proto::tfplugin6 as proto;
use crate::schema::{
    Attribute, AttributeKind, Block, IdentityAttribute, IdentitySchema, NestedBlock, Nesting,
    Schema,
};
use crate::secrets;
use crate::types::Type;
use crate::value::Value;
use crate::wire::{msgpack, sensitive};
use proto::attribute_path::step::Selector;
use proto::schema::nested_block::NestingMode as BlockNesting;
use proto::schema::object::NestingMode as ObjectNesting;

/// A value of `schema`'s type. Its secrets are kept out of logs from here on.
pub(crate) fn object(value: &Value, schema: &Schema) -> Result<proto::DynamicValue, Diagnostic> {
    sensitive::remember(schema, value);
    self::value(value, &schema.ty())
}

/// A value of type `ty`.
pub(crate) fn value(value: &Value, ty: &Type) -> Result<proto::DynamicValue, Diagnostic> {
    let msgpack = msgpack::encode(value, ty).map_err(|error| {
        Diagnostic::error(
            "Provider does not fit its schema",
            format!("This is a bug in the provider: {error}."),
        )
        .at(error.path.clone())
    })?;
    Ok(proto::DynamicValue {
        msgpack: msgpack.into(),
        json: Bytes::new(),
    })
}

/// An identity, where there is one and the resource has identities.
pub(crate) fn identity(
    identity: Option<&Value>,
    schema: Option<&IdentitySchema>,
) -> Result<Option<proto::ResourceIdentityData>, Diagnostic> {
    // The host panics at an identity of a type that has none.
    let (Some(identity), Some(schema)) = (identity, schema) else {
        return Ok(None);
    };
    Ok(Some(proto::ResourceIdentityData {
        identity_data: Some(value(identity, &schema.ty())?),
    }))
}

/// Diagnostics, without any secret that this process has seen.
pub(crate) fn diagnostics(diagnostics: &Diagnostics) -> Vec<proto::Diagnostic> {
    diagnostics.iter().map(diagnostic).collect()
}

fn diagnostic(diagnostic: &Diagnostic) -> proto::Diagnostic {
    let severity = match diagnostic.severity {
        Severity::Error => proto::diagnostic::Severity::Error,
        Severity::Warning => proto::diagnostic::Severity::Warning,
    };
    proto::Diagnostic {
        severity: severity.into(),
        summary: secrets::mask(&diagnostic.summary).into_owned(),
        detail: secrets::mask(&located(diagnostic)).into_owned(),
        attribute: diagnostic.path.as_ref().map(path),
    }
}

/// The detail with the path in front, where there is more than one step in it: the host shows
/// the line of the outermost attribute only, which may hold several values.
fn located(diagnostic: &Diagnostic) -> Cow<'_, str> {
    let detail = Cow::Borrowed(diagnostic.detail.as_str());
    let Some(path) = diagnostic.path.as_ref().filter(|p| p.steps().len() > 1) else {
        return detail;
    };
    let path = path.to_string();
    if diagnostic.detail.contains(&path) {
        return detail;
    }
    Cow::Owned(format!("{path}: {detail}"))
}

/// A path, as far as the protocol can say it.
pub(crate) fn path(path: &Path) -> proto::AttributePath {
    let steps = path.steps().iter().map(|step| proto::attribute_path::Step {
        selector: Some(match step {
            Step::Attribute(name) => Selector::AttributeName(name.clone()),
            // No list is longer than the largest number the host counts with.
            Step::Index(index) => {
                Selector::ElementKeyInt(i64::try_from(*index).unwrap_or(i64::MAX))
            }
            Step::Key(key) => Selector::ElementKeyString(key.clone()),
        }),
    });
    proto::AttributePath {
        steps: steps.collect(),
    }
}

/// A schema; the host panics without a block, so there always is one.
pub(crate) fn schema(schema: &Schema) -> proto::Schema {
    proto::Schema {
        version: schema.version,
        block: Some(block(&schema.root, schema.version)),
    }
}

fn block(content: &Block, version: i64) -> proto::schema::Block {
    proto::schema::Block {
        version,
        attributes: content.attributes.iter().map(attribute).collect(),
        block_types: content.blocks.iter().map(nested_block).collect(),
        description: content.description.clone(),
        description_kind: proto::StringKind::Markdown.into(),
        deprecated: content.deprecation.is_some(),
        deprecation_message: content.deprecation.clone().unwrap_or_default(),
        computed: false,
    }
}

fn attribute(attribute: &Attribute) -> proto::schema::Attribute {
    let (r#type, nested_type) = match &attribute.kind {
        AttributeKind::Plain(ty) => (Bytes::from(ty.to_json_bytes()), None),
        AttributeKind::Nested(nesting, content) => {
            (Bytes::new(), Some(nested_type(*nesting, content)))
        }
    };
    proto::schema::Attribute {
        name: attribute.name.clone(),
        r#type,
        nested_type,
        description: attribute.description.clone(),
        description_kind: proto::StringKind::Markdown.into(),
        required: attribute.required,
        optional: attribute.optional,
        computed: attribute.computed,
        sensitive: attribute.sensitive,
        deprecated: attribute.deprecation.is_some(),
        deprecation_message: attribute.deprecation.clone().unwrap_or_default(),
        write_only: attribute.write_only,
    }
}

fn nested_type(nesting: Nesting, content: &Block) -> proto::schema::Object {
    let nesting = match nesting {
        Nesting::Single => ObjectNesting::Single,
        Nesting::List => ObjectNesting::List,
        Nesting::Set => ObjectNesting::Set,
        Nesting::Map => ObjectNesting::Map,
    };
    proto::schema::Object {
        attributes: content.attributes.iter().map(attribute).collect(),
        nesting: nesting.into(),
        ..proto::schema::Object::default()
    }
}

fn nested_block(nested: &NestedBlock) -> proto::schema::NestedBlock {
    let nesting = match nested.nesting {
        Nesting::Single => BlockNesting::Single,
        Nesting::List => BlockNesting::List,
        Nesting::Set => BlockNesting::Set,
        Nesting::Map => BlockNesting::Map,
    };
    proto::schema::NestedBlock {
        type_name: nested.name.clone(),
        block: Some(block(&nested.block, 0)),
        nesting: nesting.into(),
        min_items: 0,
        max_items: 0,
    }
}

/// What an identity is made of.
pub(crate) fn identity_schema(schema: &IdentitySchema) -> proto::ResourceIdentitySchema {
    proto::ResourceIdentitySchema {
        version: schema.version,
        identity_attributes: schema.attributes.iter().map(identity_attribute).collect(),
    }
}

fn identity_attribute(
    attribute: &IdentityAttribute,
) -> proto::resource_identity_schema::IdentityAttribute {
    proto::resource_identity_schema::IdentityAttribute {
        name: attribute.name.clone(),
        r#type: attribute.ty.to_json_bytes().into(),
        required_for_import: attribute.required_for_import,
        optional_for_import: !attribute.required_for_import,
        description: attribute.description.clone(),
    }
}

/// How a function is called; the host panics without a return type, so there always is one.
pub(crate) fn function(signature: &Signature) -> proto::Function {
    proto::Function {
        parameters: signature.parameters.iter().map(parameter).collect(),
        variadic_parameter: signature.variadic.as_ref().map(parameter),
        r#return: Some(proto::function::Return {
            r#type: signature.returns.to_json_bytes().into(),
        }),
        summary: signature.summary.clone(),
        description: signature.description.clone(),
        description_kind: proto::StringKind::Markdown.into(),
        deprecation_message: signature.deprecation.clone().unwrap_or_default(),
    }
}

fn parameter(parameter: &Parameter) -> proto::function::Parameter {
    proto::function::Parameter {
        name: parameter.name.clone(),
        r#type: parameter.ty.to_json_bytes().into(),
        allow_null_value: parameter.allow_null,
        allow_unknown_values: parameter.allow_unknown,
        description: parameter.description.clone(),
        description_kind: proto::StringKind::Markdown.into(),
    }
}

/// Why a call failed, without any secret that this process has seen.
pub(crate) fn function_error(error: &FunctionError) -> proto::FunctionError {
    proto::FunctionError {
        text: secrets::mask(&error.text).into_owned(),
        function_argument: error
            .argument
            .and_then(|argument| i64::try_from(argument).ok()),
    }
}

/// A moment. One before the epoch is none that a host should wait for.
pub(crate) fn moment(moment: SystemTime) -> prost_types::Timestamp {
    moment.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_has_a_type_or_a_nested_one_and_never_both() {
        let schema = Schema::new([
            Attribute::string("name").required(),
            Attribute::nested_list("rules", [Attribute::number("port").optional()]).optional(),
        ])
        .version(3);
        let wire = super::schema(&schema);
        assert_eq!(wire.version, 3);
        let attributes = wire.block.unwrap().attributes;
        assert_eq!(attributes[0].r#type, "\"string\"");
        assert_eq!(attributes[0].nested_type, None);
        assert_eq!(attributes[1].r#type, "");
        let nested = attributes[1].nested_type.as_ref().unwrap();
        assert_eq!(nested.nesting(), ObjectNesting::List);
        assert_eq!(nested.attributes[0].r#type, "\"number\"");
    }

    #[test]
    fn a_detail_names_the_path_below_its_attribute_once() {
        let told = |path: &str, detail: &str| {
            let found = Diagnostic::error("Invalid value", detail).at(Path::from(path));
            super::diagnostics(&found.into())[0].detail.clone()
        };
        assert_eq!(told("pooler.mode", "Use x."), "pooler.mode: Use x.");
        let named = "pooler.mode takes x.";
        assert_eq!(told("pooler.mode", named), named);
        assert_eq!(told("name", "Use x."), "Use x.");
    }

    #[test]
    fn a_path_keeps_its_steps_and_a_diagnostic_loses_its_secrets() {
        secrets::remember("to-wire-test-secret");
        let found = Diagnostic::error("Refused", "The password to-wire-test-secret is old.")
            .at(Path::from("rules").index(2).attribute("tags").key("env"));
        let wire = super::diagnostics(&found.into());
        assert_eq!(
            wire[0].detail,
            "rules[2].tags[\"env\"]: The password *** is old."
        );
        let selectors: Vec<_> = wire[0].attribute.clone().unwrap().steps;
        let selectors: Vec<_> = selectors
            .into_iter()
            .filter_map(|step| step.selector)
            .collect();
        assert_eq!(
            selectors,
            [
                Selector::AttributeName("rules".into()),
                Selector::ElementKeyInt(2),
                Selector::AttributeName("tags".into()),
                Selector::ElementKeyString("env".into()),
            ]
        );
    }

    #[test]
    fn a_function_says_what_it_returns() {
        let signature = Signature::new([Parameter::new("text", Type::String)], Type::Bool);
        let wire = function(&signature);
        assert_eq!(wire.r#return.unwrap().r#type, "\"bool\"");
        assert_eq!(wire.parameters[0].name, "text");
    }
}
