//! The directory of an installation: who it is, its root key, its lock.

use berth_domain::{InstallationId, Secret};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a data root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory in it could not be handled.
    #[error("could not {act} {}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Somebody else has it.
    #[error(
        "another berthd works on {} (its lock is held); stop that one, or give this one a data root of its own",
        path.display()
    )]
    Locked {
        /// The data root.
        path: PathBuf,
    },
    /// It is a copy, and what it was copied from is still there.
    #[error(
        "{} is a copy of {}, which is still there: both are the installation {installation} and would take each other's containers. To go on with this one, stop the other for good and remove it (its file {} is enough); to look into a copy, give it to nobody while the other runs",
        path.display(), original.display(), original.join(INSTALLATION).display()
    )]
    Copied {
        /// The copy.
        path: PathBuf,
        /// Where the installation was before.
        original: PathBuf,
        /// The installation that both say they are.
        installation: InstallationId,
    },
    /// A file does not hold what it should.
    #[error("{} does not hold {expected}; restore the file from your copy", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was expected in it.
        expected: &'static str,
    },
    /// The store is there and its key is not.
    #[error(
        "the root key {} is missing, though the store was made with one; restore the file from your copy, since nothing that is sealed can be read without it, or give this data root a store of its own",
        path.display()
    )]
    KeyMissing {
        /// Where the key should be.
        path: PathBuf,
    },
}

fn io_error(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { act, path, source }
}

/// The file that says which installation a data root is.
const INSTALLATION: &str = "installation";
/// The file that says where the data root was when it was opened last.
const PATH: &str = "path";

/// A data root that is this process's own for as long as the value lives.
pub struct DataRoot {
    path: PathBuf,
    installation: InstallationId,
    _lock: File,
}

impl DataRoot {
    /// Makes the directory when there is none, takes its lock, and reads who it is.
    /// `entropy` makes the id of a new installation.
    pub fn open(path: &Path, entropy: [u8; 4]) -> Result<Self, Error> {
        directory(path, 0o711)?;
        let lock_path = path.join("berthd.lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io_error("open", &lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(Error::Locked {
                    path: path.to_owned(),
                });
            }
            Err(errno) => return Err(io_error("lock", &lock_path)(errno.into())),
        }
        let file = path.join(INSTALLATION);
        let installation = match read(&file)? {
            Some(text) => InstallationId::parse(text.trim()).map_err(|_| Error::Content {
                path: file,
                expected: "an installation id (8 hexadecimal digits)",
            })?,
            None => {
                let id = InstallationId::from_entropy(entropy);
                write(&file, id.as_str(), 0o644)?;
                id
            }
        };
        expect_no_original(path, &installation)?;
        Ok(Self {
            path: path.to_owned(),
            installation,
            _lock: lock,
        })
    }

    /// Which installation this is.
    pub fn installation(&self) -> &InstallationId {
        &self.installation
    }

    /// A path inside.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Refuses a copy beside its original, and notes where the data root is.
///
/// Containers are known by the installation's id and hold their directories by path: whichever of
/// the two is started takes the other's away and goes on with its own, older or younger, data.
fn expect_no_original(path: &Path, installation: &InstallationId) -> Result<(), Error> {
    let own = fs::canonicalize(path).map_err(io_error("find", path))?;
    let text = own.to_string_lossy();
    let file = path.join(PATH);
    let known = read(&file)?;
    let known = known.as_deref().map(|text| text.trim_end_matches('\n'));
    if known == Some(&*text) {
        return Ok(());
    }
    if let Some(original) = known.map(Path::new)
        && !is_same_directory(original, &own)
        && read(&original.join(INSTALLATION))
            .is_ok_and(|found| found.is_some_and(|id| id.trim() == installation.as_str()))
    {
        return Err(Error::Copied {
            path: own,
            original: original.to_owned(),
            installation: installation.clone(),
        });
    }
    if let Err(error) = write(&file, &text, 0o644) {
        // No refusal: what is here runs on a full disk too, and the next start notes it.
        tracing::warn!(
            error = crate::chain(&error),
            "could not note where the data root is"
        );
    }
    Ok(())
}

/// Whether two paths lead to one directory, as those of a bind mount do.
fn is_same_directory(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((place(one), place(other)), (Ok(one), Ok(other)) if one == other)
}

/// The root key: from the file, or made of `entropy` when the installation is new.
///
/// `store_exists` tells a first start from a lost key.
pub fn root_key(path: &Path, store_exists: bool, entropy: [u8; 32]) -> Result<Secret, Error> {
    match read(path)? {
        Some(text) => Ok(Secret::new(text.trim())),
        None if store_exists => Err(Error::KeyMissing {
            path: path.to_owned(),
        }),
        None => {
            let key = Secret::new(hex::encode(entropy));
            write(path, key.reveal(), 0o600)?;
            Ok(key)
        }
    }
}

/// The mode of a file that more than its owner can read; none of one that is private or absent.
pub fn readable_by_others(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// The 32 bytes of a root key.
pub fn key_bytes(key: &Secret, origin: &Path) -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(key.reveal(), &mut bytes)
        .map(|()| bytes)
        .map_err(|_| Error::Content {
            path: origin.to_owned(),
            expected: "64 hexadecimal digits",
        })
}

/// Writes a file whole or not at all: aside, synced, then renamed into place.
pub fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let aside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(mode)
        .open(&aside)
        .map_err(io_error("write", &aside))?;
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(io_error("write", &aside))?;
    file.write_all(text.as_bytes())
        .map_err(io_error("write", &aside))?;
    file.write_all(b"\n").map_err(io_error("write", &aside))?;
    file.sync_all().map_err(io_error("sync", &aside))?;
    fs::rename(&aside, path).map_err(io_error("rename", &aside))?;
    match path.parent() {
        Some(parent) => File::open(parent)
            .and_then(|dir| dir.sync_all())
            .map_err(io_error("sync", parent)),
        None => Ok(()),
    }
}

/// The content of a file; none when there is no such file.
pub fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io_error("read", path)(e)),
    }
}

fn directory(path: &Path, mode: u32) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(io_error("make", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);
    impl Scratch {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("berth-data-root-{}-{name}", std::process::id()));
            let _absent = fs::remove_dir_all(&path);
            Self(path)
        }
    }
    impl Drop for Scratch {
        fn drop(&mut self) {
            let _absent = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_second_berthd_is_refused_and_the_first_keeps_its_id() {
        let scratch = Scratch::new("second");
        let first = DataRoot::open(&scratch.0, [1, 2, 3, 4]).unwrap();
        assert!(matches!(
            DataRoot::open(&scratch.0, [9; 4]),
            Err(Error::Locked { .. })
        ));
        assert_eq!(first.installation().as_str(), "01020304");
        drop(first);
        assert_eq!(
            DataRoot::open(&scratch.0, [9; 4])
                .unwrap()
                .installation()
                .as_str(),
            "01020304"
        );
    }

    #[test]
    fn a_copy_is_refused_while_its_original_is_there_and_what_was_moved_is_not() {
        let (original, copy) = (Scratch::new("original"), Scratch::new("copy"));
        drop(DataRoot::open(&original.0, [1, 2, 3, 4]).unwrap());
        fs::create_dir_all(&copy.0).unwrap();
        for name in [INSTALLATION, PATH] {
            fs::copy(original.0.join(name), copy.0.join(name)).unwrap();
        }
        let opened = || DataRoot::open(&copy.0, [9; 4]);
        let text = opened().map(|_| ()).unwrap_err().to_string();
        let named = [&copy.0, &original.0.join(INSTALLATION)];
        assert!(
            named
                .iter()
                .all(|path| text.contains(path.to_str().unwrap())),
            "{text}"
        );
        // Another installation has taken its place since: this one was moved away.
        fs::write(original.0.join(INSTALLATION), "0a0b0c0d\n").unwrap();
        assert_eq!(opened().unwrap().installation().as_str(), "01020304");
        // And is at home here now, whatever stands where it once was.
        fs::write(original.0.join(INSTALLATION), "01020304\n").unwrap();
        opened().unwrap();
    }

    #[test]
    fn one_directory_under_two_names_is_no_copy() {
        let (real, link) = (Scratch::new("real"), Scratch::new("link"));
        drop(DataRoot::open(&real.0, [1, 2, 3, 4]).unwrap());
        fs::write(real.0.join(PATH), format!("{}\n", link.0.display())).unwrap();
        std::os::unix::fs::symlink(&real.0, &link.0).unwrap();
        let opened = DataRoot::open(&real.0, [9; 4]).map(|_| ());
        fs::remove_file(&link.0).unwrap();
        opened.unwrap();
    }

    #[test]
    fn a_lost_key_is_not_made_anew() {
        let scratch = Scratch::new("key");
        fs::create_dir_all(&scratch.0).unwrap();
        let path = scratch.0.join("root.key");
        let error = root_key(&path, true, [7; 32]).unwrap_err();
        assert!(matches!(error, Error::KeyMissing { .. }), "{error}");
        let made = root_key(&path, false, [7; 32]).unwrap();
        assert_eq!(root_key(&path, true, [8; 32]).unwrap(), made);
        assert_eq!(key_bytes(&made, &path).unwrap(), [7; 32]);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(readable_by_others(&path), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(readable_by_others(&path), Some(0o640));
        fs::write(&path, "short").unwrap();
        let short = root_key(&path, true, [0; 32]).unwrap();
        assert!(matches!(
            key_bytes(&short, &path),
            Err(Error::Content { .. })
        ));
    }
}
