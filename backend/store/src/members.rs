//! Who may do what in which project.

use crate::kept::Touches;
use crate::sql::{Fields, Link};
use crate::{Error, Page, Tx};
use berth_domain::{Member, ProjectId, Role, UserId};
use sqlx::any::AnyRow;
use std::collections::BTreeMap;

const TABLE: &str = "project_members";

macro_rules! columns {
    () => {
        "project_id, user_id, role, created_at, updated_at"
    };
}

reads! {
    /// A person in a project.
    fn member(project: &ProjectId, user: &UserId) -> Option<Member>;
    /// The members of a project, the longest standing first, that follow the one named.
    fn members_page(project: &ProjectId, after: Option<&UserId>, limit: u32) -> Page<Member>;
    /// All that a person is a member of, by project.
    fn memberships(user: &UserId) -> Vec<Member>;
    /// What a person is in each of its projects.
    fn roles_of(user: &UserId) -> BTreeMap<ProjectId, Role>;
    /// How many owners a project has.
    fn count_owners(project: &ProjectId) -> i64;
}

async fn member(
    link: &mut Link<'_>,
    project: &ProjectId,
    user: &UserId,
) -> Result<Option<Member>, Error> {
    sql!(
        "member",
        "SELECT ",
        columns!(),
        " FROM project_members WHERE project_id = $1 AND user_id = $2"
    )
    .bind(project.as_str())
    .bind(user.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn members_page(
    link: &mut Link<'_>,
    project: &ProjectId,
    after: Option<&UserId>,
    limit: u32,
) -> Result<Page<Member>, Error> {
    let (since, id) = match after {
        None => (i64::MIN, ""),
        Some(id) => {
            let row = member(link, project, id).await?.ok_or(Error::PageGone)?;
            (row.created_at.as_millis(), id.as_str())
        }
    };
    let rows = sql!(
        "members_page",
        "SELECT ",
        columns!(),
        " FROM project_members WHERE project_id = $1 AND (created_at, user_id) > ($2, $3) \
         ORDER BY created_at, user_id LIMIT $4"
    )
    .bind(project.as_str())
    .bind(since)
    .bind(id)
    .bind(i64::from(limit) + 1)
    .each(link, read)
    .await?;
    Ok(Page::cut(rows, limit))
}

async fn memberships(link: &mut Link<'_>, user: &UserId) -> Result<Vec<Member>, Error> {
    sql!(
        "memberships",
        "SELECT ",
        columns!(),
        " FROM project_members WHERE user_id = $1 ORDER BY project_id"
    )
    .bind(user.as_str())
    .each(link, read)
    .await
}

pub(crate) async fn roles_of(
    link: &mut Link<'_>,
    user: &UserId,
) -> Result<BTreeMap<ProjectId, Role>, Error> {
    let members = memberships(link, user).await?.into_iter();
    Ok(members
        .map(|member| (member.project_id, member.role))
        .collect())
}

async fn count_owners(link: &mut Link<'_>, project: &ProjectId) -> Result<i64, Error> {
    let row = sql!(
        "count_owners",
        "SELECT COUNT(*) AS owners FROM project_members WHERE project_id = $1 AND role = 'owner'"
    )
    .bind(project.as_str())
    .one(link)
    .await?;
    Fields::of(TABLE, &row).integer("owners")
}

impl Tx {
    /// Writes what a person is in a project, over what it was there before.
    pub async fn put_member(&mut self, member: &Member) -> Result<(), Error> {
        sql!(
            "put_member",
            "INSERT INTO project_members (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5) ON CONFLICT (project_id, user_id) \
             DO UPDATE SET role = excluded.role, updated_at = excluded.updated_at"
        )
        .bind(member.project_id.as_str())
        .bind(member.user_id.as_str())
        .bind(member.role.as_str())
        .bind_time(member.created_at)
        .bind_time(member.updated_at)
        .execute(&mut self.write(Touches::People))
        .await?;
        Ok(())
    }

    /// Takes a person out of a project; tells whether it was in there.
    pub async fn remove_member(
        &mut self,
        project: &ProjectId,
        user: &UserId,
    ) -> Result<bool, Error> {
        let touched = sql!(
            "remove_member",
            "DELETE FROM project_members WHERE project_id = $1 AND user_id = $2"
        )
        .bind(project.as_str())
        .bind(user.as_str())
        .execute(&mut self.write(Touches::People))
        .await?;
        Ok(touched > 0)
    }
}

fn read(row: &AnyRow) -> Result<Member, Error> {
    let fields = Fields::of(TABLE, row);
    Ok(Member {
        project_id: fields.parsed("project_id", ProjectId::parse)?,
        user_id: fields.parsed("user_id", UserId::parse)?,
        role: fields.parsed("role", Role::parse)?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
    })
}
