//! Rounds: who is looked at, and when.

use crate::error::{Class, chain};
use crate::roster::{Patient, Roster};
use crate::{Control, Error, error};
use berth_domain::{DatabaseId, InstanceId};
use berth_platform::WatchEvent;
use berth_store::{Changed, DatabaseFilter};
use futures_util::StreamExt;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Rows that are read at once when everything is read.
const ROWS_AT_ONCE: u32 = 200;
/// So many that have changed are read one by one, however few there are in all.
const READ_ONE_BY_ONE_MIN: usize = 500;
/// Of a round, how many are visited in a second at most: with more databases a round takes
/// longer, and what it costs stays the same.
const VISITS_A_SECOND_MAX: u64 = 500;
/// Milliseconds between two handfuls of a round.
const BEAT_MILLIS: u64 = 100;
/// The most that are visited in one of them.
const HANDFUL: u64 = VISITS_A_SECOND_MAX * BEAT_MILLIS / 1000;
/// The shortest time between two databases that are compared with what is wanted although
/// nothing is wrong with them, in milliseconds.
const RESYNC_MILLIS_MIN: u64 = 200;
/// So many are compared in a second after events were missed: each comparison repeats all that made
/// the database, its login included, and ten thousand at once would take the program's processors
/// for themselves. What does not answer is found by its probe without that.
const HURRIED_A_SECOND: usize = 100;
/// Instances that are remembered as changed; with more, all are looked at.
const CHANGED_MAX: usize = 1_024;

/// What the platform has told of and nobody has looked at yet.
#[derive(Debug, Default)]
pub(crate) struct News {
    known: Mutex<Known>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Known {
    /// In the order in which they were told of.
    changed: VecDeque<InstanceId>,
    /// The same, to find one.
    waiting: HashSet<InstanceId>,
    /// Whether there may be more than that.
    gap: bool,
}

impl News {
    fn tell(&self, instance: Option<InstanceId>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match instance {
            Some(instance) if known.waiting.contains(&instance) => {}
            Some(instance) if known.changed.len() < CHANGED_MAX => {
                known.waiting.insert(instance.clone());
                known.changed.push_back(instance);
            }
            _ => known.gap = true,
        }
        drop(known);
        self.bell.notify_one();
    }

    fn next(&self) -> Option<InstanceId> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let instance = known.changed.pop_front()?;
        known.waiting.remove(&instance);
        Some(instance)
    }

    /// Whether everything is to be looked at; asked once for each time.
    fn take_gap(&self) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut known.gap)
    }
}

/// Who is to be visited.
#[derive(Debug)]
enum Due {
    /// One that the platform told of.
    Changed(InstanceId),
    /// One whose turn it is in the round.
    Patient(DatabaseId, Arc<Patient>),
}

/// How far the round is.
struct Round {
    begun: Instant,
    /// The last one that was handed out; none before the first.
    last: Option<DatabaseId>,
    next_beat: Instant,
    /// Those that are to be visited now.
    handful: VecDeque<(DatabaseId, Arc<Patient>)>,
    /// Whether another round follows at once.
    again: bool,
    /// Whether the last one that was visited was one that the platform told of.
    heard: bool,
}

impl Round {
    fn at(now: Instant) -> Self {
        Self {
            begun: now,
            last: None,
            next_beat: now,
            handful: VecDeque::new(),
            again: false,
            heard: false,
        }
    }

    /// Everything is to be looked at. The round goes on from where it is, and a whole one
    /// follows without a rest: begun anew each time, it would never come to its end where the
    /// platform falls silent again and again.
    fn hurry(&mut self, now: Instant) {
        self.next_beat = now;
        self.again = self.last.is_some();
    }

    /// The next to be visited: in turns one that the platform told of and one of the round, so
    /// that neither waits for all of the other.
    fn next(&mut self, news: &News) -> Option<Due> {
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
    fn take(&mut self, roster: &Roster, now: Instant, rest: Duration) {
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

/// How far the comparison with what is wanted is.
struct Resync {
    due: Instant,
    /// The last one that was chosen; none before the first.
    last: Option<DatabaseId>,
    /// How many are to follow without a rest, since events were missed.
    hurried: usize,
}

impl Resync {
    fn at(due: Instant) -> Self {
        Self {
            due,
            last: None,
            hurried: 0,
        }
    }

    /// Events were missed: all of so many are to be compared, and the end from which the first
    /// follows is passed on the way. Who is hurried already gets no faster by that.
    fn hurry(&mut self, count: usize, now: Instant) {
        if self.hurried == 0 {
            self.due = self.due.min(now + Duration::from_secs(1));
        }
        self.hurried = count + 1;
    }

    /// How many steps to take now: one, and then a rest of `pause`, or as many as a hurry makes in
    /// a second.
    fn take(&mut self, now: Instant, pause: Duration) -> usize {
        let count = self.hurried.clamp(1, HURRIED_A_SECOND);
        self.hurried = self.hurried.saturating_sub(count);
        self.due = now
            + match self.hurried {
                0 => pause,
                _ => Duration::from_secs(1),
            };
        count
    }
}

impl Control {
    /// Looks after everything, in rounds and when the platform says that something changed,
    /// until the program ends.
    pub(crate) async fn look_after(self: Arc<Self>) {
        let limits = &self.parts.limits;
        let seats = limits.instances_at_once.max(1);
        let mut round = Round::at(Instant::now());
        let mut resync = Resync::at(Instant::now() + self.resync_pause());
        let mut visits = JoinSet::new();
        loop {
            if self.news.take_gap() {
                resync.hurry(self.roster().len(), Instant::now());
                round.hurry(Instant::now());
            }
            while visits.len() < seats {
                let Some(due) = round.next(&self.news) else {
                    break;
                };
                let control = Arc::clone(&self);
                visits.spawn(async move {
                    match due {
                        Due::Changed(instance) => control.visit_changed(&instance).await,
                        Due::Patient(id, patient) => control.visit(&id, &patient).await,
                    }
                });
            }
            tokio::select! {
                () = self.closed() => return,
                Some(_) = visits.join_next() => {}
                () = self.news.bell.notified(), if visits.len() < seats => {}
                () = tokio::time::sleep_until(round.next_beat), if round.handful.is_empty() => {
                    self.beat(&mut round).await;
                }
                () = tokio::time::sleep_until(resync.due) => {
                    for _ in 0..resync.take(Instant::now(), self.resync_pause()) {
                        resync.last = self.distrust_next(resync.last.take());
                    }
                }
            }
        }
    }

    /// Hears what the platform tells, until the program ends.
    pub(crate) async fn listen(self: Arc<Self>) {
        let mut changes = self.parts.platform.watch();
        let closed = self.closed();
        tokio::pin!(closed);
        loop {
            tokio::select! {
                () = &mut closed => return,
                change = changes.next() => match change {
                    Some(WatchEvent::Changed(instance)) => self.news.tell(Some(instance)),
                    Some(WatchEvent::Gap) => self.news.tell(None),
                    // A stream that ended says nothing any more; rounds still do.
                    None => changes = futures_util::stream::pending().boxed(),
                },
            }
        }
    }

    async fn beat(&self, round: &mut Round) {
        let now = Instant::now();
        let begins = round.last.is_none();
        // A commit for each few would wake everybody who follows the store.
        if (begins || self.unchanged.fill_a_commit())
            && let Err(error) = self.tell_of_looks().await
        {
            tracing::error!(error = chain(&error), "cannot tell of databases");
        }
        if begins {
            round.begun = now;
            if let Err(error) = self.refresh().await {
                tracing::error!(error = chain(&error), "cannot look after databases");
            }
        }
        let rest = Duration::from_secs(self.parts.limits.health_seconds.max(1));
        round.take(&self.roster(), now, rest);
    }

    /// How long after one database the next is compared with what is wanted.
    fn resync_pause(&self) -> Duration {
        let all = self.parts.limits.resync_seconds.max(1).saturating_mul(1000);
        let count = u64::try_from(self.roster().len()).unwrap_or(u64::MAX);
        Duration::from_millis((all / count.max(1)).max(RESYNC_MILLIS_MIN))
    }

    /// Has the one that follows `last` compared with what is wanted at its next visit.
    fn distrust_next(&self, last: Option<DatabaseId>) -> Option<DatabaseId> {
        let (id, patient) = self.roster().after(last.as_ref(), 1).pop()?;
        self.charts.distrust(&patient.instance);
        Some(id)
    }

    /// The living databases as they were read last.
    pub(crate) fn roster(&self) -> std::sync::MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what has changed of the living databases.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        // One after the other: an older answer must not take the place of a newer one.
        let _turn = self.refreshing.lock().await;
        let few = (self.roster().len() / 4).max(READ_ONE_BY_ONE_MIN);
        let read = match self.follower.take() {
            Changed::These(ids) if ids.len() <= few => self.read_these(ids).await,
            Changed::These(_) | Changed::Any => self.read_all().await,
        };
        if read.is_err() {
            self.follower.forget();
        }
        read
    }

    async fn read_these(&self, ids: BTreeSet<DatabaseId>) -> Result<(), Error> {
        for id in ids {
            let record = self.parts.store.database_record(&id).await;
            let record = record.map_err(error::store("read the database"))?;
            self.roster().put(&id, record.as_ref());
        }
        Ok(())
    }

    async fn read_all(&self) -> Result<(), Error> {
        let filter = DatabaseFilter::default();
        let mut all = Roster::default();
        let mut after: Option<DatabaseId> = None;
        loop {
            let page = self
                .parts
                .store
                .databases_page(&filter, after.as_ref(), ROWS_AT_ONCE)
                .await
                .map_err(error::store("list the databases"))?;
            for record in &page.rows {
                all.put(&record.database.id, Some(record));
            }
            after = page.rows.last().map(|record| record.database.id.clone());
            if !page.more {
                *self.roster() = all;
                return Ok(());
            }
        }
    }

    /// Looks at one database, and puts right what is not as its row says.
    pub(crate) async fn visit(&self, id: &DatabaseId, patient: &Patient) {
        // Who works on it looks after it, too.
        let Some(_turn) = self.locks.try_now(&patient.instance) else {
            return;
        };
        report(id, self.care(id, patient).await);
    }

    /// The same for one of which the platform says that something has changed.
    async fn visit_changed(&self, instance: &InstanceId) {
        let Some(_turn) = self.locks.try_now(instance) else {
            return;
        };
        let store = &self.parts.store;
        let read = async {
            let found = store.database_by_instance(instance).await?;
            match found.filter(berth_domain::Database::is_living) {
                Some(database) => store.database_record(&database.id).await,
                None => Ok(None),
            }
        };
        match read.await.map_err(error::store("read the database")) {
            Ok(Some(record)) => {
                let id = &record.database.id;
                report(id, self.care(id, &Patient::alone(&record)).await);
            }
            Ok(None) => {}
            Err(error) => tracing::error!(error = chain(&error), "cannot look after a database"),
        }
    }
}

fn report(id: &DatabaseId, done: Result<(), Error>) {
    if let Err(error) = done
        && error.class() != Class::Leave
    {
        tracing::warn!(
            database.id = %id, error = chain(&error),
            "could not look after a database",
        );
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
    fn events_that_were_missed_hurry_the_comparison_and_not_all_of_it_at_once() {
        let now = Instant::now();
        let mut resync = Resync::at(now);
        assert_eq!(resync.take(now, REST), 1);
        assert_eq!(resync.due, now + REST);
        let second = now + Duration::from_secs(1);
        resync.hurry(2 * HURRIED_A_SECOND, now);
        assert_eq!(resync.due, second);
        assert_eq!(resync.take(now, REST), HURRIED_A_SECOND);
        // What is missed meanwhile begins it anew, and makes nothing sooner.
        resync.hurry(2 * HURRIED_A_SECOND, now);
        for _ in 0..2 {
            assert_eq!(resync.due, second);
            assert_eq!(resync.take(now, REST), HURRIED_A_SECOND);
        }
        // The end is passed, and afterwards it is one at a time again.
        for _ in 0..2 {
            assert_eq!(resync.take(now, REST), 1);
            assert_eq!(resync.due, now + REST);
        }
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
    fn more_news_than_can_be_remembered_are_a_gap() {
        let news = News::default();
        let tell = |n: usize| {
            let mut entropy = [0; 16];
            entropy[..8].copy_from_slice(&n.to_be_bytes());
            news.tell(Some(InstanceId::from_entropy(entropy)));
        };
        (0..CHANGED_MAX).for_each(tell);
        tell(0);
        assert!(!news.take_gap());
        tell(CHANGED_MAX);
        assert!(news.take_gap() && !news.take_gap());
        news.tell(None);
        assert!(news.take_gap());
        assert_eq!(std::iter::from_fn(|| news.next()).count(), CHANGED_MAX);
    }
}
