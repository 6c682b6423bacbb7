//! What an instance has in memory: configuration, keys, sockets.

use crate::crash::crash_point;
use crate::host::{self, Owner};
use crate::own_memory;
use crate::workload::Wanted;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Held while a directory is mounted or taken away: a second file system over the first would
/// hide what stands there.
pub(crate) static MOUNTING: Mutex<()> = Mutex::new(());

/// The file beside a configuration that says which one the process was last told. It is
/// written after the telling, so a crash in between only tells it once more.
fn told_file(wanted: &Wanted) -> PathBuf {
    wanted.config.with_extension("told")
}

/// What that file says when the directories are others than the running process has mounted.
/// It sees nothing of what is written into these; only a new start helps.
const UNSEEN: &str = "unseen";

fn directories(wanted: &Wanted) -> impl Iterator<Item = &PathBuf> {
    std::iter::once(&wanted.config).chain(&wanted.sockets)
}

/// Notes when directories are gone that a container mounts. To be said before any of them is
/// made again: from then on nothing else tells.
pub(crate) fn note_lost(wanted: &Wanted) -> io::Result<()> {
    for directory in directories(wanted) {
        if directory.try_exists()? {
            continue;
        }
        if let Some(parent) = wanted.config.parent() {
            host::directory(parent, Owner::PRIVATE)?;
        }
        return host::file(&told_file(wanted), UNSEEN.as_bytes(), Owner::PRIVATE).map(drop);
    }
    Ok(())
}

/// Whether a process that runs sees other directories than those that are there.
pub(crate) fn is_unseen(wanted: &Wanted) -> bool {
    says(wanted, UNSEEN)
}

/// Forgets that, since whatever starts from now on mounts those that are there.
pub(crate) fn will_be_seen(wanted: &Wanted) -> io::Result<()> {
    host::absent(&told_file(wanted))
}

fn says(wanted: &Wanted, text: &str) -> bool {
    std::fs::read_to_string(told_file(wanted)).is_ok_and(|told| told == text)
}

/// Writes the configuration and makes the directories that a container mounts.
pub(crate) fn write(wanted: &Wanted) -> io::Result<()> {
    if let Some(parent) = wanted.config.parent() {
        host::directory(parent, Owner::PRIVATE)?;
    }
    host::directory(&wanted.config, Owner::CONFIG)?;
    for sockets in &wanted.sockets {
        host::directory(sockets, Owner::SOCKETS)?;
    }
    for file in &wanted.files {
        let path = wanted.config.join(file.name);
        host::file(&path, file.content.reveal().as_bytes(), Owner::CONFIG_FILE)?;
    }
    Ok(())
}

/// Whether the running process already knows its configuration and its limits.
pub(crate) fn is_told(wanted: &Wanted) -> bool {
    says(wanted, &wanted.live)
}

/// Remembers that it does.
pub(crate) fn told(wanted: &Wanted) -> io::Result<()> {
    host::file(&told_file(wanted), wanted.live.as_bytes(), Owner::PRIVATE).map(drop)
}

/// How much a file system in memory may hold. It takes what its files need and no more.
const SIZE: &std::ffi::CStr = c"mode=0700,size=256m";

/// Makes `path` a directory whose files are in memory only: keys, verifiers and sockets go
/// there. May be said again and at the same time.
pub fn in_memory(path: &Path) -> io::Result<()> {
    let _alone = MOUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    host::directory(path, Owner::PRIVATE)?;
    if is_in_memory(path)? {
        return Ok(());
    }
    mount(path)
}

/// Mounts an empty file system in memory at `path`.
pub(crate) fn mount(path: &Path) -> io::Result<()> {
    rustix::mount::mount(
        "berth",
        path,
        "tmpfs",
        rustix::mount::MountFlags::NOSUID
            | rustix::mount::MountFlags::NODEV
            | rustix::mount::MountFlags::NOEXEC,
        SIZE,
    )?;
    Ok(())
}

/// Whether a file system of its own is mounted at `path`.
pub(crate) fn is_mount(path: &Path) -> io::Result<bool> {
    let Some(parent) = path.parent() else {
        return Ok(false);
    };
    Ok(rustix::fs::stat(path)?.st_dev != rustix::fs::stat(parent)?.st_dev)
}

/// Whether files at `path` are in memory only.
pub(crate) fn is_in_memory(path: &Path) -> io::Result<bool> {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    const RAMFS_MAGIC: u64 = 0x8584_58f6;
    let kind = rustix::fs::statfs(path)?.f_type;
    let kind = u64::try_from(kind).unwrap_or_default();
    Ok(kind == TMPFS_MAGIC || kind == RAMFS_MAGIC)
}

/// Takes the directory away once it holds nothing, with the file system that `in_memory`
/// put there. Others still using it is fine: it stays.
pub fn withdraw(path: &Path) -> io::Result<()> {
    let _alone = MOUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    own_memory::clear(path)?;
    if !path.exists() || !host::names(path)?.is_empty() {
        return Ok(());
    }
    let is_mount = is_mount(path)?;
    crash_point("memory.unmount.before");
    if is_mount {
        rustix::mount::unmount(path, rustix::mount::UnmountFlags::empty())?;
    }
    crash_point("memory.unmount.after");
    crash_point("memory.remove.before");
    std::fs::remove_dir(path)?;
    crash_point("memory.remove.after");
    Ok(())
}
