//! The life of a provider process, from its start to its end.
//!
//! Owns: standard output, signals, the socket, who may connect, and when it is over.
//! Refuses: what the calls mean; they go to `rpc`.

mod connection;
mod handlers;
mod life;
mod router;
mod socket;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::connection::Outcome;
pub(crate) use self::handlers::Handlers;
use self::life::{HostWatch, Life};
use self::router::Router;
use self::socket::Socket;
use crate::handshake::{self, Invitation};
use crate::logging::{self, error_chain};
use crate::provider::Provider;
use crate::rpc::Rpc;
use crate::server::ProviderServer;
use crate::{panics, tls};

/// What is left to running calls after the host said goodbye; it kills after two seconds.
const DRAIN_MILLISECONDS_MAX: u64 = 1_500;
/// The same when the host is gone and nobody is waiting: what was begun may still be finished.
const ORPHAN_DRAIN_SECONDS_MAX: u64 = 30;
/// After a failed accept, most likely for want of file descriptors.
const ACCEPT_PAUSE_MILLISECONDS: u64 = 50;

/// Why the process could not serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment is not a host's.
    #[error(transparent)]
    Handshake(#[from] handshake::Error),
    /// No certificate, or no settings for it.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// No place for the socket.
    #[error(transparent)]
    Socket(#[from] socket::Error),
    /// The asynchronous runtime did not start.
    #[error("could not start the runtime")]
    Runtime {
        /// What the system says.
        source: io::Error,
    },
    /// Signals cannot be watched, so an interrupt would lose what is being created.
    #[error("could not watch for signals")]
    Signals {
        /// What the system says.
        source: io::Error,
    },
    /// The host cannot be told where to connect.
    #[error("could not write to standard output")]
    Announce {
        /// What the system says.
        source: io::Error,
    },
}

/// Serves the provider that `make` builds, until the host that started this process is done with
/// it. This is all that a provider's `main` has to do.
///
/// With the argument `-debug` it serves whoever reads the `TF_REATTACH_PROVIDERS` it prints,
/// until it is interrupted.
///
/// # Guarantees
/// Nothing but the host's line is written to standard output. `make` runs after that line is out,
/// so it costs the host no waiting.
pub fn serve<P: Provider>(make: impl FnOnce() -> P) -> ExitCode {
    let make = || -> Arc<dyn Provider> { Arc::new(make()) };
    logging::install(logging::level(|name| env::var(name).ok()), Timestamp::now);
    panics::install_hook();
    let debug = env::args_os()
        .skip(1)
        .any(|flag| flag == "-debug" || flag == "--debug");
    let served = runtime().and_then(|runtime| {
        let served = runtime.block_on(async {
            if debug {
                serve_debugger(make()).await
            } else {
                serve_host(make).await
            }
        });
        // Whatever still runs had its time.
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error_chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    // One thread is enough for the transport and starts soonest; handlers have their own.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })
}

async fn serve_host(make: impl FnOnce() -> Arc<dyn Provider>) -> Result<(), Error> {
    let invitation = Invitation::read(|name| env::var_os(name))?;
    let host = HostWatch::start();
    // An interrupt at the terminal reaches every process of its group. The host handles it and
    // tells us by StopProvider; dying here would lose what is being created.
    let interrupts = watch(SignalKind::interrupt())?;
    let terminations = watch(SignalKind::terminate())?;
    let (socket, listener) = Socket::bind(invitation.socket_directory.as_deref())?;
    let identity = match invitation.client_certificate.clone() {
        Some(client) => Some(tls::Identity::for_client(client)?),
        None => None,
    };
    let certificate = identity.as_ref().map(|identity| &identity.certificate);
    announce(&invitation.answer(socket.path(), certificate))?;
    if !invitation.version_offered {
        tracing::warn!(
            "the host does not offer protocol {}",
            handshake::PROTOCOL_VERSION
        );
    }
    let mut life = Life::new(Some(host), interrupts, terminations);
    let acceptor = identity.map(|identity| TlsAcceptor::from(identity.config));
    run(make(), &mut life, &listener, acceptor).await;
    drop(socket);
    Ok(())
}

async fn serve_debugger(provider: Arc<dyn Provider>) -> Result<(), Error> {
    let interrupts = watch(SignalKind::interrupt())?;
    let terminations = watch(SignalKind::terminate())?;
    let (socket, listener) = Socket::bind(None)?;
    announce(&reattach_line(
        provider.address(),
        socket.path(),
        std::process::id(),
    ))?;
    let mut life = Life::new(None, interrupts, terminations);
    run(provider, &mut life, &listener, None).await;
    drop(socket);
    Ok(())
}

/// What a developer gives to the host, ready for a shell.
fn reattach_line(address: &str, socket: &str, process: u32) -> String {
    let providers = serde_json::json!({
        address: {
            "Protocol": "grpc",
            "ProtocolVersion": handshake::PROTOCOL_VERSION,
            "Pid": process,
            // Tells the host to leave the process alone when it is done.
            "Test": true,
            "Addr": { "Network": "unix", "String": socket },
        }
    });
    format!("TF_REATTACH_PROVIDERS='{providers}'")
}

fn watch(kind: SignalKind) -> Result<Signal, Error> {
    signal(kind).map_err(|source| Error::Signals { source })
}

fn announce(line: &str) -> Result<(), Error> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .map_err(|source| Error::Announce { source })
}

/// Accepts connections until life ends, then gives what runs its last moments.
async fn run(
    provider: Arc<dyn Provider>,
    life: &mut Life,
    listener: &UnixListener,
    acceptor: Option<TlsAcceptor>,
) {
    let handlers = Handlers::start();
    let server = Arc::new(ProviderServer::new(provider));
    let rpc = Rpc::new(Arc::clone(&server), handlers.clone());
    let router = Arc::new(Router::new(rpc, life.end_token()));
    let mut connections = JoinSet::new();
    let end = loop {
        tokio::select! {
            end = life.ended() => break end,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let peer = life.peer();
                    connections.spawn(connection::serve(
                        stream,
                        acceptor.clone(),
                        Arc::clone(&router),
                        peer,
                    ));
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MILLISECONDS)).await;
                }
            },
            Some(outcome) = connections.join_next() => match outcome {
                Ok(Outcome::Served) => {}
                Ok(Outcome::Refused { reason }) => tracing::warn!("refused a connection: {reason}"),
                Err(error) => tracing::error!("a connection task failed: {error}"),
            },
        }
    };
    tracing::debug!("ending: {end}");
    server.stop();
    let patience = match end {
        life::End::HostGone => Duration::from_secs(ORPHAN_DRAIN_SECONDS_MAX),
        life::End::Shutdown | life::End::Signal => Duration::from_millis(DRAIN_MILLISECONDS_MAX),
    };
    let drained = async {
        handlers.idle().await;
        // The answers of the last calls, Shutdown's own among them, are on their way out.
        while connections.join_next().await.is_some() {}
    };
    if tokio::time::timeout(patience, drained).await.is_err() {
        tracing::warn!("calls were still running at the end");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reattach_line_is_what_a_host_reads() {
        let line = reattach_line("berth-dev/berth", "/tmp/x/socket", 7);
        let json = line
            .strip_prefix("TF_REATTACH_PROVIDERS='")
            .and_then(|rest| rest.strip_suffix('\''))
            .unwrap();
        let parsed: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(
            parsed["berth-dev/berth"],
            serde_json::json!({
                "Protocol": "grpc", "ProtocolVersion": 6, "Pid": 7, "Test": true,
                "Addr": { "Network": "unix", "String": "/tmp/x/socket" },
            })
        );
    }
}
