//! Members of projects: who may do what in which.

use crate::audit;
use crate::databases::unkeyed;
use crate::error::Doing;
use crate::services::{Answered, Begun, Happened, Writing, journal_changes};
use crate::users::{named_user, user_not_found};
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Services};
use berth_domain::{FieldChange, Member, Project, ProjectId, Role, Scope, Timestamp, UserId};
use berth_store::{Page, Tx};

/// What became of a membership that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutMember {
    /// The person was no member before.
    New(Member),
    /// It was one already.
    Changed(Member),
}

impl Services {
    /// A page of the members of a project, the longest standing first.
    pub async fn members(
        &self,
        caller: &Caller,
        project: &str,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Page<Member>, Error> {
        let project = self.project(caller, project).await?;
        self.store
            .members_page(&project.id, after, limit)
            .await
            .doing("list members")
    }

    /// What a person, by id or name, is in a project.
    pub async fn member(
        &self,
        caller: &Caller,
        project: &str,
        user: &str,
    ) -> Result<Member, Error> {
        let mut view = View::Store(&self.store);
        let project = self.project_row(&mut view, caller, project).await?;
        let user = named_user(&mut view, user).await?.ok_or_else(not_member)?;
        let found = self.store.member(&project.id, &user.id).await;
        found.doing("read a member")?.ok_or_else(not_member)
    }

    /// Says what a person is in a project. Only its owners may, and the administrator. A role
    /// that is missing is asked for once the caller may choose one.
    pub async fn put_member(
        &self,
        caller: &Caller,
        project: &str,
        user: &str,
        role: Option<&str>,
    ) -> Result<PutMember, Error> {
        let Begun::Write(mut writing) = self.begin::<PutMember>(caller, None).await? else {
            return Err(unkeyed());
        };
        let now = writing.now;
        let (project, user_id) = self.place(&mut writing, caller, project, user).await?;
        let user_id = user_id.ok_or_else(user_not_found)?;
        let wrong = |message: String| Error::fields(vec![FieldError::invalid("role", message)]);
        let role = role.ok_or_else(|| wrong("is required: viewer, editor or owner".to_owned()))?;
        let role = Role::parse(role).map_err(|e| wrong(e.to_string()))?;
        let before = writing.tx.member(&project.id, &user_id).await;
        let before = before.doing("read a member")?;
        if let Some(before) = &before
            && before.role == role
        {
            let same = PutMember::Changed(before.clone());
            return fresh(self.commit(writing, same).await?);
        }
        if let Some(before) = &before {
            keeps_an_owner(&mut writing.tx, caller, before).await?;
        }
        let member = Member {
            project_id: project.id,
            user_id,
            role,
            created_at: before.as_ref().map_or(now, |before| before.created_at),
            updated_at: now,
        };
        let was = before.as_ref().map(audit::member).unwrap_or_default();
        let kind = match before {
            Some(_) => "member.changed",
            None => "member.added",
        };
        write(&mut writing.tx, caller, now, &member, kind, was).await?;
        let put = match before {
            Some(_) => PutMember::Changed(member),
            None => PutMember::New(member),
        };
        fresh(self.commit(writing, put).await?)
    }

    /// Takes a person out of a project. Only its owners may, and the administrator.
    pub async fn remove_member(
        &self,
        caller: &Caller,
        project: &str,
        user: &str,
    ) -> Result<(), Error> {
        let Begun::Write(mut writing) = self.begin::<()>(caller, None).await? else {
            return Err(unkeyed());
        };
        let now = writing.now;
        let (project, user_id) = self.place(&mut writing, caller, project, user).await?;
        let user_id = user_id.ok_or_else(not_member)?;
        let found = writing.tx.member(&project.id, &user_id).await;
        let member = found.doing("read a member")?.ok_or_else(not_member)?;
        keeps_an_owner(&mut writing.tx, caller, &member).await?;
        writing
            .tx
            .remove_member(&project.id, &user_id)
            .await
            .doing("take a member out")?;
        removed(&mut writing.tx, caller, now, &member).await?;
        self.commit(writing, ()).await.map(drop)
    }

    /// The project and the person of a change, for a caller who may choose its members. An owner
    /// may name anybody, for whoever is invited is not seen before.
    async fn place<T>(
        &self,
        writing: &mut Writing<'_, T>,
        caller: &Caller,
        project: &str,
        user: &str,
    ) -> Result<(Project, Option<UserId>), Error> {
        let mut view = View::Tx(&mut writing.tx);
        let project = self.project_row(&mut view, caller, project).await?;
        caller.need_in(&project.id, Scope::Admin)?;
        let user = named_user(&mut view, user).await?;
        Ok((project, user.map(|user| user.id)))
    }

    /// Who makes a project owns it; what the administrator makes needs no owner.
    pub(crate) async fn first_owner(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: &ProjectId,
        now: Timestamp,
    ) -> Result<(), Error> {
        if caller.roles.is_none() {
            return Ok(());
        }
        let member = Member {
            project_id: project.clone(),
            user_id: caller.user(),
            role: Role::Owner,
            created_at: now,
            updated_at: now,
        };
        let was = audit::Attributes::new();
        write(tx, caller, now, &member, "member.added", was).await
    }
}

fn fresh(answered: Answered<PutMember>) -> Result<PutMember, Error> {
    match answered {
        Answered::Fresh(put) => Ok(put),
        Answered::Replayed(_) => Err(unkeyed()),
    }
}

fn not_member() -> Error {
    Error::refused(
        Code::MemberNotFound,
        "This user is not a member of the project",
    )
}

/// Refuses to take the last owner away, unless the administrator does, who can always choose
/// another.
async fn keeps_an_owner(tx: &mut Tx, caller: &Caller, member: &Member) -> Result<(), Error> {
    if member.role != Role::Owner || caller.roles.is_none() {
        return Ok(());
    }
    let owners = tx.count_owners(&member.project_id).await;
    if owners.doing("count the owners of a project")? > 1 {
        return Ok(());
    }
    Err(Error::refused(
        Code::LastOwner,
        format!(
            "{} is the last owner of {}: make another member an owner first",
            member.user_id, member.project_id
        ),
    ))
}

async fn write(
    tx: &mut Tx,
    caller: &Caller,
    now: Timestamp,
    member: &Member,
    kind: &'static str,
    was: audit::Attributes,
) -> Result<(), Error> {
    tx.put_member(member).await.doing("store a member")?;
    let changes = audit::changes(&was, &audit::member(member));
    told(tx, caller, now, member, kind, changes).await
}

/// Writes down that a person is no member any more.
pub(crate) async fn removed(
    tx: &mut Tx,
    caller: &Caller,
    now: Timestamp,
    member: &Member,
) -> Result<(), Error> {
    let changes = audit::changes(&audit::member(member), &audit::Attributes::new());
    told(tx, caller, now, member, "member.removed", changes).await
}

async fn told(
    tx: &mut Tx,
    caller: &Caller,
    now: Timestamp,
    member: &Member,
    kind: &'static str,
    changes: Vec<FieldChange>,
) -> Result<(), Error> {
    let message = match kind {
        "member.removed" => format!("{} is no member any more", member.user_id),
        _ => format!("{} is {} now", member.user_id, member.role.as_str()),
    };
    journal_changes(
        tx,
        &caller.actor,
        now,
        Happened {
            kind,
            project: Some(&member.project_id),
            database: None,
            operation: None,
            message,
        },
        changes,
    )
    .await
}
