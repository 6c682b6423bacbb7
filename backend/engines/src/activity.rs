//! What the clients of a pooler do.

use std::collections::BTreeMap;

/// What the clients of a pooler do, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolerActivity {
    /// Clients that wait for the engine.
    pub waiting: u64,
    /// Connections to the engine that a client has at this moment.
    pub busy: u64,
    /// Everything that rises or moves when a client comes, goes or does something. Nothing new
    /// in it since a moment: nothing happened since then.
    pub trace: BTreeMap<String, Vec<String>>,
}

impl PoolerActivity {
    /// Whether somebody used the engine since `before`, or uses it now.
    pub fn is_used_since(&self, before: &Self) -> bool {
        // What is only in `before` was forgotten because nobody used it.
        let is_new = |(key, now)| before.trace.get(key) != Some(now);
        self.waiting > 0 || self.busy > 0 || self.trace.iter().any(is_new)
    }
}
