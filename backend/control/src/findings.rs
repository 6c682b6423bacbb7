//! From what was found to what is told: pure folding of findings into an observation.

use berth_domain::{Condition, Database, Observation, Observed, Status, Timestamp, Truth};

/// The condition that says whether it can be used.
pub const READY: &str = Condition::READY;

/// Folds `observed` into `before`, with the condition `Ready` that goes with it.
///
/// Silence keeps the status that was told last, however often it is found again.
pub fn fold(before: &Observation, observed: Observed, now: Timestamp) -> Observation {
    let mut after = before.clone();
    put(&mut after.conditions, ready(&observed, now));
    after.observed = observed;
    // Who asks how old an answer is means the last one that there was.
    if !matches!(after.observed, Observed::Unknown { .. }) {
        after.observed_at = now;
    }
    if matches!(
        after.observed,
        Observed::Absent | Observed::Stopped | Observed::Failed { .. }
    ) {
        after.connections = None;
    }
    after
}

/// Makes the public port one for life where what is told serves clients there, who may know it
/// from now on: what is ready and not published, or not yet as its row says, serves nobody there.
pub fn settle_port(told: &mut Observation, database: &Database) {
    let is_as_wanted = told.generation == database.generation;
    if told.observed == Observed::Ready && is_as_wanted && database.expose {
        clear(&mut told.conditions, Condition::PORT_MAY_CHANGE);
    }
}

/// What is known of something that nobody could be asked about.
pub fn silence(before: &Observation, status_told_last: Status) -> Observed {
    match &before.observed {
        Observed::Unknown { last } => Observed::Unknown { last: *last },
        _ => Observed::Unknown {
            last: status_told_last,
        },
    }
}

/// Puts a condition in the place of the one of its kind. `since` stays when nothing but the
/// message is new.
pub fn put(conditions: &mut Vec<Condition>, mut new: Condition) {
    match conditions.iter_mut().find(|c| c.kind == new.kind) {
        Some(old) => {
            if old.truth == new.truth && old.reason == new.reason {
                new.since = old.since;
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

/// Takes the condition of that kind away.
pub fn clear(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|c| c.kind != kind);
}

/// Whether the two tell a reader different things; the time and the momentary figures alone
/// are not worth a write.
pub fn differs(a: &Observation, b: &Observation) -> bool {
    a.observed != b.observed
        || a.generation != b.generation
        || a.phase != b.phase
        || a.conditions != b.conditions
        || a.version_actual != b.version_actual
}

fn ready(observed: &Observed, now: Timestamp) -> Condition {
    let (truth, reason, message) = match observed {
        Observed::Ready => (Truth::True, "Answering", "it answers"),
        Observed::Starting => (Truth::False, "Starting", "it does not answer yet"),
        Observed::Stopped => (Truth::False, "Stopped", "it is stopped"),
        Observed::Absent => (Truth::False, "Absent", "nothing of it runs"),
        Observed::Failed { reason } => (Truth::False, "Failed", reason.as_str()),
        Observed::Unknown { .. } => (
            Truth::Unknown,
            "PlatformSilent",
            "the platform it runs on does not answer; what was known last is shown",
        ),
    };
    Condition {
        kind: READY.to_owned(),
        truth,
        reason: reason.to_owned(),
        message: message.to_owned(),
        since: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::database;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_condition_keeps_its_beginning_while_it_holds() {
        let first = fold(&Observation::none_yet(at(0)), Observed::Ready, at(1));
        let second = fold(&first, Observed::Ready, at(2));
        assert_eq!(second.conditions[0].since, at(1));
        assert!(!differs(&first, &second));
        let third = fold(&second, Observed::Stopped, at(3));
        assert_eq!(third.conditions.len(), 1);
        assert_eq!(third.conditions[0].since, at(3));
        assert!(differs(&second, &third));
    }

    #[test]
    fn a_port_is_for_life_once_clients_are_served_there() {
        let mut row = database("orders");
        let mut before = Observation::none_yet(at(0));
        before.conditions = vec![Condition::port_may_change(15_000, at(0))];
        let may_change = |observed, generation, row: &Database| {
            let mut told = fold(&before, observed, at(1));
            told.generation = generation;
            settle_port(&mut told, row);
            told.conditions
                .iter()
                .any(|found| found.lets_change(15_000))
        };
        let current = row.generation;
        assert!(may_change(Observed::Ready, current, &row), "not published");
        row.expose = true;
        assert!(!may_change(Observed::Ready, current, &row));
        assert!(
            may_change(Observed::Ready, current - 1, &row),
            "an earlier row"
        );
        assert!(may_change(Observed::Starting, current, &row));
    }

    #[test]
    fn silence_upon_silence_still_tells_what_was_known_before_the_first() {
        let known = fold(&Observation::none_yet(at(0)), Observed::Ready, at(1));
        let once = fold(&known, silence(&known, Status::Running), at(2));
        let twice = fold(&once, silence(&once, Status::Error), at(3));
        assert_eq!(
            twice.observed,
            Observed::Unknown {
                last: Status::Running
            }
        );
        assert_eq!(twice.conditions[0].truth, Truth::Unknown);
        assert_eq!(twice.conditions[0].since, at(2));
        assert_eq!(twice.observed_at, at(1));
    }
}
