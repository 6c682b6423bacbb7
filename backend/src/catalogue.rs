//! The catalogue of plans: built in, or a file of the operator's.

use berth_domain::{Catalogue, Plan};
use berth_services::number_bounds;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What can be ordered when the operator says nothing else.
const BUILT_IN: &str = include_str!("../catalogue.toml");

/// Why a catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The file cannot be read.
    #[error("could not read the catalogue {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a catalogue.
    #[error("{origin} is not a valid catalogue")]
    Parse {
        /// Which file.
        origin: String,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// A rule is broken.
    #[error("{origin}: {rule}")]
    Rule {
        /// Which file.
        origin: String,
        /// Which rule, and what to do.
        rule: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    plan: Vec<PlanEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanEntry {
    name: String,
    description: String,
    cpu_millis: u32,
    memory_mb: u32,
    storage_gb_default: u32,
    storage_gb_min: u32,
    storage_gb_max: u32,
    max_connections: u32,
}

/// Reads the plans of `path`, or the built-in ones, and adds the regions.
pub fn load(path: Option<&Path>, regions: Vec<String>) -> Result<Catalogue, CatalogueError> {
    let (origin, text) = match path {
        None => ("the built-in catalogue".to_owned(), BUILT_IN.to_owned()),
        Some(path) => (
            path.display().to_string(),
            std::fs::read_to_string(path).map_err(|source| CatalogueError::Read {
                path: path.to_owned(),
                source,
            })?,
        ),
    };
    let file: File = toml::from_str(&text).map_err(|source| CatalogueError::Parse {
        origin: origin.clone(),
        source: Box::new(source),
    })?;
    let catalogue = Catalogue {
        plans: file.plan.into_iter().map(plan).collect(),
        regions,
    };
    match broken_rule(&catalogue) {
        Some(rule) => Err(CatalogueError::Rule { origin, rule }),
        None => Ok(catalogue),
    }
}

fn plan(entry: PlanEntry) -> Plan {
    Plan {
        name: entry.name,
        description: entry.description,
        cpu_millis: entry.cpu_millis,
        memory_mb: entry.memory_mb,
        storage_gb_default: entry.storage_gb_default,
        storage_gb_min: entry.storage_gb_min,
        storage_gb_max: entry.storage_gb_max,
        max_connections: entry.max_connections,
    }
}

fn broken_rule(catalogue: &Catalogue) -> Option<String> {
    if catalogue.plans.is_empty() {
        return Some("there is no [[plan]]; write at least one".to_owned());
    }
    if catalogue.regions.is_empty() || catalogue.regions.iter().any(String::is_empty) {
        return Some("a region has no name; give regions as name,name".to_owned());
    }
    for (index, plan) in catalogue.plans.iter().enumerate() {
        let name = &plan.name;
        if catalogue.plans[..index]
            .iter()
            .any(|other| other.name == *name)
        {
            return Some(format!("plan {name} stands there twice"));
        }
        if plan.cpu_millis < 100 || plan.memory_mb < 256 || plan.max_connections < 10 {
            return Some(format!(
                "plan {name} is too small: give at least cpu_millis 100, memory_mb 256, max_connections 10"
            ));
        }
        let range = plan.storage_gb_min..=plan.storage_gb_max;
        if plan.storage_gb_min == 0 || !range.contains(&plan.storage_gb_default) {
            return Some(format!(
                "plan {name}: storage_gb_min, storage_gb_default and storage_gb_max must rise and begin with 1 or more"
            ));
        }
        if let Some((_, most)) = number_bounds("storage_gb")
            && plan.storage_gb_max > most
        {
            return Some(format!(
                "plan {name}: storage_gb_max is {}, and no database has more than {most}",
                plan.storage_gb_max
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_has_the_known_plans() {
        let catalogue = load(None, vec!["local".to_owned()]).unwrap();
        assert_eq!(catalogue.plans[0].name, "db-s-1vcpu-1gb");
        for name in [
            "db-s-2vcpu-4gb",
            "postgresql-dr-starter-4096",
            "postgresql-dr-business-4096",
        ] {
            assert!(catalogue.plan(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_broken_catalogue_says_which_plan() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("catalogue.toml");
        for (line, broken, plan) in [
            ("memory_mb = 1024", "memory_mb = 1", "db-s-1vcpu-1gb"),
            ("max = 16384", "max = 16385", "db-s-8vcpu-16gb"),
        ] {
            std::fs::write(&file, BUILT_IN.replacen(line, broken, 1)).unwrap();
            let error = load(Some(&file), vec!["local".to_owned()]).unwrap_err();
            assert!(error.to_string().contains(plan), "{error}");
        }
    }

    #[test]
    fn the_documented_example_is_a_catalogue() {
        let page = include_str!("../../docs/operating/configuration.md");
        let (_, rest) = page.split_once("```toml\n[[plan]]").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("catalogue.toml");
        std::fs::write(&file, format!("[[plan]]{example}")).unwrap();
        let catalogue = load(Some(&file), vec!["local".to_owned()]).unwrap();
        assert_eq!(catalogue.plans.len(), 2);
    }
}
