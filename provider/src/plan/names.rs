//! Names that more than one object is to have.

use berth_api::{ErrorDetail, PlannedItem};
use berth_plugin::diagnostics::Diagnostic;
use serde_json::Value as Json;

use super::Kind;

impl Kind {
    /// Two resources of the configuration have one name.
    pub(super) fn twice(&self, name: &str) -> Diagnostic {
        Diagnostic::error(
            "The name is used twice",
            format!(
                "Two resources of this configuration are to be named {name:?}: one has it and \
                 keeps it, another is to be made with it. Give each {} a name of its own.",
                self.name
            ),
        )
        .at("name")
    }

    /// A new object is planned a second time under its name. It need not be a mistake: a host
    /// may plan one resource several times in one run, and tells nobody which one it plans.
    pub(super) fn again(&self, name: &str) -> Diagnostic {
        Diagnostic::warning(
            "The name is planned twice",
            format!(
                "A new {} named {name:?} was planned in this run before. When two resources of \
                 this configuration are to have that name, the apply will make one and refuse \
                 the other: give each a name of its own. A test that plans one resource several \
                 times need not mind.",
                self.name
            ),
        )
        .at("name")
    }

    pub(super) fn held(&self, name: &str, holder: &str) -> Diagnostic {
        Diagnostic::warning(
            "The name is still in use",
            format!(
                "{holder}, which this configuration has in its state, is named {name:?}. When \
                 it is tainted, it is destroyed first and made anew; to keep it, run `terraform \
                 untaint ADDRESS` (or `tofu untaint ADDRESS`) before the apply. When another \
                 resource manages it, the apply will refuse the name."
            ),
        )
        .at("name")
    }
}

/// What is added where a name is taken and nothing was refreshed: in a first apply its holder is
/// a stranger, and with `-refresh=false` it may be in this state, where no import helps.
pub(super) const UNSEEN: &str = " With -refresh=false, a tainted holder in this state cannot be \
    recognised: if that is what it is, plan without it.";

/// Whether the name belongs to something else.
pub(super) fn is_taken(error: &ErrorDetail) -> bool {
    error.code.as_deref() == Some("name_taken")
}

/// Whether something that is there has the name, or would be resumed for it.
pub(super) fn contested(answer: &PlannedItem) -> bool {
    answer.errors.iter().any(|error| error.field == "name")
        || answer
            .notes
            .iter()
            .any(|note| note.field.as_deref() == Some("name"))
}

/// The project and the name that a new object is planned with, as far as both are known.
pub(super) fn place(answer: &PlannedItem) -> Option<(&str, &str)> {
    let planned = answer.planned.as_ref()?;
    let is_open = |field: &str| answer.unknown.iter().any(|path| path == field);
    if is_open("project_id") || is_open("name") {
        return None;
    }
    // Projects are in none.
    let project = planned.get("project_id").and_then(Json::as_str);
    Some((project.unwrap_or_default(), planned.get("name")?.as_str()?))
}
