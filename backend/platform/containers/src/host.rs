//! Directories and files of the host: small acts that may be repeated.

use crate::power_cut::{Act, note};
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

/// The user and group that engines and poolers run as in every image.
pub(crate) const SERVICE: u32 = 999;
/// The host's administrator.
pub(crate) const ROOT: u32 = 0;

/// Who may do what with a directory or a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub user: u32,
    pub group: u32,
    pub mode: u32,
}

impl Owner {
    /// For berthd alone.
    pub(crate) const PRIVATE: Self = Self {
        user: ROOT,
        group: ROOT,
        mode: 0o700,
    };
    /// What holds an engine's data: the service goes through it and leaves it as it is.
    pub(crate) const HOME: Self = Self {
        user: ROOT,
        group: SERVICE,
        mode: 0o750,
    };
    /// Data of an engine: engines refuse directories that others can enter.
    pub(crate) const DATA: Self = Self {
        user: SERVICE,
        group: SERVICE,
        mode: 0o700,
    };
    /// Sockets: made by the service, used by it and by berthd.
    pub(crate) const SOCKETS: Self = Self {
        user: SERVICE,
        group: SERVICE,
        mode: 0o710,
    };
    /// Configuration: written by berthd, read by the service.
    pub(crate) const CONFIG: Self = Self {
        user: ROOT,
        group: SERVICE,
        mode: 0o750,
    };
    /// A file of the configuration.
    pub(crate) const CONFIG_FILE: Self = Self {
        user: ROOT,
        group: SERVICE,
        mode: 0o640,
    };
}

/// Whether this process may give files away. Only a test runs without the right.
fn may_chown() -> bool {
    rustix::process::geteuid().is_root()
}

fn own(path: &Path, owner: Owner) -> io::Result<()> {
    if may_chown() {
        chown(path, Some(owner.user), Some(owner.group))?;
    }
    fs::set_permissions(path, Permissions::from_mode(owner.mode))
}

/// Makes the directory with its parents, and gives it to its owner.
pub(crate) fn directory(path: &Path, owner: Owner) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => note(Act::Named(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path)?;
            note(Act::Named(path));
        }
        Err(error) => return Err(error),
    }
    own(path, owner)
}

/// Puts `content` into the file at once: a reader sees the old or the new, never a part.
/// Answers whether anything changed. For files in memory: after a power cut there may be an
/// empty one.
pub(crate) fn file(path: &Path, content: &[u8], owner: Owner) -> io::Result<bool> {
    replace(path, content, owner, |_| Ok(()))
}

/// The same for a file on disk: also after a power cut it holds the old or the new. Which of
/// both is settled once the caller has synced the directory.
pub(crate) fn lasting_file(path: &Path, content: &[u8], owner: Owner) -> io::Result<bool> {
    replace(path, content, owner, sync)
}

fn replace(
    path: &Path,
    content: &[u8],
    owner: Owner,
    before_it_is_named: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<bool> {
    match fs::read(path) {
        Ok(found) if found == content => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    // The rest of an interrupted call may still be there, with another owner.
    absent(&aside)?;
    let mut options = File::options();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    file.write_all(content)?;
    drop(file);
    note(Act::Written(&aside));
    own(&aside, owner)?;
    before_it_is_named(&aside)?;
    fs::rename(&aside, path)?;
    note(Act::Renamed(&aside, path));
    Ok(true)
}

/// Removes a file; nothing there is fine.
pub(crate) fn absent(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {
            note(Act::Gone(path));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits until what the directory or file holds survives a power cut.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    note(Act::Synced(path));
    Ok(())
}

/// Waits until the whole file system that holds `path` survives a power cut: for a tree of
/// a thousand files that is much faster than one call for each.
pub(crate) fn sync_file_system(path: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(path)?)?;
    note(Act::AllSynced(path));
    Ok(())
}

/// Gives a directory another place; `false` when there was nothing at `from`. The caller
/// syncs the new parent.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => {
            note(Act::Renamed(from, to));
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives a directory another place, and waits until that survives a power cut; `false` when
/// there was nothing at `from`.
pub(crate) fn relocate(from: &Path, to: &Path) -> io::Result<bool> {
    if !rename(from, to)? {
        return Ok(false);
    }
    for parent in [to.parent(), from.parent()].into_iter().flatten() {
        sync(parent)?;
    }
    Ok(true)
}

/// Removes a tree; nothing there is fine.
pub(crate) fn no_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => {
            note(Act::Gone(path));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether files in the directory can be copied by reference: tried, not guessed.
pub fn copies_by_reference(directory: &Path) -> io::Result<bool> {
    let from = directory.join(format!(".berth-probe-{}", std::process::id()));
    let to = from.with_extension("copy");
    absent(&to)?;
    fs::write(&from, b"probe")?;
    let copied = reflink_copy::reflink(&from, &to).is_ok();
    absent(&to)?;
    absent(&from)?;
    Ok(copied)
}

/// The names in a directory; none when it does not exist.
pub(crate) fn names(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_only_when_it_differs() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x");
        let owner = Owner {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
            mode: 0o640,
        };
        fs::write(root.path().join("x.new"), "left over").unwrap();
        assert!(file(&path, b"one", owner).unwrap());
        assert!(!file(&path, b"one", owner).unwrap());
        assert!(file(&path, b"two", owner).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(root.path()).unwrap(), ["x"]);
    }

    #[test]
    fn moving_what_is_not_there_says_so() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("a"), root.path().join("b"));
        assert!(!relocate(&from, &to).unwrap());
        fs::create_dir(&from).unwrap();
        assert!(relocate(&from, &to).unwrap());
        assert!(to.is_dir() && !from.exists());
    }
}
