//! What is said of databases: warnings of a refresh, and what becomes of an order.

use berth_api::Database as Answer;
use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::object::Object;
use berth_plugin::value::Value;

use crate::client::Error;

/// The phases of a database that an operation is working on.
const CHANGING: [&str; 9] = [
    "queued",
    "rotating",
    "stopping",
    "obtaining_image",
    "preparing",
    "starting",
    "configuring",
    "verifying",
    "settling",
];
/// What an import takes.
pub(super) const IMPORT_FORMS: &str = "Expected ID, PROJECT/NAME, or NAME in the provider's project, such as \
    \"db_…\" or \"shop/orders\".";
/// What a client makes of a create that failed.
pub(super) const CREATE_GOES_ON: &str = "berthd goes on making the database. The client has marked it as \
    tainted: the next apply would destroy it and make it anew. To keep it, run `terraform \
    untaint ADDRESS` (or `tofu untaint ADDRESS`) and apply again, which waits until it runs \
    and takes it over. More time can be granted in the block timeouts.";
/// What becomes of a create that was cut short, when the apply that was to take it over gave up
/// waiting for it.
pub(super) const STILL_GOES_ON: &str = "berthd goes on making the database, and nobody has taken it over \
    yet. Apply again, which waits for it once more. More time can be granted in the block timeouts.";
/// Why the state has no credentials although it should.
pub(super) const NOT_READ: &str = "The provider's token may not read credentials (the scope is named \
    \"credentials\"), so that password, uri and pooled_uri are null. The next run with a token \
    that may read them writes them.";
/// Why the state does not have them yet.
pub(super) const NOT_YET: &str = "Another password was ordered and is not in force yet, so that password, uri \
    and pooled_uri are null. The next run writes them.";
/// Why a new database's are missing in the state although the token may read them.
pub(super) fn not_now(error: &Error) -> String {
    format!(
        "The database is made, and its credentials could not be read: {}. So password, uri and \
         pooled_uri are null, also in what refers to them in this run. The next run writes them.",
        error.in_full()
    )
}

/// What becomes of a change that was not waited for.
pub(super) const CHANGE_GOES_ON: &str = "The change goes on in berthd, and the state has it as ordered: the \
    next plan shows no difference, and a refresh warns while the change is under way or when it \
    has failed. More time can be granted in the block timeouts.";

/// What a refresh tells of a database that is not, or not yet, as the state says.
pub(super) fn unwell(database: &Answer) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let name = &database.name;
    if database.status == "error" || database.phase == "failed" {
        let reasons: Vec<&str> = database
            .conditions
            .iter()
            .filter(|condition| condition.status == "False" && !condition.message.is_empty())
            .map(|condition| condition.message.as_str())
            .collect();
        diagnostics.push(Diagnostic::warning(
            format!("{name} is not well"),
            format!(
                "Its status is {:?}, its phase {:?}. {} The last change of it may not have been \
                 carried out, although the plan shows no difference; berthd's log says more.",
                database.status,
                database.phase,
                reasons.join(" "),
            ),
        ));
    } else if CHANGING.contains(&database.phase.as_str()) {
        diagnostics.push(Diagnostic::warning(
            format!("A change of {name} is under way"),
            format!(
                "berthd is still working on it (phase {:?}); the plan shows what was ordered as \
                 if it were done. Refresh again to see how it ends.",
                database.phase
            ),
        ));
    }
    diagnostics
}

/// Why an engine that is not known yet is no plan for a database that is there.
pub(super) fn open_engine(before: &Value) -> Diagnostic {
    let runs = before.as_str().unwrap_or("something else");
    Diagnostic::error(
        "The engine must be known",
        format!(
            "This database runs {runs}. Another engine would replace it and destroy its data, so \
             that the plan has to know which one is meant. Write it down, or apply what it \
             depends on first, for example with -target."
        ),
    )
    .at("engine")
}

/// What a refresh tells of a database whose create was cut short and that nobody has taken over.
pub(super) fn not_taken_over(database: &Answer) -> Diagnostics {
    if database.claimed {
        return Diagnostics::new();
    }
    let summary = format!("{} is not taken over yet", database.name);
    let detail = format!(
        "The create that ordered {} was cut short. Until it is taken over, deletion_protection \
         does not hold for the token that ordered it, and an equal order of that token goes on \
         with it. The next apply that keeps it takes it over; the plan shows that as claimed = \
         true.",
        database.id
    );
    Diagnostic::warning(summary, detail).into()
}

/// What is said beside the failure of a create that an apply was to take over.
pub(super) fn not_made(name: &str, id: &str) -> Diagnostic {
    Diagnostic::warning(
        format!("{name} was not taken over"),
        format!(
            "The create that ordered it failed, so that nothing of it was changed. To make it \
             anew, run `terraform taint ADDRESS` (or `tofu taint ADDRESS`) and apply. To have it \
             tried again as it is, restart it with POST /v1/databases/{id}/restart, which takes \
             it over, and refresh."
        ),
    )
}

/// Notes that a restore does not happen again.
pub(super) fn note_late_restore(
    config: &Object,
    prior: &Object,
    diagnostics: &mut Diagnostics,
) -> Outcome {
    let (now, before) = (config.get("restore_from")?, prior.get("restore_from")?);
    if now != before && !now.is_null() {
        diagnostics.push(
            Diagnostic::warning(
                "restore_from has no effect any more",
                "A database is restored once, when it is created. This change is written into \
                 the state and changes no data.",
            )
            .at("restore_from"),
        );
    }
    Ok(())
}

/// What is said of a database that is not found any more, and who ended it. One that the token
/// does not reach is answered as if there were none.
pub(super) fn out_of_sight(id: &str, name: &str, by: Option<String>) -> Diagnostic {
    let by = by.map(|by| format!(" {by}")).unwrap_or_default();
    Diagnostic::warning(
        "A database is not found any more",
        format!(
            "The provider's token sees no database {name} ({id}): it was destroyed, or it is in \
             a project that the token is not bound to or its user is no member of.{by} The plan \
             makes a new one, which is empty. Where the old one may still be there, do not apply \
             it: a token that reaches the old one finds it as before."
        ),
    )
}

/// How to bring a destroyed database back, in words that can be pasted.
pub(super) fn undo(answer: &Answer) -> String {
    let until = answer
        .recoverable_until
        .as_deref()
        .map(|until| format!(" Its data is kept until {until}."))
        .unwrap_or_default();
    format!(
        "{} was destroyed.{until} To bring it back with its id, its login and its data, add to \
         the resource and apply:\n\n  restore_from = {{\n    deleted_database_id = {:?}\n  }}",
        answer.name, answer.id
    )
}
