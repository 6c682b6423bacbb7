//! The host's part of the protocol: starts the echo provider and talks to it as Terraform does.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses the part it needs"
)]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use berth_plugin::handshake::{CLIENT_CERTIFICATE_VARIABLE, COOKIE, COOKIE_VARIABLE};
use berth_plugin::proto::plugin::grpc_controller_client::GrpcControllerClient;
use berth_plugin::proto::tfplugin6::provider_client::ProviderClient;
use berth_plugin::proto::tfplugin6::{DynamicValue, Schema};
use berth_plugin::types::Type;
use berth_plugin::value::Value;
use berth_plugin::wire::msgpack;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P521_SHA512};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response, Uri};

pub const PROVIDER: &str = env!("CARGO_BIN_EXE_terraform-provider-echo");

/// As large as the host's own limit.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const POLL: Duration = Duration::from_millis(10);

/// Certificate and key as the host makes them: P-521, and an authority.
pub struct HostCertificate {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl HostCertificate {
    pub fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, key }
    }

    fn show(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        (vec![self.certificate.der().clone()], key)
    }
}

/// A running provider. Dropping it kills it, if it still runs.
pub struct Started {
    pub child: Child,
    pub line: String,
    pub stdout: BufReader<ChildStdout>,
    certificate: Option<HostCertificate>,
    /// Where a process that is killed leaves its socket.
    temporary: tempfile::TempDir,
}

/// What a start may differ in.
#[derive(Default)]
pub struct Options<'a> {
    pub plaintext: bool,
    pub debug: bool,
    pub environment: &'a [(&'a str, &'a str)],
}

impl Started {
    pub fn new() -> Self {
        Self::with(&Options::default())
    }

    pub fn with(options: &Options<'_>) -> Self {
        let mut command = clean_command(Path::new(PROVIDER));
        if options.debug {
            command.arg("-debug");
        } else {
            command.env(COOKIE_VARIABLE, COOKIE);
        }
        command.envs(options.environment.iter().copied());
        Self::from_command(command, options.plaintext || options.debug)
    }

    /// Runs `command`, which must lead to a provider, and reads the first line.
    pub fn from_command(mut command: Command, plaintext: bool) -> Self {
        let certificate = (!plaintext).then(HostCertificate::new);
        if let Some(host) = &certificate {
            command.env(CLIENT_CERTIFICATE_VARIABLE, host.certificate.pem());
        }
        let temporary = tempfile::tempdir().unwrap();
        let mut child = command
            .env("TMPDIR", temporary.path())
            .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        Self {
            child,
            line,
            stdout,
            certificate,
            temporary,
        }
    }

    pub fn fields(&self) -> Vec<&str> {
        self.line.trim_end().split('|').collect()
    }

    pub fn socket(&self) -> PathBuf {
        PathBuf::from(self.fields()[3])
    }

    /// Opens the connection the host opens.
    pub async fn connect(&self) -> Channel {
        match &self.certificate {
            Some(own) => self.connect_as(Some(own)).await.unwrap(),
            None => speak(UnixStream::connect(self.socket()).await.unwrap())
                .await
                .unwrap(),
        }
    }

    /// Opens a TLS connection that shows `certificate`, and makes sure that it can be used.
    pub async fn connect_as(
        &self,
        certificate: Option<&HostCertificate>,
    ) -> Result<Channel, Box<dyn std::error::Error>> {
        let mut roots = RootCertStore::empty();
        let server = STANDARD_NO_PAD.decode(self.fields()[5])?;
        roots.add(CertificateDer::from(server))?;
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match certificate.map(HostCertificate::show) {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = UnixStream::connect(self.socket()).await?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let channel = speak(stream).await?;
        // With TLS 1.3 a refused client learns of it after its own handshake is done.
        health(channel.clone()).await?;
        Ok(channel)
    }

    pub fn signal(&self, signal: Signal) {
        let process = Pid::from_child(&self.child);
        kill_process(process, signal).unwrap();
    }

    /// How the process ended. Fails the test when it does not.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(POLL);
        }
        panic!("the provider still runs");
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What the process wrote after the line and until it ended.
    pub fn rest_of_stdout(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        rest
    }

    pub fn stderr(&mut self) -> String {
        let mut stderr: ChildStderr = self.child.stderr.take().unwrap();
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    }

    /// Says goodbye as the host does and waits for the end.
    pub async fn shut_down(&mut self, channel: Channel) -> ExitStatus {
        shutdown(channel).await;
        self.ended()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // An error means that it has ended, as it should.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command without anything of the developer's environment that changes what a provider does.
pub fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for variable in [
        COOKIE_VARIABLE,
        CLIENT_CERTIFICATE_VARIABLE,
        "TF_LOG",
        "TF_LOG_PROVIDER",
        "TF_REATTACH_PROVIDERS",
        "PLUGIN_UNIX_SOCKET_DIR",
        "PLUGIN_MULTIPLEX_GRPC",
    ] {
        command.env_remove(variable);
    }
    command
}

/// The type of the objects a schema describes, as the host reads it.
pub fn object_type(schema: &Schema) -> Type {
    let attributes = &schema.block.as_ref().unwrap().attributes;
    Type::object(attributes.iter().map(|attribute| {
        let ty = Type::from_json_bytes(&attribute.r#type).unwrap();
        (attribute.name.as_str(), ty)
    }))
}

/// A value on its way to the provider.
pub fn to_provider(value: &Value, ty: &Type) -> Option<DynamicValue> {
    let msgpack = msgpack::encode(value, ty).unwrap();
    Some(DynamicValue {
        msgpack: msgpack.into(),
        ..DynamicValue::default()
    })
}

/// A value the provider answered.
pub fn from_provider(message: Option<&DynamicValue>, ty: &Type) -> Value {
    msgpack::decode(&message.unwrap().msgpack, ty).unwrap()
}

/// Waits until `holds`, and fails the test when it never does.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// One HTTP/2 connection, in the form generated clients take.
#[derive(Clone)]
pub struct Channel(SendRequest<Body>);

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future =
        Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send + 'static>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Channel, hyper::Error> {
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(Channel(sender))
}

pub fn provider(channel: Channel) -> ProviderClient<Channel> {
    ProviderClient::with_origin(channel, Uri::from_static("http://localhost"))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

pub async fn shutdown(channel: Channel) {
    let mut controller =
        GrpcControllerClient::with_origin(channel, Uri::from_static("http://localhost"));
    controller
        .shutdown(berth_plugin::proto::plugin::Empty {})
        .await
        .unwrap();
}

pub async fn health(channel: Channel) -> Result<(), tonic::Status> {
    use berth_plugin::proto::health::HealthCheckRequest;
    use berth_plugin::proto::health::health_check_response::ServingStatus;
    use berth_plugin::proto::health::health_client::HealthClient;

    let mut health = HealthClient::with_origin(channel, Uri::from_static("http://localhost"));
    let service = "plugin".to_owned();
    let answer = health.check(HealthCheckRequest { service }).await?;
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    Ok(())
}
