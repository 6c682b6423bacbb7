//! Answers within a bound of memory.
//!
//! An answer lies in memory until its client has read it, and a client may take its time. So a
//! large one is written in parts, each of which goes when it is sent, and all that are still to
//! be read are counted by whose they are: whoever does not read is in its own way.

use crate::error::Refusal;
use crate::proxies::{client_address, limited_as};
use crate::state::State;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use berth_domain::TokenId;
use berth_services::Caller;
use http_body::{Frame, SizeHint};
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

/// What is not more is not counted: what a socket holds of it is no memory of ours.
const COUNTED_BYTES: usize = 64 * 1024;
/// The parts of a large answer: what the kernel takes of it at once.
const PART_BYTES: usize = 256 * 1024;
/// What the first part begins with; most answers have no more.
const FIRST_BYTES: usize = 1024;
/// When it is worth trying again.
const RETRY_SECONDS: u64 = 2;

/// A body as JSON, in parts.
pub(crate) fn json(body: &impl Serialize) -> Result<Body, Refusal> {
    written(|parts| Ok(serde_json::to_writer(parts, body)?))
}

/// A body in parts, as it is written.
pub(crate) fn written(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Body, Refusal> {
    let mut parts = Parts::new();
    match write(&mut parts) {
        Ok(()) => Ok(parts.body()),
        Err(error) => {
            // Bodies are plain objects of texts and numbers; none is beyond JSON.
            tracing::error!(%error, "an answer could not be written");
            Err(Refusal::internal())
        }
    }
}

/// A text that is being written.
struct Parts {
    full: VecDeque<Bytes>,
    last: Vec<u8>,
}

impl Parts {
    fn new() -> Self {
        Self {
            full: VecDeque::new(),
            last: Vec::with_capacity(FIRST_BYTES),
        }
    }

    fn body(mut self) -> Body {
        if self.full.is_empty() {
            return Body::from(self.last);
        }
        if !self.last.is_empty() {
            self.full.push_back(self.last.into());
        }
        Body::new(Written(self.full))
    }
}

impl Write for Parts {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let room = PART_BYTES - self.last.len();
        let (now, _later) = text.split_at(text.len().min(room));
        self.last.extend_from_slice(now);
        if self.last.len() == PART_BYTES {
            let full = std::mem::replace(&mut self.last, Vec::with_capacity(PART_BYTES));
            self.full.push_back(full.into());
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A text of several parts; each goes when it is handed on.
struct Written(VecDeque<Bytes>);

impl HttpBody for Written {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|part| part.len() as u64).sum())
    }
}

/// Whose an answer is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Whose {
    Token(TokenId),
    /// Of what needs no token.
    Address(IpAddr),
}

impl Whose {
    /// None on the local socket: the host's administrator, whom nothing of this concerns.
    fn of(request: &Request, state: &State) -> Option<Self> {
        if let Some(caller) = request.extensions().get::<Caller>() {
            return caller.token().cloned().map(Self::Token);
        }
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        let trusted = &state.config.trusted_proxies;
        let address = client_address(peer.0.ip(), request.headers(), trusted);
        Some(Self::Address(limited_as(address)))
    }
}

/// The bytes of all large answers that are still to be read.
pub(crate) struct Answers {
    all_max: usize,
    of_one_max: usize,
    unread: Mutex<Unread>,
}

#[derive(Default)]
struct Unread {
    all: usize,
    each: HashMap<Whose, usize>,
}

/// What one answer takes of it.
struct Share {
    answers: Arc<Answers>,
    whose: Whose,
    bytes: usize,
}

impl Answers {
    /// At most so many bytes in all, and of one caller half of them.
    pub(crate) fn new(all_max: usize) -> Self {
        Self {
            all_max,
            of_one_max: all_max / 2,
            unread: Mutex::default(),
        }
    }

    fn unread(&self) -> MutexGuard<'_, Unread> {
        // Nothing that holds it can stop half way through a change.
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room. One answer fits always, however large it is.
    fn has_room(&self, unread: &Unread, whose: &Whose, bytes: usize) -> Result<(), Refusal> {
        let own = unread.each.get(whose).copied().unwrap_or_default();
        if own > 0 && own + bytes > self.of_one_max {
            return Err(own_unread(whose));
        }
        if unread.all > 0 && unread.all + bytes > self.all_max {
            return Err(others_unread());
        }
        Ok(())
    }

    fn take(self: &Arc<Self>, whose: &Whose, bytes: usize) -> Result<Share, Refusal> {
        let mut unread = self.unread();
        self.has_room(&unread, whose, bytes)?;
        Ok(self.counted(&mut unread, whose, bytes))
    }

    fn counted(self: &Arc<Self>, unread: &mut Unread, whose: &Whose, bytes: usize) -> Share {
        unread.all += bytes;
        *unread.each.entry(whose.clone()).or_default() += bytes;
        Share {
            answers: Arc::clone(self),
            whose: whose.clone(),
            bytes,
        }
    }
}

impl Share {
    fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        let mut unread = self.answers.unread();
        unread.all -= bytes;
        if let Some(own) = unread.each.get_mut(&self.whose) {
            *own -= bytes;
            if *own == 0 {
                unread.each.remove(&self.whose);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

fn own_unread(whose: &Whose) -> Refusal {
    let whose = match whose {
        Whose::Token(_) => "token",
        Whose::Address(_) => "address",
    };
    let message = format!(
        "This {whose} has as many large answers still to read as it may: read them, or try again"
    );
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_at_once", message)
        .with(header::RETRY_AFTER, RETRY_SECONDS)
}

fn others_unread() -> Refusal {
    let message = "Others have large answers still to read: try again";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "answers_busy", message)
        .with(header::RETRY_AFTER, RETRY_SECONDS)
}

/// Lets large answers through as far as there is room for them. What writes is refused before it
/// is done, and what has been done is told.
pub(crate) async fn bounded(state: Arc<State>, request: Request, next: Next) -> Response {
    let Some(whose) = Whose::of(&request, &state) else {
        return next.run(request).await.map(|body| parted(body, None));
    };
    // What needs no token takes nothing from those who have one.
    let answers = match whose {
        Whose::Token(_) => &state.answers,
        Whose::Address(_) => &state.documents,
    };
    let reads = [Method::GET, Method::HEAD].contains(request.method())
        || request.uri().path() == "/v1/plan";
    if !reads {
        let room = answers.has_room(&answers.unread(), &whose, 1);
        if let Err(refusal) = room {
            return refusal.into_response();
        }
    }
    let response = next.run(request).await;
    let bytes = large(response.body());
    let share = match bytes {
        None => return response,
        Some(bytes) if reads => answers.take(&whose, bytes),
        Some(bytes) => Ok(answers.counted(&mut answers.unread(), &whose, bytes)),
    };
    match share {
        Ok(share) => response.map(|body| parted(body, Some(share))),
        Err(refusal) => refusal.into_response(),
    }
}

/// How large an answer is that has more than one part; streams have no size.
fn large(body: &Body) -> Option<usize> {
    let bytes = usize::try_from(body.size_hint().exact()?).ok()?;
    (bytes > COUNTED_BYTES).then_some(bytes)
}

fn parted(body: Body, share: Option<Share>) -> Body {
    if large(&body).is_none() {
        return body;
    }
    Body::new(Parted {
        body,
        rest: Bytes::new(),
        handed: 0,
        share,
    })
}

/// A large answer that is handed on in parts, with its share until then.
struct Parted {
    body: Body,
    /// What is left of the piece in hand.
    rest: Bytes,
    /// How large that piece was. Its memory goes with its last part.
    handed: usize,
    share: Option<Share>,
}

impl Parted {
    /// Whoever asks for more has done with what it was handed.
    fn done(&mut self) {
        let handed = std::mem::take(&mut self.handed);
        if let Some(share) = &mut self.share {
            share.give_back(handed);
        }
    }
}

impl HttpBody for Parted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            self.done();
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => (self.handed, self.rest) = (piece.len(), piece),
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                ended => {
                    self.share = None;
                    return Poll::Ready(ended);
                }
            }
        }
        let bytes = self.rest.len().min(PART_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(bytes)))))
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let left = self.body.size_hint().exact().map(|bytes| bytes + rest);
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    const MIB: usize = 1024 * 1024;

    fn token(number: usize) -> Whose {
        Whose::Token(TokenId::parse(&format!("tok_{number}")).unwrap())
    }

    fn refused(taken: Result<Share, Refusal>) -> (u16, &'static str) {
        let refusal = taken.err().unwrap();
        (refusal.status.as_u16(), refusal.code)
    }

    fn all(answers: &Answers) -> usize {
        let unread = answers.unread();
        assert_eq!(unread.all, unread.each.values().sum::<usize>());
        unread.all
    }

    /// The sizes of the parts that are handed on, and what is still counted at each.
    async fn handed(mut body: Body, answers: &Answers) -> (Vec<(usize, usize)>, Vec<u8>) {
        let (mut parts, mut text) = (Vec::new(), Vec::new());
        while let Some(frame) = body.frame().await {
            let part = frame.unwrap().into_data().unwrap();
            parts.push((part.len(), all(answers)));
            text.extend_from_slice(&part);
        }
        (parts, text)
    }

    #[tokio::test]
    async fn what_is_written_in_parts_is_what_was_to_be_written() {
        for length in [0, 10, PART_BYTES - 2, PART_BYTES - 1, 3 * PART_BYTES, MIB] {
            let value = "y".repeat(length);
            let body = json(&value).ok().unwrap();
            let expected = serde_json::to_vec(&value).unwrap();
            assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
            let (parts, text) = handed(body, &Answers::new(0)).await;
            assert!(text == expected, "{length}");
            assert!(parts.iter().all(|(bytes, _)| *bytes <= PART_BYTES));
        }
    }

    #[tokio::test]
    async fn what_was_handed_on_counts_until_more_is_asked_for() {
        let answers = Arc::new(Answers::new(MIB));
        let text = "y".repeat(2 * PART_BYTES);
        let body = json(&text).ok().unwrap();
        let bytes = large(&body).unwrap();
        let share = answers.take(&token(1), bytes).ok();
        let (parts, _) = handed(parted(body, share), &answers).await;
        let expected = [
            (PART_BYTES, bytes),
            (PART_BYTES, bytes - PART_BYTES),
            (2, 2),
        ];
        assert_eq!(parts, expected);
        assert_eq!(all(&answers), 0);
        // One piece is there as a whole until its last part has gone.
        let share = answers.take(&token(1), text.len()).ok();
        let body = parted(Body::from(text), share);
        let (parts, _) = handed(body, &answers).await;
        assert_eq!(parts, [(PART_BYTES, 2 * PART_BYTES); 2]);
        assert_eq!(all(&answers), 0);
    }

    #[test]
    fn no_caller_has_more_than_half_and_one_answer_fits_always() {
        let answers = Arc::new(Answers::new(10 * MIB));
        let take = |number, size| answers.take(&token(number), size * MIB);
        let large = take(1, 9).ok().unwrap();
        assert_eq!(refused(take(1, 1)), (429, "too_many_at_once"));
        assert_eq!(refused(take(2, 2)), (503, "answers_busy"));
        let small = take(2, 1).ok().unwrap();
        drop(large);
        let more = take(2, 4).ok().unwrap();
        assert_eq!(refused(take(2, 1)), (429, "too_many_at_once"));
        let whole = take(3, 5).ok().unwrap();
        assert_eq!(refused(take(4, 1)), (503, "answers_busy"));
        drop((small, more, whole));
        assert_eq!(all(&answers), 0);
        assert!(take(5, 100).is_ok());
    }
}
