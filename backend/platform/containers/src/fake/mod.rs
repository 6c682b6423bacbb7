//! A container engine in memory that behaves like a real one.
//!
//! What it does is pinned by the suite in `contract`, which the real one passes too. It
//! mounts the host's directories for real: an "engine" keeps its logins in its data
//! directory, so that they go into the trash with it and come back with it.

mod container;
mod engine;
mod state;
mod verbs;

use crate::runtime::{Cause, RuntimeError, RuntimeEvent};
use berth_engines::Registry;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// How many events a slow watcher may be behind before it is told of a gap.
const EVENTS_KEPT_MAX: usize = 1024;

/// What goes wrong with a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It takes effect, and the answer is lost.
    AnswerLost,
    /// It takes no effect, and nobody answers.
    Unreachable,
    /// It takes no effect, and whoever calls waits for ever.
    Hangs,
    /// It takes no effect, and the answer is an error.
    Fails,
}

/// The fake. Clones are the same engine.
#[derive(Clone)]
pub struct FakeRuntime {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    events: broadcast::Sender<RuntimeEvent>,
    registry: Arc<Registry>,
}

impl FakeRuntime {
    /// An engine that has every image of the registry.
    pub fn new(registry: Arc<Registry>) -> Self {
        let mut state = State::default();
        for engine in registry.iter() {
            let versions = engine.versions().iter().map(|version| version.image);
            state
                .images
                .extend(versions.chain(engine.pooler_image()).map(str::to_owned));
        }
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            events: broadcast::channel(EVENTS_KEPT_MAX).0,
            registry,
        });
        Self { inner }
    }

    /// The `nth` call of `verb` from now on, counted from 1, meets `fault`. Verbs are
    /// called as the traits' methods.
    pub fn fail(&self, verb: &'static str, nth: u32, fault: Fault) {
        self.state().faults.push((verb, nth, fault));
    }

    /// From now on every call meets `fault`.
    pub fn falls_silent(&self, fault: Fault) {
        self.state().silence = Some(fault);
    }

    /// Everybody is answered again.
    pub fn answers_again(&self) {
        self.state().silence = None;
        self.tell(RuntimeEvent::Gap);
    }

    /// The engine ends and comes up again: what was running and restarts runs again, the
    /// rest does not.
    pub fn restart(&self) {
        self.state().restart();
        self.tell(RuntimeEvent::Gap);
    }

    /// From now on something that is no container listens on that port.
    pub fn holds_port(&self, port: u16) {
        self.state().held_ports.insert(port);
    }

    /// Takes an image away.
    pub fn forget_image(&self, reference: &str) {
        self.state().images.remove(reference);
    }

    /// Has a registry give that image to whoever pulls it.
    pub fn publish_image(&self, reference: &str) {
        self.state().published.insert(reference.to_owned());
    }

    /// Puts an image there. One that is there already is built anew: its name points to
    /// another id from now on, and the old id stays good.
    pub fn build_image(&self, reference: &str) {
        let mut state = self.state();
        if !state.images.insert(reference.to_owned()) {
            *state.rebuilt.entry(reference.to_owned()).or_default() += 1;
        }
    }

    /// Takes away the images that no name points to any more.
    pub fn prune_images(&self) {
        let mut state = self.state();
        let rebuilt = state.rebuilt.clone();
        for (name, times) in rebuilt {
            let ids = (0..times).map(|nth| engine::image_id(&name, nth));
            state.pruned.extend(ids);
        }
    }

    /// How often a verb has been called.
    pub fn calls(&self, verb: &str) -> u32 {
        self.state().calls.get(verb).copied().unwrap_or_default()
    }

    /// Has `count` clients wait at every pooler that holds its clients.
    pub fn clients_wait(&self, count: u32) {
        for container in self.state().containers_mut() {
            container.waiting = if container.paused { count } else { 0 };
        }
    }

    /// Has a client do something through every pooler that runs.
    pub fn clients_work(&self) {
        for container in self.state().containers_mut() {
            container.transactions += u32::from(container.runs());
        }
    }

    /// Every pooler ends and comes up again, as after a crash.
    pub fn poolers_restart(&self) {
        for container in self.state().containers_mut() {
            container.forget_clients();
        }
    }

    /// From now on the container of that name takes questions and answers none, as a process that
    /// is held up by its disk.
    pub fn hangs(&self, container: &str) {
        self.state().hanging.insert(container.to_owned());
    }

    /// The names of all containers, for tests that count what is left.
    pub fn container_names(&self) -> Vec<String> {
        let state = self.state();
        let names = state.containers().map(|(_, c)| c.name().to_owned());
        names.collect()
    }

    /// The names of all networks.
    pub fn network_names(&self) -> Vec<String> {
        let state = self.state();
        state.networks.values().map(|n| n.name.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = &self.inner.state;
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: RuntimeEvent) {
        // Nobody watching is fine.
        let _ = self.inner.events.send(event);
    }

    /// Runs a verb with the fault that waits for it, if any.
    async fn verb<T>(
        &self,
        verb: &'static str,
        effect: impl FnOnce(&mut State) -> Result<T, RuntimeError> + Send,
    ) -> Result<T, RuntimeError> {
        {
            let mut state = self.state();
            match state.meet(verb) {
                None => return effect(&mut state),
                Some(Fault::AnswerLost) => {
                    effect(&mut state)?;
                    return Err(silence());
                }
                Some(Fault::Unreachable) => return Err(silence()),
                Some(Fault::Fails) => {
                    return Err(RuntimeError::Failed {
                        act: verb,
                        source: Cause::from("a fault was planted here"),
                    });
                }
                Some(Fault::Hangs) => {}
            }
        }
        std::future::pending().await
    }
}

fn silence() -> RuntimeError {
    RuntimeError::Unreachable {
        source: Cause::from("connection reset"),
    }
}
