//! Whose turn it is: rounds among all, news in between, and the comparison with what is wanted.

use crate::news::News;
use crate::roster::{Patient, Roster};
use berth_domain::{DatabaseId, InstanceId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Of a round, how many are visited in a second at most: with more databases a round takes
/// longer, and what it costs stays the same.
const VISITS_A_SECOND_MAX: u64 = 500;
/// Milliseconds between two handfuls of a round.
const BEAT_MILLIS: u64 = 100;
/// The most that are visited in one of them.
const HANDFUL: u64 = VISITS_A_SECOND_MAX * BEAT_MILLIS / 1000;
/// So many are compared at once after events were missed, each [`HURRIED_PAUSE`]: each comparison
/// repeats all that made the database, its login included, and ten thousand at once would take the
/// program's processors for themselves. What does not answer is found by its probe without that.
const HURRIED_AT_ONCE: usize = 100;
/// The time between two such handfuls.
const HURRIED_PAUSE: Duration = Duration::from_secs(1);

/// Who is to be visited.
#[derive(Debug)]
pub(crate) enum Due {
    /// One that the platform told of.
    Changed(InstanceId),
    /// One whose turn it is in the round.
    Patient(DatabaseId, Arc<Patient>),
}

/// How far the round is.
pub(crate) struct Round {
    pub(crate) begun: Instant,
    /// The last one that was handed out; none before the first.
    last: Option<DatabaseId>,
    pub(crate) next_beat: Instant,
    /// Those that are to be visited now.
    pub(crate) handful: VecDeque<(DatabaseId, Arc<Patient>)>,
    /// Whether another round follows at once.
    again: bool,
    /// Whether the last one that was visited was one that the platform told of.
    heard: bool,
}

impl Round {
    pub(crate) fn at(now: Instant) -> Self {
        Self {
            begun: now,
            last: None,
            next_beat: now,
            handful: VecDeque::new(),
            again: false,
            heard: false,
        }
    }

    /// Whether the next handful is its first.
    pub(crate) fn is_at_its_begin(&self) -> bool {
        self.last.is_none()
    }

    /// Everything is to be looked at. The round goes on from where it is, and a whole one
    /// follows without a rest: begun anew each time, it would never come to its end where the
    /// platform falls silent again and again.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.next_beat = now;
        self.again = self.last.is_some();
    }

    /// The next to be visited: in turns one that the platform told of and one of the round, so
    /// that neither waits for all of the other.
    pub(crate) fn next(&mut self, news: &News) -> Option<Due> {
        let mut own = || {
            let (id, patient) = self.handful.pop_front()?;
            Some(Due::Patient(id, patient))
        };
        let heard = || news.next().map(Due::Changed);
        let due = if self.heard {
            own().or_else(heard)
        } else {
            heard().or_else(own)
        }?;
        self.heard = matches!(due, Due::Changed(_));
        Some(due)
    }

    /// Takes the next handful; with a smaller one the round is over.
    pub(crate) fn take(&mut self, roster: &Roster, now: Instant, rest: Duration) {
        let limit = usize::try_from(HANDFUL).unwrap_or(usize::MAX);
        let found = roster.after(self.last.as_ref(), limit);
        self.next_beat = now + Duration::from_millis(BEAT_MILLIS);
        if found.len() < limit {
            self.last = None;
            if !std::mem::take(&mut self.again) {
                self.next_beat = self.next_beat.max(self.begun + rest);
            }
        } else {
            self.last = found.last().map(|(id, _)| id.clone());
        }
        self.handful.extend(found);
    }
}

/// How far the comparison with what is wanted is, of databases with which nothing is wrong.
pub(crate) struct Resync {
    pub(crate) due: Instant,
    /// The last one that was taken; none before the first.
    last: Option<DatabaseId>,
    /// How often the end is to be passed without a rest, since events were missed.
    ends: u8,
}

impl Resync {
    pub(crate) fn at(due: Instant) -> Self {
        Self {
            due,
            last: None,
            ends: 0,
        }
    }

    /// Events were missed: it goes on from where it is, and a whole walk follows, as with a
    /// round. Who is hurried already gets no faster by that.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if self.ends == 0 {
            self.due = self.due.min(now + HURRIED_PAUSE);
        }
        self.ends = 1 + u8::from(self.last.is_some());
    }

    /// Takes those whose turn it is now: one, and then a rest of `pause`, or as many as a hurry
    /// takes at once.
    pub(crate) fn take(
        &mut self,
        roster: &Roster,
        now: Instant,
        pause: Duration,
    ) -> Vec<Arc<Patient>> {
        let limit = if self.ends > 0 { HURRIED_AT_ONCE } else { 1 };
        let found = roster.after(self.last.as_ref(), limit);
        let is_end = found.len() < limit;
        self.last = found.last().filter(|_| !is_end).map(|(id, _)| id.clone());
        self.ends -= u8::from(is_end && self.ends > 0);
        self.due = now + if self.ends > 0 { HURRIED_PAUSE } else { pause };
        found.into_iter().map(|(_, patient)| patient).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::database;
    use berth_store::DatabaseRecord;

    const REST: Duration = Duration::from_secs(5);
    const BEAT: Duration = Duration::from_millis(BEAT_MILLIS);

    fn roster(count: usize) -> Roster {
        let mut roster = Roster::default();
        for number in 0..count {
            let record = DatabaseRecord {
                database: database(&format!("orders-{number:03}")),
                observation: None,
                operation_id: None,
            };
            roster.put(&record.database.id, Some(&record));
        }
        roster
    }

    /// The numbers of those that are to be visited now.
    fn visited(round: &mut Round) -> Vec<usize> {
        let taken = std::mem::take(&mut round.handful);
        let number = |id: &DatabaseId| id.as_str().rsplit(['_', '-']).next()?.parse().ok();
        taken
            .iter()
            .map(|(id, _)| number(id).unwrap_or(usize::MAX))
            .collect()
    }

    #[test]
    fn a_round_visits_each_once_and_rests() {
        for (count, handfuls) in [(0, 1), (49, 1), (50, 2), (51, 2), (100, 3)] {
            let (now, roster) = (Instant::now(), roster(count));
            let mut round = Round::at(now);
            let mut seen = Vec::new();
            for handful in 1..=handfuls {
                round.take(&roster, now, REST);
                seen.extend(visited(&mut round));
                let is_over = handful == handfuls;
                assert_eq!(round.last.is_none(), is_over, "{count}");
                let pause = if is_over { REST } else { BEAT };
                assert_eq!(round.next_beat, now + pause, "{count}");
            }
            assert_eq!(seen, Vec::from_iter(0..count));
        }
    }

    #[test]
    fn a_round_goes_on_after_one_that_is_gone() {
        let (now, mut roster) = (Instant::now(), roster(51));
        let mut round = Round::at(now);
        round.take(&roster, now, REST);
        assert_eq!(visited(&mut round), Vec::from_iter(0..50));
        roster.put(&round.last.clone().unwrap(), None);
        round.take(&roster, now, REST);
        assert_eq!(visited(&mut round), [50]);
        round.take(&roster, now, REST);
        assert_eq!(visited(&mut round).len(), 50);
    }

    #[test]
    fn gaps_leave_nobody_unvisited() {
        let (now, roster) = (Instant::now(), roster(120));
        let mut round = Round::at(now);
        let mut seen = Vec::new();
        for _ in 0..6 {
            round.hurry(now);
            assert_eq!(round.next_beat, now);
            round.take(&roster, now, REST);
            assert_eq!(round.next_beat, now + BEAT);
            seen.extend(visited(&mut round));
        }
        assert_eq!(seen, Vec::from_iter((0..120).chain(0..120)));
        // After the last gap a whole round follows, and only then a rest.
        for handful in 1..=3 {
            round.take(&roster, now, REST);
            let pause = if handful == 3 { REST } else { BEAT };
            assert_eq!(round.next_beat, now + pause);
        }
    }

    #[test]
    fn news_are_heard_in_their_order_and_in_turns_with_the_round() {
        let instance = |n: u8| InstanceId::from_entropy([n; 16]);
        let news = News::default();
        for n in [9, 1, 5, 9, 3] {
            news.tell(Some(instance(n)));
        }
        let (now, roster) = (Instant::now(), roster(2));
        let mut round = Round::at(now);
        round.take(&roster, now, REST);
        let mut order = Vec::new();
        while let Some(due) = round.next(&news) {
            order.push(match due {
                Due::Changed(instance) => Some(instance),
                Due::Patient(..) => None,
            });
        }
        let [nine, one, five, three] = [9, 1, 5, 3].map(|n| Some(instance(n)));
        assert_eq!(order, [nine, None, one, None, five, three]);
        // What was heard may be told of again.
        news.tell(Some(instance(9)));
        assert_eq!(news.next(), Some(instance(9)));
        assert!(!news.take_gap());
    }

    #[test]
    fn events_that_were_missed_hurry_the_comparison_and_not_all_of_it_at_once() {
        let (now, roster) = (Instant::now(), roster(250));
        let (soon, later) = (now + HURRIED_PAUSE, now + REST);
        let mut resync = Resync::at(now);
        let take = |resync: &mut Resync| (resync.take(&roster, now, REST).len(), resync.due);
        assert_eq!(take(&mut resync), (1, later));
        resync.hurry(now);
        assert_eq!(resync.due, soon);
        assert_eq!(take(&mut resync), (100, soon));
        // What is missed meanwhile makes nothing sooner.
        resync.hurry(now);
        assert_eq!(resync.due, soon);
        // The rest of this walk, then a whole one, and afterwards it is one at a time again.
        for count in [100, 49, 100, 100] {
            assert_eq!(take(&mut resync), (count, soon));
        }
        assert_eq!(take(&mut resync), (50, later));
        assert_eq!(take(&mut resync), (1, later));
    }
}
