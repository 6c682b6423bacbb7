//! The journal, followed.

use super::EventList;
use crate::error::Doing;
use crate::{Caller, Error, Services};
use berth_domain::{Event, Timestamp, TokenId};
use berth_store::{EventFilter, Journal, Page};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long a stream rests after a look at the end of the journal: what is written meanwhile is
/// read at once.
const REST_MILLIS: u64 = 100;

/// Events as they come, from a point on.
pub struct EventStream {
    services: Arc<Services>,
    filter: EventFilter,
    /// Up to which event the journal has been looked through.
    after: i64,
    journal: watch::Receiver<Journal>,
    token: Option<TokenId>,
    /// Until when there is no look.
    rest: Option<Instant>,
}

/// What one look into the journal comes to.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// Who follows may not read any more.
    Closed,
    /// Events.
    Found(Vec<Event>),
    /// None yet, and how long the token still lasts, if it ever ends.
    Nothing(Option<Duration>),
}

impl Services {
    /// Follows the events after `sequence`; with none, those that happen from now on.
    pub async fn follow_events(
        self: &Arc<Self>,
        caller: &Caller,
        list: &EventList,
        sequence: Option<i64>,
    ) -> Result<EventStream, Error> {
        let filter = self.event_filter(caller, list).await?;
        let journal = self.store.watch_journal();
        let after = match sequence {
            Some(after) => {
                self.journal_reaches(after).await?;
                after
            }
            None => journal.borrow().last,
        };
        Ok(EventStream {
            services: Arc::clone(self),
            filter,
            after,
            journal,
            token: caller.token().cloned(),
            rest: None,
        })
    }
}

impl EventStream {
    /// The next events, at least one, at most `limit`; waits until there is one. None once the
    /// store is closed or the token that asked opens nothing any more.
    pub async fn next(&mut self, limit: u32) -> Result<Option<Vec<Event>>, Error> {
        loop {
            if let Some(end) = self.rest {
                sleep_until(end).await;
            }
            match self.look(limit).await? {
                Look::Closed => return Ok(None),
                Look::Found(events) => return Ok(Some(events)),
                Look::Nothing(left) => {
                    let is_open = tokio::select! {
                        grown = self.journal.changed() => grown.is_ok(),
                        () = passed(left) => true,
                    };
                    if !is_open {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Looks for events once. Each is looked at once, also those that the filter passes over.
    async fn look(&mut self, limit: u32) -> Result<Look, Error> {
        // Before the journal is read: what is written in between is looked for the next time.
        self.journal.mark_unchanged();
        let looker = Looker {
            services: Arc::clone(&self.services),
            filter: self.filter.clone(),
            after: self.after,
            journal: self.journal.clone(),
            token: self.token.clone(),
        };
        // By itself: a client that does not read must not keep the turn that others wait for.
        let seen = tokio::spawn(looker.looked(limit)).await;
        let seen = seen.map_err(|stopped| Error::Inconsistent {
            act: "read the journal",
            reason: stopped.to_string(),
        })?;
        let Some(Seen { left, last, page }) = seen? else {
            return Ok(Look::Closed);
        };
        self.after = match page.rows.last() {
            Some(event) if page.more => event.sequence,
            Some(event) => last.max(event.sequence),
            None => last.max(self.after),
        };
        self.rest = (!page.more).then(|| Instant::now() + Duration::from_millis(REST_MILLIS));
        Ok(if page.rows.is_empty() {
            Look::Nothing(left)
        } else {
            Look::Found(page.rows)
        })
    }
}

/// All that one look takes.
struct Looker {
    services: Arc<Services>,
    filter: EventFilter,
    after: i64,
    journal: watch::Receiver<Journal>,
    token: Option<TokenId>,
}

/// What one look sees.
struct Seen {
    /// How long the token still lasts, if it ever ends.
    left: Option<Duration>,
    /// How far the journal went.
    last: i64,
    page: Page<Event>,
}

impl Looker {
    /// None when who follows may not read any more.
    async fn looked(self, limit: u32) -> Result<Option<Seen>, Error> {
        // An error means that there are no turns any more, which does not happen.
        let _turn = self.services.looks.acquire().await;
        let told = *self.journal.borrow();
        let Some(left) = self.lasts().await? else {
            return Ok(None);
        };
        let store = &self.services.store;
        let last = match told.is_in_doubt() {
            true => store.last_event().await.doing("read the journal")?,
            false => told.last,
        };
        let page = if last > self.after {
            let found = store.events_after(self.after, &self.filter, limit).await;
            found.doing("read the journal")?
        } else {
            Page {
                rows: Vec::new(),
                more: false,
            }
        };
        Ok(Some(Seen { left, last, page }))
    }

    /// How long who follows may still read, if ever that ends; none when it has ended: a stream
    /// must not outlive its token. That a token is revoked stands in the journal.
    async fn lasts(&self) -> Result<Option<Option<Duration>>, Error> {
        let Some(id) = &self.token else {
            return Ok(Some(None));
        };
        let found = self.services.store.token_by_id(id).await;
        let now = self.services.clock.now();
        Ok(found
            .doing("look for a token")?
            .filter(|t| t.revoked_at.is_none() && t.expires_at.is_none_or(|end| end > now))
            .map(|token| token.expires_at.map(|end| until(now, end))))
    }
}

fn until(now: Timestamp, end: Timestamp) -> Duration {
    let left = end.as_millis() - now.as_millis();
    Duration::from_millis(u64::try_from(left).unwrap_or_default())
}

/// Returns after that time; without one, never.
async fn passed(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::databases::{Limits, Rules};
    use crate::{HostCapacity, ImageState, NewToken, Outside, Parts, SystemEntropy};
    use berth_domain::{Actor, Addresses, Catalogue, Clock, EngineName, InstallationId};
    use std::sync::atomic::{AtomicI64, Ordering};

    /// How long a test waits for what must come.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A clock that moves on by a step whenever it was looked at, at first by none, and nothing
    /// around it.
    struct Hands {
        at: AtomicI64,
        step: AtomicI64,
    }

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            let step = self.step.load(Ordering::SeqCst);
            Timestamp::from_millis(self.at.fetch_add(step, Ordering::SeqCst))
        }
    }

    #[async_trait::async_trait]
    impl Outside for Hands {
        async fn image(&self, _: &EngineName, _: &str) -> ImageState {
            ImageState::Available
        }

        async fn host(&self) -> Option<HostCapacity> {
            None
        }

        fn port_is_free(&self, _: u16) -> bool {
            true
        }
    }

    struct Bench {
        services: Arc<Services>,
        hands: Arc<Hands>,
        _directory: tempfile::TempDir,
    }

    impl Bench {
        async fn start() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", directory.path().join("berth.sqlite").display());
            let keys = berth_store::Keys::from_root([7; 32]);
            let installation = InstallationId::parse("0123abcd").unwrap();
            let hands = Arc::new(Hands {
                at: AtomicI64::new(1_772_013_600_000),
                step: AtomicI64::new(0),
            });
            let store = berth_store::Store::open(&url, &installation, keys).await;
            let services = Arc::new(Services::new(Parts {
                store: store.unwrap(),
                rules: Rules {
                    engines: berth_engines::Registry::all(),
                    catalogue: Catalogue {
                        plans: Vec::new(),
                        regions: Vec::new(),
                    },
                    addresses: Addresses::new("berth", installation, "127.0.0.1").unwrap(),
                    limits: Limits::default(),
                    ca_certificate: String::new(),
                },
                clock: Arc::clone(&hands) as Arc<dyn Clock>,
                entropy: Arc::new(SystemEntropy),
                outside: Arc::clone(&hands) as Arc<dyn Outside>,
                wake: Arc::default(),
                runtime: "fake".to_owned(),
                version: "0".to_owned(),
            }));
            services.prepare().await.unwrap();
            Self {
                services,
                hands,
                _directory: directory,
            }
        }

        async fn happens(&self, kind: &str) {
            let mut tx = self.services.store.begin().await.unwrap();
            let event = Event {
                sequence: 0,
                kind: kind.to_owned(),
                actor: Actor::System,
                project_id: None,
                database_id: None,
                operation_id: None,
                message: String::new(),
                changes: Vec::new(),
                at: self.hands.now(),
            };
            tx.append_event(&event).await.unwrap();
            tx.commit().await.unwrap();
        }

        async fn follows(&self, caller: &Caller, kind: Option<&str>) -> EventStream {
            let list = EventList {
                kind: kind.map(str::to_owned),
                ..EventList::default()
            };
            let stream = self.services.follow_events(caller, &list, None).await;
            stream.unwrap()
        }
    }

    #[tokio::test]
    async fn what_was_looked_at_is_not_looked_at_again() {
        let bench = Bench::start().await;
        let mut stream = bench.follows(&Caller::local(), Some("wanted")).await;
        let begun = stream.after;
        for _ in 0..3 {
            bench.happens("other").await;
        }
        assert_eq!(stream.look(2).await.unwrap(), Look::Nothing(None));
        assert_eq!(stream.after, begun + 3);
        for kind in ["wanted", "wanted", "other", "wanted", "other"] {
            bench.happens(kind).await;
        }
        let mut found = Vec::new();
        for (seen, rests) in [(begun + 5, false), (begun + 8, true)] {
            let Look::Found(events) = stream.look(2).await.unwrap() else {
                panic!("there are more");
            };
            found.extend(events.iter().map(|event| event.sequence - begun));
            assert_eq!((stream.after, stream.rest.is_some()), (seen, rests));
        }
        assert_eq!(found, [4, 5, 7]);
    }

    #[tokio::test]
    async fn only_what_is_written_into_the_journal_wakes_a_stream() {
        let bench = Bench::start().await;
        let mut stream = bench.follows(&Caller::local(), None).await;
        stream.look(9).await.unwrap();
        let mut tx = bench.services.store.begin().await.unwrap();
        tx.put_secret("a", &berth_domain::Secret::new("b"))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert!(!stream.journal.has_changed().unwrap());
        bench.happens("wanted").await;
        assert!(stream.journal.has_changed().unwrap());
    }

    #[tokio::test]
    async fn what_a_commit_in_doubt_wrote_is_found() {
        let bench = Bench::start().await;
        let mut stream = bench.follows(&Caller::local(), None).await;
        let begun = stream.after;
        let certain = Journal {
            last: begun,
            doubted: 0,
        };
        let (tell, journal) = watch::channel(certain);
        stream.journal = journal;
        assert_eq!(stream.look(9).await.unwrap(), Look::Nothing(None));
        // One that did not happen, and one that did.
        for has_happened in [false, true] {
            if has_happened {
                bench.happens("wanted").await;
            }
            tell.send_modify(|journal| journal.doubted = begun + 1);
            let look = stream.look(9).await.unwrap();
            assert_eq!(matches!(look, Look::Found(_)), has_happened, "{look:?}");
            assert_eq!(stream.after, begun + i64::from(has_happened));
        }
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_token_though_nothing_happens() {
        let bench = Bench::start().await;
        let wish = NewToken {
            name: Some("watch".to_owned()),
            preset: Some("plan".to_owned()),
            expires_at: Some("2026-02-25T10:00:01Z".to_owned()),
            ..NewToken::default()
        };
        let local = Caller::local();
        let made = bench.services.create_token(&local, &wish, None).await;
        let crate::Answered::Fresh(made) = made.unwrap() else {
            panic!("it was not made before");
        };
        let caller = bench.services.authenticate(&made.secret, None).await;
        let mut stream = bench.follows(&caller.unwrap(), None).await;
        let left = Some(Duration::from_secs(1));
        assert_eq!(stream.look(9).await.unwrap(), Look::Nothing(left));
        // At the next look it still lasts, at the one after that no more.
        bench.hands.at.fetch_add(999, Ordering::SeqCst);
        bench.hands.step.store(1, Ordering::SeqCst);
        let ended = tokio::time::timeout(PATIENCE, stream.next(9)).await;
        assert_eq!(ended.unwrap().unwrap(), None);
    }
}
