//! What a power cut would take of the acts on the host, so that tests can ask.
//!
//! The model is the weakest that a file system may be: what was written is on disk once the
//! file is synced, and a name is once its directory is.

use std::path::Path;

/// Something that was done on a file system.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests read what is told"))]
pub(crate) enum Act<'a> {
    /// A file was written, and is there by this name.
    Written(&'a Path),
    /// A directory was made.
    Named(&'a Path),
    /// Something got another name, with all below it.
    Renamed(&'a Path, &'a Path),
    /// Something was removed, with all below it.
    Gone(&'a Path),
    /// What a file or a directory holds was synced; not what is below the directory.
    Synced(&'a Path),
    /// The whole file system was, that holds this.
    AllSynced(&'a Path),
}

/// Tells whoever watches what was done; nobody does outside of tests.
#[cfg(not(test))]
pub(crate) fn note(_act: Act<'_>) {}

#[cfg(test)]
pub(crate) use watched::{Watch, note};

#[cfg(test)]
mod watched {
    use super::Act;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    static DISKS: Mutex<BTreeMap<PathBuf, Disk>> = Mutex::new(BTreeMap::new());

    fn disks() -> MutexGuard<'static, BTreeMap<PathBuf, Disk>> {
        DISKS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(act: Act<'_>) {
        for (root, disk) in disks().iter_mut() {
            disk.take_in(root, act);
        }
    }

    /// What is not on disk yet below a watched directory.
    #[derive(Default)]
    struct Disk {
        /// Files by their content, directories by the names in them.
        unsynced: BTreeSet<PathBuf>,
        /// Names that were given to what a power cut could still have taken.
        early: Vec<String>,
    }

    impl Disk {
        fn take_in(&mut self, root: &Path, act: Act<'_>) {
            match act {
                Act::Written(file) => {
                    self.unsynced.insert(file.to_owned());
                    self.names_change_beside(file);
                }
                Act::Named(directory) => self.names_change_beside(directory),
                Act::Renamed(from, to) => self.rename(from, to),
                Act::Gone(path) => {
                    self.unsynced.retain(|unsynced| !unsynced.starts_with(path));
                    self.names_change_beside(path);
                }
                Act::Synced(path) => {
                    self.unsynced.remove(path);
                }
                Act::AllSynced(path) if path.starts_with(root) => self.unsynced.clear(),
                Act::AllSynced(_) => {}
            }
            self.unsynced.retain(|unsynced| unsynced.starts_with(root));
        }

        fn names_change_beside(&mut self, path: &Path) {
            self.unsynced.extend(path.parent().map(Path::to_owned));
        }

        fn rename(&mut self, from: &Path, to: &Path) {
            let (moved, kept): (BTreeSet<_>, _) = std::mem::take(&mut self.unsynced)
                .into_iter()
                .partition(|unsynced| unsynced.starts_with(from));
            self.unsynced = kept;
            if !moved.is_empty() {
                self.early
                    .push(format!("{} was named before {moved:?}", to.display()));
            }
            for below in moved.iter().filter_map(|path| path.strip_prefix(from).ok()) {
                // Joining nothing would end in a slash.
                let moved = match below.as_os_str().is_empty() {
                    true => to.to_owned(),
                    false => to.join(below),
                };
                self.unsynced.insert(moved);
            }
            self.names_change_beside(from);
            self.names_change_beside(to);
        }
    }

    /// Watches what is done below a directory, for as long as it lives.
    pub(crate) struct Watch(PathBuf);

    impl Watch {
        pub(crate) fn over(root: &Path) -> Self {
            disks().insert(root.to_owned(), Disk::default());
            Self(root.to_owned())
        }

        /// What a power cut could take at this moment of what is at `path` and below it.
        pub(crate) fn unsynced(&self, path: &Path) -> Vec<PathBuf> {
            let disks = disks();
            let all = disks.get(&self.0).into_iter().flat_map(|d| &d.unsynced);
            all.filter(|unsynced| unsynced.starts_with(path))
                .cloned()
                .collect()
        }

        /// The names that were given too early.
        pub(crate) fn early(&self) -> Vec<String> {
            disks()
                .get(&self.0)
                .map(|disk| disk.early.clone())
                .unwrap_or_default()
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            disks().remove(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_on_disk_once_its_directory_is() {
        let root = Path::new("/watched");
        let watch = Watch::over(root);
        let (old, new) = (root.join("a/old"), root.join("b/new"));
        note(Act::Written(&old));
        note(Act::Written(Path::new("/elsewhere/x")));
        assert_eq!(watch.unsynced(root), [root.join("a"), old.clone()]);
        note(Act::Synced(&old));
        note(Act::Renamed(&old, &new));
        assert_eq!(watch.early(), Vec::<String>::new());
        assert_eq!(watch.unsynced(root), [root.join("a"), root.join("b")]);
        note(Act::Synced(&root.join("b")));
        assert_eq!(
            watch.unsynced(&root.join("b")),
            Vec::<std::path::PathBuf>::new()
        );
        note(Act::Written(&new));
        note(Act::Renamed(&root.join("b"), &root.join("c")));
        assert_eq!(watch.early().len(), 1);
        assert_eq!(
            watch.unsynced(&root.join("c")),
            [root.join("c"), root.join("c/new")]
        );
        note(Act::AllSynced(&root.join("c")));
        assert_eq!(watch.unsynced(root), Vec::<std::path::PathBuf>::new());
    }
}
