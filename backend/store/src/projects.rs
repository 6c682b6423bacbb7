//! Projects.

use crate::kept::Touches;
use crate::reach::reached;
use crate::sql::{Fields, Link, to_json};
use crate::{Error, Page, Reach, Tx};
use berth_domain::{
    Claim, Fingerprint, Name, OnDestroy, Project, ProjectId, Quota, Slug, Timestamp, TokenId,
};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

const TABLE: &str = "projects";

macro_rules! columns {
    () => {
        "id, name, slug, description, default_region, deletion_protection, on_destroy, tags, \
         claim_token, claim_request, generation, created_at, updated_at, destroyed_at, \
         sleep_after_minutes, quota, auto_provision"
    };
}

reads! {
    /// The project with that id, destroyed or not.
    fn project_by_id(id: &ProjectId) -> Option<Project>;
    /// The living project of that name.
    fn project_by_name(name: &Name) -> Option<Project>;
    /// The living project that holds that slug.
    fn living_project_by_slug(slug: &Slug) -> Option<Project>;
    /// Destroyed projects that are reached, oldest first, that follow the one named.
    fn destroyed_projects_page(
        reach: &Reach,
        after: Option<&ProjectId>,
        limit: u32,
    ) -> Page<Project>;
    /// The destroyed project of that name that went last.
    fn destroyed_project_by_name(name: &Name) -> Option<Project>;
    /// Living projects that are reached, oldest first, that follow the one named.
    fn projects_page(
        reach: &Reach,
        after: Option<&ProjectId>,
        limit: u32,
    ) -> Page<Project>;
}

async fn project_by_id(link: &mut Link<'_>, id: &ProjectId) -> Result<Option<Project>, Error> {
    sql!(
        "project_by_id",
        "SELECT ",
        columns!(),
        " FROM projects WHERE id = $1"
    )
    .bind(id.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn project_by_name(link: &mut Link<'_>, name: &Name) -> Result<Option<Project>, Error> {
    sql!(
        "project_by_name",
        "SELECT ",
        columns!(),
        " FROM projects WHERE name = $1 AND destroyed_at IS NULL"
    )
    .bind(name.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn living_project_by_slug(
    link: &mut Link<'_>,
    slug: &Slug,
) -> Result<Option<Project>, Error> {
    sql!(
        "living_project_by_slug",
        "SELECT ",
        columns!(),
        " FROM projects WHERE slug = $1 AND destroyed_at IS NULL"
    )
    .bind(slug.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn projects_page(
    link: &mut Link<'_>,
    reach: &Reach,
    after: Option<&ProjectId>,
    limit: u32,
) -> Result<Page<Project>, Error> {
    let (since, id) = place_of(link, after).await?;
    let rows = sql!(
        "projects_page",
        "SELECT ",
        columns!(),
        " FROM projects WHERE destroyed_at IS NULL AND (created_at, id) > ($1, $2) AND ",
        reached!("id", "$3", "$4"),
        " ORDER BY created_at, id LIMIT $5"
    )
    .bind(since)
    .bind(id)
    .bind(reach.project_text())
    .bind(reach.member_text())
    .bind(i64::from(limit) + 1)
    .each(link, read)
    .await?;
    Ok(Page::cut(rows, limit))
}

async fn destroyed_projects_page(
    link: &mut Link<'_>,
    reach: &Reach,
    after: Option<&ProjectId>,
    limit: u32,
) -> Result<Page<Project>, Error> {
    let (since, id) = place_of(link, after).await?;
    let rows = sql!(
        "destroyed_projects_page",
        "SELECT ",
        columns!(),
        " FROM projects WHERE destroyed_at IS NOT NULL AND (created_at, id) > ($1, $2) AND ",
        reached!("id", "$3", "$4"),
        " ORDER BY created_at, id LIMIT $5"
    )
    .bind(since)
    .bind(id)
    .bind(reach.project_text())
    .bind(reach.member_text())
    .bind(i64::from(limit) + 1)
    .each(link, read)
    .await?;
    Ok(Page::cut(rows, limit))
}

/// Where a page begins: after the row that is named, which is there whether destroyed or not.
async fn place_of<'i>(
    link: &mut Link<'_>,
    after: Option<&'i ProjectId>,
) -> Result<(i64, &'i str), Error> {
    let Some(id) = after else {
        return Ok((i64::MIN, ""));
    };
    let row = project_by_id(link, id).await?.ok_or(Error::PageGone)?;
    Ok((row.created_at.as_millis(), id.as_str()))
}

async fn destroyed_project_by_name(
    link: &mut Link<'_>,
    name: &Name,
) -> Result<Option<Project>, Error> {
    sql!(
        "destroyed_project_by_name",
        "SELECT ",
        columns!(),
        " FROM projects WHERE name = $1 AND destroyed_at IS NOT NULL \
         ORDER BY destroyed_at DESC, id LIMIT 1"
    )
    .bind(name.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

impl Tx {
    /// Writes a new project. Name and slug must be free among the living.
    pub async fn insert_project(&mut self, project: &Project) -> Result<(), Error> {
        let statement = sql!(
            "insert_project",
            "INSERT INTO projects (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
             $15, $16, $17)"
        );
        bind(statement, project)?
            .execute(&mut self.write(Touches::Nothing))
            .await?;
        Ok(())
    }

    /// Writes a changed project over the row whose generation is one less; a `Conflict` when the
    /// row has another.
    pub async fn update_project(&mut self, project: &Project) -> Result<(), Error> {
        let statement = sql!(
            "update_project",
            "UPDATE projects SET name = $2, slug = $3, description = $4, default_region = $5, \
             deletion_protection = $6, on_destroy = $7, tags = $8, claim_token = $9, \
             claim_request = $10, generation = $11, created_at = $12, updated_at = $13, \
             destroyed_at = $14, sleep_after_minutes = $15, quota = $16, \
             auto_provision = $17 WHERE id = $1 AND generation = $11 - 1"
        );
        match bind(statement, project)?
            .execute(&mut self.write(Touches::Nothing))
            .await?
        {
            0 => Err(Error::Conflict {
                id: project.id.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Marks a project as taken over by its client. The generation stays: nothing else is wanted.
    pub async fn claim_project(&mut self, id: &ProjectId) -> Result<(), Error> {
        let touched = sql!(
            "claim_project",
            "UPDATE projects SET claim_token = NULL, claim_request = NULL WHERE id = $1"
        )
        .bind(id.as_str())
        .execute(&mut self.write(Touches::Nothing))
        .await?;
        match touched {
            0 => Err(Error::Conflict { id: id.to_string() }),
            _ => Ok(()),
        }
    }

    /// Removes the rows of projects that were destroyed before a moment and that no row of a
    /// database or a token refers to any more; tells how many.
    pub async fn forget_destroyed_projects(&mut self, before: Timestamp) -> Result<u64, Error> {
        sql!(
            "forget_destroyed_projects",
            "DELETE FROM projects WHERE destroyed_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM databases WHERE databases.project_id = projects.id) \
             AND NOT EXISTS (SELECT 1 FROM tokens WHERE tokens.project_id = projects.id)"
        )
        .bind_time(before)
        .execute(&mut self.write(Touches::People))
        .await
    }
}

fn bind<'q>(
    statement: crate::sql::Statement<'q>,
    project: &'q Project,
) -> Result<crate::sql::Statement<'q>, Error> {
    let (claim_token, claim_request) = claim_columns(&project.claim);
    let quota = project
        .quota
        .map(|quota| to_json(TABLE, "quota", &StoredQuota::of(quota)))
        .transpose()?;
    Ok(statement
        .bind(project.id.as_str())
        .bind(project.name.as_str())
        .bind(project.slug.as_str())
        .bind(project.description.as_deref())
        .bind(project.default_region.as_deref())
        .bind(i64::from(project.deletion_protection))
        .bind(project.on_destroy.as_str())
        .bind(to_json(TABLE, "tags", &project.tags)?)
        .bind(claim_token)
        .bind(claim_request)
        .bind(project.generation)
        .bind_time(project.created_at)
        .bind_time(project.updated_at)
        .bind_optional_time(project.destroyed_at)
        .bind(project.sleep_after_minutes.map(i64::from))
        .bind(quota)
        .bind(i64::from(project.auto_provision)))
}

pub(crate) fn read(row: &AnyRow) -> Result<Project, Error> {
    let fields = Fields::of(TABLE, row);
    Ok(Project {
        id: fields.parsed("id", ProjectId::parse)?,
        name: fields.parsed("name", Name::parse)?,
        slug: Slug::from_store(fields.text("slug")?),
        description: fields.optional_text("description")?,
        default_region: fields.optional_text("default_region")?,
        deletion_protection: fields.flag("deletion_protection")?,
        on_destroy: fields.word("on_destroy", OnDestroy::from_word)?,
        sleep_after_minutes: fields.optional_narrow("sleep_after_minutes")?,
        quota: fields
            .optional_json::<StoredQuota>("quota")?
            .map(StoredQuota::quota),
        tags: fields.json("tags")?,
        auto_provision: fields.flag("auto_provision")?,
        claim: read_claim(&fields)?,
        generation: fields.integer("generation")?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
        destroyed_at: fields.optional_time("destroyed_at")?,
    })
}

/// A quota as it stands in its JSON column.
#[derive(Serialize, Deserialize)]
struct StoredQuota {
    databases: Option<u32>,
    storage_gb: Option<u32>,
}

impl StoredQuota {
    fn of(quota: Quota) -> Self {
        Self {
            databases: quota.databases,
            storage_gb: quota.storage_gb,
        }
    }

    fn quota(self) -> Quota {
        Quota {
            databases: self.databases,
            storage_gb: self.storage_gb,
        }
    }
}

/// A claim as its two columns: both empty once it is claimed.
pub(crate) fn claim_columns(claim: &Claim) -> (Option<&str>, Option<&str>) {
    match claim {
        Claim::Claimed => (None, None),
        Claim::Unclaimed { token, request } => (Some(token.as_str()), Some(&request.0)),
    }
}

pub(crate) fn read_claim(fields: &Fields<'_>) -> Result<Claim, Error> {
    let token = fields.optional_parsed("claim_token", TokenId::parse)?;
    match (token, fields.optional_text("claim_request")?) {
        (None, None) => Ok(Claim::Claimed),
        (Some(token), Some(request)) => Ok(Claim::Unclaimed {
            token,
            request: Fingerprint(request),
        }),
        _ => Err(fields.meaningless("claim_token")),
    }
}
