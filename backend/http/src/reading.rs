//! Reading bodies within bounds of size, time and memory.
//!
//! What a body may take up is far more than its bytes: it is read into values, and those into a
//! wish. So only a few large ones are in memory at once, and of one caller fewer still: whoever
//! sends slowly is in its own way.

use crate::error::Refusal;
use crate::holds::{Hold, Holds};
use crate::state::State;
use axum::body::{BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use berth_domain::TokenId;
use berth_services::Caller;
use futures_util::{FutureExt, StreamExt};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Large bodies that are in memory at once.
const LARGE_AT_ONCE: usize = 8;
/// Large bodies of one token that are in memory at once.
const LARGE_OF_ONE_AT_ONCE: usize = 2;
/// Bodies up to this size are read without a turn, and what comes first of every other one.
const SMALL_BYTES_MAX: usize = 64 * 1024;
/// How long a body waits for its turn.
const TURN_SECONDS_MAX: u64 = 5;
/// What a body that has a turn brings in a second, at least.
const BYTES_A_SECOND_MIN: u64 = 16 * 1024;
/// Seconds of a turn in which a body may bring nothing.
const SLOW_SECONDS_MAX: u64 = 2;

/// Turns for what is large: some at once in all, and of one caller fewer.
#[derive(Default)]
pub(crate) struct Turns<
    const AT_ONCE: usize = LARGE_AT_ONCE,
    const OF_ONE_AT_ONCE: usize = LARGE_OF_ONE_AT_ONCE,
> {
    all: Seats<AT_ONCE>,
    /// By token; the host's administrator has none.
    each: Mutex<HashMap<Option<TokenId>, Seats<OF_ONE_AT_ONCE>>>,
}

#[derive(Clone)]
struct Seats<const COUNT: usize>(Arc<Semaphore>);

impl<const COUNT: usize> Default for Seats<COUNT> {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(COUNT)))
    }
}

impl<const COUNT: usize> Seats<COUNT> {
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

/// One turn, until it is dropped.
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

impl Turns {
    /// Waits for a turn, until `end`; whoever gets none is told whether others have them all or
    /// only its own are taken.
    async fn take(&self, whose: Option<&TokenId>, end: Instant) -> Result<Turn, Refusal> {
        // Its own first: whoever waits for itself takes nobody else's place.
        let own = self.of(whose);
        let own = tokio::time::timeout_at(end, own.take()).await;
        let own = own.ok().flatten().ok_or_else(no_turn_of_its_own)?;
        let shared = tokio::time::timeout_at(end, self.all.take()).await;
        let shared = shared.ok().flatten().ok_or_else(no_turn)?;
        Ok(Turn {
            _own: own,
            _shared: shared,
        })
    }
}

impl<const AT_ONCE: usize, const OF_ONE_AT_ONCE: usize> Turns<AT_ONCE, OF_ONE_AT_ONCE> {
    /// Waits for a turn; none when there are no turns any more, which does not happen.
    pub(crate) async fn wait(&self, whose: Option<&TokenId>) -> Option<Turn> {
        // Its own first: whoever waits for itself takes nobody else's place.
        let own = self.of(whose).take().await?;
        let shared = self.all.take().await?;
        Some(Turn {
            _own: own,
            _shared: shared,
        })
    }

    fn of(&self, whose: Option<&TokenId>) -> Seats<OF_ONE_AT_ONCE> {
        // Nothing that holds it can stop half way through a change.
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        // Held by the map alone, they are as good as new ones.
        each.retain(|_, seats| Arc::strong_count(&seats.0) > 1);
        each.entry(whose.cloned()).or_default().clone()
    }
}

/// The bounds of reading a body; the layers leave them with each request.
#[derive(Clone)]
pub(crate) struct Reading {
    bytes_max: usize,
    time_max: Duration,
    turns: Arc<Turns>,
    bodies: Arc<Holds>,
}

/// A body, and its turn if it needed one.
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    pub(crate) turn: Option<Turn>,
}

impl Reading {
    /// The bounds for a request on a route.
    pub(crate) fn of(state: &State, path: &str) -> Self {
        let config = &state.config;
        Self {
            bytes_max: match path {
                "/v1/plan" => config.plan_bytes_max,
                _ => config.body_bytes_max,
            },
            time_max: Duration::from_secs(config.body_seconds_max),
            turns: Arc::clone(&state.turns),
            bodies: Arc::clone(&state.bodies),
        }
    }

    /// Reads a body to its end.
    async fn read(&self, request: Request, whose: Option<&TokenId>) -> Result<Read, Refusal> {
        let told = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if told.is_some_and(|bytes| bytes > self.bytes_max) {
            return Err(too_large());
        }
        let body = request.into_body();
        if body.is_end_stream() {
            let (bytes, turn) = (Bytes::new(), None);
            return Ok(Read { bytes, turn });
        }
        let mut arriving = Arriving {
            place: Place::Free(&self.bodies, whose),
            body: body.into_data_stream(),
            bytes: Vec::with_capacity(told.unwrap_or_default().min(SMALL_BYTES_MAX)),
            bytes_max: self.bytes_max,
        };
        let end = Instant::now() + self.time_max;
        while arriving.bytes.len() <= SMALL_BYTES_MAX {
            if !arriving.more(end, || self.too_long()).await? {
                let (bytes, turn) = (arriving.bytes.into(), None);
                return Ok(Read { bytes, turn });
            }
        }
        let before = Instant::now();
        let patience = Duration::from_secs(TURN_SECONDS_MAX);
        let mut turn = pin!(self.turns.take(whose, before + patience));
        let turn = match turn.as_mut().now_or_never() {
            Some(taken) => taken,
            None => {
                arriving.place.take()?;
                turn.await
            }
        };
        let turn = Some(turn?);
        let begun = Instant::now();
        // Others made it wait, not its client.
        let end = end + begun.duration_since(before);
        let first = arriving.bytes.len();
        loop {
            let brisk = begun + allowed(arriving.bytes.len() - first);
            let more = match brisk < end {
                true => arriving.more(brisk, too_little).await?,
                false => arriving.more(end, || self.too_long()).await?,
            };
            if !more {
                let bytes = arriving.bytes.into();
                return Ok(Read { bytes, turn });
            }
        }
    }

    fn too_long(&self) -> Refusal {
        let seconds = self.time_max.as_secs();
        too_slow(format!("The body did not arrive within {seconds} seconds"))
    }
}

/// What has come of a body.
struct Arriving<'a> {
    place: Place<'a>,
    body: BodyDataStream,
    bytes: Vec<u8>,
    bytes_max: usize,
}

/// The place of a body among those that are still to come: what has come whole by the time it is
/// read keeps nobody waiting and takes none.
enum Place<'a> {
    Free(&'a Arc<Holds>, Option<&'a TokenId>),
    Taken { _hold: Option<Hold> },
}

impl Place<'_> {
    fn take(&mut self) -> Result<(), Refusal> {
        if let Self::Free(holds, whose) = self {
            let mut taken = holds.take(*whose);
            if let Err(refusal) = &mut taken {
                refusal.headers.push(closing());
            }
            *self = Self::Taken { _hold: taken? };
        }
        Ok(())
    }
}

impl Arriving<'_> {
    /// Takes what comes next; false at the end.
    async fn more(
        &mut self,
        until: Instant,
        late: impl FnOnce() -> Refusal,
    ) -> Result<bool, Refusal> {
        let next = match self.body.next().now_or_never() {
            Some(there) => there,
            None => {
                self.place.take()?;
                let next = tokio::time::timeout_at(until, self.body.next()).await;
                next.map_err(|_| late())?
            }
        };
        match next {
            None => Ok(false),
            Some(Ok(part)) if self.bytes.len() + part.len() > self.bytes_max => Err(too_large()),
            Some(Ok(part)) => {
                self.bytes.extend_from_slice(&part);
                Ok(true)
            }
            Some(Err(_)) => Err(Refusal::unreadable("The body could not be read to its end")),
        }
    }
}

/// How long a turn lasts that has brought so many bytes.
fn allowed(bytes: usize) -> Duration {
    let earned = bytes as u64 * 1000 / BYTES_A_SECOND_MIN;
    Duration::from_secs(SLOW_SECONDS_MAX) + Duration::from_millis(earned)
}

/// Reads the body of a request whose bounds the layers have left with it.
pub(crate) async fn read(request: Request) -> Result<Read, Refusal> {
    let Some(reading) = request.extensions().get::<Reading>().cloned() else {
        tracing::error!("a request came to its route without bounds for its body");
        return Err(Refusal::internal());
    };
    let caller = request.extensions().get::<Caller>();
    let whose = caller.and_then(Caller::token).cloned();
    reading.read(request, whose.as_ref()).await
}

fn too_large() -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        "The body is too large",
    )
}

fn too_little() -> Refusal {
    let least = BYTES_A_SECOND_MIN / 1024;
    too_slow(format!(
        "The body came more slowly than {least} KiB a second"
    ))
}

fn too_slow(message: String) -> Refusal {
    let mut refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message);
    refusal.headers.push(closing());
    refusal
}

fn no_turn() -> Refusal {
    let message = "Other large bodies are being read: try again";
    again(StatusCode::SERVICE_UNAVAILABLE, "bodies_busy", message)
}

fn no_turn_of_its_own() -> Refusal {
    let message = format!(
        "This caller sends {LARGE_OF_ONE_AT_ONCE} large bodies at this moment, and no more may be: try again"
    );
    again(StatusCode::TOO_MANY_REQUESTS, "too_many_at_once", message)
}

fn again(status: StatusCode, code: &'static str, message: impl Into<String>) -> Refusal {
    let mut refusal = Refusal::new(status, code, message);
    refusal.headers.push(closing());
    refusal.with(header::RETRY_AFTER, 1)
}

/// What is still to come of a body cannot be told from a next request.
fn closing() -> (HeaderName, HeaderValue) {
    (header::CONNECTION, HeaderValue::from_static("close"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::JsonObject;
    use axum::body::Body;
    use axum::extract::FromRequest;
    use futures_util::stream;
    use std::convert::Infallible;

    fn reading() -> Reading {
        Reading {
            bytes_max: 1024 * 1024,
            time_max: Duration::from_secs(600),
            turns: Arc::default(),
            bodies: Arc::new(Holds::new("bodies", 1, 2)),
        }
    }

    fn token(name: &str) -> TokenId {
        TokenId::parse(name).unwrap()
    }

    /// A body of one part, and nothing after it.
    fn trickling(bytes: usize) -> Body {
        let part = Bytes::from(vec![b' '; bytes]);
        Body::from_stream(stream::iter([Ok::<_, Infallible>(part)]).chain(stream::pending()))
    }

    fn request(reading: &Reading, body: Body) -> Request {
        let mut request = Request::new(body);
        request.extensions_mut().insert(reading.clone());
        request
    }

    #[tokio::test]
    async fn a_large_body_has_its_turn_until_it_is_let_go() {
        let reading = reading();
        let free = || reading.turns.all.0.available_permits();
        let text = format!("{{\"x\": \"{}\"}}", "y".repeat(SMALL_BYTES_MAX));
        let large = JsonObject::from_request(request(&reading, Body::from(text)), &()).await;
        assert_eq!(free(), LARGE_AT_ONCE - 1);
        let small = JsonObject::from_request(request(&reading, Body::from("{}")), &()).await;
        assert_eq!(free(), LARGE_AT_ONCE - 1);
        assert!(large.is_ok() && small.is_ok());
        drop(large);
        assert_eq!(free(), LARGE_AT_ONCE);
    }

    #[tokio::test]
    async fn a_body_that_trickles_has_no_turn_before_it_is_large() {
        let reading = reading();
        let slow = reading.read(request(&reading, trickling(SMALL_BYTES_MAX)), None);
        assert!(slow.now_or_never().is_none());
        assert_eq!(reading.turns.all.0.available_permits(), LARGE_AT_ONCE);
    }

    #[tokio::test]
    async fn who_waits_for_its_own_turn_takes_nobody_elses() {
        let mut reading = reading();
        reading.bodies = Arc::new(Holds::new("bodies", 10, 20));
        let token = token("tok_1");
        let read = || {
            reading.read(
                request(&reading, trickling(SMALL_BYTES_MAX + 1)),
                Some(&token),
            )
        };
        let mut slow = [read(), read(), read()].map(Box::pin);
        for one in &mut slow {
            assert!(one.now_or_never().is_none());
        }
        let free = reading.turns.all.0.available_permits();
        assert_eq!(free, LARGE_AT_ONCE - LARGE_OF_ONE_AT_ONCE);
    }

    #[tokio::test]
    async fn who_gets_no_turn_hears_whose_turns_are_taken() {
        let turns: Turns = Turns::default();
        let names = ["tok_1", "tok_2", "tok_3", "tok_4", "tok_5"].map(token);
        let take = |whose| turns.take(Some(whose), Instant::now());
        let mut held = Vec::new();
        for whose in &names[..4] {
            for _ in 0..LARGE_OF_ONE_AT_ONCE {
                held.push(take(whose).await.ok().unwrap());
            }
        }
        let refused = async |whose| take(whose).await.err().unwrap();
        let (own, others) = (refused(&names[0]).await, refused(&names[4]).await);
        assert_eq!((own.status.as_u16(), own.code), (429, "too_many_at_once"));
        assert_eq!((others.status.as_u16(), others.code), (503, "bodies_busy"));
    }

    #[tokio::test]
    async fn what_has_come_whole_takes_no_place_of_those_that_wait() {
        let reading = reading();
        let token = token("tok_1");
        let read = |body: Body| reading.read(request(&reading, body), Some(&token));
        let mut slow = Box::pin(read(trickling(1)));
        assert!((&mut slow).now_or_never().is_none());
        let second = read(trickling(1)).now_or_never().unwrap();
        assert_eq!(second.err().unwrap().status, StatusCode::TOO_MANY_REQUESTS);
        let whole = read(Body::from("{}")).now_or_never().unwrap();
        assert_eq!(whole.ok().unwrap().bytes, "{}");
        drop(slow);
        assert!(read(trickling(1)).now_or_never().is_none());
    }

    #[test]
    fn a_turn_lasts_as_long_as_it_brings_something() {
        let second = BYTES_A_SECOND_MIN as usize;
        assert_eq!(allowed(0).as_secs(), SLOW_SECONDS_MAX);
        assert_eq!(allowed(10 * second).as_secs(), SLOW_SECONDS_MAX + 10);
    }
}
