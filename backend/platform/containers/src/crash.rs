//! Places at which this program can be made to die, to prove that it may.

/// Every crash point of this crate, in the order in which a life passes them. Each effect
/// on the outside has one before and one after it. What sweeps away what a crash has left has
/// none: it is done again from the beginning.
pub const ALL_CRASH_POINTS: &[&str] = &[
    "spare.run.before",
    "spare.run.after",
    "spare.keep.before",
    "spare.keep.after",
    "data.await.before",
    "data.await.after",
    "data.claim.before",
    "data.claim.after",
    "data.confirm.before",
    "data.confirm.after",
    "spare.stop.before",
    "spare.stop.after",
    "spare.remove.before",
    "spare.remove.after",
    "record.write.before",
    "record.write.after",
    "network.create.before",
    "network.create.after",
    "memory.make.before",
    "memory.make.after",
    "memory.mount.before",
    "memory.mount.after",
    "files.write.before",
    "files.write.after",
    "container.create.before",
    "container.create.after",
    "container.attach.before",
    "container.attach.after",
    "container.start.before",
    "container.start.after",
    "container.signal.before",
    "container.signal.after",
    "container.stop.before",
    "container.stop.after",
    "container.remove.before",
    "container.remove.after",
    "files.remove.before",
    "files.remove.after",
    "network.remove.before",
    "network.remove.after",
    "memory.unmount.before",
    "memory.unmount.after",
    "memory.remove.before",
    "memory.remove.after",
    "data.trash.before",
    "data.trash.after",
    "data.restore.before",
    "data.restore.after",
    "data.purge.before",
    "data.purge.after",
];

/// Whether this program was built with crash points.
pub const fn crashes_are_possible() -> bool {
    cfg!(feature = "failpoints")
}

/// In this crate's own tests a crash is a panic: what was under way ends there, and the
/// test goes on with a new platform over the same fake and the same directories.
#[cfg(test)]
pub(crate) mod armed {
    use std::sync::{Mutex, PoisonError};

    static ARMED: Mutex<Option<&'static str>> = Mutex::new(None);

    /// Held by each test that passes crash points: what one of them arms would end another.
    pub(crate) static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    /// The next passing of `point` is a crash.
    pub(crate) fn arm(point: &'static str) {
        *ARMED.lock().unwrap_or_else(PoisonError::into_inner) = Some(point);
    }

    /// Whether the crash is still to come; it no longer is afterwards.
    pub(crate) fn disarm() -> bool {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        armed.take().is_some()
    }

    pub(super) fn pass(point: &'static str) {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        if *armed == Some(point) {
            *armed = None;
            drop(armed);
            panic!("crashed at {point}");
        }
    }
}

#[cfg(test)]
pub(crate) fn crash_point(point: &'static str) {
    armed::pass(point);
}

/// Dies by SIGKILL when `BERTH_CRASH_AT` is `point`, or `point:n` at the n-th passing.
#[cfg(all(feature = "failpoints", not(test)))]
pub(crate) fn crash_point(point: &'static str) {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    static PASSED: Mutex<BTreeMap<&str, u32>> = Mutex::new(BTreeMap::new());

    let Ok(wanted) = std::env::var("BERTH_CRASH_AT") else {
        return;
    };
    let (name, nth) = match wanted.rsplit_once(':') {
        Some((name, count)) => (name, count.parse().unwrap_or(1)),
        None => (wanted.as_str(), 1),
    };
    if name != point {
        return;
    }
    let Ok(mut passed) = PASSED.lock() else {
        return;
    };
    let count = passed.entry(point).or_insert(0);
    *count += 1;
    if *count == nth {
        let own = rustix::process::getpid();
        // Nothing is left to be done about a signal that cannot be sent.
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
    }
}

/// Does nothing in a release.
#[cfg(not(any(feature = "failpoints", test)))]
pub(crate) fn crash_point(_point: &'static str) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_names_exactly_the_points_of_the_sources() {
        let mut directories = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut found = BTreeSet::new();
        while let Some(directory) = directories.pop() {
            for file in std::fs::read_dir(directory).unwrap() {
                let path = file.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(path).unwrap();
                for rest in text.split(concat!("crash_point", "(\"")).skip(1) {
                    found.insert(rest.split('"').next().unwrap().to_owned());
                }
            }
        }
        let listed: BTreeSet<_> = ALL_CRASH_POINTS.iter().map(|p| (*p).to_owned()).collect();
        assert_eq!(found, listed);
    }
}
