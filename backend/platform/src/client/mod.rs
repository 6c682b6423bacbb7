//! The engines' clients, over a byte stream that a driver has opened.

mod postgresql;

use crate::{Cause, Error, Login, Session};
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream to a process.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// Why a conversation did not begin.
#[derive(Debug)]
pub enum Dialled {
    /// The process does not talk (yet).
    Silent(Cause),
    /// The process refuses this login.
    Refused(Cause),
    /// There is no client for this protocol.
    UnknownProtocol,
}

/// Logs in over `stream` in the protocol of that name. An administrator who comes in
/// without a password gives an empty one.
pub async fn open(
    protocol: &str,
    stream: impl Stream,
    login: &Login,
) -> Result<Box<dyn Session>, Dialled> {
    match protocol {
        "postgresql" => postgresql::open(stream, login).await,
        _ => Err(Dialled::UnknownProtocol),
    }
}

/// A statement that the engine answered with an error.
fn statement_error(act: &str, source: impl Into<Cause>) -> Error {
    Error::Statement {
        act: act.to_owned(),
        source: source.into(),
    }
}
