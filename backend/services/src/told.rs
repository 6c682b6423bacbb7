//! How those who wait hear that something changed.

use tokio::sync::watch;

/// A bell: whoever changes the store rings it, whoever waits for a change listens.
///
/// It carries no news, only that there may be some: a listener looks at the store again.
#[derive(Debug)]
pub struct Told(watch::Sender<u64>);

impl Default for Told {
    fn default() -> Self {
        Self(watch::channel(0).0)
    }
}

impl Told {
    /// Wakes everyone who listens. Call it after a commit, not before.
    pub fn tell(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Begins to listen: what is told from here on is heard, also when nobody waits yet.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// One who listens.
#[derive(Debug)]
pub struct Listener(watch::Receiver<u64>);

impl Listener {
    /// Returns when something was told since the last return, or since listening began.
    /// Never returns once the teller is gone.
    pub async fn heard(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_told_before_the_wait_is_heard() {
        let told = Told::default();
        let mut listener = told.listen();
        told.tell();
        listener.heard().await;
    }
}
