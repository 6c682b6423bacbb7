//! What an import found, as far as it counts as given.

use berth_api::PlanItem;
use berth_plugin::diagnostics::Outcome;
use berth_plugin::object::Object;
use berth_plugin::private::Private;
use berth_plugin::value::Value;

use super::answer::Source;
use super::{Kind, Manner, remember_configured};
use crate::backend::Backend;
use crate::resources::is_denied;

impl Kind {
    /// Notes which adopted attributes of what an import found are not as the backend would
    /// choose them: they count as given. A configuration that says the same makes no
    /// difference, and of a plan without one a host keeps nothing, so that a line which is
    /// deleted later would have left no trace.
    ///
    /// A token that may not plan learns nothing of this, and notes nothing.
    pub async fn remember_found(
        &self,
        backend: &Backend,
        found: &Object,
        private: &mut Private,
    ) -> Outcome {
        let adopted = self.fields.iter().map(|field| (field.name, field.manner));
        let adopted: Vec<&str> = adopted
            .filter(|(_, manner)| *manner == Manner::Adopted)
            .map(|(name, _)| name)
            .collect();
        let mut silent = found.clone();
        for name in &adopted {
            silent.set(name, Value::Null)?;
        }
        let order = self.order(&silent, &silent, None, private, backend)?;
        let item = PlanItem {
            kind: self.name.to_owned(),
            id: Some(found.require_string("id")?.to_owned()),
            replaces: None,
            destroy: false,
            config: order.without_nulls().config,
            unknown: Vec::new(),
        };
        let answer = match backend.gather.plan(item).await {
            Err(error) if is_denied(&error) => return Ok(()),
            answer => answer.map_err(|error| error.diagnostics(|field| self.path(field)))?,
        };
        if answer.planned.is_none() {
            // What is refused as it is says nothing of what would be chosen.
            return Ok(());
        }
        let types = self.schema.object_type();
        let mut given = silent;
        for name in adopted {
            if let Some(ty) = types.get(name) {
                let chosen = Source::Answer(Some(&answer), ty).value(name)?;
                given.set(name, differing(found.get(name)?, &chosen))?;
            }
        }
        remember_configured(self, &given, private)
    }
}

/// What of `found` is not as it would be chosen; null where it is.
fn differing(found: &Value, chosen: &Value) -> Value {
    match (found, chosen) {
        _ if found == chosen => Value::Null,
        (Value::Object(found), Value::Object(chosen)) => found
            .clone()
            .map_values(|inner, found| differing(&found, chosen.get(inner).unwrap_or(&Value::Null)))
            .into(),
        _ => found.clone(),
    }
}
