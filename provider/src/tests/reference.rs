//! The pages of `docs/reference/provider`, which are rendered from the schemas.
//!
//! `BERTH_UPDATE=1 cargo test -p terraform-provider-berth reference` writes them again; without
//! it a page that is not as the schemas say fails the test.

mod facts;
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::*;
use berth_plugin::provider::Provider;
use berth_plugin::schema::Schema;
use facts::{CHANGES, IMPORTS};
use page::Kind;

const UPDATE: &str = "BERTH_UPDATE";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn folder() -> PathBuf {
    root().join("docs/reference/provider")
}

/// An example that stands in the tree, where another test shows that it is valid.
fn example(path: &str) -> String {
    let path = root().join("examples").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything that the provider offers: kind, type name and schema.
fn offers(berth: &Berth) -> Vec<(Kind, String, Schema)> {
    let resources = berth.resources().into_iter();
    let resources = resources.map(|it| (Kind::Resource, it.type_name().to_owned(), it.schema()));
    let data = berth.data_sources().into_iter();
    let data = data.map(|it| (Kind::Data, it.type_name().to_owned(), it.schema()));
    let ephemeral = berth.ephemeral_resources().into_iter();
    let ephemeral = ephemeral.map(|it| (Kind::Ephemeral, it.type_name().to_owned(), it.schema()));
    resources.chain(data).chain(ephemeral).collect()
}

/// The pages by the names of their files.
fn pages() -> BTreeMap<String, String> {
    let berth = Berth::with_environment(|_| None);
    let offers = offers(&berth);
    let mut pages = BTreeMap::from([("index.md".to_owned(), page::index(&berth, &offers))]);
    for (kind, name, schema) in &offers {
        let limits = berth.resources().into_iter();
        let limits = limits.filter(|_| *kind == Kind::Resource);
        let limits = limits
            .filter(|resource| resource.type_name() == name)
            .map(|resource| resource.timeouts())
            .next();
        pages.insert(
            kind.file(name),
            page::of(*kind, name, schema, limits.as_ref()),
        );
    }
    pages
}

fn on_disk() -> BTreeMap<String, String> {
    let Ok(entries) = std::fs::read_dir(folder()) else {
        return BTreeMap::new();
    };
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn write(pages: &BTreeMap<String, String>) {
    std::fs::create_dir_all(folder()).unwrap();
    for name in on_disk().keys().filter(|name| !pages.contains_key(*name)) {
        std::fs::remove_file(folder().join(name)).unwrap();
    }
    for (name, text) in pages {
        std::fs::write(folder().join(name), text).unwrap();
    }
}

#[test]
fn the_pages_are_what_the_schemas_say() {
    let pages = pages();
    if std::env::var(UPDATE).is_ok_and(|value| value == "1") {
        write(&pages);
    }
    let there = on_disk();
    let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&there), names(&pages), "write them with {UPDATE}=1");
    for (name, text) in &pages {
        let first = there[name]
            .lines()
            .zip(text.lines())
            .find(|(old, new)| old != new);
        assert!(
            there[name] == *text,
            "docs/reference/provider/{name} is not what the schemas say; write it with \
             {UPDATE}=1. The first difference: {first:#?}"
        );
    }
}

#[test]
fn what_no_schema_says_is_said_of_what_is_there() {
    let berth = Berth::with_environment(|_| None);
    let resources = berth.resources();
    let there: BTreeSet<_> = resources
        .iter()
        .map(|it| it.type_name().to_owned())
        .collect();
    let imported: BTreeSet<_> = IMPORTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(imported, there);
    for (type_name, attribute, _) in CHANGES {
        let resource = resources.iter().find(|it| it.type_name() == type_name);
        let schema = resource.unwrap().schema();
        let attribute = schema.root().attribute(attribute).unwrap();
        assert!(attribute.is_optional() || attribute.is_required());
    }
}

#[test]
fn each_variable_that_is_read_is_on_the_first_page() {
    let page = page::index(&Berth::with_environment(|_| None), &[]);
    let (read, _) = include_str!("../settings.rs")
        .split_once("#[cfg(test)]")
        .unwrap();
    let quoted = read.split('"').filter(|text| {
        let rest = text.strip_prefix("BERTH_");
        rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    });
    let mut count = 0;
    for variable in quoted {
        assert!(page.contains(&format!("| `{variable}` |")), "{variable}");
        count += 1;
    }
    assert!(count >= 8, "{count}");
}
