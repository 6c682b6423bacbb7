//! One connection: proof of who is there, then HTTP/2 until either side is done.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio_rustls::TlsAcceptor;

use super::life::Peer;
use super::router::Router;

/// The host needs a few milliseconds; someone who never speaks must not be kept for ever.
const TLS_HANDSHAKE_SECONDS_MAX: u64 = 10;
/// Large values come in large frames, so that a big state does not take thousands of them.
const FRAME_BYTES_MAX: u32 = 1024 * 1024;
/// What may be on its way before it is read. The peer is on this machine.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was the host.
    Served,
    /// It was someone else, or nobody.
    Refused {
        /// For the log.
        reason: String,
    },
}

/// Runs in a task of its own, so that a peer which does not speak keeps nobody waiting.
pub(super) async fn serve(
    stream: UnixStream,
    acceptor: Option<TlsAcceptor>,
    router: Arc<Router>,
    peer: Peer,
) -> Outcome {
    let Some(acceptor) = acceptor else {
        return speak(stream, router, peer).await;
    };
    let patience = Duration::from_secs(TLS_HANDSHAKE_SECONDS_MAX);
    let handshake = tokio::select! {
        handshake = tokio::time::timeout(patience, acceptor.accept(stream)) => handshake,
        () = peer.process_ends() => return refused("the process ends"),
    };
    match handshake {
        Ok(Ok(stream)) => speak(stream, router, peer).await,
        Ok(Err(error)) => refused(&error.to_string()),
        Err(_) => refused("no complete TLS handshake in time"),
    }
}

fn refused(reason: &str) -> Outcome {
    Outcome::Refused {
        reason: reason.to_owned(),
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Arc<Router>,
    peer: Peer,
) -> Outcome {
    let _admitted = peer.admit();
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_frame_size(FRAME_BYTES_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .serve_connection(TokioIo::new(stream), router);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = peer.process_ends() => {
            // Calls that run get their answers; new ones are turned away.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A host that is done does not wait for the end of the conversation.
        tracing::debug!(error = &error as &dyn std::error::Error, "connection ended");
    }
    Outcome::Served
}
