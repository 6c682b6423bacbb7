//! Everything that the examples and the README show is valid to the real client.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::{client, program, root};

/// What stands before a configuration that does not say where the provider comes from.
const REQUIRED: &str =
    "terraform {\n  required_providers {\n    berth = { source = \"berth-dev/berth\" }\n  }\n}\n";

/// The client and the provider's folder; `None`, with the reason told, where one is missing.
fn tools() -> Option<(PathBuf, PathBuf)> {
    let client = client()?;
    let provider = program("terraform-provider-berth")?;
    Some((client, provider.parent().unwrap().to_owned()))
}

/// A folder with one configuration, whose client finds the provider that was just built.
struct Stack {
    folder: TempDir,
    client: PathBuf,
}

impl Stack {
    fn of(text: &str) -> Option<Self> {
        let (client, provider) = tools()?;
        let folder = tempfile::tempdir().unwrap();
        let text = if text.contains("required_providers") {
            text.to_owned()
        } else {
            format!("{REQUIRED}{text}")
        };
        fs::write(folder.path().join("main.tf"), text).unwrap();
        let overrides = format!(
            "provider_installation {{\n  dev_overrides {{ \"berth-dev/berth\" = \"{}\" }}\n}}\n",
            provider.display()
        );
        fs::write(folder.path().join("client.tfrc"), overrides).unwrap();
        Some(Self { folder, client })
    }

    fn validate(&self) -> Output {
        Command::new(&self.client)
            .args(["validate", "-no-color"])
            .current_dir(self.folder.path())
            .env("TF_CLI_CONFIG_FILE", self.folder.path().join("client.tfrc"))
            .env_remove("TF_REATTACH_PROVIDERS")
            .output()
            .unwrap()
    }
}

fn assert_valid(what: &str, text: &str) {
    let Some(stack) = Stack::of(text) else { return };
    let output = stack.validate();
    assert!(
        output.status.success(),
        "{what}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The Terraform files below a folder, in order.
fn configurations(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(configurations(&path));
        } else if path.extension().is_some_and(|extension| extension == "tf") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn text_of(files: &[PathBuf]) -> String {
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// They refer to each other as they would in one module, so they are checked as one.
#[test]
fn the_examples_of_resources_and_data_sources_are_valid_together() {
    let examples = root().join("examples");
    let files: Vec<PathBuf> = [
        "provider",
        "resources",
        "data-sources",
        "ephemeral-resources",
    ]
    .iter()
    .flat_map(|folder| configurations(&examples.join(folder)))
    .collect();
    assert!(
        files.len() >= 10,
        "only {} examples were found",
        files.len()
    );
    let text = text_of(&files);
    let Some(stack) = Stack::of(&text) else {
        return;
    };
    fs::write(stack.folder.path().join("schema.sql"), "SELECT 1;\n").unwrap();
    let output = stack.validate();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn each_stack_and_the_quickstart_are_valid() {
    let examples = root().join("examples");
    for file in configurations(&examples.join("stacks"))
        .into_iter()
        .chain(configurations(&examples.join("quickstart")))
    {
        assert_valid(
            &file.display().to_string(),
            &text_of(std::slice::from_ref(&file)),
        );
    }
}

#[test]
fn the_configuration_in_the_readme_is_valid() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("```hcl\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    assert_valid("README.md", text);
}

/// Without this the three above could pass whatever is written.
#[test]
fn an_argument_that_is_not_there_is_found() {
    let Some(stack) =
        Stack::of("resource \"berth_project\" \"p\" {\n  name = \"shop\"\n  colour = \"red\"\n}\n")
    else {
        return;
    };
    let output = stack.validate();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("colour"));
}
