//! Where in a configuration something is.

use std::cmp::Ordering;
use std::fmt;

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// An attribute of an object, or a block by its type name.
    Attribute(String),
    /// An element of a list, counted from zero.
    Index(usize),
    /// An element of a map.
    Key(String),
}

/// The way from a configuration's root to one of its values.
///
/// An element of a set has no name, so a path that reaches one ends at the set: whatever is
/// appended afterwards is left out.
#[derive(Clone, Default)]
pub struct Path {
    steps: Vec<Step>,
    in_set: bool,
}

impl Path {
    /// The configuration as a whole.
    pub fn root() -> Self {
        Self::default()
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether this is the configuration as a whole.
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// The path of the attribute or block `name` below this one.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Self {
        self.step(|| Step::Attribute(name.to_owned()))
    }

    /// The path of the list element at `index` below this one.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(|| Step::Index(index))
    }

    /// The path of the map element under `key` below this one.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.step(|| Step::Key(key.to_owned()))
    }

    /// The path of some element of the set at this path, which is the set's own.
    #[must_use]
    pub fn set_element(&self) -> Self {
        let mut path = self.clone();
        path.in_set = true;
        path
    }

    /// The path one step shorter; none at the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, steps) = self.steps.split_last()?;
        Some(Self {
            steps: steps.to_vec(),
            in_set: false,
        })
    }

    fn step(&self, step: impl FnOnce() -> Step) -> Self {
        let mut path = self.clone();
        if !path.in_set {
            path.steps.push(step());
        }
        path
    }
}

/// Paths are equal when they lead to the same place, however that was reached.
impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.steps == other.steps
    }
}

impl Eq for Path {}

impl PartialOrd for Path {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Path {
    fn cmp(&self, other: &Self) -> Ordering {
        self.steps.cmp(&other.steps)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}

/// `"pooler.mode"` names the attribute `mode` in the object `pooler`.
impl From<&str> for Path {
    fn from(dotted: &str) -> Self {
        Self {
            steps: dotted
                .split('.')
                .map(|name| Step::Attribute(name.to_owned()))
                .collect(),
            in_set: false,
        }
    }
}

impl FromIterator<Step> for Path {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            in_set: false,
        }
    }
}

/// As it would be written in a configuration: `rules[2].tags["env"]`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.steps.iter().enumerate() {
            match step {
                Step::Attribute(name) if position == 0 => f.write_str(name)?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_it_is_written_in_a_configuration() {
        let path = Path::from("rules").index(2).attribute("tags").key("env");
        assert_eq!(path.to_string(), "rules[2].tags[\"env\"]");
        assert_eq!(
            path.parent(),
            Some(Path::from("rules").index(2).attribute("tags"))
        );
        assert_eq!(Path::root().parent(), None);
    }

    #[test]
    fn a_path_ends_at_a_set() {
        let set = Path::from("grants");
        assert_eq!(set.set_element().attribute("schema"), set);
    }
}
