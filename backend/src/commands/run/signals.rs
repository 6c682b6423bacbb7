//! Signals that reach this process and are meant for the command.

use rustix::process::Signal;
use std::future::poll_fn;
use std::io;
use std::task::Poll;
use tokio::signal::unix::{self, SignalKind};

/// Those that ask a process to end, to read its configuration again or to tell of itself.
const PASSED_ON: [Signal; 6] = [
    Signal::TERM,
    Signal::INT,
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
];

/// What is to be passed on, from the moment it was made.
pub struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Begins to take signals. What was ignored when this process began, as `nohup` has it, stays
    /// so, for the command too.
    pub fn take() -> io::Result<Self> {
        let ignored = ignored(&std::fs::read_to_string("/proc/self/status")?);
        let taken = PASSED_ON.into_iter().filter(|signal| {
            let bit = 1_u64 << (signal.as_raw() - 1);
            ignored & bit == 0
        });
        let streams = taken.map(|signal| {
            let kind = SignalKind::from_raw(signal.as_raw());
            unix::signal(kind).map(|stream| (signal, stream))
        });
        streams.collect::<io::Result<_>>().map(Self)
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let come = self.0.iter_mut().find_map(|(signal, stream)| {
                stream.poll_recv(context).is_ready().then_some(*signal)
            });
            come.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// The set of signals that a process ignores, as the kernel tells it; its first bit is signal 1.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_off_the_kernels_words() {
        let status = "SigBlk:\t0000000000000001\nSigIgn:\t0000000000000003\nSigCgt:\t0\n";
        assert_eq!(ignored(status), 0b11);
        assert_eq!(ignored("Name:\tberthd\n"), 0);
    }
}
