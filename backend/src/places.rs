//! Places for clients: how many may be connected, and who goes where all are taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// Places for clients. Where all are taken, the one that was idle longest is given away: who
/// only holds connections does not keep others out.
pub struct Places {
    max: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    next: u64,
    clients: HashMap<u64, Seated>,
}

struct Seated {
    /// None while a request is under way.
    idle_since: Option<Instant>,
    leave: Arc<Notify>,
}

/// One client's place, until it is dropped.
pub struct Place {
    id: u64,
    places: Arc<Places>,
    /// Told when the place is given to somebody else.
    pub leave: Arc<Notify>,
    /// Whether a request was answered, and some of the answer may still have to be sent.
    answered: AtomicBool,
}

/// A request under way at a place.
pub struct Busy(Arc<Place>);

impl Places {
    pub fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            taken: Mutex::default(),
            freed: Notify::new(),
        }
    }

    /// Waits while every client has a request under way.
    pub async fn take(self: Arc<Self>) -> Place {
        loop {
            let freed = self.freed.notified();
            if let Some(place) = self.try_take() {
                return place;
            }
            freed.await;
        }
    }

    fn try_take(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.taken();
        if taken.clients.len() >= self.max {
            let longest = taken
                .clients
                .iter()
                .filter_map(|(id, client)| Some((client.idle_since?, *id)))
                .min()?;
            if let Some(client) = taken.clients.remove(&longest.1) {
                client.leave.notify_one();
            }
        }
        let id = taken.next;
        taken.next += 1;
        let leave = Arc::new(Notify::new());
        taken.clients.insert(
            id,
            Seated {
                idle_since: Some(Instant::now()),
                leave: Arc::clone(&leave),
            },
        );
        Some(Place {
            id,
            places: Arc::clone(self),
            leave,
            answered: AtomicBool::new(false),
        })
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        // Nothing that holds it can stop half way through a change.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_idle(&self, id: u64, idle_since: Option<Instant>) {
        if let Some(client) = self.taken().clients.get_mut(&id) {
            client.idle_since = idle_since;
        }
    }
}

impl Place {
    /// The client is idle again once it was answered and the whole answer is on its way.
    pub fn all_sent(&self) {
        if self.answered.swap(false, Ordering::Relaxed) {
            self.places.set_idle(self.id, Some(Instant::now()));
            self.places.freed.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().clients.remove(&self.id);
        self.places.freed.notify_one();
    }
}

impl Busy {
    pub fn at(place: Arc<Place>) -> Self {
        place.answered.store(false, Ordering::Relaxed);
        place.places.set_idle(place.id, None);
        Self(place)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.answered.store(true, Ordering::Relaxed);
    }
}
