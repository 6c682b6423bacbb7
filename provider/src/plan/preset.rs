//! What the provider block says for resources that are silent.

use berth_plugin::diagnostics::Diagnostics;
use berth_plugin::path::Path;

/// The argument of the provider block that gives this attribute, and its variable.
fn source(attribute: &str) -> Option<(&'static str, &'static str)> {
    match attribute {
        "project_id" => Some(("project", "BERTH_PROJECT")),
        "region" => Some(("region", "BERTH_REGION")),
        _ => None,
    }
}

/// Where the value of this attribute comes from that no resource has, as a sentence.
pub fn named(attribute: &str) -> String {
    source(attribute)
        .map(|(argument, variable)| {
            format!("It comes from the provider's argument {argument} ({variable}).")
        })
        .unwrap_or_default()
}

/// The same diagnostics, with those that stand at an attribute of `preset`, which nobody wrote,
/// at the whole block, and with the place where the value is written.
pub fn of_provider(told: Diagnostics, preset: &[&str]) -> Diagnostics {
    let is_preset = |path: &Path| preset.iter().find(|name| *path == Path::from(**name));
    let placed = told.into_iter().map(|mut told| {
        if let Some(name) = told.path.as_ref().and_then(is_preset) {
            told.detail = format!("{} {}", told.detail, named(name));
            told.path = None;
        }
        told
    });
    placed.collect()
}
