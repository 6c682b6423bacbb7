//! Plans that are asked for at the same moment go to the backend in one request.
//!
//! A host asks for the plans of many resources at once; the backend checks the rules over
//! several of them only within one request, and one request is quicker than many.
//!
//! A host plans a project before the databases that refer to it, so the two never meet in one
//! request by themselves. What is wanted of a project is therefore said again beside databases
//! that are asked for later in the run: they have to fit into what it will be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use berth_api::{PlanItem, PlannedItem};
use tokio::sync::oneshot;

use crate::client::{Client, Error, Shared};

/// How long the first question waits for others.
const WINDOW_MILLIS: u64 = 3;
/// The most questions in one request; the API's own limit.
const ITEMS_MAX: usize = 1_000;
/// The most of them that are said again; projects beyond that are not.
const AGAIN_MAX: usize = 200;

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
            let rest = waiting.split_off(waiting.len().min(ITEMS_MAX - AGAIN_MAX));
            let (mut items, answers): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            // Behind what is asked, so that the answers stand where they are looked for.
            let again = {
                let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
                projects.again(&items)
            };
            items.extend(again);
            tracing::debug!(resources = items.len(), "asking for plans");
            let planned = self.client.plan(items).await;
            deliver(planned, answers);
            waiting = rest;
        }
    }
}

/// What was wanted of projects in this run, by their ids.
#[derive(Debug, Default)]
struct Projects(BTreeMap<String, PlanItem>);

impl Projects {
    /// Remembers the projects among `items`, and says again what was wanted of others before,
    /// when there are databases that may have to fit into them.
    fn again(&mut self, items: &[PlanItem]) -> Vec<PlanItem> {
        let stays = |item: &&PlanItem, kind: &str| item.kind == kind && !item.destroy;
        for item in items.iter().filter(|item| stays(item, "project")) {
            if let Some(id) = &item.id {
                self.0.insert(id.clone(), item.clone());
            }
        }
        if !items.iter().any(|item| stays(&item, "database")) {
            return Vec::new();
        }
        let is_asked = |item: &&PlanItem| items.iter().any(|one| one.id == item.id);
        let others = self.0.values().filter(|item| !is_asked(item));
        others.take(AGAIN_MAX).cloned().collect()
    }
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

    #[test]
    fn a_changed_project_is_said_again_beside_databases() {
        let mut projects = Projects::default();
        let shop = item("project", Some("proj_1"), "shop");
        assert_eq!(projects.again(std::slice::from_ref(&shop)), []);
        // A new one has no id that a database could name yet.
        let new = item("project", None, "new");
        let database = item("database", None, "orders");
        let together = [new.clone(), database.clone()];
        assert_eq!(projects.again(&together), [shop]);
        // Where it stands itself it is not said twice, and the last word of it counts.
        let renamed = item("project", Some("proj_1"), "store");
        assert_eq!(projects.again(&[renamed.clone(), database.clone()]), []);
        let alone = std::slice::from_ref(&database);
        assert_eq!(projects.again(alone), [renamed]);
        // What goes needs no room.
        let gone = PlanItem {
            destroy: true,
            ..database
        };
        assert_eq!(projects.again(&[gone, new]), []);
    }
}
