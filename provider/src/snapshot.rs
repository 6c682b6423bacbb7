//! Refresh from one consistent view of the backend instead of one request a resource.
//!
//! The first read of a kind fetches all objects of it; the reads that follow in the same run
//! are served from that. Projects are fetched for all that the token sees, databases for the
//! project of the first read, and for all when a second project is read: at most two fetches
//! a kind. A change that this process makes drops what was fetched.
//!
//! A fetch is a task of its own: when the read that began it is stopped, or its time is over,
//! the others still get the result, and a failure is still remembered.

use std::collections::HashMap;
use std::sync::Arc;

use std::time::Duration;

use berth_api::{Database, Project};
use tokio::sync::Mutex;

use crate::client::{Client, Error, Shared};

/// The kinds' views, each fetched when it is first needed.
#[derive(Debug)]
pub struct Snapshots {
    client: Client,
    projects: Arc<Mutex<View<Project>>>,
    databases: Arc<Mutex<View<Database>>>,
}

/// What is found in a view: none when the view does not say.
type Found<T> = Result<Option<Arc<T>>, Shared>;

/// All objects of one kind within a scope.
#[derive(Debug)]
enum View<T> {
    /// Not fetched, or dropped.
    None,
    /// Fetching failed. Remembered, so that a thousand reads do not wait a thousand times.
    Failed(Shared),
    /// Fetched, for one project or for all.
    Of {
        project: Option<String>,
        objects: HashMap<String, Arc<T>>,
    },
}

impl<T> View<T> {
    fn covers(&self, wanted: Option<&str>) -> bool {
        match self {
            Self::None => false,
            Self::Failed(_) => true,
            Self::Of { project: None, .. } => true,
            Self::Of { project, .. } => project.as_deref() == wanted,
        }
    }

    /// What a view that nobody is working on says of the object, without waiting; none when
    /// it has to be waited for or fetched first.
    fn look(view: &Mutex<Self>, project: Option<&str>, id: &str) -> Option<Found<T>> {
        let view = view.try_lock().ok()?;
        view.covers(project).then(|| view.find(id))
    }

    fn find(&self, id: &str) -> Found<T> {
        match self {
            Self::None => Ok(None),
            Self::Failed(error) => Err(Arc::clone(error)),
            Self::Of { objects, .. } => Ok(objects.get(id).cloned()),
        }
    }
}

impl Snapshots {
    /// Nothing fetched yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            projects: Arc::new(Mutex::new(View::None)),
            databases: Arc::new(Mutex::new(View::None)),
        }
    }

    /// The project with that id; none when it is gone.
    pub async fn project(&self, id: &str) -> Result<Option<Arc<Project>>, Shared> {
        let act = "reading the projects";
        let fetch = async {
            let (client, view) = (self.client.clone(), Arc::clone(&self.projects));
            let id = id.to_owned();
            let fetching = tokio::spawn(async move {
                let mut view = view.lock().await;
                if !view.covers(None) {
                    *view = fetch_projects(&client).await;
                }
                view.find(&id)
            });
            fetching.await.unwrap_or_else(|_| Err(broken_off(act)))
        };
        let found = match View::look(&self.projects, None, id) {
            Some(found) => found?,
            None => self.client.bounded(act, Duration::ZERO, fetch).await?,
        };
        if found.is_some() {
            return Ok(found);
        }
        // What is absent from the view may be younger than it; the object itself decides.
        match self.client.project(id).await {
            Ok(project) => Ok(Some(Arc::new(project))),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The database with that id, destroyed ones included; none when even its traces are gone.
    /// `project` is where it was last.
    pub async fn database(
        &self,
        id: &str,
        project: Option<&str>,
    ) -> Result<Option<Arc<Database>>, Shared> {
        let act = "reading the databases";
        let fetch = async {
            let (client, view) = (self.client.clone(), Arc::clone(&self.databases));
            let (id, project) = (id.to_owned(), project.map(str::to_owned));
            let fetching = tokio::spawn(async move {
                let mut view = view.lock().await;
                if !view.covers(project.as_deref()) {
                    let scope = match &*view {
                        // The second project within one run: everything, and no third fetch.
                        View::Of { .. } => None,
                        View::None | View::Failed(_) => project.as_deref(),
                    };
                    *view = fetch_databases(&client, scope).await;
                }
                view.find(&id)
            });
            fetching.await.unwrap_or_else(|_| Err(broken_off(act)))
        };
        let found = match View::look(&self.databases, project, id) {
            Some(found) => found?,
            None => self.client.bounded(act, Duration::ZERO, fetch).await?,
        };
        if found.is_some() {
            return Ok(found);
        }
        // It may be younger than the view, have moved to another project, or be destroyed.
        match self.client.database(id, None).await {
            Ok(database) => Ok(Some(Arc::new(database))),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Drops what was fetched, since this process changed something.
    pub async fn forget(&self) {
        *self.projects.lock().await = View::None;
        *self.databases.lock().await = View::None;
    }
}

/// The task that fetched has panicked, or the process is ending.
fn broken_off(act: &str) -> Shared {
    Arc::new(Error::Stopped {
        act: act.to_owned(),
    })
}

async fn fetch_projects(client: &Client) -> View<Project> {
    match client.snapshot("project", None).await {
        Err(error) => View::Failed(error),
        Ok(pages) => View::Of {
            project: None,
            objects: pages
                .into_iter()
                .flat_map(|page| page.projects.unwrap_or_default())
                .map(|project| (project.id.clone(), Arc::new(project)))
                .collect(),
        },
    }
}

async fn fetch_databases(client: &Client, project: Option<&str>) -> View<Database> {
    match client.snapshot("database", project).await {
        Err(error) if project.is_some() && error.is_absence() => {
            // The project is gone, and its databases with it.
            View::Of {
                project: project.map(str::to_owned),
                objects: HashMap::new(),
            }
        }
        Err(error) => View::Failed(error),
        Ok(pages) => View::Of {
            project: project.map(str::to_owned),
            objects: pages
                .into_iter()
                .flat_map(|page| page.databases.unwrap_or_default())
                .map(|database| (database.id.clone(), Arc::new(database)))
                .collect(),
        },
    }
}
