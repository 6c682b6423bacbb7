//! What the platform tells of, until somebody looks at it.

use berth_domain::InstanceId;
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Instances that are remembered as changed; with more, all are looked at.
const CHANGED_MAX: usize = 1_024;

/// What the platform has told of and nobody has looked at yet.
#[derive(Debug, Default)]
pub(crate) struct News {
    known: Mutex<Known>,
    pub(crate) bell: Notify,
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
    pub(crate) fn tell(&self, instance: Option<InstanceId>) {
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

    pub(crate) fn next(&self) -> Option<InstanceId> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let instance = known.changed.pop_front()?;
        known.waiting.remove(&instance);
        Some(instance)
    }

    /// Whether everything is to be looked at; asked once for each time.
    pub(crate) fn take_gap(&self) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut known.gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
