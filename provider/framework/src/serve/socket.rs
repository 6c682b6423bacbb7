//! Where the provider listens: a socket that only its own user can reach.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// What a socket's address has room for, on the systems that give it least.
const PATH_BYTES_MAX: usize = 100;
/// Leftovers of killed processes with our process id that are stepped over.
const NAME_ATTEMPTS_MAX: u32 = 64;
/// Short, where the environment's directory for temporary files is too deep for a socket.
const LAST_RESORT: &str = "/tmp";

/// Why there is nowhere to listen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No private directory could be made.
    #[error("could not make a private directory for the socket in {}", parent.display())]
    Directory {
        /// Where it was tried.
        parent: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The directory is there, the socket is not.
    #[error("could not listen on {}", path.display())]
    Listen {
        /// The socket's path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The host would not find the socket again.
    #[error("the socket's path {} is longer than {PATH_BYTES_MAX} bytes or no text", path.display())]
    Path {
        /// The socket's path.
        path: PathBuf,
    },
}

/// A socket and the private directory around it. Both go when this value does.
#[derive(Debug)]
pub(super) struct Socket {
    directory: PathBuf,
    path: String,
}

impl Socket {
    /// Listens in a new directory under `wanted`, or under the one for temporary files. It is
    /// made with mode 0700 before the socket exists, so there is no moment for anyone else.
    pub(super) fn bind(wanted: Option<&Path>) -> Result<(Self, UnixListener), Error> {
        let parent = wanted.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let parent = if parent.as_os_str().len() + 40 > PATH_BYTES_MAX && wanted.is_none() {
            PathBuf::from(LAST_RESORT)
        } else {
            parent
        };
        let directory = private_directory(&parent, std::process::id())?;
        let path = directory.join("socket");
        let socket = match path.to_str() {
            Some(text) if text.len() <= PATH_BYTES_MAX => Self {
                path: text.to_owned(),
                directory,
            },
            _ => {
                // The answer is the error below; an empty directory is all that may stay behind.
                let _ = fs::remove_dir(&directory);
                return Err(Error::Path { path });
            }
        };
        let listener =
            UnixListener::bind(&path).map_err(|source| Error::Listen { path, source })?;
        Ok((socket, listener))
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let removed = fs::remove_file(&self.path).and_then(|()| fs::remove_dir(&self.directory));
        if let Err(error) = removed {
            tracing::warn!(path = self.path, "could not remove the socket: {error}");
        }
    }
}

/// The name needs no chance in it: making a directory that exists fails, whoever made it.
fn private_directory(parent: &Path, process: u32) -> Result<PathBuf, Error> {
    let mut attempt = 0;
    loop {
        let directory = parent.join(format!("provider-{process}-{attempt}"));
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && attempt < NAME_ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            Err(source) => {
                let parent = parent.to_path_buf();
                return Err(Error::Directory { parent, source });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn the_directory_is_private_and_goes_with_the_socket() {
        let parent = tempfile::tempdir().unwrap();
        let (socket, _listener) = Socket::bind(Some(parent.path())).unwrap();
        let directory = Path::new(socket.path()).parent().unwrap().to_path_buf();
        let mode = fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(socket);
        assert!(!directory.exists());
    }

    #[tokio::test]
    async fn leftovers_of_a_killed_process_are_stepped_over() {
        let parent = tempfile::tempdir().unwrap();
        let first = private_directory(parent.path(), 7).unwrap();
        let second = private_directory(parent.path(), 7).unwrap();
        assert_ne!(first, second);
    }

    #[tokio::test]
    async fn a_path_that_no_host_could_use_is_an_error() {
        let parent = tempfile::tempdir().unwrap();
        let deep = parent.path().join("d".repeat(100));
        fs::create_dir(&deep).unwrap();
        assert!(matches!(Socket::bind(Some(&deep)), Err(Error::Path { .. })));
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 0);
    }
}
