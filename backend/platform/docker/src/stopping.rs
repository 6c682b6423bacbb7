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

impl Docker {
    /// Asks a container to end as it was made to, and waits until it has.
    ///
    /// The kernel drops what is sent to the first process of a container while that has no
    /// handler for it: one that has only just started would hear nothing, and run until it is
    /// killed. Such a one is asked again and again. Any other is asked once, since a second
    /// request would cut an orderly end short.
    pub(crate) async fn end(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let deaf = self.is_deaf_to(id).await?;
        let stop = self.client()?.stop_container(&id.0, None);
        let stopped = match deaf {
            None => stop.await,
            Some(signal) => tokio::select! {
                stopped = stop => stopped,
                never = self.ask_again(id, signal) => match never {},
            },
        };
        stopped.map_err(|e| meaning("stop a container", Subject::Container(&id.0), e))
    }

    /// The signal that the container's process is to end at, when it runs and does not hear it.
    async fn is_deaf_to(&self, id: &ContainerId) -> Result<Option<Signal>, RuntimeError> {
        let inspected = self.client()?.inspect_container(&id.0, None).await;
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
        // It may have ended meanwhile; then there is nobody to hear.
        let status = tokio::fs::read_to_string(format!("/proc/{pid}/status")).await;
        Ok(status
            .is_ok_and(|status| !hears(&status, number))
            .then_some(signal))
    }

    async fn ask_again(&self, id: &ContainerId, signal: Signal) -> Infallible {
        loop {
            tokio::time::sleep(Duration::from_millis(AGAIN_MILLIS)).await;
            let options = KillContainerOptionsBuilder::default().signal(signal.as_str());
            let Ok(client) = self.client() else { continue };
            let asked = client.kill_container(&id.0, Some(options.build())).await;
            if let Err(error) = asked {
                // Whoever waits for the end hears of it, or of what is wrong.
                tracing::debug!(container.id = %id.0, %error, "could not ask again for an end");
            }
        }
    }
}

/// Whether a process has a handler for that signal, by what the kernel tells of it. One of
/// which nothing is told is taken to have one.
fn hears(status: &str, number: u32) -> bool {
    let caught = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_none_or(|mask| mask & (1 << (number - 1)) != 0)
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
    }
}
