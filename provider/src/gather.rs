//! Plans that are asked for at the same moment go to the backend in one request.
//!
//! A host asks for the plans of many resources at once; the backend checks the rules over
//! several of them only within one request, and one request is quicker than many.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use berth_api::{PlanItem, PlannedItem};
use tokio::sync::oneshot;

use crate::client::{Client, Error, Shared};

/// How long the first question waits for others.
const WINDOW_MILLIS: u64 = 3;
/// The most questions in one request; the API's own limit.
const ITEMS_MAX: usize = 1_000;

type Answer = oneshot::Sender<Result<PlannedItem, Shared>>;

/// Collects questions for a moment, then asks them together.
#[derive(Debug, Clone)]
pub struct Gather {
    client: Client,
    waiting: Arc<Mutex<Vec<(PlanItem, Answer)>>>,
}

impl Gather {
    /// Nothing collected yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            waiting: Arc::default(),
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
            let rest = waiting.split_off(waiting.len().min(ITEMS_MAX));
            let (items, answers): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            tracing::debug!(resources = items.len(), "asking for plans");
            let planned = self.client.plan(items).await;
            deliver(planned, answers);
            waiting = rest;
        }
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
