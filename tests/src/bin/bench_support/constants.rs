//! What a server of our own is measured against: a bare axum handler in a process of its own, with
//! constants of the same size.

use super::plain::{Outcome, Target};
use axum::Router;
use axum::http::header;
use axum::routing::get;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The argument by which a bench becomes the server of constants.
pub const SERVE: &str = "--serve-constants";

/// The server of constants, for as long as the bench runs.
pub struct Constants {
    child: Child,
    /// Where it is.
    pub target: Target,
}

impl Constants {
    /// Starts this very program as one; its `main` hands [`SERVE`] on to [`serve`].
    pub fn start(folder: &TempDir) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let told = child.stdout.take().ok_or("it says nothing")?;
        let mut address = String::new();
        BufReader::new(told).read_line(&mut address)?;
        let target = Target {
            address: address.trim().to_owned(),
            headers: String::new(),
        };
        Ok(Self { child, target })
    }
}

impl Drop for Constants {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves each file of the folder under its name, with as many threads as berthd has.
pub fn serve(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut router = Router::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let body: &'static [u8] = std::fs::read(entry.path())?.leak();
        let path = format!("/{}", entry.file_name().to_string_lossy());
        let kind = [(header::CONTENT_TYPE, "application/json")];
        router = router.route(&path, get(move || async move { (kind, body) }));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        axum::serve(listener, router).await?;
        Ok(())
    })
}
