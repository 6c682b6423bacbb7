//! Asking a process to end that may not listen yet.

use crate::Docker;
use crate::errors::{Subject, meaning};
use berth_containers::{ContainerId, RuntimeError, Signal};
use bollard::query_parameters::KillContainerOptionsBuilder;
use std::convert::Infallible;
use std::time::Duration;

/// Milliseconds between two requests to end.
const AGAIN_MILLIS: u64 = 100;
/// The signals that a process is asked to end with, and their numbers.
const SIGNALS: [(Signal, u32); 2] = [(Signal::Interrupt, 2), (Signal::Terminate, 15)];

/// What a process is called until it becomes the container's command: `runc:[2:INIT]`.
const PREPARES: &str = "runc:[";

impl Docker {
    /// Asks a container to end as it was made to, and waits until it has.
    ///
    /// The kernel drops what is sent to the first process of a container while that has no
    /// handler for it: one that has only just started would hear nothing, and run until it is
    /// killed. Such a one is asked again until it was asked once while it listened. Any other is
    /// asked once, since a second request would cut an orderly end short.
    pub(crate) async fn end(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let deaf = self.is_deaf_to(id).await?;
        let client = self.client().await?;
        let stop = client.stop_container(&id.0, None);
        let stopped = match deaf {
            None => stop.await,
            Some(deaf) => tokio::select! {
                stopped = stop => stopped,
                never = self.ask_again(id, &deaf) => match never {},
            },
        };
        stopped.map_err(|e| meaning("stop a container", Subject::Container(&id.0), e))
    }

    /// The container's process, when it runs and does not hear what it is to end at.
    async fn is_deaf_to(&self, id: &ContainerId) -> Result<Option<Deaf>, RuntimeError> {
        let inspected = self.client().await?.inspect_container(&id.0, None).await;
        let inspected =
            inspected.map_err(|e| meaning("inspect a container", Subject::Container(&id.0), e))?;
        let wanted = inspected.config.and_then(|config| config.stop_signal);
        let pid = inspected.state.and_then(|state| state.pid);
        let known = SIGNALS
            .into_iter()
            .find(|(signal, _)| wanted.as_deref() == Some(signal.as_str()));
        let (Some((signal, number)), Some(pid)) = (known, pid.filter(|pid| *pid > 0)) else {
            return Ok(None);
        };
        let process = Deaf {
            pid,
            signal,
            number,
        };
        Ok(match process.hears().await {
            Some(false) => Some(process),
            Some(true) | None => None,
        })
    }

    /// Asks until the process was asked once while it heard, or is gone; then leaves the rest to
    /// whoever waits for the end.
    async fn ask_again(&self, id: &ContainerId, process: &Deaf) -> Infallible {
        loop {
            tokio::time::sleep(Duration::from_millis(AGAIN_MILLIS)).await;
            let Some(hears) = process.hears().await else {
                return std::future::pending().await;
            };
            let options = KillContainerOptionsBuilder::default().signal(process.signal.as_str());
            let Ok(client) = self.client().await else {
                continue;
            };
            let asked = client.kill_container(&id.0, Some(options.build())).await;
            match asked {
                Ok(()) if hears => return std::future::pending().await,
                Ok(()) => {}
                // Whoever waits for the end hears of it, or of what is wrong.
                Err(error) => {
                    tracing::debug!(container.id = %id.0, %error, "could not ask again for an end");
                }
            }
        }
    }
}

/// A process that did not hear the signal that it is to end at.
struct Deaf {
    pid: i64,
    signal: Signal,
    number: u32,
}

impl Deaf {
    /// Whether it hears by now; none when there is no such process any more.
    async fn hears(&self) -> Option<bool> {
        let status = tokio::fs::read_to_string(format!("/proc/{}/status", self.pid)).await;
        status.ok().map(|status| hears(&status, self.number))
    }
}

/// Whether that signal reaches a process, by what the kernel tells of it: it has a handler, or
/// holds the signal back until it has one. One of which nothing is told is taken to have one.
///
/// What prepares the container has handlers of its own, and what they take dies with them when
/// the process becomes the container's command.
fn hears(status: &str, number: u32) -> bool {
    let name = status.lines().find_map(|line| line.strip_prefix("Name:"));
    if name.is_some_and(|name| name.trim().starts_with(PREPARES)) {
        return false;
    }
    let has = |name: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name))?;
        let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
        Some(mask & (1 << (number - 1)) != 0)
    };
    has("SigBlk:") == Some(true) || has("SigCgt:") != Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_word_on_handlers_is_read() {
        let told = "Name:\tpostgres\nSigIgn:\t0000000000000002\nSigCgt:\t0000000000004000\n";
        assert!(hears(told, 15));
        assert!(!hears(told, 2));
        assert!(hears("Name:\tpostgres\n", 2));
        let not_yet =
            "Name:\trunc:[2:INIT]\nSigBlk:\t0000000000000000\nSigCgt:\tffffffffffffffff\n";
        assert!(!hears(not_yet, 2) && !hears(not_yet, 15));
        // What is held back is not lost.
        let held = "SigBlk:\t0000000000000002\nSigCgt:\t0000000000000000\n";
        assert!(hears(held, 2) && !hears(held, 15));
    }
}
