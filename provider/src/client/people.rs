//! Calls about people, what they may do and what they did: tokens, members, the journal, and
//! the environment that a project's applications get.

use berth_api::{Environment, TokenSecret, UserList};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::transport::Request;
use super::{Client, Shared, fresh_key};

/// Pages of the journal that one question may read: at 100 events each, more than a person
/// reads.
const EVENT_PAGES_MAX: usize = 100;
/// The most events in one page; the API's own limit.
const EVENTS_IN_PAGE_MAX: usize = 100;

/// The one who reaches every project without being a member of it.
const ADMINISTRATOR: &str = "usr_admin";

/// The fields of an object, by the names that the schema has for them.
pub type Fields = Map<String, Json>;

#[derive(Deserialize)]
struct MemberEnvelope {
    member: Fields,
}

#[derive(Deserialize)]
struct EventPage {
    events: Vec<Fields>,
    next_page_token: Option<String>,
}

impl Client {
    /// Makes a token whose secret can be read again. The secret is kept out of logs from here.
    pub async fn create_token(&self, body: &Fields) -> Result<(Fields, String), Shared> {
        let request = Request::new("creating a token", Method::POST, &["v1", "tokens"])
            .json(body)
            .key(fresh_key());
        let mut made: Fields = self.send(request).await?;
        let secret = match made.remove("secret") {
            Some(Json::String(secret)) => secret,
            _ => String::new(),
        };
        berth_plugin::secrets::remember(&secret);
        Ok((made, secret))
    }

    /// The token with that id, without its secret.
    pub async fn token(&self, id: &str) -> Result<Fields, Shared> {
        let act = format!("reading token {id}");
        self.get(&act, &["v1", "tokens", id]).await
    }

    /// Changes the fields that the body has.
    pub async fn change_token(&self, id: &str, body: &Fields) -> Result<Fields, Shared> {
        let act = format!("changing token {id}");
        let request = Request::new(act, Method::PATCH, &["v1", "tokens", id]).json(body);
        self.send(request).await
    }

    /// Revokes a token. One that is gone already is a success.
    pub async fn revoke_token(&self, id: &str) -> Result<(), Shared> {
        let act = format!("revoking token {id}");
        self.destroy(&Request::new(act, Method::DELETE, &["v1", "tokens", id]))
            .await
    }

    /// The secret of a token whose maker had it kept. It is kept out of logs from here.
    pub async fn token_secret(&self, id: &str) -> Result<TokenSecret, Shared> {
        let act = format!("reading the secret of token {id}");
        let found: TokenSecret = self.get(&act, &["v1", "tokens", id, "secret"]).await?;
        berth_plugin::secrets::remember(&found.secret);
        Ok(found)
    }

    /// The part that a user has in a project.
    pub async fn member(&self, project: &str, user: &str) -> Result<Fields, Shared> {
        let act = format!("reading member {user} of project {project}");
        let path = ["v1", "projects", project, "members", user];
        let MemberEnvelope { member } = self.get(&act, &path).await?;
        Ok(member)
    }

    /// Gives a user a part in a project, or another one.
    pub async fn put_member(
        &self,
        project: &str,
        user: &str,
        role: &str,
    ) -> Result<Fields, Shared> {
        let act = format!("making {user} {role} of project {project}");
        let path = ["v1", "projects", project, "members", user];
        let request =
            Request::new(act, Method::PUT, &path).json(&serde_json::json!({ "role": role }));
        let MemberEnvelope { member } = self.send(request).await?;
        Ok(member)
    }

    /// Whether the token is one of that user, who reaches projects as their member. Only the
    /// administrator sees other users, and needs to be no member of anything.
    pub async fn is_own_member(&self, user: &str) -> Result<bool, Shared> {
        if user == ADMINISTRATOR {
            return Ok(false);
        }
        let act = "asking whose the provider's token is";
        let request = Request::new(act, Method::GET, &["v1", "users"]).query("page_size", "2");
        let UserList { users, .. } = self.send(request).await?;
        Ok(matches!(&users[..], [only] if only.id == user))
    }

    /// Takes a user out of a project. One who is not in it is a success.
    pub async fn remove_member(&self, project: &str, user: &str) -> Result<(), Shared> {
        let act = format!("removing member {user} of project {project}");
        let path = ["v1", "projects", project, "members", user];
        self.destroy(&Request::new(act, Method::DELETE, &path))
            .await
    }

    /// The newest events that `filters` let through, the newest first, at most `limit`.
    pub async fn newest_events(
        &self,
        filters: &[(&'static str, String)],
        limit: usize,
    ) -> Result<Vec<Fields>, Shared> {
        let mut events: Vec<Fields> = Vec::new();
        let mut page_token: Option<String> = None;
        for _ in 0..EVENT_PAGES_MAX {
            let size = (limit - events.len()).min(EVENTS_IN_PAGE_MAX);
            let mut request = Request::new("reading the journal", Method::GET, &["v1", "events"])
                .query("order", "newest")
                .query("page_size", size.to_string());
            for (name, value) in filters {
                request = request.query(name, value.as_str());
            }
            if let Some(token) = page_token {
                request = request.query("page_token", token);
            }
            let page: EventPage = self.send(request).await?;
            let ended = page.events.len() < size;
            events.extend(page.events);
            page_token = page.next_page_token;
            if ended || events.len() >= limit || page_token.is_none() {
                break;
            }
        }
        events.truncate(limit);
        Ok(events)
    }

    /// What the applications of a project get, with addresses as seen from `network`. Secret
    /// values are kept out of logs from here.
    pub async fn project_env(&self, project: &str, network: &str) -> Result<Environment, Shared> {
        let act = format!("reading the environment of project {project}");
        // It may be a plan that asks: nothing is to be made for that.
        let request = Request::new(act, Method::GET, &["v1", "projects", project, "env"])
            .query("network", network)
            .query("provision", "false");
        let environment: Environment = self.send(request).await?;
        for note in &environment.notes {
            tracing::info!(note, "of the environment");
        }
        let secret = environment
            .variables
            .iter()
            .filter(|variable| variable.sensitive);
        let values = secret.filter_map(|variable| variable.value.as_deref());
        values.for_each(berth_plugin::secrets::remember);
        Ok(environment)
    }
}
