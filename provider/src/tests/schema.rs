//! The schemas as one text, so that a change of what users type is seen in review.

use std::fmt::Write as _;

use super::*;
use berth_plugin::schema::{Attribute, AttributeKind, Block};

fn render(block: &Block, indent: usize, text: &mut String) {
    for attribute in block.attributes() {
        let ty = match attribute.kind() {
            AttributeKind::Plain(ty) => ty.to_json().to_string().replace('"', ""),
            AttributeKind::Nested(nesting, _) => format!("{nesting:?} of"),
        };
        writeln!(
            text,
            "{:indent$}{} {ty} {}",
            "",
            attribute.name(),
            words(attribute)
        )
        .unwrap();
        if let AttributeKind::Nested(_, inner) = attribute.kind() {
            render(inner, indent + 2, text);
        }
    }
    for block in block.blocks() {
        writeln!(text, "{:indent$}{} block of", "", block.name()).unwrap();
        render(block.content(), indent + 2, text);
    }
}

fn words(attribute: &Attribute) -> String {
    let traits = [
        (attribute.is_required(), "required"),
        (attribute.is_optional(), "optional"),
        (attribute.is_computed(), "computed"),
        (attribute.is_sensitive(), "sensitive"),
        (attribute.is_write_only(), "write-only"),
    ];
    let words = traits
        .iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, word)| *word);
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_schemas_are_as_they_were_reviewed() {
    let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
    let catalogue = host.server().catalogue();
    let mut text = String::from("provider berth\n");
    render(catalogue.provider.root(), 2, &mut text);
    let resources = catalogue
        .resources
        .iter()
        .map(|(name, e)| ("resource", name, &e.schema));
    let data = catalogue
        .data_sources
        .iter()
        .map(|(name, e)| ("data", name, &e.schema));
    let ephemeral = catalogue.ephemeral_resources.iter();
    let ephemeral = ephemeral.map(|(name, e)| ("ephemeral", name, &e.schema));
    for (kind, name, schema) in resources.chain(data).chain(ephemeral) {
        writeln!(text, "\n{kind} {name} version {}", schema.state_version()).unwrap();
        render(schema.root(), 2, &mut text);
    }
    insta::assert_snapshot!(text);
}
