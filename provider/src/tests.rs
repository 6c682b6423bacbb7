//! The provider as a host sees it, against a fake backend over real HTTP.

mod attributes;
mod audit;
mod bad_days;
mod credentials;
mod database;
mod edits;
mod people;
mod reference;
mod refresh;
mod schema;
mod silence;
mod sleep;
mod takeover;
mod told;
mod waits;

use berth_plugin::diagnostics::Diagnostics;
use berth_plugin::object::Object;
use berth_plugin::testing::{Action, Failure, Instance, Plan, TestHost};
use berth_plugin::value::Value;

use crate::fake::{Fake, TOKEN};
use crate::provider::Berth;

/// A host with a configured provider and the backend it asks.
struct Stage {
    host: TestHost,
    fake: Fake,
}

impl Stage {
    async fn start() -> Self {
        let fake = Fake::start().await;
        let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
        let endpoint = Value::from(fake.endpoint.as_str());
        let block = [("endpoint", endpoint), ("token", TOKEN.into())];
        host.configure(block).await.unwrap();
        Self { host, fake }
    }

    /// The same backend in the next run of a host, which starts a process of its own.
    async fn next_run(&self) -> Self {
        let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
        let endpoint = Value::from(self.fake.endpoint.as_str());
        let block = [("endpoint", endpoint), ("token", TOKEN.into())];
        host.configure(block).await.unwrap();
        Self {
            host,
            fake: self.fake.clone(),
        }
    }

    fn config(&self, type_name: &str, attributes: &[(&'static str, Value)]) -> Object {
        self.host
            .config(type_name, attributes.iter().cloned())
            .unwrap()
    }

    /// A database's configuration: the least there must be, and what is given.
    fn database(&self, attributes: &[(&'static str, Value)]) -> Object {
        let least = [
            ("name", Value::from("orders")),
            ("engine", "postgresql".into()),
        ];
        let all: Vec<_> = least
            .into_iter()
            .chain(attributes.iter().cloned())
            .collect();
        self.config("berth_database", &all)
    }

    async fn created(&self, config: &Object) -> Instance {
        let mut instance = self.host.instance("berth_database");
        self.host.apply(&mut instance, config).await.unwrap();
        instance
    }

    async fn assert_settled(&self, instance: &mut Instance, config: &Object) {
        let stage = self.next_run().await;
        stage.host.refresh(instance).await.unwrap();
        stage.fake.requests();
        let plan = stage.host.plan(instance, config).await.unwrap();
        assert_eq!(plan.action, Action::NoOp, "{:?}", plan.planned);
        assert_eq!(
            stage.fake.requests(),
            [""; 0],
            "an unchanged resource asks nobody"
        );
    }
}

fn told(result: Result<impl Sized, Failure>) -> String {
    match result {
        Err(Failure::Told(diagnostics)) => diagnostics.to_string(),
        Err(broken) => panic!("{broken}"),
        Ok(_) => panic!("it succeeded"),
    }
}

fn warnings(diagnostics: &Diagnostics) -> Vec<String> {
    diagnostics
        .iter()
        .filter(|d| !d.is_error())
        .map(ToString::to_string)
        .collect()
}

/// The names of the attributes that a plan leaves open.
fn open(plan: &Plan) -> Vec<&str> {
    let planned = plan.planned.as_ref().unwrap();
    planned
        .iter()
        .filter(|(_, value)| !value.is_wholly_known())
        .map(|(name, _)| name)
        .collect()
}
