//! A directory that gets a file system in memory of its own, under those who read there.

use crate::host::{self, Owner};
use crate::volatile::{MOUNTING, is_in_memory, is_mount, mount};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// Makes `path` a file system in memory of its own: what fills it takes no room from anything
/// else. What stood there in a directory that was none is there afterwards, and at each moment
/// between. May be said again and at the same time.
pub fn own_memory(path: &Path) -> io::Result<()> {
    let _alone = MOUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    host::directory(path, Owner::PRIVATE)?;
    match (is_mount(path)?, is_in_memory(path)?) {
        (true, true) => return clear(path),
        (true, false) => return Err(io::Error::other("what is mounted there is not in memory")),
        (false, _) => {}
    }
    clear(path)?;
    let put = put(path);
    put.and(clear(path))
}

/// Fills a new file system aside and puts it over what stands at `path`.
fn put(path: &Path) -> io::Result<()> {
    let aside = aside(path);
    host::directory(&aside, Owner::PRIVATE)?;
    mount(&aside)?;
    copy_all(path, &aside)?;
    // Moving it would be refused where mounts are shared, as under systemd.
    Ok(mount_bind(&aside, path)?)
}

/// Where the new file system is filled, and what lies under it is reached. As long as that
/// directory is there, something is left to be done.
fn aside(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    aside.into()
}

/// Takes away what making a file system at `path` leaves, or left when it was interrupted: what
/// lies under it, and the place aside. The caller holds `MOUNTING`.
pub(crate) fn clear(path: &Path) -> io::Result<()> {
    let (aside, Some(parent), Some(name)) = (aside(path), path.parent(), path.file_name()) else {
        return Ok(());
    };
    if !aside.try_exists()? {
        return Ok(());
    }
    nothing_mounted(&aside)?;
    if path.try_exists()? && is_mount(path)? {
        // Without what is mounted below the parent.
        mount_bind(parent, &aside)?;
        for hidden in fs::read_dir(aside.join(name))? {
            let hidden = hidden?;
            match hidden.file_type()?.is_dir() {
                true => host::no_tree(&hidden.path())?,
                false => host::absent(&hidden.path())?,
            }
        }
        nothing_mounted(&aside)?;
    }
    fs::remove_dir(&aside)
}

/// Takes away every file system that is mounted at `path`.
fn nothing_mounted(path: &Path) -> io::Result<()> {
    loop {
        match unmount(path, UnmountFlags::DETACH) {
            Ok(()) => {}
            // Nothing is.
            Err(Errno::INVAL) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Copies the files and directories in `from` into `to`, which stay their owners'.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (copy, about) = (to.join(entry.file_name()), entry.metadata()?);
        if about.is_dir() {
            DirBuilder::new().mode(0o700).create(&copy)?;
            copy_all(&entry.path(), &copy)?;
        } else if about.is_file() {
            let mut options = File::options();
            options.write(true).create_new(true);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            io::copy(&mut File::open(entry.path())?, &mut options.open(&copy)?)?;
        } else {
            continue;
        }
        chown(&copy, Some(about.uid()), Some(about.gid()))?;
        fs::set_permissions(&copy, Permissions::from_mode(about.mode() & 0o7777))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volatile::withdraw;
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Says why something is not tested, past libtest, which hides what a passing test prints.
    /// Where `BERTH_TESTS_MUST_RUN` promises all that a test may ask for, as `scripts/test` does,
    /// it fails.
    fn not_run(reason: &str) {
        let promised = std::env::var_os("BERTH_TESTS_MUST_RUN").is_some();
        assert!(!promised, "not run: {reason}");
        // Whole, so that the line stays one; nothing is left to be done where nobody listens.
        let _ = std::io::stderr().write_all(format!("not run: {reason}\n").as_bytes());
    }

    /// A directory in memory with one project's file from before.
    struct Scene {
        run: PathBuf,
        env: PathBuf,
        file: PathBuf,
        _root: tempfile::TempDir,
    }

    impl Scene {
        /// None where this process may not mount.
        fn set() -> Option<Self> {
            let root = tempfile::tempdir().unwrap();
            let run = root.path().join("run");
            fs::create_dir(&run).unwrap();
            if let Err(error) = mount(&run) {
                not_run(&format!("nothing can be mounted: {error}"));
                return None;
            }
            let (env, file) = (run.join("env"), run.join("env/shop/dotenv"));
            fs::create_dir_all(env.join("shop")).unwrap();
            fs::write(&file, "A=b").unwrap();
            for (path, mode) in [(env.join("shop"), 0o750), (file.clone(), 0o640)] {
                chown(&path, Some(999), Some(998)).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            }
            Some(Self {
                run,
                env,
                file,
                _root: root,
            })
        }

        /// The file is as it was, in a file system of its own, and nothing is beside or under it.
        fn is_whole(&self) {
            assert!(is_mount(&self.env).unwrap() && is_in_memory(&self.env).unwrap());
            assert_eq!(fs::read_to_string(&self.file).unwrap(), "A=b");
            for (path, mode) in [(self.env.join("shop"), 0o750), (self.file.clone(), 0o640)] {
                let about = fs::metadata(&path).unwrap();
                let is = (about.uid(), about.gid(), about.mode() & 0o7777);
                assert_eq!(is, (999, 998, mode), "{}", path.display());
            }
            assert_eq!(host::names(&self.run).unwrap(), ["env"]);
            unmount(&self.env, UnmountFlags::DETACH).unwrap();
            assert_eq!(host::names(&self.env).unwrap(), Vec::<String>::new());
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            for path in [&self.env, &aside(&self.env), &self.run] {
                let _none = nothing_mounted(path);
            }
        }
    }

    #[test]
    fn who_reads_there_never_misses_a_file() {
        let Some(scene) = Scene::set() else { return };
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reads = scope.spawn(|| {
                let mut missed = 0;
                while !is_done.load(Ordering::SeqCst) {
                    missed += u32::from(!fs::read(&scene.file).is_ok_and(|text| text == b"A=b"));
                }
                missed
            });
            let made = own_memory(&scene.env).and_then(|()| own_memory(&scene.env));
            is_done.store(true, Ordering::SeqCst);
            made.unwrap();
            assert_eq!(reads.join().unwrap(), 0);
        });
        scene.is_whole();
    }

    #[test]
    fn what_was_interrupted_is_brought_to_its_end() {
        // While it was filled: that one is not whole.
        let Some(scene) = Scene::set() else { return };
        let aside = aside(&scene.env);
        fs::create_dir(&aside).unwrap();
        mount(&aside).unwrap();
        fs::create_dir(aside.join("half")).unwrap();
        own_memory(&scene.env).unwrap();
        scene.is_whole();

        // Once it was in its place, with what it was filled from under it.
        for looks_under in [false, true] {
            let Some(scene) = Scene::set() else { return };
            let aside = super::aside(&scene.env);
            fs::create_dir(&aside).unwrap();
            mount(&aside).unwrap();
            copy_all(&scene.env, &aside).unwrap();
            mount_bind(&aside, &scene.env).unwrap();
            if looks_under {
                nothing_mounted(&aside).unwrap();
                mount_bind(&scene.run, &aside).unwrap();
            }
            own_memory(&scene.env).unwrap();
            scene.is_whole();
        }
    }

    #[test]
    fn what_is_withdrawn_leaves_nothing_that_was_interrupted() {
        let Some(scene) = Scene::set() else { return };
        let aside = aside(&scene.env);
        fs::create_dir(&aside).unwrap();
        mount(&aside).unwrap();
        mount_bind(&aside, &scene.env).unwrap();
        withdraw(&scene.env).unwrap();
        assert_eq!(host::names(&scene.run).unwrap(), Vec::<String>::new());
    }
}
