//! The table of attributes and the schemas say the same.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use berth_plugin::schema::{AttributeKind, Block};
use serde::Deserialize;

type Lists = BTreeMap<String, BTreeSet<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    capabilities: BTreeSet<String>,
    provider: BTreeMap<String, Lists>,
    resource: BTreeMap<String, Lists>,
    data: BTreeMap<String, Lists>,
    ephemeral: BTreeMap<String, Lists>,
    absent: BTreeMap<String, Lists>,
}

/// The names on each level: the root's under the type's name, those of the nested attributes
/// that a user writes under `type.attribute`.
fn levels(type_name: &str, block: &Block, nested: bool) -> BTreeMap<String, BTreeSet<String>> {
    let attributes = block.attributes().iter().map(|a| a.name().to_owned());
    let blocks = block.blocks().iter().map(|b| b.name().to_owned());
    let mut levels = BTreeMap::from([(type_name.to_owned(), attributes.chain(blocks).collect())]);
    for attribute in block
        .attributes()
        .iter()
        .filter(|a| nested && a.is_optional())
    {
        if let AttributeKind::Nested(_, inner) = attribute.kind() {
            let inner = inner.attributes().iter().map(|a| a.name().to_owned());
            levels.insert(format!("{type_name}.{}", attribute.name()), inner.collect());
        }
    }
    levels
}

fn hold(
    table: &BTreeMap<String, Lists>,
    schemas: BTreeMap<String, BTreeSet<String>>,
    known: &BTreeSet<String>,
) {
    assert_eq!(
        table.keys().collect::<Vec<_>>(),
        schemas.keys().collect::<Vec<_>>()
    );
    for (type_name, lists) in table {
        assert_eq!(
            lists["now"], schemas[type_name],
            "the table and the schema of {type_name}"
        );
        let mut names = BTreeSet::new();
        for (capability, list) in lists {
            assert!(
                capability == "now" || known.contains(capability),
                "{capability}"
            );
            for name in list {
                assert!(names.insert(name), "{type_name}.{name} is on two lists");
            }
        }
    }
}

#[tokio::test]
async fn each_attribute_is_there_or_is_promised_by_a_capability() {
    let table: Table = toml::from_str(include_str!("../../attributes.toml")).unwrap();
    let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
    let catalogue = host.server().catalogue();
    let known = &table.capabilities;
    hold(
        &table.provider,
        levels("berth", catalogue.provider.root(), false),
        known,
    );
    let of = |name: &String, block: &Block| levels(name, block, true);
    let resources = catalogue
        .resources
        .iter()
        .flat_map(|(n, e)| of(n, e.schema.root()));
    hold(&table.resource, resources.collect(), known);
    let data = catalogue
        .data_sources
        .iter()
        .flat_map(|(n, e)| levels(n, e.schema.root(), false));
    hold(&table.data, data.collect(), known);
    let ephemeral = catalogue.ephemeral_resources.iter();
    let ephemeral = ephemeral.flat_map(|(n, e)| levels(n, e.schema.root(), false));
    hold(&table.ephemeral, ephemeral.collect(), known);
    for (kind, lists) in &table.absent {
        let there = match kind.as_str() {
            "resource" => &table.resource,
            "data" => &table.data,
            _ => &table.ephemeral,
        };
        for (capability, types) in lists {
            assert!(known.contains(capability), "{capability}");
            assert!(
                types.iter().all(|name| !there.contains_key(name)),
                "{types:?}"
            );
        }
    }
}

#[tokio::test]
async fn every_attribute_is_described() {
    let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
    let catalogue = host.server().catalogue();
    let schemas = catalogue
        .resources
        .values()
        .map(|entry| &entry.schema)
        .chain(catalogue.data_sources.values().map(|entry| &entry.schema))
        .chain(
            catalogue
                .ephemeral_resources
                .values()
                .map(|entry| &entry.schema),
        );
    for attribute in schemas.flat_map(|schema| schema.root().attributes()) {
        assert!(attribute.markdown().ends_with('.'), "{}", attribute.name());
    }
}
