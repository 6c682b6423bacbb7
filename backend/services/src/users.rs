//! People: who there is, and what becomes of what they had.

use crate::audit;
use crate::databases::unkeyed;
use crate::error::Doing;
use crate::expected::{Expected, tag_of_user};
use crate::members::removed;
use crate::services::{Answered, Begun, Happened, Keyed, journal_changes};
use crate::tokens::token_revoked;
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Given, Services, random};
use berth_domain::{FieldChange, Scope, Timestamp, User, UserId};
use berth_store::{Page, Tx};

const NAME_CHARACTERS_MAX: usize = 64;
const EMAIL_CHARACTERS_MAX: usize = 254;

/// A person that is to be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewUser {
    /// Its name, unique in the installation.
    pub name: String,
    /// Where mail reaches it.
    pub email: Option<String>,
}

/// What is to be different of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserConfig {
    /// Its name.
    pub name: Given<String>,
    /// Where mail reaches it.
    pub email: Given<String>,
}

impl Services {
    /// Makes the installation's first person, to whom the tokens belong that name nobody.
    pub(crate) async fn prepare_administrator(&self, tx: &mut Tx) -> Result<(), Error> {
        let id = UserId::administrator();
        let found = tx.user_by_id(&id).await;
        if found.doing("read the administrator")?.is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        let user = User {
            id,
            name: "admin".to_owned(),
            email: None,
            created_at: now,
            updated_at: now,
        };
        tx.insert_user(&user).await.doing("store the administrator")
    }

    /// A page of the people that the caller sees, oldest first: everybody for the administrator,
    /// itself for anybody else.
    pub async fn users(
        &self,
        caller: &Caller,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Page<User>, Error> {
        caller.need(Scope::Admin)?;
        if caller.is_administrator() {
            return self
                .store
                .users_page(after, limit)
                .await
                .doing("list people");
        }
        let own = self.store.user_by_id(&caller.user()).await;
        let own = own.doing("read a person")?;
        Ok(Page {
            rows: own.into_iter().filter(|_| after.is_none()).collect(),
            more: false,
        })
    }

    /// One person, by id or name.
    pub async fn user(&self, caller: &Caller, reference: &str) -> Result<User, Error> {
        caller.need(Scope::Admin)?;
        self.seen_user(&mut View::Store(&self.store), caller, reference)
            .await
    }

    /// The person of a reference, when the caller sees it.
    pub(crate) async fn seen_user(
        &self,
        view: &mut View<'_>,
        caller: &Caller,
        reference: &str,
    ) -> Result<User, Error> {
        let found = named_user(view, reference).await?;
        found
            .filter(|user| caller.is_administrator() || user.id == caller.user())
            .ok_or_else(user_not_found)
    }

    /// Makes a person known.
    pub async fn create_user(
        &self,
        caller: &Caller,
        wish: &NewUser,
        keyed: Option<Keyed<'_, User>>,
    ) -> Result<Answered<User>, Error> {
        administrator_only(caller)?;
        let mut writing = match self.begin(caller, keyed).await? {
            Begun::Write(writing) => writing,
            Begun::Replay(replay) => return Ok(Answered::Replayed(replay)),
        };
        let now = writing.now;
        let user = User {
            id: UserId::from_entropy(random(&*self.entropy)),
            name: wish.name.clone(),
            email: wish.email.clone(),
            created_at: now,
            updated_at: now,
        };
        checked(&mut writing.tx, &user).await?;
        writing
            .tx
            .insert_user(&user)
            .await
            .doing("store a person")?;
        let changes = audit::made(&audit::user(&user));
        told(&mut writing.tx, caller, now, &user, "user.created", changes).await?;
        self.commit(writing, user).await
    }

    /// Changes what `config` names and nothing else.
    pub async fn update_user(
        &self,
        caller: &Caller,
        reference: &str,
        config: &UserConfig,
        expected: &Expected,
    ) -> Result<User, Error> {
        administrator_only(caller)?;
        let Begun::Write(mut writing) = self.begin::<User>(caller, None).await? else {
            return Err(unkeyed());
        };
        let now = writing.now;
        let before = self
            .seen_user(&mut View::Tx(&mut writing.tx), caller, reference)
            .await?;
        expected.check(|| tag_of_user(&before))?;
        let mut user = before.clone();
        match &config.name {
            Given::Value(name) => user.name.clone_from(name),
            Given::Null => {
                let error = FieldError::invalid("name", "cannot be null: every user has a name");
                return Err(Error::fields(vec![error]));
            }
            Given::Absent | Given::Unknown => {}
        }
        match &config.email {
            Given::Value(email) => user.email = Some(email.clone()),
            Given::Null => user.email = None,
            Given::Absent | Given::Unknown => {}
        }
        if user != before {
            checked(&mut writing.tx, &user).await?;
            user.updated_at = now;
            writing
                .tx
                .update_user(&user)
                .await
                .doing("store a changed person")?;
            let changes = audit::changes(&audit::user(&before), &audit::user(&user));
            told(&mut writing.tx, caller, now, &user, "user.changed", changes).await?;
        }
        match self.commit(writing, user).await? {
            Answered::Fresh(user) => Ok(user),
            Answered::Replayed(_) => Err(unkeyed()),
        }
    }

    /// Takes a person away: its tokens are revoked at once, and it is no member of anything any
    /// more. What it made stays, and so does its name in the journal.
    pub async fn delete_user(&self, caller: &Caller, reference: &str) -> Result<(), Error> {
        administrator_only(caller)?;
        let Begun::Write(mut writing) = self.begin::<()>(caller, None).await? else {
            return Err(unkeyed());
        };
        let now = writing.now;
        let user = self
            .seen_user(&mut View::Tx(&mut writing.tx), caller, reference)
            .await?;
        if user.id == UserId::administrator() {
            return Err(Error::refused(
                Code::Protected,
                "The administrator stays: every installation has one",
            ));
        }
        let revoked = writing.tx.revoke_tokens_of(&user.id, now).await;
        for token in revoked.doing("revoke a person's tokens")? {
            token_revoked(&mut writing.tx, caller, now, &token).await?;
        }
        // Each project's journal tells of its members, whatever the reason that one left.
        let left = writing.tx.memberships(&user.id).await;
        for member in left.doing("read a person's memberships")? {
            removed(&mut writing.tx, caller, now, &member).await?;
        }
        writing
            .tx
            .remove_user(&user.id)
            .await
            .doing("remove a person")?;
        let changes = audit::changes(&audit::user(&user), &audit::Attributes::new());
        told(&mut writing.tx, caller, now, &user, "user.deleted", changes).await?;
        self.commit(writing, ()).await.map(drop)
    }
}

/// There is no such person, for this caller.
pub(crate) fn user_not_found() -> Error {
    Error::refused(Code::UserNotFound, "User not found")
}

/// The person of an id or a name.
pub(crate) async fn named_user(
    view: &mut View<'_>,
    reference: &str,
) -> Result<Option<User>, Error> {
    match UserId::parse(reference) {
        Ok(id) => view.user_by_id(&id).await,
        Err(_) if is_name(reference) => view.user_by_name(reference).await,
        // Nobody is called that, and not every store could be asked.
        Err(_) => return Ok(None),
    }
    .doing("look for a person")
}

fn administrator_only(caller: &Caller) -> Result<(), Error> {
    caller.need(Scope::Admin)?;
    if caller.is_administrator() {
        return Ok(());
    }
    Err(Error::refused(
        Code::AdministratorOnly,
        "Only the installation's administrator may do that, with a token that is not bound to a project",
    ))
}

/// Refuses a name or an address that is not one, and a name that another person has.
async fn checked(tx: &mut Tx, user: &User) -> Result<(), Error> {
    let mut errors = Vec::new();
    if !is_name(&user.name) {
        errors.push(FieldError::invalid(
            "name",
            format!(
                "use 1 to {NAME_CHARACTERS_MAX} printable characters, without spaces around them"
            ),
        ));
    } else if UserId::parse(&user.name).is_ok() || user.name.contains('/') {
        errors.push(FieldError::invalid(
            "name",
            "reads as an id or a path: use a name without \"usr_\" and slashes",
        ));
    } else {
        let holder = tx.user_by_name(&user.name).await;
        let holder = holder.doing("look for a person")?;
        if let Some(holder) = holder.filter(|holder| holder.id != user.id) {
            errors.push(FieldError::of(
                Code::NameTaken,
                "name",
                format!("{} has the name \"{}\"", holder.id, user.name),
            ));
        }
    }
    if user
        .email
        .as_deref()
        .is_some_and(|email| !is_address(email))
    {
        errors.push(FieldError::invalid(
            "email",
            "is not a mail address: use one such as ada@example.com",
        ));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::fields(errors))
    }
}

/// Whether somebody may be called that.
fn is_name(text: &str) -> bool {
    let length = text.chars().count();
    let printable = !text.chars().any(char::is_control) && text.trim() == text;
    (1..=NAME_CHARACTERS_MAX).contains(&length) && printable
}

/// Whether mail could go there; whether it arrives nobody knows.
fn is_address(email: &str) -> bool {
    let plain = email.chars().all(|c| !c.is_control() && !c.is_whitespace());
    let halves = email.split_once('@');
    let whole = halves
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    plain && whole && email.chars().count() <= EMAIL_CHARACTERS_MAX
}

async fn told(
    tx: &mut Tx,
    caller: &Caller,
    now: Timestamp,
    user: &User,
    kind: &'static str,
    changes: Vec<FieldChange>,
) -> Result<(), Error> {
    let act = match kind {
        "user.created" => "made",
        "user.deleted" => "deleted",
        _ => "changed",
    };
    journal_changes(
        tx,
        &caller.actor,
        now,
        Happened {
            kind,
            project: None,
            database: None,
            operation: None,
            message: format!("user {} ({}) was {act}", user.name, user.id),
        },
        changes,
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn an_address_has_two_halves() {
        for good in ["a@b", "ada.l+x@example.com"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n"] {
            assert!(!is_address(bad), "{bad}");
        }
        assert!(!is_address(&format!("{}@b", "a".repeat(300))));
    }
}
