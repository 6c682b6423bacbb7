//! Calls as the host makes them, to a real process: what must hold whatever the author does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails, in its helpers too"
)]

mod host;

use std::path::Path;

use berth_plugin::proto::tfplugin6 as proto;
use berth_plugin::types::Type;
use berth_plugin::value::Value;
use host::{
    Channel, MESSAGE_BYTES_MAX, Options, PATIENCE, Started, eventually, from_provider, health,
    object_type, provider, to_provider,
};
use proto::diagnostic::Severity;
use proto::provider_client::ProviderClient;
use tokio::time::timeout;

const LARGE_BYTES: usize = 20 * 1024 * 1024;

/// A provider that has been configured, and the type of `echo_fault`.
struct Configured {
    started: Started,
    channel: Channel,
    client: ProviderClient<Channel>,
    fault: Type,
}

impl Configured {
    async fn new() -> Self {
        Self::with(&Options::default()).await
    }

    async fn with(options: &Options<'_>) -> Self {
        let started = Started::with(options);
        let channel = started.connect().await;
        let mut client = provider(channel.clone());
        let schemas = client
            .get_provider_schema(proto::get_provider_schema::Request {})
            .await
            .unwrap()
            .into_inner();
        assert_eq!(schemas.diagnostics, []);
        let config_type = object_type(schemas.provider.as_ref().unwrap());
        let config = Value::object([
            ("token", Value::from("planted-token")),
            ("note", Value::Null),
        ]);
        let configured = client
            .configure_provider(proto::configure_provider::Request {
                config: to_provider(&config, &config_type),
                ..Default::default()
            })
            .await
            .unwrap();
        assert_eq!(configured.into_inner().diagnostics, []);
        Self {
            fault: object_type(&schemas.resource_schemas["echo_fault"]),
            started,
            channel,
            client,
        }
    }

    /// Plans and creates an `echo_fault`.
    async fn create(&self, config: &Value) -> proto::apply_resource_change::Response {
        let mut client = self.client.clone();
        let config = to_provider(config, &self.fault);
        let plan = client
            .plan_resource_change(proto::plan_resource_change::Request {
                type_name: "echo_fault".into(),
                proposed_new_state: config.clone(),
                config: config.clone(),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner();
        assert_eq!(plan.diagnostics, []);
        let request = proto::apply_resource_change::Request {
            type_name: "echo_fault".into(),
            planned_state: plan.planned_state,
            planned_private: plan.planned_private,
            config,
            ..Default::default()
        };
        let applied = client.apply_resource_change(request).await;
        applied.unwrap().into_inner()
    }

    fn state(&self, applied: &proto::apply_resource_change::Response) -> Value {
        from_provider(applied.new_state.as_ref(), &self.fault)
    }
}

fn fault(kind: &str, text: impl Into<Value>) -> Value {
    Value::object([
        ("kind", Value::from(kind)),
        ("text", text.into()),
        ("secret", "planted-sensitive".into()),
        ("secret_wo", "planted-write-only".into()),
        ("id", Value::Null),
    ])
}

/// The attribute `name` of an object.
fn attribute<'a>(object: &'a Value, name: &str) -> &'a Value {
    object.as_object().unwrap().get(name).unwrap()
}

fn errors(told: &[proto::Diagnostic]) -> Vec<&str> {
    let errors = told
        .iter()
        .filter(|told| told.severity() == Severity::Error);
    errors.map(|error| error.summary.as_str()).collect()
}

#[tokio::test]
async fn twenty_megabytes_go_through_in_both_directions() {
    let berth = Configured::new().await;
    let text = "x".repeat(LARGE_BYTES);
    let applied = berth.create(&fault("none", text.as_str())).await;
    assert_eq!(applied.diagnostics, []);
    let state = berth.state(&applied);
    assert!(*attribute(&state, "text") == Value::from(text));
}

#[tokio::test]
async fn a_message_just_below_the_bound_goes_through_in_both_directions() {
    let berth = Configured::new().await;
    let text = "x".repeat(MESSAGE_BYTES_MAX - MESSAGE_BYTES_MAX / 64);
    let state = to_provider(&fault("none", text.as_str()), &berth.fault);
    let mut client = berth.client.clone();
    let request = proto::read_resource::Request {
        type_name: "echo_fault".into(),
        current_state: state,
        ..Default::default()
    };
    let read = client.read_resource(request).await.unwrap().into_inner();
    assert_eq!(read.diagnostics, []);
    let state = from_provider(read.new_state.as_ref(), &berth.fault);
    // Not compared by a macro, which would print both.
    assert!(*attribute(&state, "text") == Value::from(text));
}

#[tokio::test]
async fn a_message_above_the_bound_is_refused_and_the_next_one_is_answered() {
    let berth = Configured::new().await;
    let mut client = berth
        .client
        .clone()
        .max_encoding_message_size(2 * MESSAGE_BYTES_MAX);
    let request = |bytes: usize| proto::validate_resource_config::Request {
        type_name: "echo_fault".into(),
        config: Some(proto::DynamicValue {
            msgpack: vec![0; bytes].into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let above = client.validate_resource_config(request(MESSAGE_BYTES_MAX));
    let refused = above.await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused}");
    let told = refused.message();
    assert!(told.contains(&MESSAGE_BYTES_MAX.to_string()), "{told}");
    // Another one is not valid either, but it is read.
    let small = client.validate_resource_config(request(1)).await;
    assert_ne!(small.unwrap().into_inner().diagnostics, []);
}

#[tokio::test]
async fn a_panic_is_told_and_what_was_made_is_remembered() {
    let berth = Configured::new().await;
    let applied = berth.create(&fault("panic", "now")).await;
    assert_eq!(
        errors(&applied.diagnostics),
        ["Provider failed unexpectedly"]
    );
    assert_eq!(*attribute(&berth.state(&applied), "id"), "fault_1".into());
    // The process goes on as if nothing had happened.
    let applied = berth.create(&fault("none", Value::Null)).await;
    assert_eq!(errors(&applied.diagnostics), [""; 0]);
}

#[tokio::test]
async fn a_stop_reaches_the_handler_and_later_calls_work() {
    let marks = tempfile::tempdir().unwrap();
    let berth = Configured::new().await;
    let waiting = fault("wait_for_stop", marks.path().to_str().unwrap());
    let create = berth.create(&waiting);
    let meanwhile = async {
        eventually("the handler begins", || mark(marks.path(), "begun")).await;
        let mut client = berth.client.clone();
        let stopped = client.stop_provider(proto::stop_provider::Request {}).await;
        assert_eq!(stopped.unwrap().into_inner().error, "");
    };
    let (applied, ()) = tokio::join!(timeout(PATIENCE, create), meanwhile);
    let applied = applied.unwrap();
    assert_eq!(errors(&applied.diagnostics), ["Stopped"]);
    assert_eq!(*attribute(&berth.state(&applied), "id"), "fault_1".into());

    let applied = berth.create(&fault("none", Value::Null)).await;
    assert_eq!(errors(&applied.diagnostics), [""; 0]);
}

#[tokio::test]
async fn a_shutdown_stops_what_runs_and_still_delivers_its_answer() {
    let marks = tempfile::tempdir().unwrap();
    let mut berth = Configured::new().await;
    let waiting = fault("wait_for_stop", marks.path().to_str().unwrap());
    let create = berth.create(&waiting);
    let meanwhile = async {
        eventually("the handler begins", || mark(marks.path(), "begun")).await;
        host::shutdown(berth.channel.clone()).await;
    };
    let (applied, ()) = tokio::join!(timeout(PATIENCE, create), meanwhile);
    assert_eq!(errors(&applied.unwrap().diagnostics), ["Stopped"]);
    assert!(berth.started.ended().success());
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_handler_that_never_ends() {
    let marks = tempfile::tempdir().unwrap();
    let mut berth = Configured::new().await;
    let blocking = fault("block", marks.path().to_str().unwrap());
    let channel = berth.channel.clone();
    tokio::select! {
        _ = berth.create(&blocking) => panic!("nothing lets it end"),
        () = async {
            eventually("the handler begins", || mark(marks.path(), "begun")).await;
            host::shutdown(channel).await;
        } => {}
    }
    assert!(berth.started.ended().success());
    assert!(!mark(marks.path(), "done"));
}

#[tokio::test]
async fn a_handler_that_blocks_delays_neither_a_stop_nor_the_transport() {
    let marks = tempfile::tempdir().unwrap();
    let berth = Configured::new().await;
    let blocking = fault("block", marks.path().to_str().unwrap());
    let create = berth.create(&blocking);
    let meanwhile = async {
        eventually("the handler begins", || mark(marks.path(), "begun")).await;
        let mut client = berth.client.clone();
        let stop = client.stop_provider(proto::stop_provider::Request {});
        timeout(PATIENCE, stop).await.unwrap().unwrap();
        timeout(PATIENCE, health(berth.channel.clone()))
            .await
            .unwrap()
            .unwrap();
        assert!(!mark(marks.path(), "done"));
        std::fs::write(marks.path().join("go"), "").unwrap();
    };
    let (applied, ()) = tokio::join!(create, meanwhile);
    assert_eq!(errors(&applied.diagnostics), [""; 0]);
}

#[tokio::test]
async fn what_was_begun_is_finished_when_the_host_gives_up_the_call() {
    let marks = tempfile::tempdir().unwrap();
    let berth = Configured::new().await;
    let blocking = fault("block", marks.path().to_str().unwrap());
    tokio::select! {
        _ = berth.create(&blocking) => panic!("nothing lets it end"),
        () = eventually("the handler begins", || mark(marks.path(), "begun")) => {}
    }
    // The call is dropped, which resets its stream.
    health(berth.channel.clone()).await.unwrap();
    std::fs::write(marks.path().join("go"), "").unwrap();
    eventually("the handler ends", || mark(marks.path(), "done")).await;
}

fn mark(directory: &Path, name: &str) -> bool {
    directory.join(name).exists()
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_told_and_not_forgotten() {
    let berth = Configured::new().await;
    let garbage = Some(proto::DynamicValue {
        msgpack: "\u{1}garbage".into(),
        ..Default::default()
    });
    let mut client = berth.client.clone();
    let request = proto::read_resource::Request {
        type_name: "echo_fault".into(),
        current_state: garbage.clone(),
        private: "kept".into(),
        ..Default::default()
    };
    let read = client.read_resource(request).await.unwrap().into_inner();
    assert_eq!(errors(&read.diagnostics).len(), 1);
    assert_eq!((read.new_state, read.private), (garbage, "kept".into()));

    let request = proto::read_resource::Request {
        type_name: "echo_nothing".into(),
        ..Default::default()
    };
    let read = client.read_resource(request).await.unwrap().into_inner();
    assert_eq!(errors(&read.diagnostics), ["Unknown resource"]);
}

#[tokio::test]
async fn no_bytes_make_the_provider_answer_with_a_status() {
    let berth = Configured::new().await;
    let mut client = berth.client.clone();
    let mut told = 0;
    for first in u8::MIN..=u8::MAX {
        // The rest of it reads as lengths, texts, and the end of the bytes.
        let bytes = vec![first, 0x85, 0xa4, b'k', b'i', b'n', b'd', first, 0xff, 0x00];
        let value = Some(proto::DynamicValue {
            msgpack: bytes.into(),
            ..Default::default()
        });
        let request = proto::apply_resource_change::Request {
            type_name: "echo_fault".into(),
            prior_state: value.clone(),
            planned_state: value.clone(),
            config: value.clone(),
            ..Default::default()
        };
        let applied = client
            .apply_resource_change(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            applied.new_state, value,
            "what was there is kept: {first:#x}"
        );
        told += errors(&applied.diagnostics).len();
    }
    assert_eq!(told, 256);
}

#[tokio::test]
async fn everything_offered_is_listed_in_each_of_the_lists() {
    let berth = Configured::new().await;
    let mut client = berth.client.clone();
    let schemas = client
        .get_provider_schema(proto::get_provider_schema::Request {})
        .await
        .unwrap()
        .into_inner();
    let metadata = client
        .get_metadata(proto::get_metadata::Request {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(metadata.server_capabilities, schemas.server_capabilities);
    let resources = metadata.resources.into_iter().map(|one| one.type_name);
    assert!(resources.eq(schemas.resource_schemas.into_keys()));
    let data_sources = metadata.data_sources.into_iter().map(|one| one.type_name);
    assert!(data_sources.eq(schemas.data_source_schemas.into_keys()));
    let ephemeral = metadata
        .ephemeral_resources
        .into_iter()
        .map(|one| one.type_name);
    assert!(ephemeral.eq(schemas.ephemeral_resource_schemas.into_keys()));
    let functions = client.get_functions(proto::get_functions::Request {}).await;
    assert_eq!(functions.unwrap().into_inner().functions, schemas.functions);
    assert!(schemas.functions["reverse"].r#return.is_some());
    let identities = client
        .get_resource_identity_schemas(proto::get_resource_identity_schemas::Request {})
        .await;
    assert_eq!(identities.unwrap().into_inner().identity_schemas, [].into());
}

#[tokio::test]
async fn what_is_not_offered_is_refused_in_words() {
    let berth = Configured::new().await;
    let mut client = berth.client.clone();
    let mut events = client
        .invoke_action(proto::invoke_action::Request::default())
        .await
        .unwrap()
        .into_inner();
    let event = events.message().await.unwrap().unwrap();
    let Some(proto::invoke_action::event::Type::Completed(completed)) = event.r#type else {
        panic!("an action must end with a completion");
    };
    assert_eq!(
        errors(&completed.diagnostics),
        ["Not offered by this provider"]
    );

    let mut events = client
        .list_resource(proto::list_resource::Request::default())
        .await
        .unwrap()
        .into_inner();
    let event = events.message().await.unwrap().unwrap();
    assert_eq!(errors(&event.diagnostic), ["Not offered by this provider"]);

    let moved = client
        .move_resource_state(proto::move_resource_state::Request::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(errors(&moved.diagnostics).len(), 1);

    let locked = client
        .lock_state(proto::lock_state::Request::default())
        .await;
    assert_eq!(locked.unwrap_err().code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn log_lines_are_the_hosts_and_hold_no_secret() {
    let environment = [("TF_LOG_PROVIDER", "TRACE")];
    let mut berth = Configured::with(&Options {
        environment: &environment,
        ..Options::default()
    })
    .await;
    berth.create(&fault("log", Value::Null)).await;
    berth.create(&fault("panic", "planted-sensitive")).await;
    assert!(
        berth
            .started
            .shut_down(berth.channel.clone())
            .await
            .success()
    );
    let written = berth.started.stderr();
    for line in written.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["@level", "@message", "@module", "@timestamp"] {
            assert!(line[key].is_string(), "{key} in {line}");
        }
        let moment = line["@timestamp"].as_str().unwrap();
        let shape: String = moment
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
    }
    for wanted in [
        "saw ",
        "***",
        "asked to",
        "ApplyResourceChange",
        "tf_resource_type",
    ] {
        assert!(written.contains(wanted), "no {wanted} in:\n{written}");
    }
    assert!(!written.contains("planted"), "{written}");
}

#[tokio::test]
async fn without_being_asked_it_logs_nothing() {
    let mut berth = Configured::new().await;
    berth.create(&fault("log", Value::Null)).await;
    berth.create(&fault("panic", "quietly")).await;
    assert!(
        berth
            .started
            .shut_down(berth.channel.clone())
            .await
            .success()
    );
    assert_eq!(berth.started.stderr(), "");
}
