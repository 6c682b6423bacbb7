//! Events, over as many connections as it takes.

use crate::errors::{Subject, meaning};
use crate::{Docker, LABEL_INSTALLATION, LABEL_INSTANCE};
use async_trait::async_trait;
use berth_containers::{Events, RuntimeError, RuntimeEvent, RuntimeFacts};
use berth_domain::Timestamp;
use bollard::Docker as Client;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::collections::HashMap;
use std::time::Duration;

/// How long to wait before listening again to an engine that hung up.
const LISTEN_AGAIN_MILLIS: u64 = 1000;
/// What may change how an instance is.
const ACTIONS: [&str; 6] = ["start", "die", "oom", "destroy", "pause", "unpause"];

struct Listening {
    docker: Docker,
    installation: String,
    messages: Option<BoxStream<'static, Result<EventMessage, bollard::errors::Error>>>,
}

impl Listening {
    /// Listens from the engine's own present on: what happens between this answer and the
    /// next request is told too.
    async fn listen(&mut self) -> Result<(), RuntimeError> {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("event".to_owned(), ACTIONS.map(str::to_owned).to_vec()),
            (
                "label".to_owned(),
                vec![format!("{LABEL_INSTALLATION}={}", self.installation)],
            ),
        ]);
        let client = self.docker.agree().await?;
        let info = client.info().await;
        let info = info.map_err(|e| meaning("ask Docker for the time", Subject::Engine, e))?;
        let now = info.system_time.unwrap_or_default();
        let mut options = EventsOptionsBuilder::default().filters(&filters);
        if let Some(now) = Timestamp::parse(&now) {
            options = options.since(&(now.as_millis() / 1000).to_string());
        }
        self.messages = Some(client.listen(options.build()));
        Ok(())
    }

    /// The next event. A connection that breaks is followed by a gap once another stands.
    async fn next(mut self) -> Option<(RuntimeEvent, Self)> {
        loop {
            let Some(messages) = &mut self.messages else {
                match self.listen().await {
                    Ok(()) => return Some((RuntimeEvent::Gap, self)),
                    Err(error) => tracing::debug!(%error, "Docker's events cannot be had"),
                }
                tokio::time::sleep(Duration::from_millis(LISTEN_AGAIN_MILLIS)).await;
                continue;
            };
            match messages.next().await {
                Some(Ok(message)) => {
                    if let Some(instance) = instance(message) {
                        return Some((RuntimeEvent::Instance(instance), self));
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "Docker's events broke off");
                    self.messages = None;
                }
                None => self.messages = None,
            }
        }
    }
}

/// An owned stream of messages.
trait Listen {
    fn listen(
        self,
        options: bollard::query_parameters::EventsOptions,
    ) -> BoxStream<'static, Result<EventMessage, bollard::errors::Error>>;
}

impl Listen for Client {
    fn listen(
        self,
        options: bollard::query_parameters::EventsOptions,
    ) -> BoxStream<'static, Result<EventMessage, bollard::errors::Error>> {
        self.events(Some(options)).boxed()
    }
}

fn instance(message: EventMessage) -> Option<String> {
    message.actor?.attributes?.remove(LABEL_INSTANCE)
}

#[async_trait]
impl Events for Docker {
    fn events(&self, installation: &str) -> BoxStream<'static, RuntimeEvent> {
        let listening = Listening {
            docker: self.clone(),
            installation: installation.to_owned(),
            messages: None,
        };
        stream::unfold(listening, Listening::next).boxed()
    }

    async fn facts(&self) -> Result<RuntimeFacts, RuntimeError> {
        // Asked anew each time: whoever asks also wants to know whether it answers.
        self.agree().await?;
        self.known_facts().await.cloned()
    }
}
