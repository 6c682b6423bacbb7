//! When a provider process is over.

use std::fmt;
use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, getppid};
use tokio::signal::unix::Signal;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often a process without a connection looks whether its host still lives.
const HOST_POLL_MILLISECONDS: u64 = 500;

/// Why the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The host said so.
    Shutdown,
    /// A signal said so.
    Signal,
    /// The host died without a word.
    HostGone,
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Shutdown => "the host is done",
            Self::Signal => "a signal arrived",
            Self::HostGone => "the host is gone",
        })
    }
}

/// The process that started us, as far as we can tell that it still lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostWatch {
    parent: Option<Pid>,
}

impl HostWatch {
    /// Remembers who the host is. To be called before the host can have died.
    pub(super) fn start() -> Self {
        Self { parent: getppid() }
    }

    /// A process whose parent died gets another one.
    fn is_gone(self) -> bool {
        getppid() != self.parent
    }
}

/// What decides about the end: the host's word, signals, and whether there still is a host.
pub(super) struct Life {
    end: CancellationToken,
    host: Option<HostWatch>,
    interrupts: Signal,
    terminations: Signal,
    peers: Arc<Peers>,
}

#[derive(Default)]
struct Peers {
    admitted: AtomicUsize,
    left: Notify,
}

/// One connection's share in keeping the process alive.
pub(super) struct Peer {
    peers: Arc<Peers>,
    end: CancellationToken,
}

/// An admitted connection. While there is one, the host is there.
pub(super) struct Admitted(Arc<Peers>);

impl Life {
    /// Without a `host` nobody in particular keeps the process alive, and an interrupt ends it.
    pub(super) fn new(host: Option<HostWatch>, interrupts: Signal, terminations: Signal) -> Self {
        Self {
            end: CancellationToken::new(),
            host,
            interrupts,
            terminations,
            peers: Arc::default(),
        }
    }

    /// Cancelled by whoever hears the host say that it is done.
    pub(super) fn end_token(&self) -> CancellationToken {
        self.end.clone()
    }

    pub(super) fn peer(&self) -> Peer {
        Peer {
            peers: Arc::clone(&self.peers),
            end: self.end.clone(),
        }
    }

    /// Returns when the process is to end. Can be dropped and called again.
    pub(super) async fn ended(&mut self) -> End {
        loop {
            tokio::select! {
                () = self.end.cancelled() => return End::Shutdown,
                _ = self.terminations.recv() => {
                    self.end.cancel();
                    return End::Signal;
                }
                _ = self.interrupts.recv() => {
                    if self.host.is_none() {
                        self.end.cancel();
                        return End::Signal;
                    }
                    tracing::debug!("ignored an interrupt: the host decides");
                }
                () = host_gone(self.host, &self.peers) => {
                    self.end.cancel();
                    return End::HostGone;
                }
            }
        }
    }
}

/// The host's one connection has ended and the host with it. The connection alone proves
/// nothing: a quiet gRPC client closes it after half an hour and comes back.
async fn host_gone(host: Option<HostWatch>, peers: &Peers) {
    let Some(host) = host else {
        return future::pending().await;
    };
    loop {
        let left = peers.left.notified();
        if peers.admitted.load(Ordering::Acquire) == 0 {
            if host.is_gone() {
                return;
            }
            // Nobody knocks when the host dies now, so look again.
            let pause = Duration::from_millis(HOST_POLL_MILLISECONDS);
            tokio::select! {
                () = left => {}
                () = tokio::time::sleep(pause) => {}
            }
        } else {
            left.await;
        }
    }
}

impl Peer {
    /// To be called when the peer has proved to be the host; hold the answer while it stays.
    pub(super) fn admit(&self) -> Admitted {
        self.peers.admitted.fetch_add(1, Ordering::AcqRel);
        Admitted(Arc::clone(&self.peers))
    }

    /// Resolves when the process is about to end.
    pub(super) async fn process_ends(&self) {
        self.end.cancelled().await;
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.admitted.fetch_sub(1, Ordering::AcqRel);
        self.0.left.notify_waiters();
    }
}
