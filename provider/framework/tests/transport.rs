//! The process around a provider: who may talk to it, and when it ends.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails, in its helpers too"
)]

mod host;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use host::{HostCertificate, Options, PROVIDER, Started, clean_command, health};
use rustix::process::Signal;
use tokio::net::UnixStream;

/// Longer than two looks of the provider at its host.
const LOOKED_TWICE: Duration = Duration::from_millis(1_200);

#[test]
fn started_by_hand_it_says_what_it_is_and_opens_nothing() {
    for cookie in [None, Some("wrong")] {
        let mut command = clean_command(PROVIDER.as_ref());
        if let Some(cookie) = cookie {
            command.env(berth_plugin::handshake::COOKIE_VARIABLE, cookie);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("provider plugin"), "{told}");
    }
}

#[tokio::test]
async fn the_line_comes_first_and_nothing_follows() {
    let mut provider = Started::new();
    let fields = provider.fields();
    assert_eq!(fields.len(), 6, "{}", provider.line);
    assert_eq!(
        (fields[0], fields[1], fields[2], fields[4]),
        ("1", "6", "unix", "grpc")
    );
    let socket = provider.socket();
    let directory = std::fs::metadata(socket.parent().unwrap()).unwrap();
    assert_eq!(directory.permissions().mode() & 0o777, 0o700);

    let channel = provider.connect().await;
    assert!(provider.shut_down(channel).await.success());
    assert_eq!(provider.rest_of_stdout(), "");
    assert!(!socket.parent().unwrap().exists());
}

#[tokio::test]
async fn only_the_hosts_own_certificate_is_let_in() {
    let provider = Started::new();
    let other = HostCertificate::new();
    assert!(provider.connect_as(Some(&other)).await.is_err());
    assert!(provider.connect_as(None).await.is_err());
    let mut plain = UnixStream::connect(provider.socket()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    // Refusing them changed nothing for the host.
    health(provider.connect().await).await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_speak_keeps_nobody_waiting() {
    let provider = Started::new();
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(UnixStream::connect(provider.socket()).await.unwrap());
    }
    health(provider.connect().await).await.unwrap();
}

#[tokio::test]
async fn without_a_certificate_of_the_hosts_it_serves_in_clear_text() {
    let mut provider = Started::with(&Options {
        plaintext: true,
        ..Options::default()
    });
    assert_eq!(provider.fields()[5], "");
    let channel = provider.connect().await;
    health(channel.clone()).await.unwrap();
    assert!(provider.shut_down(channel).await.success());
}

#[tokio::test]
async fn an_interrupt_is_the_hosts_to_handle_and_a_termination_ends() {
    let mut provider = Started::new();
    let channel = provider.connect().await;
    provider.signal(Signal::INT);
    provider.signal(Signal::INT);
    health(channel).await.unwrap();
    assert!(provider.is_running());
    provider.signal(Signal::TERM);
    assert!(provider.ended().success());
    assert!(!provider.socket().exists());
}

#[test]
fn a_panic_outside_of_any_call_is_the_hosts_crash_report() {
    let mut provider = Started::with(&Options {
        environment: &[("ECHO_PANIC", "asked to")],
        ..Options::default()
    });
    assert!(!provider.ended().success());
    let told = provider.stderr();
    assert!(told.starts_with("panic: asked to at "), "{told}");
    assert!(!provider.socket().exists());
}

#[tokio::test]
async fn a_service_nobody_wrote_is_unimplemented() {
    let provider = Started::new();
    let channel = provider.connect().await;
    let mut client = tonic::client::Grpc::with_origin(
        channel,
        tonic::codegen::http::Uri::from_static("http://localhost"),
    );
    let path =
        tonic::codegen::http::uri::PathAndQuery::from_static("/plugin.GRPCBroker/StartStream");
    client.ready().await.unwrap();
    let answer: Result<tonic::Response<berth_plugin::proto::plugin::Empty>, _> = client
        .unary(
            tonic::Request::new(berth_plugin::proto::plugin::Empty {}),
            path,
            tonic_prost::ProstCodec::<
                berth_plugin::proto::plugin::Empty,
                berth_plugin::proto::plugin::Empty,
            >::default(),
        )
        .await;
    assert_eq!(answer.unwrap_err().code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn a_host_that_comes_back_after_a_quiet_hour_is_served() {
    let mut provider = Started::new();
    drop(provider.connect().await);
    tokio::time::sleep(LOOKED_TWICE).await;
    let channel = provider.connect().await;
    health(channel.clone()).await.unwrap();
    assert!(provider.shut_down(channel).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_the_host_has_died() {
    // The shell stands for the host: it starts the provider and is killed.
    let mut command = clean_command("/bin/sh".as_ref());
    command.args(["-c", "\"$0\" & wait", PROVIDER]).env(
        berth_plugin::handshake::COOKIE_VARIABLE,
        berth_plugin::handshake::COOKIE,
    );
    let mut provider = Started::from_command(command, false);
    let socket = provider.socket();
    let channel = provider.connect().await;
    provider.signal(Signal::KILL);
    provider.ended();
    // While the connection stands, someone is still there.
    tokio::time::sleep(LOOKED_TWICE).await;
    health(channel.clone()).await.unwrap();
    drop(channel);
    // The provider holds the other end of the pipe until it is gone.
    let mut rest = String::new();
    let stdout = provider.stdout.get_mut();
    let reader = tokio::task::block_in_place(|| stdout.read_to_string(&mut rest));
    assert_eq!(reader.unwrap(), 0);
    assert!(!socket.exists());
}

#[tokio::test]
async fn for_a_debugger_it_outlives_connections_and_ends_at_an_interrupt() {
    let mut provider = Started::with(&Options {
        debug: true,
        ..Options::default()
    });
    let json = provider
        .line
        .trim_end()
        .strip_prefix("TF_REATTACH_PROVIDERS='")
        .and_then(|rest| rest.strip_suffix('\''))
        .unwrap();
    let reattach: serde_json::Value = serde_json::from_str(json).unwrap();
    let entry = &reattach["berth-dev/echo"];
    assert_eq!(entry["Pid"], provider.child.id());
    let socket = entry["Addr"]["String"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let stream = UnixStream::connect(&socket).await.unwrap();
        drop(stream);
    }
    assert!(provider.is_running());
    provider.signal(Signal::INT);
    assert!(provider.ended().success());
    assert!(!std::path::Path::new(&socket).exists());
}
