//! Whether it runs, how its password ages, and what its destruction needs.

use super::{Base, Evaluator};
use crate::bounds::{RECOVERY_WINDOW_DAYS, outside};
use crate::databases::facts::Authority;
use crate::databases::planned::PlannedDatabase;
use crate::note::not_one_of;
use crate::tags::check_tags;
use crate::{Code, Given, Maybe, Note};
use berth_domain::{Intent, Scope};
use std::collections::BTreeMap;

/// The recovery window of a database that says nothing of it.
const RECOVERY_WINDOW_DAYS_DEFAULT: u32 = 7;
/// The highest version a password may have.
const CREDENTIAL_VERSION_MAX: i64 = 1_000_000_000;

impl Evaluator<'_> {
    pub(super) fn intent(&mut self) -> Maybe<Intent> {
        let intent = match &self.config.desired_status {
            Given::Unknown => return Maybe::Unknown,
            // A restored database runs: whoever brings it back wants to use it.
            Given::Absent | Given::Null => Intent::Run,
            Given::Value(word) => match word.as_str() {
                // What sleeps runs as far as its users are concerned.
                "running" if matches!(self.base, Base::Row(row) if row.intent == Intent::Sleep) => {
                    Intent::Sleep
                }
                "running" => Intent::Run,
                "stopped" => Intent::Stop,
                _ => {
                    let message = not_one_of(word, "a status to wish for", &["running", "stopped"]);
                    self.refuse("desired_status", message);
                    return Maybe::Unknown;
                }
            },
        };
        if let Base::Row(row) = self.base
            && row.intent == Intent::Run
            && intent == Intent::Stop
        {
            self.notes.push(Note::warning(
                Some("desired_status"),
                format!("{} stops", row.name),
                format!(
                    "Its {} connections are closed; the data stays.",
                    self.facts.connections()
                ),
            ));
        }
        Maybe::Known(intent)
    }

    pub(super) fn credential_version(&mut self) -> Maybe<i64> {
        self.settle(
            &self.config.credential_version,
            |row| row.credential_version,
            |_| Maybe::Known(1),
            |this, version| {
                let least = this.base.row().map_or(1, |row| row.credential_version);
                if *version < least || *version > CREDENTIAL_VERSION_MAX {
                    this.refuse(
                        "credential_version",
                        if least > 1 && *version >= 1 && *version < least {
                            format!("is {version} and was {least}: it only rises; a higher number sets a new password")
                        } else {
                            format!("is {version}: use {least} to {CREDENTIAL_VERSION_MAX}")
                        },
                    );
                    return Maybe::Unknown;
                }
                this.rotation_note(*version);
                Maybe::Known(*version)
            },
        )
    }

    fn rotation_note(&mut self, version: i64) {
        if let Base::Row(row) = self.base
            && version > row.credential_version
        {
            self.notes.push(Note::warning(
                Some("credential_version"),
                format!("The password of {} changes", row.name),
                "The old password is refused at once; whoever keeps it needs the new one.",
            ));
        }
    }

    /// A new password is proven by a login before it counts, and what is stopped proves nothing.
    pub(super) fn rotation_needs_an_engine(&mut self, planned: &PlannedDatabase) {
        let Base::Row(row) = self.base else { return };
        if matches!(planned.credential_version, Maybe::Known(version) if version > row.credential_version)
            && matches!(planned.intent, Maybe::Known(Intent::Stop))
        {
            self.refuse(
                "credential_version",
                "cannot be raised while the database is stopped, since a login has to prove the new password: set desired_status to \"running\" in the same change, or keep the version until then",
            );
        }
    }

    pub(super) fn deletion_protection(&mut self) -> Maybe<bool> {
        let wanted = match (&self.config.deletion_protection, self.base) {
            (Given::Unknown, _) | (Given::Absent | Given::Null, Base::Unknown) => {
                return Maybe::Unknown;
            }
            (Given::Value(wanted), _) => *wanted,
            (_, Base::Trash(row)) => row.deletion_protection,
            (_, Base::New | Base::Row(_)) => false,
        };
        if let Base::Row(row) = self.base
            && row.deletion_protection
            && !wanted
        {
            self.needs_unprotect("deletion_protection", "turning deletion protection off");
        }
        Maybe::Known(wanted)
    }

    pub(super) fn recovery_window_days(&mut self) -> Maybe<u32> {
        let days = match (&self.config.recovery_window_days, self.base) {
            (Given::Unknown, _) | (Given::Absent | Given::Null, Base::Unknown) => {
                return Maybe::Unknown;
            }
            (Given::Value(days), _) => *days,
            (_, Base::Trash(row)) => row.recovery_window_days,
            (_, Base::New | Base::Row(_)) => RECOVERY_WINDOW_DAYS_DEFAULT,
        };
        if days > RECOVERY_WINDOW_DAYS.1 {
            self.refuse("recovery_window_days", outside(days, RECOVERY_WINDOW_DAYS));
            return Maybe::Unknown;
        }
        if let Some(row) = self.base.row()
            && days < row.recovery_window_days
        {
            self.needs_unprotect("recovery_window_days", "shortening the recovery window");
            if days == 0 {
                self.notes.push(Note::warning(
                    Some("recovery_window_days"),
                    format!("{} loses its recovery window", row.name),
                    "With 0 days its data is removed for good as soon as it is destroyed, and nothing brings it back.",
                ));
            }
        }
        Maybe::Known(days)
    }

    /// What makes data unrecoverable needs a right of its own. Who only plans may plan it:
    /// somebody else applies.
    fn needs_unprotect(&mut self, field: &'static str, what: &str) {
        let scope = Scope::Unprotect.as_str();
        match self.facts.authority {
            Authority::Unprotects => {}
            Authority::Writes => self.refuse_as(
                Code::ScopeMissing,
                field,
                format!("{what} needs a token with the scope \"{scope}\""),
            ),
            Authority::Plans => self.notes.push(Note::warning(
                Some(field),
                format!("The apply needs the scope \"{scope}\""),
                format!("A token without it is refused: {what} can make data unrecoverable."),
            )),
        }
    }

    pub(super) fn tags(&mut self) -> Maybe<BTreeMap<String, String>> {
        match (&self.config.tags, self.base) {
            (Given::Unknown, _) | (Given::Absent | Given::Null, Base::Unknown) => Maybe::Unknown,
            (Given::Value(tags), _) => {
                let wrong = check_tags(tags);
                if wrong.is_empty() {
                    return Maybe::Known(tags.clone());
                }
                self.errors.extend(wrong);
                Maybe::Unknown
            }
            (_, Base::Trash(row)) => Maybe::Known(row.tags.clone()),
            (_, Base::New | Base::Row(_)) => Maybe::Known(BTreeMap::new()),
        }
    }
}
