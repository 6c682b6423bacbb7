//! What can be ordered: plans and regions. Engines and versions come from `berth-engines`.

/// A size that can be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name, such as `db-s-1vcpu-1gb`.
    pub name: String,
    /// A sentence for people.
    pub description: String,
    /// CPU time in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory of the engine in MiB.
    pub memory_mb: u32,
    /// Storage in GB when none is asked for.
    pub storage_gb_default: u32,
    /// The least storage in GB.
    pub storage_gb_min: u32,
    /// The most storage in GB.
    pub storage_gb_max: u32,
    /// Connections that the engine accepts.
    pub max_connections: u32,
}

/// What an installation offers. The first plan and the first region are the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// Sizes, in the order in which they are shown; never empty.
    pub plans: Vec<Plan>,
    /// Regions, in the order in which they are shown; never empty.
    pub regions: Vec<String>,
}

impl Catalogue {
    /// The plan of that name.
    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.name == name)
    }

    /// Whether that region exists.
    pub fn has_region(&self, name: &str) -> bool {
        self.regions.iter().any(|region| region == name)
    }
}

/// Words longer than this are nobody's slip of the pen; comparing takes the square of the length.
const WORD_BYTES_MAX: usize = 64;

/// The known word nearest to `word`, when one is near enough to have been meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_finds_its_word() {
        assert_eq!(
            nearest("postgressql", ["mysql", "postgresql"]),
            Some("postgresql")
        );
        assert_eq!(nearest("zzz", ["mysql", "postgresql"]), None);
        let long = format!("postgresql{}", "l".repeat(WORD_BYTES_MAX));
        assert_eq!(nearest(&long, ["mysql", "postgresql"]), None);
    }
}
