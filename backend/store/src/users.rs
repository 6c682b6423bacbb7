//! People.

use crate::kept::Touches;
use crate::sql::{Fields, Link};
use crate::{Error, Page, Tx};
use berth_domain::{User, UserId};
use sqlx::any::AnyRow;

const TABLE: &str = "users";

macro_rules! columns {
    () => {
        "id, name, email, created_at, updated_at"
    };
}

reads! {
    /// The person with that id.
    fn user_by_id(id: &UserId) -> Option<User>;
    /// The person of that name.
    fn user_by_name(name: &str) -> Option<User>;
    /// People, oldest first, that follow the one named.
    fn users_page(after: Option<&UserId>, limit: u32) -> Page<User>;
}

async fn user_by_id(link: &mut Link<'_>, id: &UserId) -> Result<Option<User>, Error> {
    sql!(
        "user_by_id",
        "SELECT ",
        columns!(),
        " FROM users WHERE id = $1"
    )
    .bind(id.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn user_by_name(link: &mut Link<'_>, name: &str) -> Result<Option<User>, Error> {
    sql!(
        "user_by_name",
        "SELECT ",
        columns!(),
        " FROM users WHERE name = $1"
    )
    .bind(name)
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn users_page(
    link: &mut Link<'_>,
    after: Option<&UserId>,
    limit: u32,
) -> Result<Page<User>, Error> {
    let (since, id) = match after {
        None => (i64::MIN, ""),
        Some(id) => {
            let row = user_by_id(link, id).await?.ok_or(Error::PageGone)?;
            (row.created_at.as_millis(), id.as_str())
        }
    };
    let rows = sql!(
        "users_page",
        "SELECT ",
        columns!(),
        " FROM users WHERE (created_at, id) > ($1, $2) ORDER BY created_at, id LIMIT $3"
    )
    .bind(since)
    .bind(id)
    .bind(i64::from(limit) + 1)
    .each(link, read)
    .await?;
    Ok(Page::cut(rows, limit))
}

impl Tx {
    /// Writes a new person. The name must be free.
    pub async fn insert_user(&mut self, user: &User) -> Result<(), Error> {
        sql!(
            "insert_user",
            "INSERT INTO users (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5)"
        )
        .bind(user.id.as_str())
        .bind(user.name.as_str())
        .bind(user.email.as_deref())
        .bind_time(user.created_at)
        .bind_time(user.updated_at)
        .execute(&mut self.write(Touches::People))
        .await?;
        Ok(())
    }

    /// Writes a changed person over its row; a `Conflict` when there is none.
    pub async fn update_user(&mut self, user: &User) -> Result<(), Error> {
        let touched = sql!(
            "update_user",
            "UPDATE users SET name = $2, email = $3, updated_at = $4 WHERE id = $1"
        )
        .bind(user.id.as_str())
        .bind(user.name.as_str())
        .bind(user.email.as_deref())
        .bind_time(user.updated_at)
        .execute(&mut self.write(Touches::People))
        .await?;
        match touched {
            0 => Err(Error::Conflict {
                id: user.id.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Removes a person and its memberships; tells whether there was one. Its tokens stay as
    /// they are, and open nothing any more.
    pub async fn remove_user(&mut self, id: &UserId) -> Result<bool, Error> {
        sql!(
            "remove_memberships",
            "DELETE FROM project_members WHERE user_id = $1"
        )
        .bind(id.as_str())
        .execute(&mut self.write(Touches::People))
        .await?;
        let touched = sql!("remove_user", "DELETE FROM users WHERE id = $1")
            .bind(id.as_str())
            .execute(&mut self.write(Touches::People))
            .await?;
        Ok(touched > 0)
    }
}

fn read(row: &AnyRow) -> Result<User, Error> {
    let fields = Fields::of(TABLE, row);
    Ok(User {
        id: fields.parsed("id", UserId::parse)?,
        name: fields.text("name")?,
        email: fields.optional_text("email")?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
    })
}
