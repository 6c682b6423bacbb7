//! Steps of an attribute's plan.

use std::fmt;
use std::sync::Arc;

use crate::path::Path;
use crate::value::Value;

/// What a plan modifier is asked about.
#[derive(Debug)]
pub struct Change<'a> {
    /// The attribute.
    pub path: &'a Path,
    /// What the configuration says.
    pub config: &'a Value,
    /// What the state holds; null on create.
    pub prior: &'a Value,
    /// Whether the object exists already.
    pub exists: bool,
    /// What is planned so far; a modifier may replace it.
    pub planned: Value,
    /// Whether this attribute needs a new object; a modifier may set it.
    pub requires_replace: bool,
}

/// One step of an attribute's plan, run in the order the schema lists them.
#[derive(Clone)]
pub struct Modifier {
    pub(crate) name: &'static str,
    run: Arc<dyn Fn(&mut Change<'_>) + Send + Sync>,
}

impl fmt::Debug for Modifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Modifier({})", self.name)
    }
}

impl Modifier {
    /// A step of one's own. It must depend on nothing but the change it is given.
    pub fn new(name: &'static str, run: impl Fn(&mut Change<'_>) + Send + Sync + 'static) -> Self {
        Self {
            name,
            run: Arc::new(run),
        }
    }

    /// Plans the prior value, null included, where the plan would be unknown and the
    /// configuration has no say. Only for values that an update never changes.
    pub fn keep_prior() -> Self {
        Self::new("keep_prior", |change| {
            if change.exists && change.planned.is_unknown() && !change.config.is_unknown() {
                change.planned = change.prior.clone();
            }
        })
    }

    /// As [`Modifier::keep_prior`], but only of a prior value that is not null: right inside
    /// lists and maps, where a new element has no prior.
    pub fn keep_prior_unless_null() -> Self {
        Self::new("keep_prior_unless_null", |change| {
            if change.planned.is_unknown() && !change.config.is_unknown() && !change.prior.is_null()
            {
                change.planned = change.prior.clone();
            }
        })
    }

    /// A changed value needs a new object.
    pub fn requires_replace() -> Self {
        Self::requires_replace_if(|_| true)
    }

    /// A changed value needs a new object when `needed` says so.
    pub fn requires_replace_if(
        needed: impl Fn(&Change<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::new("requires_replace", move |change| {
            if change.exists && change.planned != *change.prior && needed(change) {
                change.requires_replace = true;
            }
        })
    }

    /// A changed value needs a new object when the configuration asks for it; one that the
    /// provider itself changed does not.
    pub fn requires_replace_if_configured() -> Self {
        Self::requires_replace_if(|change| !change.config.is_null())
    }

    pub(crate) fn run(&self, change: &mut Change<'_>) {
        (self.run)(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change<'a>(path: &'a Path, config: &'a Value, prior: &'a Value) -> Change<'a> {
        Change {
            path,
            config,
            prior,
            exists: true,
            planned: if config.is_null() {
                Value::unknown()
            } else {
                config.clone()
            },
            requires_replace: false,
        }
    }

    #[test]
    fn a_prior_value_is_kept_only_where_the_configuration_has_no_say() {
        let (path, prior) = (Path::from("id"), Value::from("db_1"));
        let mut computed = change(&path, &Value::Null, &prior);
        Modifier::keep_prior().run(&mut computed);
        assert_eq!(computed.planned, prior);

        let unknown = Value::unknown();
        let mut configured = change(&path, &unknown, &prior);
        Modifier::keep_prior().run(&mut configured);
        assert!(configured.planned.is_unknown());
    }

    #[test]
    fn a_new_object_is_needed_for_a_change_and_for_nothing_else() {
        let (path, prior, new) = (Path::from("engine"), Value::from("a"), Value::from("b"));
        let needs = |config: &Value, exists: bool, modifier: Modifier| {
            let mut change = change(&path, config, &prior);
            change.exists = exists;
            modifier.run(&mut change);
            change.requires_replace
        };
        assert!(needs(&new, true, Modifier::requires_replace()));
        assert!(!needs(&prior, true, Modifier::requires_replace()));
        assert!(!needs(&new, false, Modifier::requires_replace()));
        assert!(needs(&Value::Null, true, Modifier::requires_replace()));
        assert!(!needs(
            &Value::Null,
            true,
            Modifier::requires_replace_if_configured()
        ));
        assert!(!needs(&new, true, Modifier::requires_replace_if(|_| false)));
    }
}
