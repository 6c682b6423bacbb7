//! `berthd serve`: opens what is kept, joins the crates, listens, and stops in order.

use crate::config::Config;
use crate::data_root::{self, DataRoot};
use crate::say;
use crate::wiring::{self, Installation};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long requests and steps under way may take to end after the signal to stop.
const STOP_SECONDS_MAX: u64 = 5;
/// Clients that may be connected at once; the kernel lets further ones wait.
const CONNECTIONS_MAX: usize = 4096;
/// How long a request's head may take to arrive, and a connection lie idle between requests.
const HEAD_SECONDS_MAX: u64 = 60;
/// Pause after a connection could not be taken, such as for want of file descriptors.
const ACCEPT_RETRY_MILLIS: u64 = 100;

/// Serves until SIGTERM or SIGINT.
pub async fn run(config: Config) -> Result<(), Box<dyn Error>> {
    // What would end the start is tried before anything is made or changed.
    let listener = TcpListener::bind(config.listen).await.map_err(|e| {
        format!(
            "could not listen on {}: {e}; name another address with --listen",
            config.listen
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
    } = installation;
    tasks.spawn({
        let stopped = stopped(stopping.clone());
        async move { control.run(stopped).await }
    });
    let address = listener.local_addr()?;
    let patience = Duration::from_secs(HEAD_SECONDS_MAX);
    tasks.spawn(serve_tcp(listener, router, patience, stopping.clone()));
    tasks.spawn(serve_unix(local, local_router, stopping));
    tracing::info!(%address, installation = %root.installation(), runtime = config.runtime.as_str(), "berthd serves");
    say(format_args!("berthd listens on http://{address}"));

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

/// Serves HTTP/1.1 to a bounded number of clients, none of which keeps its place by silence:
/// `axum::serve` bounds neither.
async fn serve_tcp(
    listener: TcpListener,
    router: Router,
    patience: Duration,
    stopping: watch::Receiver<bool>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience);
    let mut connections = JoinSet::new();
    let mut end = pin!(stopped(stopping.clone()));
    loop {
        let accepted = tokio::select! {
            () = &mut end => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let (http, router, stopping) = (http.clone(), router.clone(), stopping.clone());
                connections.spawn(serve_client(http, stream, address, router, stopping));
            }
            Err(error) => {
                tracing::warn!(%error, "could not take a connection");
                tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MILLIS)).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve_client(
    http: http1::Builder,
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    stopping: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(address));
        router.call(request)
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopped(stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, %address, "a connection ended early");
    }
}

async fn serve_unix(listener: UnixListener, router: Router, stopping: watch::Receiver<bool>) {
    if let Err(error) = axum::serve(listener, router)
        .with_graceful_shutdown(stopped(stopping))
        .await
    {
        tracing::error!(%error, "the command line's listener failed");
    }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end too.
    let _gone = stopping.wait_for(|stop| *stop).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn read(mut stream: TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_silent_client_loses_its_place_and_others_are_served_to_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let who = |ConnectInfo(client): ConnectInfo<SocketAddr>| async move { client.to_string() };
        let router = Router::new().route("/", get(who));
        let (stop, stopping) = watch::channel(false);
        let patience = Duration::from_millis(200);
        let serving = tokio::spawn(serve_tcp(listener, router, patience, stopping));

        let silent = TcpStream::connect(address).await.unwrap();
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        let mut speaking = TcpStream::connect(address).await.unwrap();
        let name = speaking.local_addr().unwrap().to_string();
        speaking
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        // All three end by the server's doing, the last after its answer.
        assert_eq!(read(silent).await, "");
        assert!(!read(half).await.contains("200 OK"));
        let answer = read(speaking).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(&name),
            "{answer}"
        );

        stop.send(true).unwrap();
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
