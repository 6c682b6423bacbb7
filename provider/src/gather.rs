//! Plans that are asked for at the same moment go to the backend in one request.
//!
//! A host asks for the plans of many resources at once; the backend checks the rules over
//! several of them only within one request, and one request is quicker than many.
//!
//! A host plans a project before the databases that refer to it, so the two never meet in one
//! request by themselves. What is wanted of a project is therefore said again beside the databases
//! in it that are asked for later in the run: they have to fit into what it will be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use berth_api::{PlanItem, PlannedItem};
use tokio::sync::oneshot;

use crate::client::{Client, Error, Shared};

/// How long the first question waits for others.
const WINDOW_MILLIS: u64 = 3;
/// The most questions in one request; the API's own limit.
const ITEMS_MAX: usize = 1_000;
/// The project of databases that name none, where the token is bound to no other.
const DEFAULT_PROJECT: &str = "proj_default";

type Answer = oneshot::Sender<Result<PlannedItem, Shared>>;

/// Collects questions for a moment, then asks them together.
#[derive(Debug, Clone)]
pub struct Gather {
    client: Client,
    waiting: Arc<Mutex<Vec<(PlanItem, Answer)>>>,
    /// The changed projects of this run, by their ids.
    projects: Arc<Mutex<Projects>>,
}

impl Gather {
    /// Nothing collected yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            waiting: Arc::default(),
            projects: Arc::default(),
        }
    }

    /// What would come of `item`.
    pub async fn plan(&self, item: PlanItem) -> Result<PlannedItem, Shared> {
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push((item, answer));
            waiting.len() == 1
        };
        if is_first {
            // A task of its own: the others' answers must not hang on the first one's caller.
            let gather = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(WINDOW_MILLIS)).await;
                gather.ask().await;
            });
        }
        let act = "asking for a plan";
        let answered = async {
            answered.await.unwrap_or_else(|_| {
                Err(Arc::new(Error::Stopped {
                    act: act.to_owned(),
                }))
            })
        };
        self.client.bounded(act, Duration::ZERO, answered).await
    }

    async fn ask(&self) {
        let mut waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        while !waiting.is_empty() {
            let (fits, again) = {
                let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
                projects.fitting(waiting.iter().map(|(item, _)| item))
            };
            let rest = waiting.split_off(fits);
            let (mut items, answers): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            // Behind what is asked, so that the answers stand where they are looked for.
            items.extend(again);
            tracing::debug!(resources = items.len(), "asking for plans");
            let planned = self.client.plan(items).await;
            deliver(planned, answers);
            waiting = rest;
        }
    }
}

/// What was wanted of projects in this run.
#[derive(Debug, Default)]
struct Projects {
    /// By their ids.
    wanted: BTreeMap<String, PlanItem>,
    /// Their ids by the names that they will have.
    ids: BTreeMap<String, String>,
}

impl Projects {
    /// How many of `waiting` fit into one request, from the front, together with the projects
    /// that have to be said again beside them; and those projects. At least one fits where
    /// there is one.
    fn fitting<'a>(
        &mut self,
        waiting: impl Iterator<Item = &'a PlanItem>,
    ) -> (usize, Vec<PlanItem>) {
        let mut fits = 0;
        let (mut asked, mut again) = (BTreeSet::new(), BTreeSet::new());
        for item in waiting {
            let named = self.named(item);
            let is_more = named.is_some_and(|id| !again.contains(id));
            // One that stands there itself is counted too, which leaves its place empty.
            if fits + 1 + again.len() + usize::from(is_more) > ITEMS_MAX {
                break;
            }
            fits += 1;
            again.extend(named.map(str::to_owned));
            asked.extend(item.id.clone());
            self.remember(item);
        }
        again.retain(|id| !asked.contains(id));
        let again = again.iter().filter_map(|id| self.wanted.get(id));
        (fits, again.cloned().collect())
    }

    /// A new project has no id that a database could name yet, and what goes needs no room.
    fn remember(&mut self, item: &PlanItem) {
        let Some(id) = item.id.as_ref().filter(|_| stays(item, "project")) else {
            return;
        };
        if let Some(name) = text(item, "name") {
            self.ids.insert(name.to_owned(), id.clone());
        }
        self.wanted.insert(id.clone(), item.clone());
    }

    /// The project that a database has to fit into, where something was wanted of it.
    fn named(&self, item: &PlanItem) -> Option<&str> {
        if !stays(item, "database") || item.unknown.iter().any(|path| path == "project_id") {
            return None;
        }
        let id = match text(item, "project_id") {
            Some(id) if self.wanted.contains_key(id) => id,
            Some(name) => self.ids.get(name)?,
            None if self.wanted.contains_key(DEFAULT_PROJECT) => DEFAULT_PROJECT,
            // A token that is bound to another sees no project besides it.
            None if self.wanted.len() == 1 => self.wanted.keys().next()?,
            None => return None,
        };
        let (id, _) = self.wanted.get_key_value(id)?;
        Some(id)
    }
}

fn stays(item: &PlanItem, kind: &str) -> bool {
    item.kind == kind && !item.destroy
}

fn text<'a>(item: &'a PlanItem, field: &str) -> Option<&'a str> {
    item.config.get(field)?.as_str()
}

/// Whoever no longer waits has been stopped, and misses nothing.
fn deliver(planned: Result<Vec<PlannedItem>, Shared>, answers: Vec<Answer>) {
    match planned {
        Ok(planned) => {
            for (planned, answer) in planned.into_iter().zip(answers) {
                let _ = answer.send(Ok(planned));
            }
        }
        Err(error) => {
            for answer in answers {
                let _ = answer.send(Err(Arc::clone(&error)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(kind: &str, id: Option<&str>, name: &str) -> PlanItem {
        PlanItem {
            kind: kind.to_owned(),
            id: id.map(str::to_owned),
            config: [("name".to_owned(), json!(name))].into_iter().collect(),
            ..PlanItem::default()
        }
    }

    fn database_of(project: Option<&str>) -> PlanItem {
        let mut database = item("database", None, "orders");
        let project = project.map(|project| ("project_id".to_owned(), json!(project)));
        database.config.extend(project);
        database
    }

    fn again(projects: &mut Projects, items: &[PlanItem]) -> Vec<PlanItem> {
        let (fits, again) = projects.fitting(items.iter());
        assert_eq!(fits, items.len());
        again
    }

    #[test]
    fn a_changed_project_is_said_again_beside_its_databases() {
        let mut projects = Projects::default();
        let shop = item("project", Some("proj_1"), "shop");
        let other = item("project", Some("proj_2"), "other");
        assert_eq!(again(&mut projects, &[shop.clone(), other]), []);
        let new = item("project", None, "new");
        for reference in ["proj_1", "shop"] {
            let database = database_of(Some(reference));
            let together = [new.clone(), database.clone(), database];
            assert_eq!(again(&mut projects, &together), std::slice::from_ref(&shop));
        }
        // Where it stands itself it is not said twice, and the last word of it counts.
        let renamed = item("project", Some("proj_1"), "store");
        let database = database_of(Some("proj_1"));
        let together = [database.clone(), renamed.clone()];
        assert_eq!(again(&mut projects, &together), []);
        let alone = std::slice::from_ref(&database);
        assert_eq!(again(&mut projects, alone), [renamed]);
        // What goes needs no room, and what is elsewhere none there.
        let gone = PlanItem {
            destroy: true,
            ..database.clone()
        };
        let open = PlanItem {
            unknown: vec!["project_id".to_owned()],
            ..database_of(None)
        };
        let elsewhere = database_of(Some("proj_9"));
        let others = [gone, new, open, elsewhere, database_of(None)];
        assert_eq!(again(&mut projects, &others), []);
    }

    #[test]
    fn a_database_that_names_no_project_is_in_the_default_one() {
        let mut projects = Projects::default();
        let default = item("project", Some("proj_default"), "default");
        assert_eq!(again(&mut projects, std::slice::from_ref(&default)), []);
        let shop = item("project", Some("proj_1"), "shop");
        assert_eq!(again(&mut projects, std::slice::from_ref(&shop)), []);
        assert_eq!(again(&mut projects, &[database_of(None)]), [default]);
        // With a token that is bound to a project it is in that.
        let mut bound = Projects::default();
        assert_eq!(again(&mut bound, std::slice::from_ref(&shop)), []);
        assert_eq!(again(&mut bound, &[database_of(None)]), [shop]);
    }

    #[test]
    fn no_request_has_more_than_the_most_of_questions() {
        let mut projects = Projects::default();
        let id = |number: usize| format!("proj_{number:04}");
        for number in 0..ITEMS_MAX {
            let name = format!("p{number}");
            projects.remember(&item("project", Some(&id(number)), &name));
        }
        let databases: Vec<_> = (0..ITEMS_MAX)
            .map(|number| database_of(Some(&id(number))))
            .collect();
        let (fits, again) = projects.fitting(databases.iter());
        assert_eq!((fits, again.len()), (ITEMS_MAX / 2, ITEMS_MAX / 2));
        // None of them is left out, and the highest ids are said as the lowest ones are.
        let (fits, again) = projects.fitting(databases[fits..].iter());
        assert_eq!((fits, again.len()), (ITEMS_MAX / 2, ITEMS_MAX / 2));
        assert_eq!(again[again.len() - 1].id, Some(id(ITEMS_MAX - 1)));
        let elsewhere = vec![database_of(Some("proj_of_others")); ITEMS_MAX + 1];
        let (fits, again) = projects.fitting(elsewhere.iter());
        assert_eq!((fits, again.len()), (ITEMS_MAX, 0));
    }
}
