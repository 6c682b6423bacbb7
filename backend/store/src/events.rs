//! The journal.

use crate::kept::Touches;
use crate::reach::reached;
use crate::sql::{Fields, Link, Statement, to_json};
use crate::{Error, Page, Reach, Tx};
use berth_domain::{
    Actor, ActorUser, DatabaseId, Event, FieldChange, OperationId, ProjectId, Timestamp, TokenId,
    UserId,
};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

const TABLE: &str = "events";

macro_rules! columns {
    () => {
        "sequence, kind, actor, actor_token, actor_name, actor_address, project_id, database_id, \
         operation_id, message, at, actor_user, actor_user_name, changes"
    };
}

/// The condition that a filter is, with its seven values from `$2` on.
macro_rules! filtered {
    () => {
        concat!(
            reached!("events.project_id", "$2", "$3"),
            " AND ($4 = '' OR database_id = $4) \
             AND ($5 = '' OR kind = $5 OR substr(kind, 1, length($5) + 1) = $5 || '.') \
             AND ($6 = '' OR actor_token = $6 OR actor_user = $6) \
             AND at >= $7 AND at < $8"
        )
    };
}

/// Which events to read; what is left out does not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Those of the projects that are reached; narrowed at all, none without a project.
    pub reach: Reach,
    /// Those of one database.
    pub database: Option<DatabaseId>,
    /// Those of one kind (`database.changed`), or of all kinds of one noun (`database`).
    pub kind: Option<String>,
    /// Those that a token did, or a person with any of its tokens; by id.
    pub actor: Option<String>,
    /// Those not before that moment.
    pub since: Option<Timestamp>,
    /// Those before that moment.
    pub until: Option<Timestamp>,
}

reads! {
    /// Events that follow the one with that sequence number, in order. No event ever appears
    /// before one that was already read.
    fn events_after(sequence: i64, filter: &EventFilter, limit: u32) -> Page<Event>;
    /// Events that come before the one with that sequence number, the newest first.
    fn events_before(sequence: i64, filter: &EventFilter, limit: u32) -> Page<Event>;
    /// The sequence number of the last event, zero when there is none.
    fn last_event() -> i64;
}

async fn events_after(
    link: &mut Link<'_>,
    sequence: i64,
    filter: &EventFilter,
    limit: u32,
) -> Result<Page<Event>, Error> {
    let query = sql!(
        "events_after",
        "SELECT ",
        columns!(),
        " FROM events WHERE sequence > $1 AND ",
        filtered!(),
        " ORDER BY sequence LIMIT $9"
    );
    page(link, query, sequence, filter, limit).await
}

async fn events_before(
    link: &mut Link<'_>,
    sequence: i64,
    filter: &EventFilter,
    limit: u32,
) -> Result<Page<Event>, Error> {
    let query = sql!(
        "events_before",
        "SELECT ",
        columns!(),
        " FROM events WHERE sequence < $1 AND ",
        filtered!(),
        " ORDER BY sequence DESC LIMIT $9"
    );
    page(link, query, sequence, filter, limit).await
}

async fn page(
    link: &mut Link<'_>,
    query: Statement<'_>,
    sequence: i64,
    filter: &EventFilter,
    limit: u32,
) -> Result<Page<Event>, Error> {
    let rows = query
        .bind(sequence)
        .bind(filter.reach.project_text())
        .bind(filter.reach.member_text())
        .bind(filter.database.as_ref().map_or("", DatabaseId::as_str))
        .bind(filter.kind.as_deref().unwrap_or_default())
        .bind(filter.actor.as_deref().unwrap_or_default())
        .bind(filter.since.map_or(i64::MIN, Timestamp::as_millis))
        .bind(filter.until.map_or(i64::MAX, Timestamp::as_millis))
        .bind(i64::from(limit) + 1)
        .each(link, read)
        .await?;
    Ok(Page::cut(rows, limit))
}

pub(crate) async fn last_event(link: &mut Link<'_>) -> Result<i64, Error> {
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
        let (actor, token, name, address, user) = match &event.actor {
            Actor::System => ("system", None, None, None, None),
            Actor::Local => ("local", None, None, None, None),
            Actor::Token {
                id,
                name,
                user,
                address,
            } => (
                "token",
                Some(id.as_str()),
                Some(name.as_str()),
                address.as_deref(),
                user.as_ref(),
            ),
        };
        let changes: Vec<_> = event.changes.iter().map(StoredChange::of).collect();
        sql!(
            "append_event",
            "INSERT INTO events (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
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
        .bind(user.map(|user| user.id.as_str()))
        .bind(user.map(|user| user.name.as_str()))
        .bind(to_json(TABLE, "changes", &changes)?)
        .execute(&mut self.write(Touches::Event(sequence)))
        .await?;
        Ok(sequence)
    }

    /// Removes events older than a moment; tells how many.
    pub async fn forget_events(&mut self, before: Timestamp) -> Result<u64, Error> {
        sql!("forget_events", "DELETE FROM events WHERE at < $1")
            .bind_time(before)
            .execute(&mut self.write(Touches::Nothing))
            .await
    }
}

/// A change as it stands in its JSON column.
#[derive(Serialize, Deserialize)]
struct StoredChange {
    field: String,
    from: Option<String>,
    to: Option<String>,
    sensitive: bool,
}

impl StoredChange {
    fn of(change: &FieldChange) -> Self {
        Self {
            field: change.field.clone(),
            from: change.from.clone(),
            to: change.to.clone(),
            sensitive: change.sensitive,
        }
    }

    fn change(self) -> FieldChange {
        FieldChange {
            field: self.field,
            from: self.from,
            to: self.to,
            sensitive: self.sensitive,
        }
    }
}

fn read(row: &AnyRow) -> Result<Event, Error> {
    let fields = Fields::of(TABLE, row);
    let changes: Vec<StoredChange> = fields.json("changes")?;
    Ok(Event {
        sequence: fields.integer("sequence")?,
        kind: fields.text("kind")?,
        actor: read_actor(&fields)?,
        project_id: fields.optional_parsed("project_id", ProjectId::parse)?,
        database_id: fields.optional_parsed("database_id", DatabaseId::parse)?,
        operation_id: fields.optional_parsed("operation_id", OperationId::parse)?,
        message: fields.text("message")?,
        changes: changes.into_iter().map(StoredChange::change).collect(),
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
            user: read_user(fields)?,
            address: fields.optional_text("actor_address")?,
        }),
        _ => Err(fields.meaningless("actor")),
    }
}

fn read_user(fields: &Fields<'_>) -> Result<Option<ActorUser>, Error> {
    let id = fields.optional_parsed("actor_user", UserId::parse)?;
    match (id, fields.optional_text("actor_user_name")?) {
        (Some(id), Some(name)) => Ok(Some(ActorUser { id, name })),
        (None, None) => Ok(None),
        _ => Err(fields.meaningless("actor_user")),
    }
}
