//! Who reaches a database from outside its project's network.

use super::{Base, Evaluator};
use crate::databases::planned::PlannedDatabase;
use crate::note::not_one_of;
use crate::{Code, Given, Maybe, Note};
use berth_domain::{Intent, TlsMode};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The most entries of an allow list.
const ALLOW_LIST_MAX: usize = 256;

impl Evaluator<'_> {
    pub(super) fn expose(&mut self) -> Maybe<bool> {
        match (&self.config.expose, self.base) {
            (Given::Unknown, _) | (Given::Absent | Given::Null, Base::Unknown) => Maybe::Unknown,
            (Given::Value(expose), _) => Maybe::Known(*expose),
            (_, Base::Trash(row)) => Maybe::Known(row.expose),
            (_, Base::New | Base::Row(_)) => Maybe::Known(false),
        }
    }

    pub(super) fn public_port(&mut self, expose: Maybe<bool>) -> Maybe<Option<u16>> {
        let given = match &self.config.public_port {
            Given::Unknown => return Maybe::Unknown,
            Given::Value(port) => Some(*port),
            Given::Absent | Given::Null => None,
        };
        if let Some(port) = given {
            if expose == Maybe::Known(false) {
                self.notes.push(Note::warning(
                    Some("public_port"),
                    "The port is kept and not published",
                    format!("{port} belongs to this database, and nothing listens there: set expose = true to publish it."),
                ));
            }
            if self.facts.port_is_held
                && expose == Maybe::Known(true)
                && !self.facts.ports_used.contains(&port)
            {
                self.notes.push(Note::warning(
                    Some("public_port"),
                    format!("{port} is in use on this host"),
                    "Something that is no database of berth's listens there at this moment. Until it ends, the database cannot be published: end it, or take another port.",
                ));
            }
            return self.given_port(port);
        }
        let kept = match self.base {
            Base::Unknown => return Maybe::Unknown,
            Base::New => None,
            // Kept for life, unless another took it while this one was destroyed.
            Base::Row(row) | Base::Trash(row) => row
                .public_port
                .filter(|port| !self.facts.ports_used.contains(port)),
        };
        match (kept, expose) {
            (Some(port), _) => Maybe::Known(Some(port)),
            (None, Maybe::Known(false)) => Maybe::Known(None),
            (None, Maybe::Known(true)) => {
                let range = &self.rules.limits.public_ports;
                let free = range
                    .clone()
                    .filter(|port| !self.facts.ports_used.contains(port))
                    .count();
                if free <= self.facts.ports_awaited as usize {
                    self.refuse_as(
                        Code::PortsExhausted,
                        "expose",
                        format!("every port from {} to {} is taken: stop exposing another database, or widen the range of berthd", range.start(), range.end()),
                    );
                }
                Maybe::Unknown
            }
            (None, Maybe::Unknown) => Maybe::Unknown,
        }
    }

    /// Leaves a port open that was drawn and at which nobody has been served yet: while it is
    /// published for the first time, another one may be drawn. What changes nothing keeps it.
    pub(super) fn leave_drawn_port_open(&self, planned: &mut PlannedDatabase) {
        let Some(Some(port)) = planned.public_port.known() else {
            return;
        };
        let asked_for = self.config.public_port.value().is_some();
        let stays_away =
            planned.expose == Maybe::Known(false) || planned.intent == Maybe::Known(Intent::Stop);
        let changes = match self.base {
            Base::Row(row) => *planned != PlannedDatabase::of(row),
            Base::Trash(_) => true,
            Base::New | Base::Unknown => false,
        };
        if changes && !asked_for && !stays_away && self.facts.lets_change(port) {
            planned.public_port = Maybe::Unknown;
        }
    }

    fn given_port(&mut self, port: u16) -> Maybe<Option<u16>> {
        let range = &self.rules.limits.public_ports;
        if self.base.row().and_then(|row| row.public_port) != Some(port) && !range.contains(&port) {
            let message = format!("is {port}: use {} to {}", range.start(), range.end());
            self.refuse("public_port", message);
        } else if self.facts.ports_used.contains(&port) {
            self.refuse_as(
                Code::PortTaken,
                "public_port",
                format!("{port} belongs to another database: take another, or leave it out and a free one is given"),
            );
        } else {
            return Maybe::Known(Some(port));
        }
        Maybe::Unknown
    }

    pub(super) fn allow_list(&mut self, expose: Maybe<bool>) -> Maybe<BTreeSet<IpNet>> {
        let list = match (&self.config.allow_list, self.base) {
            (Given::Unknown, _) | (Given::Absent | Given::Null, Base::Unknown) => Maybe::Unknown,
            (Given::Value(entries), _) => self.networks(entries),
            (_, Base::Trash(row)) => Maybe::Known(row.allow_list.clone()),
            (_, Base::New | Base::Row(_)) => Maybe::Known(BTreeSet::new()),
        };
        if let (Maybe::Known(list), Maybe::Known(true)) = (&list, expose)
            && list.is_empty()
            && !self.rules.publishes_on_loopback()
        {
            self.refuse(
                "allow_list",
                format!(
                    "is required: exposed databases are published on {}, which others reach; name the networks that may come in, such as 203.0.113.0/24",
                    self.rules.addresses.public_host()
                ),
            );
        }
        list
    }

    fn networks(&mut self, entries: &BTreeSet<String>) -> Maybe<BTreeSet<IpNet>> {
        let before = self.errors.len();
        if entries.len() > ALLOW_LIST_MAX {
            self.refuse(
                "allow_list",
                format!(
                    "has {} entries: use at most {ALLOW_LIST_MAX}",
                    entries.len()
                ),
            );
            return Maybe::Unknown;
        }
        let mut networks = BTreeSet::new();
        for entry in entries {
            match network(entry) {
                Ok(network) => {
                    networks.insert(network);
                }
                Err(expected) => {
                    let shown: String = entry.chars().take(64).collect();
                    self.refuse(
                        "allow_list",
                        format!("\"{shown}\" is not a network in its usual spelling: {expected}"),
                    );
                }
            }
        }
        if self.errors.len() > before {
            return Maybe::Unknown;
        }
        Maybe::Known(networks)
    }

    pub(super) fn tls_mode(&mut self) -> Maybe<TlsMode> {
        match (&self.config.tls_mode, self.base) {
            (Given::Unknown, _) | (Given::Absent | Given::Null, Base::Unknown) => Maybe::Unknown,
            (_, Base::Trash(row)) if self.config.tls_mode.value().is_none() => {
                Maybe::Known(row.tls_mode)
            }
            (Given::Absent | Given::Null, _) => Maybe::Known(TlsMode::Allow),
            (Given::Value(word), _) => match TlsMode::parse(word) {
                Ok(mode) => {
                    self.tls_note(mode);
                    Maybe::Known(mode)
                }
                Err(error) => {
                    let known: Vec<_> = error.known.split(", ").collect();
                    self.refuse("tls_mode", not_one_of(word, "a TLS mode", &known));
                    Maybe::Unknown
                }
            },
        }
    }

    fn tls_note(&mut self, mode: TlsMode) {
        if let Base::Row(row) = self.base
            && row.tls_mode == TlsMode::Allow
            && mode == TlsMode::Require
        {
            self.notes.push(Note::warning(
                Some("tls_mode"),
                "Plain connections will be refused",
                format!("Clients of {} that connect without TLS, such as with sslmode=disable, get in no more.", row.name),
            ));
        }
    }
}

/// A network in its canonical spelling; else what to write.
fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(network) = text.parse::<IpNet>() {
        let canonical = network.trunc();
        if canonical.to_string() == text {
            return Ok(network);
        }
        return Err(format!("write \"{canonical}\""));
    }
    match text.parse::<IpAddr>() {
        Ok(address) => Err(format!("write \"{}\"", IpNet::from(address))),
        Err(_) => {
            Err("write an address, a slash and a prefix length, such as 203.0.113.0/24".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::evaluate;
    use super::super::tests::{facts, row, rules};
    use super::*;
    use crate::databases::config::DatabaseConfig;
    use crate::databases::facts::{Facts, RestoreFact};
    use berth_domain::{Condition, Database, Observation, Timestamp};

    const PORT: u16 = 15_005;

    /// A database that was stopped before anybody was served at its drawn port.
    fn unpublished() -> (Database, Facts) {
        let row = Database {
            expose: true,
            public_port: Some(PORT),
            intent: Intent::Stop,
            ..row()
        };
        let mut seen = Observation::none_yet(Timestamp::from_millis(0));
        seen.conditions = vec![Condition::port_may_change(PORT, seen.observed_at)];
        let known = Facts {
            observation: Some(seen),
            ..facts()
        };
        (row, known)
    }

    #[test]
    fn a_drawn_port_is_left_open_by_the_change_that_publishes_it() {
        let (row, known) = unpublished();
        let planned = |row: &Database, config: &DatabaseConfig, known: &Facts| {
            let found = evaluate(Some(row), config, known, &rules());
            assert_eq!(found.errors, vec![]);
            found.planned.public_port
        };
        let same = || DatabaseConfig {
            public_port: Given::Absent,
            ..DatabaseConfig::default().over(&row)
        };
        let kept = Maybe::Known(Some(PORT));
        assert_eq!(planned(&row, &same(), &known), kept, "nothing changes");
        let start = DatabaseConfig {
            desired_status: Given::Value("running".to_owned()),
            ..same()
        };
        assert_eq!(planned(&row, &start, &known), Maybe::Unknown);
        assert_eq!(planned(&row, &start, &facts()), kept, "it is for life");
        let asked_for = DatabaseConfig {
            public_port: Given::Value(PORT),
            ..start
        };
        assert_eq!(planned(&row, &asked_for, &known), kept, "asked for");
        let larger = DatabaseConfig {
            storage_gb: Given::Value(30),
            ..same()
        };
        assert_eq!(planned(&row, &larger, &known), kept, "it stays stopped");
        let running = Database {
            intent: Intent::Run,
            ..row.clone()
        };
        let hidden = DatabaseConfig {
            expose: Given::Value(false),
            ..same()
        };
        assert_eq!(planned(&running, &hidden, &known), kept, "hidden");
    }

    #[test]
    fn a_restored_database_publishes_its_drawn_port_for_the_first_time() {
        let (row, mut known) = unpublished();
        let destroyed = Database {
            intent: Intent::Destroy,
            ..row
        };
        known.restore = RestoreFact::Found(Box::new(destroyed));
        let back = DatabaseConfig {
            name: Given::Value("orders".to_owned()),
            restore_from: Given::Value("db_1".to_owned()),
            ..DatabaseConfig::default()
        };
        let found = evaluate(None, &back, &known, &rules());
        assert_eq!(found.errors, vec![]);
        assert_eq!(found.planned.public_port, Maybe::Unknown);
    }
}
