//! `berthd serve`: opens what is kept, joins the crates, listens, and stops in order.

use crate::clock::SystemClock;
use crate::config::Config;
use crate::connections::{self, Bounds, stopped};
use crate::data_root::{self, DataRoot};
use crate::say;
use crate::tls::Keeper;
use crate::wiring::{self, Installation};
use axum::Router;
use std::error::Error;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long requests and steps under way may take to end after the signal to stop.
const STOP_SECONDS_MAX: u64 = 5;
/// How long a request's head may take to arrive, and a connection lie idle between requests.
const HEAD_SECONDS_MAX: u64 = 60;

/// Serves until SIGTERM or SIGINT.
pub async fn run(config: Config) -> Result<(), Box<dyn Error>> {
    // What would end the start is tried before anything is made or changed.
    let listener = TcpListener::bind(config.edge.listen).await.map_err(|e| {
        format!(
            "could not listen on {}: {e}; name another address with --listen",
            config.edge.listen
        )
    })?;
    let root = DataRoot::open(&config.data_root, wiring::random())?;
    let (stop, stopping) = watch::channel(false);
    let installation = wiring::open(&config, &root, stopping.clone()).await?;
    let local = local_listener(&config.local_socket())?;

    let mut tasks = JoinSet::new();
    let Installation {
        router,
        local_router,
        control,
        authority,
        env_files,
    } = installation;
    let keeper = Keeper::open(&config.edge.tls, authority, Arc::new(SystemClock))?;
    let tls = keeper.as_ref().map(Keeper::acceptor).transpose()?;
    tasks.spawn({
        let stopped = stopped(stopping.clone());
        async move { control.run(stopped).await }
    });
    let address = listener.local_addr()?;
    let bounds = Bounds {
        connections_max: connections::places_max(),
        patience: Duration::from_secs(HEAD_SECONDS_MAX),
    };
    tasks.spawn(connections::serve(
        listener,
        router,
        tls,
        bounds,
        stopping.clone(),
    ));
    if let Some(env_files) = env_files {
        tasks.spawn(env_files.keep(stopping.clone()));
    }
    if let Some(keeper) = keeper {
        tasks.spawn({
            let stopping = stopping.clone();
            async move {
                if let Err(error) = keeper.keep(stopping).await {
                    tracing::error!(
                        error = crate::chain(&error),
                        "the certificate is kept no more"
                    );
                }
            }
        });
    }
    tasks.spawn(serve_unix(local, local_router, stopping));
    tracing::info!(%address, installation = %root.installation(), runtime = config.runtime.as_str(), "berthd serves");
    let scheme = config.edge.scheme();
    say(format_args!("berthd listens on {scheme}://{address}"));

    wait_for_the_end(&mut tasks).await?;
    let _nobody_listens = stop.send(true);
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(STOP_SECONDS_MAX), all_ended)
        .await
        .is_err()
    {
        // Every step survives being cut off; a client that holds its connection must not keep
        // berthd from ending.
        tracing::info!("some requests were cut off");
    }
    let _gone = std::fs::remove_file(config.local_socket());
    Ok(())
}

/// Returns at the first signal, or when a task that should last has ended by itself.
async fn wait_for_the_end(tasks: &mut JoinSet<()>) -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        ended = tasks.join_next() => {
            return Err(match ended {
                Some(Err(e)) => format!("a part of berthd failed: {e}").into(),
                _ => "a part of berthd ended by itself".into(),
            });
        }
    }
    tracing::info!("berthd stops");
    Ok(())
}

async fn serve_unix(listener: UnixListener, router: Router, stopping: watch::Receiver<bool>) {
    if let Err(error) = axum::serve(listener, router)
        .with_graceful_shutdown(stopped(stopping))
        .await
    {
        tracing::error!(%error, "the command line's listener failed");
    }
}

/// The command line's socket. The lock of the data root is held, so a file that is there was
/// left by a berthd that died.
fn local_listener(path: &Path) -> Result<UnixListener, data_root::Error> {
    let failed = |act, path: &Path| {
        let path: PathBuf = path.to_owned();
        move |source| data_root::Error::Io { act, path, source }
    };
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed("remove the old socket", path)(e)),
    }
    let listener = UnixListener::bind(path).map_err(failed("listen on", path))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(failed("protect", path))?;
    Ok(listener)
}
