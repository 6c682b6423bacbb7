//! The page that says what each condition and each phase means.

use crate::figures::UPGRADE_AVAILABLE;
use crate::repair::{READY, RECOVERING};
use crate::sleep::ASLEEP;
use crate::step::Step;
use crate::storage::DISK_PRESSURE;
use berth_domain::{Condition, Intent, Observation, OperationKind, Timestamp};
use std::collections::BTreeSet;

#[test]
fn the_page_names_each_condition_and_each_phase() {
    let page = include_str!("../../../../docs/reference/metrics-and-events.md");
    let new = Observation::none_yet(Timestamp::from_millis(0));
    let mut words = BTreeSet::from([
        Condition::READY,
        Condition::PORT_MAY_CHANGE,
        DISK_PRESSURE,
        UPGRADE_AVAILABLE,
        new.phase.as_str(),
        READY,
        RECOVERING,
        ASLEEP,
        // How operations end.
        "failed",
        "in_trash",
        "purged",
        "stopped",
    ]);
    for kind in OperationKind::ALL {
        for intent in [Intent::Run, Intent::Stop, Intent::Sleep, Intent::Destroy] {
            let steps = Step::path(kind, intent).iter();
            words.extend(steps.map(|step| step.phase_of(kind, intent)));
        }
    }
    for word in words {
        assert!(page.contains(&format!("\n| `{word}` |")), "{word}");
    }
}
