//! `berthd user`: makes, lists and deletes people through the running berthd.

use crate::cli::UserCommand;
use crate::local::{Error, Local, segment};
use crate::say;
use berth_api::{Field, User, UserBody, UserEnvelope, UserList};

/// Runs one of the user commands.
pub async fn run(local: &Local, command: UserCommand) -> Result<(), Error> {
    match command {
        UserCommand::Create { name, email } => {
            let body = UserBody {
                name: Field::Value(name),
                email: email.map_or(Field::Absent, Field::Value),
            };
            let made: UserEnvelope = local.post("/v1/users", &body).await?;
            say(format_args!("{}", made.user.id));
            Ok(())
        }
        UserCommand::List => {
            for user in everybody(local).await? {
                let email = user.email.as_deref().unwrap_or("no mail address");
                say(format_args!("{}  {}  {email}", user.id, user.name));
            }
            Ok(())
        }
        UserCommand::Delete { id } => {
            local
                .delete(&format!("/v1/users/{}", segment(&id)?))
                .await?;
            say(format_args!("{id} deleted, with every token of that user"));
            Ok(())
        }
    }
}

/// All people, oldest first.
pub async fn everybody(local: &Local) -> Result<Vec<User>, Error> {
    let parts = |page: UserList| (page.users, page.next_page_token);
    local.pages("/v1/users", parts).await
}
