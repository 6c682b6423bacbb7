//! Which engines there are, and what each is called.

use crate::{Description, Version, postgresql::PostgreSql};
use berth_domain::{EngineName, nearest};

/// A word or a version that no engine has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownEngine {
    /// No engine has this name or synonym.
    #[error("\"{found}\" is not an engine: use one of {}{}", known.join(", "), hint(nearest))]
    Name {
        /// The word that was given.
        found: String,
        /// The canonical names.
        known: Vec<&'static str>,
        /// The one that was probably meant.
        nearest: Option<&'static str>,
    },
    /// The engine has no such version.
    #[error("{engine} has no version \"{found}\": use one of {}", known.join(", "))]
    Version {
        /// The engine's name for people.
        engine: &'static str,
        /// The version that was given.
        found: String,
        /// Its versions.
        known: Vec<&'static str>,
    },
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest
        .map(|word| format!(" (did you mean \"{word}\"?)"))
        .unwrap_or_default()
}

/// The engines of this program.
pub struct Registry {
    engines: Vec<Box<dyn Description>>,
}

impl Registry {
    /// Every engine that this program knows.
    pub fn all() -> Self {
        Self {
            engines: vec![Box::new(PostgreSql)],
        }
    }

    /// The engines in the order in which they are shown.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Description> {
        self.engines.iter().map(AsRef::as_ref)
    }

    /// The engine of a project's own database: what is meant where a request need not name one.
    pub fn of_projects(&self) -> &'static dyn Description {
        &PostgreSql
    }

    /// The engine of that canonical name.
    pub fn get(&self, name: &EngineName) -> Result<&dyn Description, UnknownEngine> {
        self.iter()
            .find(|engine| engine.name() == name.as_str())
            .ok_or_else(|| self.unknown(name.as_str()))
    }

    /// The engine that `word` means, be it the canonical name or a synonym.
    pub fn find(&self, word: &str) -> Result<&dyn Description, UnknownEngine> {
        self.iter()
            .find(|engine| engine.name() == word || engine.synonyms().contains(&word))
            .ok_or_else(|| self.unknown(word))
    }

    /// The version of that name of that engine.
    pub fn version(
        &self,
        name: &EngineName,
        version: &str,
    ) -> Result<(&dyn Description, &'static Version), UnknownEngine> {
        let engine = self.get(name)?;
        let found = engine.versions().iter().find(|v| v.name == version);
        match found {
            Some(found) => Ok((engine, found)),
            None => Err(UnknownEngine::Version {
                engine: engine.title(),
                found: version.to_owned(),
                known: engine.versions().iter().map(|v| v.name).collect(),
            }),
        }
    }

    fn unknown(&self, word: &str) -> UnknownEngine {
        let known: Vec<_> = self.iter().map(Description::name).collect();
        UnknownEngine::Name {
            found: word.chars().take(64).collect(),
            nearest: nearest(word, known.iter().copied())
                .and_then(|near| known.iter().copied().find(|k| *k == near)),
            known,
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synonyms_and_near_misses_lead_to_the_canonical_name() {
        let registry = Registry::all();
        for word in [
            "postgresql",
            "postgres",
            "pg",
            "postgresql-ng",
            "postgresql-dr",
        ] {
            assert_eq!(registry.find(word).unwrap().name(), "postgresql");
        }
        let technology = registry.of_projects().technology();
        assert_eq!(registry.find(technology).unwrap().name(), "postgresql");
        let Err(error) = registry.find("postgressql") else {
            panic!("a misspelt engine was found");
        };
        assert!(
            error.to_string().contains("did you mean \"postgresql\""),
            "{error}"
        );
        assert!(registry.get(&EngineName::new("pg")).is_err());
    }

    #[test]
    fn an_unknown_version_lists_those_that_exist() {
        let Err(error) = Registry::all().version(&EngineName::new("postgresql"), "9") else {
            panic!("version 9 was found");
        };
        assert!(error.to_string().contains("15, 16, 17, 18"), "{error}");
    }

    #[test]
    fn every_default_version_exists() {
        for engine in Registry::all().iter() {
            let default = engine.default_version();
            assert!(engine.versions().iter().any(|v| v.name == default));
        }
    }
}
