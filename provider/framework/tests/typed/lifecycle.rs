//! What an author relies on from call to call.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_plugin::data_source::{DataSource, ReadDataRequest, ReadDataResponse};
use berth_plugin::diagnostics::{Diagnostic, Diagnostics, Outcome};
use berth_plugin::ephemeral::{EphemeralResource, OpenRequest, OpenResponse, RenewResponse};
use berth_plugin::function::{Function, FunctionError, Parameter, Signature};
use berth_plugin::private::Private;
use berth_plugin::provider::{ConfigureRequest, Configured, Provider};
use berth_plugin::resource::{ClientCapabilities, Context};
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::server::ProviderServer;
use berth_plugin::testing::{Action, Instance, TestHost};
use berth_plugin::types::Type;
use berth_plugin::value::Value;

use crate::ledger::{Ledger, TYPE};

fn basic(host: &TestHost, more: &[(&'static str, Value)]) -> berth_plugin::object::Object {
    let basic = [("name", "orders".into()), ("kind", "journal".into())];
    host.config(TYPE, basic.into_iter().chain(more.iter().cloned()))
        .unwrap()
}

async fn created(host: &TestHost) -> Instance {
    let mut instance = host.instance(TYPE);
    host.apply(&mut instance, &basic(host, &[])).await.unwrap();
    instance
}

#[tokio::test]
async fn defaults_and_what_derives_from_them_are_known_at_plan() {
    let host = Ledger::default().host();
    let config = basic(
        &host,
        &[("settings", Value::object([("mode", Value::Null)]))],
    );
    let plan = host.plan(&host.instance(TYPE), &config).await.unwrap();
    let planned = plan.planned.unwrap();
    assert_eq!(planned.integer("size"), Ok(Some(10)));
    let settings = planned.object("settings").unwrap().unwrap();
    assert_eq!(settings.string("mode"), Ok(Some("plain")));
    assert_eq!(settings.string("made"), Ok(Some("made-plain")));
    assert!(planned.is_unknown("id").unwrap());
}

#[tokio::test]
async fn a_replacement_is_planned_three_times_and_the_last_time_without_memory() {
    let ledger = Ledger::default();
    let host = ledger.host();
    let mut instance = created(&host).await;
    ledger.server.lock().unwrap().plans_with_note.clear();
    let config = basic(&host, &[("kind", "account".into())]);
    let plan = host.apply(&mut instance, &config).await.unwrap();
    assert_eq!(plan.action, Action::Replace);
    assert_eq!(plan.requires_replace, ["kind".into()]);
    let noted = ledger.server.lock().unwrap().plans_with_note.clone();
    assert_eq!(noted, [true, true, false]);
}

#[tokio::test]
async fn limits_come_from_the_configuration_or_the_resource() {
    let ledger = Ledger::default();
    let host = ledger.host();
    created(&host).await;
    let timeouts = Value::object([("create", "90s"), ("delete", "3m")]);
    let config = basic(&host, &[("timeouts", timeouts)]);
    let mut instance = host.instance(TYPE);
    host.apply(&mut instance, &config).await.unwrap();
    host.destroy(&mut instance).await.unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(
        ledger.server.lock().unwrap().limits,
        [
            ("create", seconds(77)),
            ("create", seconds(90)),
            ("delete", seconds(180))
        ]
    );
}

#[tokio::test]
async fn an_import_finds_the_object_and_its_plan_is_empty() {
    let host = Ledger::default().host();
    let instance = created(&host).await;
    let id = instance
        .state
        .as_ref()
        .unwrap()
        .require_string("id")
        .unwrap();
    let identity = instance.identity.clone().unwrap();
    let by_id = host.import(TYPE, id).await.unwrap();
    let by_identity = host
        .import_identity(TYPE, identity.as_object().unwrap().clone())
        .await;
    for imported in [by_id, by_identity.unwrap()] {
        assert_eq!(imported.state, instance.state);
        assert_eq!(imported.identity, instance.identity);
        let plan = host.plan(&imported, &basic(&host, &[])).await.unwrap();
        assert_eq!(plan.action, Action::NoOp);
    }
    assert!(host.import(TYPE, "led_404").await.is_err());
    let empty = host.import(TYPE, "").await.unwrap_err();
    assert!(
        empty.to_string().contains("The id to import is empty"),
        "{empty}"
    );
}

#[tokio::test]
async fn everything_wrong_is_told_at_once_and_in_its_place() {
    let host = Ledger::default().host();
    let config = host
        .config(
            TYPE,
            [
                ("name", "a name that is far too long".into()),
                ("kind", "jurnal".into()),
                ("note", "x".into()),
                ("old", "y".into()),
                ("secret_version", 1.into()),
                ("timeouts", Value::object([("create", "soon")])),
            ],
        )
        .unwrap();
    let failure = host.validate(TYPE, &config).await.unwrap_err();
    let told: Vec<_> = failure
        .diagnostics()
        .iter()
        .map(ToString::to_string)
        .collect();
    let begins = |start: &str| told.iter().any(|line| line.starts_with(start));
    assert!(
        begins("error at name: Invalid value: Expected a length from 1 to 20"),
        "{told:#?}"
    );
    assert!(begins(
        "error at kind: Invalid value: Expected one of: journal, account"
    ));
    assert!(
        told.iter()
            .any(|line| line.contains("Did you mean \"journal\"?"))
    );
    assert!(begins(
        "error at timeouts.create: Invalid value: Expected a duration"
    ));
    assert!(begins("error at old: Conflicting attributes"));
    assert!(begins("error at secret_version: Missing attribute"));
    assert!(begins("warning at old: Deprecated attribute: Use note."));
    assert_eq!(told.len(), 6, "{told:#?}");
}

#[tokio::test]
async fn what_is_unknown_is_not_complained_about() {
    let host = Ledger::default().host();
    let config = host
        .config(
            TYPE,
            [
                "name",
                "kind",
                "note",
                "old",
                "secret_wo",
                "timeouts",
                "settings",
                "grants",
            ]
            .map(|name| (name, Value::unknown())),
        )
        .unwrap();
    assert!(host.validate(TYPE, &config).await.unwrap().is_empty());
}

/// Looks up, lends and counts.
struct Desk {
    settings: Configured<String>,
}

struct Lookup(Configured<String>);

struct Lease;

struct Join;

#[async_trait]
impl Provider for Desk {
    fn name(&self) -> &str {
        "test"
    }

    fn address(&self) -> &str {
        "registry.example/berth-dev/test"
    }

    fn version(&self) -> &str {
        "0.0.0"
    }

    fn schema(&self) -> Schema {
        Schema::new([Attribute::string("endpoint").optional()])
    }

    fn data_sources(&self) -> Vec<Arc<dyn DataSource>> {
        vec![Arc::new(Lookup(self.settings.clone()))]
    }

    fn ephemeral_resources(&self) -> Vec<Arc<dyn EphemeralResource>> {
        vec![Arc::new(Lease)]
    }

    fn functions(&self) -> Vec<Arc<dyn Function>> {
        vec![Arc::new(Join)]
    }

    async fn configure(&self, request: ConfigureRequest<'_>, _: &mut Diagnostics) -> Outcome {
        let endpoint = request.config.string("endpoint")?;
        self.settings.set(endpoint.unwrap_or("local").to_owned());
        Ok(())
    }
}

#[async_trait]
impl DataSource for Lookup {
    fn type_name(&self) -> &str {
        "test_lookup"
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("name").required(),
            Attribute::string("found").computed(),
        ])
    }

    async fn read(&self, request: ReadDataRequest<'_>, response: &mut ReadDataResponse) -> Outcome {
        match request.config.require_string("name")? {
            "missing" => Err(Diagnostic::error("Not found", "Nothing has this name.").into()),
            "panic" => panic!("no"),
            "silent" => Ok(()),
            name => {
                let found = format!("{}/{name}", self.0.get()?);
                response.state.set("found", found)?;
                Ok(())
            }
        }
    }
}

#[async_trait]
impl EphemeralResource for Lease {
    fn type_name(&self) -> &str {
        "test_lease"
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("of").required(),
            Attribute::string("token").computed().sensitive(),
        ])
    }

    async fn open(&self, request: OpenRequest<'_>, response: &mut OpenResponse) -> Outcome {
        let of = request.config.require_string("of")?;
        response.private.set("lease", &format!("lease-{of}"))?;
        if of == "changed" {
            response.result.set("of", "other")?;
        }
        response.result.set("token", format!("token-{of}"))?;
        response.renew_at = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60));
        Ok(())
    }

    async fn renew(&self, _: &Context, response: &mut RenewResponse) -> Outcome {
        let times = response.private.get::<u64>("renewed")?.unwrap_or(0);
        response.private.set("renewed", &(times + 1))?;
        Ok(())
    }

    async fn close(&self, _: &Context, private: &Private) -> Outcome {
        match private.get::<String>("lease")? {
            Some(_) => Ok(()),
            None => Err(Diagnostic::error("Lease lost", "Close was not told which.").into()),
        }
    }
}

impl Function for Join {
    fn name(&self) -> &str {
        "join"
    }

    fn signature(&self) -> Signature {
        Signature::new([Parameter::new("separator", Type::String)], Type::String)
            .variadic(Parameter::new("parts", Type::String))
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        let texts: Vec<_> = arguments.iter().filter_map(Value::as_str).collect();
        match texts.split_first() {
            Some((&"", _)) => Err(FunctionError::argument(0, "The separator is empty.")),
            Some((&"!", _)) => panic!("no"),
            Some((&"5", _)) => Ok(5.into()),
            Some((separator, parts)) => Ok(parts.join(separator).into()),
            None => Err(FunctionError::new("Nothing to join.")),
        }
    }
}

fn desk() -> TestHost {
    let settings = Configured::new();
    TestHost::new(Desk { settings }).unwrap()
}

#[tokio::test]
async fn a_data_source_uses_what_configure_made() {
    let host = desk();
    let name = |name: &str| [("name", Value::from(name))];
    let early = host.read_data("test_lookup", name("a")).await.unwrap_err();
    assert!(
        early.to_string().contains("Provider not configured"),
        "{early}"
    );
    host.configure([("endpoint", "there".into())])
        .await
        .unwrap();
    let found = host.read_data("test_lookup", name("a")).await.unwrap();
    assert_eq!(found.string("found"), Ok(Some("there/a")));
    assert_eq!(found.string("name"), Ok(Some("a")));
    for (wrong, complaint) in [
        ("missing", "Not found"),
        ("panic", "Provider failed unexpectedly"),
        ("silent", "Provider returned nothing"),
    ] {
        let failure = host
            .read_data("test_lookup", name(wrong))
            .await
            .unwrap_err();
        assert!(failure.to_string().contains(complaint), "{failure}");
    }
}

#[tokio::test]
async fn an_unknown_provider_configuration_is_not_an_empty_one() {
    let host = desk();
    let failure = host
        .configure([("endpoint", Value::unknown())])
        .await
        .unwrap_err();
    assert!(
        failure
            .to_string()
            .starts_with("error at endpoint: Value not known yet")
    );
}

#[tokio::test]
async fn a_lease_is_closed_with_what_open_wrote_after_any_number_of_renewals() {
    let host = desk();
    let opened = host.open("test_lease", [("of", "x".into())]).await.unwrap();
    assert!(opened.renew_at.is_some());
    let mut private = opened.private.clone();
    for _ in 0..3 {
        private = host.renew("test_lease", &private).await.unwrap().private;
    }
    assert_eq!(
        Private::decode(&private)
            .unwrap()
            .get::<u64>("renewed")
            .unwrap(),
        Some(3)
    );
    host.close("test_lease", &private).await.unwrap();
    host.close("test_lease", &opened.private).await.unwrap();
    assert!(host.close("test_lease", b"").await.is_err());
}

#[tokio::test]
async fn an_ephemeral_result_echoes_its_configuration() {
    let failure = desk()
        .open("test_lease", [("of", "changed".into())])
        .await
        .unwrap_err();
    assert!(failure.to_string().starts_with("error at of:"), "{failure}");
}

#[test]
fn a_function_is_called_with_its_arguments_and_checked() {
    let host = desk();
    let call = |arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(|text| Value::from(*text)).collect();
        host.call("join", &arguments)
    };
    assert_eq!(call(&["-", "a", "b"]), Ok("a-b".into()));
    assert_eq!(call(&["", "a"]).unwrap_err().argument, Some(0));
    assert!(call(&["!"]).unwrap_err().text.contains("unexpectedly"));
    assert!(call(&["5"]).unwrap_err().text.contains("not of type"));
    assert!(call(&[]).unwrap_err().text.contains("Expected 1 arguments"));
    assert!(host.call("none", &[]).is_err());
}

/// Waits until it is told to stop.
struct Patient;

#[async_trait]
impl DataSource for Patient {
    fn type_name(&self) -> &str {
        "test_patient"
    }

    fn schema(&self) -> Schema {
        Schema::new([Attribute::string("told").computed()])
    }

    async fn read(&self, request: ReadDataRequest<'_>, response: &mut ReadDataResponse) -> Outcome {
        request.context.stop.cancelled().await;
        response.state.set("told", "stopped")?;
        Ok(())
    }
}

struct PatientProvider;

#[async_trait]
impl Provider for PatientProvider {
    fn name(&self) -> &str {
        "test"
    }

    fn address(&self) -> &str {
        "registry.example/berth-dev/test"
    }

    fn version(&self) -> &str {
        "0.0.0"
    }

    fn schema(&self) -> Schema {
        Schema::new([])
    }

    fn data_sources(&self) -> Vec<Arc<dyn DataSource>> {
        vec![Arc::new(Patient)]
    }

    async fn configure(&self, _: ConfigureRequest<'_>, _: &mut Diagnostics) -> Outcome {
        Ok(())
    }
}

#[tokio::test]
async fn a_stop_reaches_running_handlers_and_only_those() {
    let server = Arc::new(ProviderServer::new(Arc::new(PatientProvider)));
    let config = Value::object([("told", Value::Null)]);
    for _ in 0..2 {
        let (reader, config) = (Arc::clone(&server), config.clone());
        let running =
            tokio::spawn(async move { reader.read_data_source("test_patient", config).await });
        // The test's runtime has one thread: the handler runs up to its wait here.
        tokio::task::yield_now().await;
        server.stop();
        let (state, told) = running.await.unwrap();
        assert!(!told.has_errors(), "{told}");
        assert_eq!(state, Value::object([("told", "stopped")]));
    }
}

#[tokio::test]
async fn what_is_not_offered_is_an_error_and_no_crash() {
    let server = ProviderServer::new(Arc::new(PatientProvider));
    let told = server.validate_resource("test_none", Value::Null, ClientCapabilities::default());
    assert!(
        told.await
            .to_string()
            .contains("no resource named test_none")
    );
    let (state, told) = server.read_data_source("test_none", Value::Null).await;
    assert!(state.is_null() && told.has_errors());
    let opened = server.open_ephemeral("test_none", Value::Null).await;
    assert!(opened.diagnostics.has_errors());
}
