//! Typed calls to the backend.
//!
//! Owns: the routes that the provider uses, which of them may be repeated, how long a change
//! is waited for; and, in [`Error`], how refusals become diagnostics.
//! Refuses: what an answer means for a resource.

mod error;
mod people;
mod transport;
mod waiting;
mod words;

use std::sync::Arc;
use std::time::Duration;

use berth_api::{
    Catalogue, ChangedDatabaseEnvelope, Credentials, Database, DatabaseBody, DatabaseEnvelope,
    PlanAnswer, PlanItem, PlanRequest, PlannedItem, Project, ProjectBody, ProjectEnvelope, Server,
    Snapshot,
};
use berth_plugin::resource::Context;
use reqwest::Method;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub use error::{Error, Shared};
pub use people::Fields;
pub use transport::Patience;
use transport::{Connection, Request};
pub use waiting::within;
pub use words::complaint;

use crate::settings::Settings;

/// Pages of one snapshot: at 10,000 objects each, more than a host can carry.
const SNAPSHOT_PAGES_MAX: u32 = 1_000;

/// The backend, asked for the first time when there is something to ask.
#[derive(Debug, Clone)]
pub struct Client {
    settings: Option<Arc<Settings>>,
    // A failure is remembered: a backend that is down is waited for once, and not once for
    // each resource.
    connection: Arc<OnceCell<Result<Connection, Shared>>>,
}

impl Client {
    /// A client of the backend that the settings name.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: Some(Arc::new(settings)),
            connection: Arc::default(),
        }
    }

    /// A client of a backend that is not known yet. Everything asked of it is an error.
    pub fn unknown() -> Self {
        Self {
            settings: None,
            connection: Arc::default(),
        }
    }

    /// Whether it is known which backend to ask.
    pub fn is_known(&self) -> bool {
        self.settings.is_some()
    }

    async fn connection(&self) -> Result<&Connection, Shared> {
        let Some(settings) = &self.settings else {
            return Err(Arc::new(Error::SettingsUnknown));
        };
        if !self.connection.initialized() {
            // A task of its own: a caller that gives up must not take the opening with it,
            // or the next one would wait from the beginning.
            let (settings, connection) = (Arc::clone(settings), Arc::clone(&self.connection));
            let opening = tokio::spawn(async move {
                let open = || async { Connection::open(&settings).await.map_err(Arc::new) };
                connection.get_or_init(open).await;
            });
            if let Err(error) = opening.await {
                tracing::error!(%error, "the opening of the connection broke off");
            }
        }
        match self.connection.get() {
            Some(opened) => opened.as_ref().map_err(Arc::clone),
            None => Err(Arc::new(Error::Stopped {
                act: "opening the connection".to_owned(),
            })),
        }
    }

    async fn send<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, Shared> {
        let act = request.act.clone();
        // A long poll that is not answered says that nothing has happened yet; whoever polls
        // bounds it.
        let is_long = request.wait.is_some();
        let work = async {
            let connection = self.connection().await?;
            connection.send(request).await.map_err(Arc::new)
        };
        if is_long {
            return work.await;
        }
        self.bounded(&act, self.patience().grace, work).await
    }

    fn patience(&self) -> Patience {
        let settings = self.settings.as_ref();
        settings.map_or_else(Patience::default, |settings| settings.patience)
    }

    /// Does `work`, unless the call that runs in this task ends before it is done: `grace`
    /// after the user asked to stop or the call's time was over.
    pub async fn bounded<T>(
        &self,
        act: &str,
        grace: Duration,
        work: impl Future<Output = Result<T, Shared>>,
    ) -> Result<T, Shared> {
        let Some(context) = Context::current() else {
            return work.await;
        };
        let begun = Instant::now();
        let ends = async {
            let stopped = tokio::select! {
                () = context.stop.cancelled() => true,
                () = tokio::time::sleep_until(context.deadline) => false,
            };
            if !grace.is_zero() {
                tokio::time::sleep(grace).await;
            }
            stopped
        };
        let stopped = tokio::select! {
            biased;
            done = work => return done,
            stopped = ends => stopped,
        };
        let settings = self.settings.as_ref();
        Err(Arc::new(Error::Unanswered {
            act: act.to_owned(),
            endpoint: settings.map_or_else(String::new, |s| s.endpoint.to_string()),
            waited: begun.elapsed(),
            stopped,
        }))
    }

    async fn get<T: DeserializeOwned>(&self, act: &str, path: &[&str]) -> Result<T, Shared> {
        self.send(Request::new(act, Method::GET, path)).await
    }

    /// What can be ordered.
    pub async fn catalogue(&self) -> Result<Catalogue, Shared> {
        self.get("reading the catalogue", &["v1", "catalogue"])
            .await
    }

    /// What serves it.
    pub async fn server(&self) -> Result<Server, Shared> {
        self.get("reading the installation", &["v1", "server"])
            .await
    }

    /// What would come of `items`, in their order.
    pub async fn plan(&self, items: Vec<PlanItem>) -> Result<Vec<PlannedItem>, Shared> {
        let asked = items.len();
        let request = Request::new("asking for a plan", Method::POST, &["v1", "plan"])
            .json(&PlanRequest { resources: items })
            // It writes nothing, and takes no key.
            .repeatable();
        let PlanAnswer { resources } = self.send(request).await?;
        if resources.len() == asked {
            return Ok(resources);
        }
        let error = format!("{} plans for {asked} questions", resources.len());
        let connection = self.connection().await?;
        Err(Arc::new(connection.unreadable("asking for a plan", error)))
    }

    /// All objects of `kind`, of one project or of all that the token sees, as they are at
    /// one version of the store.
    pub async fn snapshot(
        &self,
        kind: &'static str,
        project: Option<&str>,
    ) -> Result<Vec<Snapshot>, Shared> {
        let mut pages: Vec<Snapshot> = Vec::new();
        let mut page_token: Option<String> = None;
        for _ in 0..SNAPSHOT_PAGES_MAX {
            let mut request = Request::new(
                format!("refreshing all of kind {kind}"),
                Method::GET,
                &["v1", "snapshot"],
            )
            .query("kind", kind);
            if let Some(project) = project {
                request = request.query("project_id", project);
            }
            if let Some(token) = page_token {
                request = request.query("page_token", token);
            }
            let mut page: Snapshot = self.send(request).await?;
            page_token = page.next_page_token.take();
            pages.push(page);
            if page_token.is_none() {
                break;
            }
        }
        Ok(pages)
    }

    /// The project with that id or name.
    pub async fn project(&self, key: &str) -> Result<Project, Shared> {
        let act = format!("reading project {key}");
        let ProjectEnvelope { project } = self.get(&act, &["v1", "projects", key]).await?;
        Ok(project)
    }

    /// Makes a project, unclaimed when the body says so.
    pub async fn create_project(&self, body: &ProjectBody) -> Result<Project, Shared> {
        let request = Request::new("creating a project", Method::POST, &["v1", "projects"])
            .json(body)
            .key(fresh_key());
        let ProjectEnvelope { project } = self.send(request).await?;
        Ok(project)
    }

    /// Takes over a project that this token made.
    pub async fn claim_project(&self, id: &str) -> Result<Project, Shared> {
        let act = format!("claiming project {id}");
        let request = Request::new(act, Method::POST, &["v1", "projects", id, "claim"]);
        let ProjectEnvelope { project } = self.send(request.key(fresh_key())).await?;
        Ok(project)
    }

    /// Changes the fields that the body has.
    pub async fn change_project(&self, id: &str, body: &ProjectBody) -> Result<Project, Shared> {
        let act = format!("changing project {id}");
        let request = Request::new(act, Method::PATCH, &["v1", "projects", id]).json(body);
        let ProjectEnvelope { project } = self.send(request).await?;
        Ok(project)
    }

    /// Takes a project away. One that is gone already is a success.
    pub async fn destroy_project(&self, id: &str, only_if_empty: bool) -> Result<(), Shared> {
        let act = format!("destroying project {id}");
        let mut request = Request::new(act, Method::DELETE, &["v1", "projects", id]);
        if only_if_empty {
            request = request.query("if_empty", "true");
        }
        self.destroy(&request).await
    }

    /// The database with that id, or with that name in `project` or anywhere.
    pub async fn database(&self, key: &str, project: Option<&str>) -> Result<Database, Shared> {
        let act = format!("reading database {key}");
        let mut request = Request::new(act, Method::GET, &["v1", "databases", key]);
        if let Some(project) = project {
            request = request.query("project_id", project);
        }
        let DatabaseEnvelope { database } = self.send(request).await?;
        Ok(database)
    }

    /// Orders a database, unclaimed when the body says so.
    pub async fn create_database(&self, body: &DatabaseBody) -> Result<Database, Shared> {
        let request = Request::new("creating a database", Method::POST, &["v1", "databases"])
            .json(body)
            .key(fresh_key());
        let DatabaseEnvelope { database } = self.send(request).await?;
        Ok(database)
    }

    /// Takes over a database that this token made.
    pub async fn claim_database(&self, id: &str) -> Result<Database, Shared> {
        let act = format!("claiming database {id}");
        let request = Request::new(act, Method::POST, &["v1", "databases", id, "claim"]);
        let DatabaseEnvelope { database } = self.send(request.key(fresh_key())).await?;
        Ok(database)
    }

    /// Changes the fields that the body has. The answer names the operation to wait for.
    pub async fn change_database(
        &self,
        id: &str,
        body: &DatabaseBody,
    ) -> Result<ChangedDatabaseEnvelope, Shared> {
        let act = format!("changing database {id}");
        let request = Request::new(act, Method::PATCH, &["v1", "databases", id]).json(body);
        self.send(request).await
    }

    /// Takes a database away, into the trash, and names the operation that does it. One that
    /// is gone already is a success without an operation.
    pub async fn destroy_database(
        &self,
        id: &str,
        context: &Context,
    ) -> Result<Option<String>, Shared> {
        let act = format!("destroying database {id}");
        let request = Request::new(&act, Method::DELETE, &["v1", "databases", id]);
        self.destroy(&request).await?;
        let look = || self.database(id, None);
        match self.outlast(&act, context, look).await {
            Ok(database) => Ok(database.operation_id),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn destroy(&self, request: &Request<'_>) -> Result<(), Shared> {
        let work = async {
            let connection = self.connection().await?;
            connection.send_for_bytes(request).await.map_err(Arc::new)
        };
        match self
            .bounded(&request.act, self.patience().grace, work)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if error.is_absence() || error.code() == Some("database_destroyed") => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// How to log in. What comes back is secret; its password is kept out of logs from here.
    pub async fn credentials(
        &self,
        id: &str,
        network: Option<&str>,
    ) -> Result<Credentials, Shared> {
        let act = format!("reading the credentials of database {id}");
        let mut request = Request::new(act, Method::GET, &["v1", "databases", id, "credentials"]);
        if let Some(network) = network {
            request = request.query("network", network);
        }
        let credentials: Credentials = self.send(request).await?;
        berth_plugin::secrets::remember(&credentials.password);
        Ok(credentials)
    }
}

/// A key under which the server recognises the repetitions of one request.
fn fresh_key() -> String {
    uuid::Uuid::new_v4().to_string()
}
