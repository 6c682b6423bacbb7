//! `/v1/events`: the journal, as pages or as a stream.

use super::{Answer, Shared, Who, json};
use crate::body::Params;
use crate::error::Refusal;
use crate::{page, wire};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use berth_api::{ApiError, EventList};
use berth_services::{EventStream, Order, Page};
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;

/// Events that one look at the store brings into a stream.
const EVENTS_AT_ONCE: u32 = 100;
/// Seconds between two signs of life on a quiet stream.
const KEEP_ALIVE_SECONDS: u64 = 15;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Which {
    project_id: Option<String>,
    database_id: Option<String>,
    kind: Option<String>,
    actor: Option<String>,
    since: Option<String>,
    until: Option<String>,
    order: Option<String>,
    after: Option<String>,
    page_size: Option<u32>,
    page_token: Option<String>,
}

/// Reads the journal in its order: who changed what to what, and who read
/// credentials. With `Accept: text/event-stream` it is a stream
/// that goes on after `Last-Event-ID`, or from now on.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("project_id" = Option<String>, Query, description = "Those of one project, by id or name; of a destroyed one by id"),
        ("database_id" = Option<String>, Query, description = "Those of one database, by id or name"),
        ("kind" = Option<String>, Query, description = "Those of one kind (`database.changed`), or of all kinds of one noun (`database`)"),
        ("actor" = Option<String>, Query, description = "Those that a token (`tok_…`) or a user (`usr_…`) did"),
        ("since" = Option<String>, Query, description = "Those not before that moment, in RFC 3339"),
        ("until" = Option<String>, Query, description = "Those before that moment, in RFC 3339"),
        ("order" = Option<String>, Query, description = "`oldest` (the default) or `newest` first"),
        ("after" = Option<i64>, Query, description = "Those that come after the event of that `sequence`; not with the order `newest`. `page_gone` where the journal has no such event (yet)"),
        ("page_size" = Option<u32>, Query), ("page_token" = Option<String>, Query),
        ("Last-Event-ID" = Option<i64>, Header, description = "For a stream: it goes on after the event of that `sequence`. `page_gone` as with `after`")),
    responses((status = 200, content((EventList = "application/json"), (String = "text/event-stream"))), (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub(crate) async fn read(
    State(state): Shared,
    Extension(caller): Who,
    headers: HeaderMap,
    Params(which): Params<Which>,
) -> Answer {
    let list = berth_services::EventList {
        project: which.project_id,
        database: which.database_id,
        kind: which.kind,
        actor: which.actor,
        since: which.since,
        until: which.until,
        order: order(which.order.as_deref())?,
    };
    let order = list.order;
    let begin = begin(which.after.as_deref(), order)?;
    // A page token goes on within what was asked for.
    let after =
        page::after(which.page_token.as_deref(), |text| sequence(text).ok_or(()))?.or(begin);
    if !wants_stream(&headers) {
        let size = page::size(which.page_size)?;
        let found = state.services.events(&caller, &list, after, size).await?;
        return json(StatusCode::OK, &shown(found, order, after));
    }
    if order == Order::Newest {
        return Err(Refusal::field(
            "order",
            "a stream goes on with what happens next: leave it out",
        ));
    }
    let after = last_event_id(&headers)?.or(after);
    let held = state.streams.take(caller.token())?;
    let events = state.services.follow_events(&caller, &list, after).await?;
    let config = state.config.clone();
    let lasts = Duration::from_secs(config.stream_seconds_max);
    let end = async move {
        tokio::select! {
            () = config.stopped() => {}
            () = tokio::time::sleep(lasts) => {}
        }
    };
    let stream = told(events).take_until(Box::pin(end)).map(move |message| {
        let _held = &held;
        message
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(KEEP_ALIVE_SECONDS));
    Ok(Sse::new(stream).keep_alive(keep_alive).into_response())
}

fn order(word: Option<&str>) -> Result<Order, Refusal> {
    match word {
        None | Some("oldest") => Ok(Order::Oldest),
        Some("newest") => Ok(Order::Newest),
        Some(_) => Err(Refusal::field(
            "order",
            "is not an order: use oldest (the default) or newest",
        )),
    }
}

/// After which event the first page begins.
fn begin(after: Option<&str>, order: Order) -> Result<Option<i64>, Refusal> {
    let Some(text) = after else { return Ok(None) };
    if order == Order::Newest {
        let message = "goes on with what came later: leave it out, or ask for the oldest first";
        return Err(Refusal::field("after", message));
    }
    let number = sequence(text);
    number
        .map(Some)
        .ok_or_else(|| Refusal::field("after", "is not the sequence number of an event"))
}

/// A page on the wire, of what was asked for after an event.
fn shown(found: Page<berth_domain::Event>, order: Order, after: Option<i64>) -> EventList {
    let last = found.rows.last().map(|event| event.sequence);
    let newest = match order {
        Order::Oldest => last.or(after),
        Order::Newest => found.rows.first().map(|event| event.sequence),
    };
    EventList {
        next_page_token: last
            .filter(|_| found.more)
            .map(|last| page::token(&last.to_string())),
        last_sequence: newest.unwrap_or(0),
        events: found.rows.into_iter().map(wire::event).collect(),
    }
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| {
            accept
                .split(',')
                .any(|kind| kind.trim().starts_with("text/event-stream"))
        })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Refusal> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(sequence);
    id.map(Some)
        .ok_or_else(|| Refusal::unreadable("Last-Event-ID is not the id of an event"))
}

/// The number of an event; none is below zero.
fn sequence(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number| *number >= 0)
}

/// Events as messages, until the store fails or closes; the client comes again by itself.
fn told(events: EventStream) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(events, |mut events| async move {
        match events.next(EVENTS_AT_ONCE).await {
            Ok(Some(found)) => Some((stream::iter(found.into_iter().filter_map(message)), events)),
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "a stream of events ended");
                None
            }
        }
    })
    .flatten()
}

fn message(event: berth_domain::Event) -> Option<Result<Event, Infallible>> {
    let event = wire::event(event);
    let data = serde_json::to_string(&event).ok()?;
    Some(Ok(Event::default()
        .id(event.sequence.to_string())
        .event(event.kind)
        .data(data)))
}
