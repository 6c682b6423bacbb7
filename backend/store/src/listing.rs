//! Which databases a list shows, and pages of them.

use crate::databases::{DatabaseRecord, database_by_id, database_columns, read_record, record};
use crate::observations::observation_columns;
use crate::reach::reached;
use crate::sql::{Fields, Link, Statement};
use crate::{Error, Page};
use berth_domain::{Database, DatabaseId, EngineName, Name, ProjectId, UserId};

/// Which databases to list by their life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Lifetime {
    /// Those that are there for their users.
    #[default]
    Living,
    /// Those that are destroyed and whose data is not yet purged.
    Recoverable,
    /// All rows.
    All,
}

/// Which databases to list; what is left out does not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct DatabaseFilter {
    /// Those of one project.
    pub project: Option<ProjectId>,
    /// Those of the projects that this person is a member of.
    pub member: Option<UserId>,
    /// Those of one engine.
    pub engine: Option<EngineName>,
    /// Those of one name.
    pub name: Option<Name>,
    /// The living, unless said otherwise.
    pub lifetime: Lifetime,
}

/// The store's version, and the ids of databases as one text, the oldest first.
macro_rules! ids_of {
    ($which:expr) => {
        concat!(
            "SELECT (SELECT value FROM counters WHERE name = 'version') AS version, \
             string_agg(id, ' ' ORDER BY created_at, id) AS ids \
             FROM (SELECT databases.id, databases.created_at FROM databases ",
            $which,
            ") AS found"
        )
    };
}
pub(crate) use ids_of;

/// What a page of a filter shows: its place, its filter's texts, its length.
macro_rules! page_of_filter {
    () => {
        concat!(
            "WHERE (databases.created_at, databases.id) > ($1, $2) AND ",
            reached!("databases.project_id", "$3", "$4"),
            " AND ($5 = '' OR engine = $5) AND ($6 = '' OR name = $6) \
             AND ($7 = 'all' OR ($7 = 'living' AND intent <> 'destroy') \
                  OR ($7 = 'recoverable' AND intent = 'destroy' AND purged_at IS NULL)) \
             ORDER BY databases.created_at, databases.id LIMIT $8"
        )
    };
}

reads! {
    /// Databases, oldest first, that follow the one named.
    fn databases_page(
        filter: &DatabaseFilter,
        after: Option<&DatabaseId>,
        limit: u32,
    ) -> Page<DatabaseRecord>;
}

async fn databases_page(
    link: &mut Link<'_>,
    filter: &DatabaseFilter,
    after: Option<&DatabaseId>,
    limit: u32,
) -> Result<Page<DatabaseRecord>, Error> {
    let since = place_of(after, link).await?;
    let rows = page_since(filter, since.as_ref(), limit)
        .each(link, read_record)
        .await?;
    Ok(Page::cut(rows, limit))
}

/// The database that a page follows.
pub(crate) async fn place_of(
    after: Option<&DatabaseId>,
    link: &mut Link<'_>,
) -> Result<Option<Database>, Error> {
    match after {
        None => Ok(None),
        Some(id) => Ok(Some(
            database_by_id(link, id).await?.ok_or(Error::PageGone)?,
        )),
    }
}

/// The page that follows a database, and the row after it.
pub(crate) fn page_since<'q>(
    filter: &'q DatabaseFilter,
    since: Option<&'q Database>,
    limit: u32,
) -> Statement<'q> {
    let statement = sql!("databases_page", record!(), page_of_filter!());
    bind_filter(statement, filter, since, limit)
}

/// The ids of the same, for [`told_ids`].
pub(crate) fn ids_page<'q>(
    filter: &'q DatabaseFilter,
    since: Option<&'q Database>,
    limit: u32,
) -> Statement<'q> {
    let statement = sql!("database_ids_page", ids_of!(page_of_filter!()));
    bind_filter(statement, filter, since, limit)
}

/// The version of the store and the ids that a statement made of `ids_of` tells: one row however
/// many they are, since each row costs far more than its id.
pub(crate) async fn told_ids(
    statement: Statement<'_>,
    link: &mut Link<'_>,
) -> Result<(i64, Vec<DatabaseId>), Error> {
    let row = statement.one(link).await?;
    let fields = Fields::of("databases", &row);
    let ids = fields.optional_text("ids")?.unwrap_or_default();
    let ids = ids.split_ascii_whitespace().map(DatabaseId::parse);
    let ids = ids.collect::<Result<_, _>>();
    Ok((
        fields.integer("version")?,
        ids.map_err(|_| fields.meaningless("id"))?,
    ))
}

fn bind_filter<'q>(
    statement: Statement<'q>,
    filter: &'q DatabaseFilter,
    since: Option<&'q Database>,
    limit: u32,
) -> Statement<'q> {
    let (since, id) = since.map_or((i64::MIN, ""), |row| {
        (row.created_at.as_millis(), row.id.as_str())
    });
    let lifetime = match filter.lifetime {
        Lifetime::Living => "living",
        Lifetime::Recoverable => "recoverable",
        Lifetime::All => "all",
    };
    statement
        .bind(since)
        .bind(id)
        .bind(filter.project.as_ref().map_or("", ProjectId::as_str))
        .bind(filter.member.as_ref().map_or("", UserId::as_str))
        .bind(filter.engine.as_ref().map_or("", EngineName::as_str))
        .bind(filter.name.as_ref().map_or("", Name::as_str))
        .bind(lifetime)
        .bind(i64::from(limit) + 1)
}
