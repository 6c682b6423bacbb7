//! Ports that exposed databases are given for life.

use crate::error::Doing;
use crate::{Code, Error, FieldError, Outside, Services};
use berth_domain::{Condition, Database, InstallationId, Timestamp};
use berth_store::Tx;
use std::ops::RangeInclusive;

/// The next port that nobody has, of those that no destroyed database may want back if there is
/// one; none when every one is taken. After one that the host `refused` come those that follow it:
/// others may have been refused before, and nothing that is to be seen here tells of them.
pub async fn next_port(
    tx: &mut Tx,
    range: &RangeInclusive<u16>,
    installation: &InstallationId,
    refused: Option<u16>,
    outside: &dyn Outside,
) -> Result<Option<u16>, berth_store::Error> {
    let used = tx.used_public_ports().await?;
    let kept = tx.kept_public_ports().await?;
    let free = |port: &u16| !used.contains(port) && outside.port_is_free(*port);
    let begin = match refused.filter(|port| range.contains(port)) {
        Some(port) => follower(range, port),
        None => first(range, installation),
    };
    let ports = || in_turn(range, begin);
    let wanted_by_nobody = ports().find(|port| !kept.contains(port) && free(port));
    Ok(wanted_by_nobody.or_else(|| ports().find(free)))
}

/// Where an installation begins. Several on one host begin at different places: what one of them
/// has given and does not publish at this moment is in no row of another's and cannot be seen.
fn first(range: &RangeInclusive<u16>, installation: &InstallationId) -> u16 {
    let (first, last) = (*range.start(), *range.end());
    let count = u32::from(last.saturating_sub(first)) + 1;
    let number = u32::from_str_radix(installation.as_str(), 16).unwrap_or_default();
    u16::try_from(number % count).map_or(first, |step| first.saturating_add(step))
}

/// The port whose turn it is after `port`.
fn follower(range: &RangeInclusive<u16>, port: u16) -> u16 {
    let next = port.checked_add(1).filter(|next| range.contains(next));
    next.unwrap_or(*range.start())
}

/// The ports of a range from `begin` on and around.
fn in_turn(range: &RangeInclusive<u16>, begin: u16) -> impl Iterator<Item = u16> + use<> {
    (begin..=*range.end()).chain(*range.start()..begin)
}

impl Services {
    /// Gives an exposed database a port for life where it has none; what is to be told of one
    /// that was drawn.
    pub(super) async fn draw_port(
        &self,
        tx: &mut Tx,
        row: &mut Database,
        now: Timestamp,
    ) -> Result<Option<Condition>, Error> {
        if !row.expose {
            return Ok(None);
        }
        if let Some(port) = row.public_port {
            let used = tx.used_public_ports().await.doing("list ports in use")?;
            // Its own is among those in use when the row lives already.
            let others = tx.database_by_id(&row.id).await.doing("read a database")?;
            let own = others
                .filter(Database::is_living)
                .and_then(|found| found.public_port);
            if own == Some(port) || !used.contains(&port) {
                return Ok(None);
            }
        }
        let range = &self.rules.limits.public_ports;
        let installation = self.rules.addresses.installation();
        let port = next_port(tx, range, installation, None, self.outside.as_ref())
            .await
            .doing("draw a port")?;
        let port = port.ok_or_else(|| {
            Error::fields(vec![FieldError::of(
                Code::PortsExhausted,
                "expose",
                "every public port is taken",
            )])
        })?;
        row.public_port = Some(port);
        Ok(Some(Condition::port_may_change(port, now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(range: RangeInclusive<u16>, installation: &str) -> Vec<u16> {
        let installation = InstallationId::parse(installation).unwrap();
        in_turn(&range, first(&range, &installation)).collect()
    }

    #[test]
    fn every_port_has_its_turn_once() {
        for range in [15_000..=15_999, 15_000..=15_000, 1_024..=u16::MAX] {
            for installation in ["00000000", "0123abcd", "ffffffff"] {
                let mut given = ports(range.clone(), installation);
                given.sort_unstable();
                assert_eq!(given, Vec::from_iter(range.clone()), "{installation}");
            }
        }
    }

    #[test]
    fn installations_begin_at_different_places() {
        assert_eq!(ports(15_000..=15_002, "00000002"), [15_002, 15_000, 15_001]);
        let first = |installation| ports(15_000..=15_999, installation)[0];
        assert_eq!(first("000003e7"), 15_999);
        assert_ne!(first("0123abcd"), first("0123abce"));
    }

    #[test]
    fn after_each_port_comes_another_until_all_had_their_turn() {
        for range in [15_000..=15_002, 15_000..=15_000, 65_533..=u16::MAX] {
            let mut port = *range.end();
            let mut given = Vec::new();
            for _ in range.clone() {
                port = follower(&range, port);
                given.push(port);
            }
            assert_eq!(given, Vec::from_iter(range));
        }
    }
}
