//! What the tree promises about itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn manifest(folder: &str) -> toml::Table {
    let path = root().join(folder).join("Cargo.toml");
    fs::read_to_string(&path)
        .unwrap()
        .parse()
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The crates of the workspace by name, each with the crates of ours that it may import.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    const BACKEND: &[&str] = &[
        "berth-api",
        "berth-domain",
        "berth-engines",
        "berth-platform",
        "berth-store",
        "berth-containers",
        "berth-docker",
        "berth-services",
        "berth-control",
        "berth-http",
    ];
    BTreeMap::from([
        ("berth-api", &[][..]),
        ("berth-domain", &[]),
        ("berth-plugin", &[]),
        ("berth-engines", &["berth-domain"]),
        ("berth-platform", &["berth-domain"]),
        ("berth-store", &["berth-domain"]),
        (
            "berth-containers",
            &["berth-platform", "berth-engines", "berth-domain"],
        ),
        ("berth-docker", &["berth-containers", "berth-domain"]),
        (
            "berth-services",
            &["berth-domain", "berth-engines", "berth-store"],
        ),
        (
            "berth-control",
            &[
                "berth-domain",
                "berth-engines",
                "berth-platform",
                "berth-store",
                "berth-services",
            ],
        ),
        (
            "berth-http",
            &["berth-api", "berth-domain", "berth-services"],
        ),
        ("terraform-provider-berth", &["berth-plugin", "berth-api"]),
        ("berth-tests", &["berth-plugin"]),
        ("berthd", BACKEND),
    ])
}

fn members() -> Vec<String> {
    manifest("")["workspace"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn crates_import_only_what_the_graph_allows() {
    let allowed = allowed();
    let mut seen = BTreeSet::new();
    for member in members() {
        let manifest = manifest(&member);
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        let may = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} is not in the crate graph"));
        let dependencies = manifest
            .get("dependencies")
            .and_then(|d| d.as_table())
            .cloned()
            .unwrap_or_default();
        for dependency in dependencies
            .keys()
            .filter(|d| allowed.contains_key(d.as_str()))
        {
            assert!(
                may.contains(&dependency.as_str()),
                "{name} must not import {dependency}"
            );
        }
        seen.insert(name);
    }
    let missing: Vec<_> = allowed
        .keys()
        .filter(|name| !seen.contains(**name))
        .collect();
    assert!(
        missing.is_empty(),
        "in the graph and not in the workspace: {missing:?}"
    );
}

#[test]
fn every_dependency_takes_its_version_from_the_workspace() {
    for member in members() {
        let manifest = manifest(&member);
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(|d| d.as_table()) else {
                continue;
            };
            for (name, value) in table {
                let inherited = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(
                    inherited,
                    "{member}: {name} in [{section}] must be `workspace = true`"
                );
            }
        }
    }
}

/// What a crate uses in no file of its own: in generated code, and in a file of another's tests.
const UNNAMED: [(&str, &str); 2] = [("provider/framework", "prost"), ("backend/http", "rustix")];

#[test]
fn every_dependency_is_used() {
    let mut idle = Vec::new();
    for member in members() {
        let manifest = manifest(&member);
        let text = own_text(&root().join(&member));
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(|d| d.as_table()) else {
                continue;
            };
            let unused = table.keys().filter(|name| {
                !UNNAMED.contains(&(member.as_str(), name.as_str()))
                    && !names(&text, &name.replace('-', "_"))
            });
            idle.extend(unused.map(|name| format!("{member}: {name} in [{section}]")));
        }
    }
    assert_eq!(idle, Vec::<String>::new(), "declared and used by nothing");
}

/// All Rust of a crate, its tests among it, without the crates that lie below it.
fn own_text(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.join("Cargo.toml").exists() {
                text.push_str(&own_text(&path));
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    text
}

/// Whether a path begins with that crate somewhere in a text, or a macro of its name is called.
fn names(text: &str, krate: &str) -> bool {
    text.match_indices(krate).any(|(at, _)| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let begins = !text[..at].ends_with(is_word);
        let rest = &text[at + krate.len()..];
        begins && (rest.starts_with("::") || rest.starts_with("!(") || rest.starts_with(';'))
    })
}

#[test]
fn every_crate_says_what_it_owns_and_what_it_refuses() {
    for member in members() {
        let Ok(text) = fs::read_to_string(root().join(&member).join("src/lib.rs")) else {
            continue;
        };
        let opening: String = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        assert!(
            opening.contains("Owns:") && opening.contains("Refuses:"),
            "{member}/src/lib.rs"
        );
    }
}

#[test]
fn only_the_engines_folder_matches_on_an_engines_name() {
    // Words in comments, tests and documentation are free; a string that is compared is not.
    let engines = root().join("backend/engines");
    // There a protocol is chosen by its name, which an engine's description gives.
    let clients = root().join("backend/platform/src/client");
    let mut offenders = Vec::new();
    for file in sources(&root().join("backend"))
        .into_iter()
        .filter(|f| !f.starts_with(&engines) && !f.starts_with(&clients))
    {
        let text = fs::read_to_string(&file).unwrap();
        let production = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in production.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let names = [
                "\"postgresql\"",
                "\"mysql\"",
                "\"redis\"",
                "\"mongodb\"",
                "\"mariadb\"",
                "\"valkey\"",
            ];
            if names.iter().any(|name| compares(code, name)) {
                offenders.push(format!(
                    "{}:{}: {}",
                    file.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    assert!(offenders.is_empty(), "{offenders:#?}");
}

/// Whether a line compares something with that name: as a pattern, or as one side of `==`.
fn compares(code: &str, name: &str) -> bool {
    // What an arm comes to is no pattern.
    let (pattern, arm) = code.split_once("=>").unwrap_or(("", code));
    let operators = ["==", "!="];
    let is_side = operators.iter().any(|operator| arm.contains(operator)) && arm.contains(name);
    pattern.contains(name) || is_side || code.contains("matches!") && code.contains(name)
}

#[test]
fn what_measures_holds_no_tests() {
    // `scripts/test` runs nothing of this crate but the stories.
    let holds_tests = |file: &PathBuf| fs::read_to_string(file).unwrap().contains("test]");
    let offenders: Vec<PathBuf> = sources(&root().join("tests/src"))
        .into_iter()
        .filter(holds_tests)
        .collect();
    assert_eq!(offenders, Vec::<PathBuf>::new());
}

#[test]
fn a_name_is_compared_in_a_pattern_and_beside_an_operator() {
    let name = "\"redis\"";
    for code in [
        "\"redis\" => 1,",
        "\"mysql\" | \"redis\" => {",
        "if name == \"redis\" {",
        "_ => name != \"redis\",",
        "matches!(name, \"redis\")",
    ] {
        assert!(compares(code, name), "{code}");
    }
    for code in ["Self::Redis => \"redis\",", "let name = \"redis\";"] {
        assert!(!compares(code, name), "{code}");
    }
}

/// What the links of a page lead to in this tree, without the anchors.
fn links(page: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(page).unwrap();
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let files = targets.filter_map(|target| {
        let file = target.split('#').next().unwrap_or_default();
        (!file.is_empty() && !file.contains("://")).then(|| page.parent().unwrap().join(file))
    });
    files.collect()
}

/// The pages in a folder and below it.
fn pages(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|e| e == "md") {
            found.insert(path.canonicalize().unwrap());
        }
    }
    found
}

#[test]
fn every_page_is_reached_from_the_readme_and_every_link_leads_somewhere() {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![root().join("README.md")];
    let mut broken = Vec::new();
    while let Some(page) = waiting.pop() {
        for link in links(&page) {
            let Ok(target) = link.canonicalize() else {
                broken.push(format!("{} -> {}", page.display(), link.display()));
                continue;
            };
            // A folder that is linked shows what lies in it.
            let shown = match target.is_dir() {
                true => pages(&target),
                false => BTreeSet::from([target]),
            };
            let is_page = |path: &PathBuf| path.extension().is_some_and(|e| e == "md");
            waiting.extend(
                shown
                    .into_iter()
                    .filter(is_page)
                    .filter(|path| reached.insert(path.clone())),
            );
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    let lost: Vec<_> = pages(&root().join("docs"))
        .into_iter()
        .filter(|page| !reached.contains(page))
        .collect();
    assert_eq!(lost, Vec::<PathBuf>::new());
}

/// The texts in a line of source that are spelt as a kind of event.
fn kinds_in(text: &str) -> BTreeSet<String> {
    const NOUNS: [&str; 8] = [
        "credentials",
        "database",
        "env",
        "member",
        "operation",
        "project",
        "token",
        "user",
    ];
    let texts = text.split('"').skip(1).step_by(2);
    let kinds = texts.filter(|text| {
        let (noun, verb) = text.split_once('.').unwrap_or_default();
        let is_plain = verb.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        NOUNS.contains(&noun) && is_plain && !verb.is_empty()
    });
    kinds.map(str::to_owned).collect()
}

#[test]
fn the_page_on_events_names_each_kind_and_no_other() {
    let mut written = BTreeSet::new();
    for folder in ["backend/services", "backend/control"] {
        for file in sources(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            let production = text.split("#[cfg(test)]").next().unwrap_or_default();
            let lines = production.lines().flat_map(kinds_in);
            written.extend(lines);
        }
    }
    assert!(written.len() > 30, "{written:?}");
    let page = fs::read_to_string(root().join("docs/reference/metrics-and-events.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let named = rows.filter_map(|row| row.split('`').next());
    let named: BTreeSet<_> = named.filter(|name| name.contains('.')).collect();
    let written: BTreeSet<_> = written.iter().map(String::as_str).collect();
    assert_eq!(named, written);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let is_test_folder = path.file_name().is_some_and(|n| n == "tests");
            if path.is_dir() && !is_test_folder {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The crates that tell what may be given cannot import the list of it.
#[test]
fn every_setting_of_the_pooler_is_told_where_it_may_be_given() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let list = read("backend/engines/src/postgresql/pooler_parameters.rs");
    let (_, list) = list.split_once("ALL: &[Parameter] = &[").unwrap();
    let (list, _) = list.split_once("\n];").unwrap();
    let names: Vec<_> = list.split('"').skip(1).step_by(2).collect();
    assert!(names.len() >= 10, "{names:?}");
    for page in [
        "backend/api/src/database.rs",
        "provider/src/resources/database/schema.rs",
    ] {
        let text = read(page);
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !text.contains(&format!("`{name}`")))
            .collect();
        assert!(missing.is_empty(), "{page} lacks {missing:?}");
    }
}
