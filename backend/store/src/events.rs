//! The journal.

use crate::sql::{Fields, Link};
use crate::{Error, Page, Tx};
use berth_domain::{Actor, DatabaseId, Event, OperationId, ProjectId, Timestamp, TokenId};
use sqlx::any::AnyRow;

const TABLE: &str = "events";

macro_rules! columns {
    () => {
        "sequence, kind, actor, actor_token, actor_name, actor_address, project_id, database_id, \
         operation_id, message, at"
    };
}

/// Which events to read; what is left out does not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Those of one project.
    pub project: Option<ProjectId>,
    /// Those of one database.
    pub database: Option<DatabaseId>,
}

reads! {
    /// Events that follow the one with that sequence number, in order. No event ever appears
    /// before one that was already read.
    fn events_after(sequence: i64, filter: &EventFilter, limit: u32) -> Page<Event>;
    /// The sequence number of the last event, zero when there is none.
    fn last_event() -> i64;
}

async fn events_after(
    link: &mut Link<'_>,
    sequence: i64,
    filter: &EventFilter,
    limit: u32,
) -> Result<Page<Event>, Error> {
    let rows = sql!(
        "events_after",
        "SELECT ",
        columns!(),
        " FROM events WHERE sequence > $1 AND ($2 = '' OR project_id = $2) \
         AND ($3 = '' OR database_id = $3) ORDER BY sequence LIMIT $4"
    )
    .bind(sequence)
    .bind(filter.project.as_ref().map_or("", ProjectId::as_str))
    .bind(filter.database.as_ref().map_or("", DatabaseId::as_str))
    .bind(i64::from(limit) + 1)
    .all(link)
    .await?;
    let rows = rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Page::cut(rows, limit))
}

async fn last_event(link: &mut Link<'_>) -> Result<i64, Error> {
    let row = sql!(
        "last_event",
        "SELECT value FROM counters WHERE name = 'event'"
    )
    .one(link)
    .await?;
    Fields::of("counters", &row).integer("value")
}

impl Tx {
    /// Writes an event and tells the sequence number it got; the one it came with is ignored.
    pub async fn append_event(&mut self, event: &Event) -> Result<i64, Error> {
        let sequence = self.next("event").await?;
        let (actor, token, name, address) = match &event.actor {
            Actor::System => ("system", None, None, None),
            Actor::Local => ("local", None, None, None),
            Actor::Token { id, name, address } => (
                "token",
                Some(id.as_str()),
                Some(name.as_str()),
                address.as_deref(),
            ),
        };
        sql!(
            "append_event",
            "INSERT INTO events (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        )
        .bind(sequence)
        .bind(event.kind.as_str())
        .bind(actor)
        .bind(token)
        .bind(name)
        .bind(address)
        .bind(event.project_id.as_ref().map(ProjectId::as_str))
        .bind(event.database_id.as_ref().map(DatabaseId::as_str))
        .bind(event.operation_id.as_ref().map(OperationId::as_str))
        .bind(event.message.as_str())
        .bind_time(event.at)
        .execute(&mut self.write())
        .await?;
        Ok(sequence)
    }

    /// Removes events older than a moment; tells how many.
    pub async fn forget_events(&mut self, before: Timestamp) -> Result<u64, Error> {
        sql!("forget_events", "DELETE FROM events WHERE at < $1")
            .bind_time(before)
            .execute(&mut self.write())
            .await
    }
}

fn read(row: &AnyRow) -> Result<Event, Error> {
    let fields = Fields::of(TABLE, row);
    Ok(Event {
        sequence: fields.integer("sequence")?,
        kind: fields.text("kind")?,
        actor: read_actor(&fields)?,
        project_id: fields.optional_parsed("project_id", ProjectId::parse)?,
        database_id: fields.optional_parsed("database_id", DatabaseId::parse)?,
        operation_id: fields.optional_parsed("operation_id", OperationId::parse)?,
        message: fields.text("message")?,
        at: fields.time("at")?,
    })
}

fn read_actor(fields: &Fields<'_>) -> Result<Actor, Error> {
    match fields.text("actor")?.as_str() {
        "system" => Ok(Actor::System),
        "local" => Ok(Actor::Local),
        "token" => Ok(Actor::Token {
            id: fields.parsed("actor_token", TokenId::parse)?,
            name: fields.text("actor_name")?,
            address: fields.optional_text("actor_address")?,
        }),
        _ => Err(fields.meaningless("actor")),
    }
}
