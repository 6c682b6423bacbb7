//! PostgreSQL's protocol, for the engine and for PgBouncer's administration alike.

use super::{Dialled, Stream, statement_error};
use crate::{Error, Login, Row, Session};
use async_trait::async_trait;
use berth_domain::{Answer, Statement};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// The connection's own task ends with the session.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct PostgreSql {
    client: Client,
    _connection: Connection,
}

pub(super) async fn open(stream: impl Stream, login: &Login) -> Result<Box<dyn Session>, Dialled> {
    let mut config = Config::new();
    config
        .user(&login.username)
        .dbname(&login.database_name)
        .application_name("berthd");
    if !login.password.reveal().is_empty() {
        config.password(login.password.reveal());
    }
    let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(why)?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a session with an engine ended");
        }
    });
    Ok(Box::new(PostgreSql {
        client,
        _connection: Connection(task),
    }))
}

/// A refused password is an answer; everything else may pass, such as an engine that is
/// still starting or a pooler whose server is not there yet.
fn why(error: tokio_postgres::Error) -> Dialled {
    let refused = error.code().is_some_and(|code| {
        *code == SqlState::INVALID_PASSWORD
            || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
    });
    // PgBouncer has the code of a protocol violation for a failed login; its words tell.
    let failed_login = error
        .as_db_error()
        .is_some_and(|e| e.message().contains("authentication failed"));
    if refused || failed_login {
        Dialled::Refused(error.into())
    } else {
        Dialled::Silent(error.into())
    }
}

impl PostgreSql {
    async fn say(&self, act: &str, text: &str) -> Result<(), Error> {
        let said = self.client.batch_execute(text).await;
        said.map_err(|e| statement_error(act, e))
    }
}

#[async_trait]
impl Session for PostgreSql {
    async fn run(&self, statements: &[Statement]) -> Result<(), Error> {
        for statement in statements {
            match statement.answer() {
                Answer::Read => self.say(statement.act(), statement.text().reveal()).await?,
                Answer::Said => {
                    for row in self.ask(statement).await? {
                        let text = row.into_iter().next().flatten().unwrap_or_default();
                        self.say(statement.act(), &text).await?;
                    }
                }
            }
        }
        Ok(())
    }

    // The simple protocol: PgBouncer's administration knows no other.
    async fn ask(&self, question: &Statement) -> Result<Vec<Row>, Error> {
        let messages = self
            .client
            .simple_query(question.text().reveal())
            .await
            .map_err(|e| statement_error(question.act(), e))?;
        Ok(messages.iter().filter_map(row).collect())
    }
}

fn row(message: &SimpleQueryMessage) -> Option<Row> {
    match message {
        SimpleQueryMessage::Row(row) => Some(
            (0..row.len())
                .map(|column| row.get(column).map(str::to_owned))
                .collect(),
        ),
        _ => None,
    }
}
