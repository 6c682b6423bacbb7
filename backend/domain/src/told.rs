//! What is told of a database beside its status: what was seen of it, as far as that still says
//! something.

use crate::{Condition, Database, Observation, Observed, Timestamp, Truth};
use std::borrow::Cow;

/// What is going on with one that was destroyed and is still seen up.
const LEAVING: &str = "removing";
/// What is going on with one whose data is gone.
const PURGED: &str = "purged";

/// What is told of a database beside its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<'a> {
    /// What is going on, in a word.
    pub phase: &'a str,
    /// Facts beside the status.
    pub conditions: Cow<'a, [Condition]>,
}

impl Observation {
    /// What is told of the database beside its status. Of one that was destroyed, what was seen
    /// while it still ran is no more what becomes of it, and it is not ready for anybody.
    pub fn told_of(&self, database: &Database) -> Told<'_> {
        let mut told = Told {
            phase: &self.phase,
            conditions: Cow::Borrowed(&self.conditions),
        };
        if database.is_living() {
            return told;
        }
        let is_up = matches!(self.observed, Observed::Ready | Observed::Starting);
        if is_up {
            let since = database.destroyed_at.unwrap_or(database.updated_at);
            let conditions = told.conditions.to_mut().iter_mut();
            for ready in conditions.filter(|one| one.kind == Condition::READY) {
                *ready = Condition::destroyed(since);
            }
        }
        if database.purged_at.is_some() {
            told.phase = PURGED;
        } else if is_up {
            told.phase = LEAVING;
        }
        told
    }
}

impl Condition {
    /// That clients are not served any more.
    fn destroyed(since: Timestamp) -> Self {
        Self {
            kind: Self::READY.to_owned(),
            truth: Truth::False,
            reason: "Destroyed".to_owned(),
            message: "It was destroyed and is being removed".to_owned(),
            since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Claim, DatabaseId, EngineName, InstanceId, Intent, Name, ProjectId, Slug, TlsMode,
    };
    use std::collections::{BTreeMap, BTreeSet};

    fn database(intent: Intent) -> Database {
        let name = Name::parse("orders").unwrap();
        let gone = intent == Intent::Destroy;
        Database {
            id: DatabaseId::from_entropy([1; 8]),
            project_id: ProjectId::from_entropy([2; 8]),
            slug: Slug::of(&name),
            name,
            engine: EngineName::new("postgresql"),
            technology: None,
            version: "17".to_owned(),
            plan: "small".to_owned(),
            region: "local".to_owned(),
            storage_gb: 10,
            replicas: 1,
            intent,
            instance: InstanceId::from_entropy([3; 16]),
            database_name: "orders".to_owned(),
            username: "app_orders".to_owned(),
            pooler: None,
            credential_version: 1,
            expose: false,
            public_port: None,
            allow_list: BTreeSet::new(),
            tls_mode: TlsMode::Allow,
            deletion_protection: false,
            recovery_window_days: 7,
            sleep_after_minutes: None,
            tags: BTreeMap::new(),
            inject_env: BTreeMap::new(),
            claim: Claim::Claimed,
            generation: 1,
            created_at: Timestamp::from_millis(1),
            updated_at: Timestamp::from_millis(2),
            destroyed_at: gone.then(|| Timestamp::from_millis(3)),
            recoverable_until: None,
            purged_at: None,
        }
    }

    fn seen(observed: Observed) -> Observation {
        let at = Timestamp::from_millis(2);
        let condition = |kind: &str| Condition {
            kind: kind.to_owned(),
            truth: Truth::True,
            reason: "Answers".to_owned(),
            message: "It answers".to_owned(),
            since: at,
        };
        Observation {
            observed,
            phase: "ready".to_owned(),
            conditions: vec![condition(Condition::READY), condition("Other")],
            ..Observation::none_yet(at)
        }
    }

    #[test]
    fn what_was_destroyed_is_being_removed_whatever_was_seen_of_it() {
        let up = seen(Observed::Ready);
        let alive = up.told_of(&database(Intent::Run));
        assert_eq!(
            (alive.phase, &*alive.conditions),
            ("ready", &*up.conditions)
        );
        let mut row = database(Intent::Destroy);
        let gone = up.told_of(&row);
        assert_eq!(gone.phase, "removing");
        assert_eq!(gone.conditions[0].truth, Truth::False);
        assert_eq!(gone.conditions[0].since, Timestamp::from_millis(3));
        assert_eq!(gone.conditions[1], up.conditions[1]);
        // What is down already is told as it was seen.
        let down = seen(Observed::Absent);
        assert_eq!(down.told_of(&row).phase, "ready");
        assert_eq!(*down.told_of(&row).conditions, *down.conditions);
        row.purged_at = Some(Timestamp::from_millis(4));
        assert_eq!(down.told_of(&row).phase, "purged");
    }
}
