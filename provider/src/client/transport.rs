//! One request: sent, sent again where that is safe, and read.

use std::time::Duration;

use berth_api::{ApiError, Version, VersionRange};
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::Error;
use crate::settings::{self, Settings};

/// How often a request that failed is sent again.
const RETRIES_MAX: u32 = 4;
/// The pause before the first repetition; each further one is twice as long.
const RETRY_PAUSE_MILLIS: u64 = 200;
/// Since when in a request's life a failure is final, so that a backend that hangs is waited
/// for once.
const RETRY_WINDOW_SECONDS_MAX: u64 = 45;
/// The longest pause that a server may ask for; what asks for more is an error at once.
const RETRY_AFTER_SECONDS_MAX: u64 = 30;
/// How long the opening of a connection may take.
const CONNECT_SECONDS_MAX: u64 = 5;
/// How long one answer may take, the long polls of [`super::Client`] included.
const ANSWER_SECONDS_MAX: u64 = 60;
/// The longest text of a foreign answer that is shown to the user.
const FOREIGN_CHARACTERS_MAX: usize = 200;

/// An open way to a backend whose version fits.
#[derive(Debug)]
pub(super) struct Connection {
    http: reqwest::Client,
    endpoint: Url,
    authorization: HeaderValue,
}

/// A request in the making.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// What is being done, for errors: `reading database db_1`.
    pub act: String,
    pub method: Method,
    /// The path below the endpoint, one element a segment, so that nothing in a name can
    /// change where the request goes.
    pub path: Vec<&'a str>,
    pub query: Vec<(&'static str, String)>,
    /// The body, or why it could not be written as JSON.
    pub body: Option<serde_json::Result<Vec<u8>>>,
    /// Makes a POST safe to repeat: the server answers the repetition as the first one.
    pub idempotency_key: Option<String>,
}

impl<'a> Request<'a> {
    pub(super) fn new(act: impl Into<String>, method: Method, path: &[&'a str]) -> Self {
        Self {
            act: act.into(),
            method,
            path: path.to_vec(),
            query: Vec::new(),
            body: None,
            idempotency_key: None,
        }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn key(mut self, key: String) -> Self {
        self.idempotency_key = Some(key);
        self
    }

    /// The body as JSON. One that cannot be written is told when the request is sent.
    pub(super) fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_vec(body));
        self
    }

    /// Whether doing it twice does nothing more than doing it once.
    fn is_repeatable(&self) -> bool {
        self.method == Method::GET
            || self.method == Method::DELETE
            || self.idempotency_key.is_some()
    }
}

/// What one attempt came to.
enum Attempt {
    Answer(reqwest::Response),
    /// The answer asks to come again, or no answer came: send it again after the pause.
    Again(Option<Duration>, Error),
    Failed(Error),
}

impl Connection {
    /// Prepares a connection and checks that both sides speak one revision of the API.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Error> {
        let token = settings.token()?;
        berth_plugin::secrets::remember(token.reveal());
        // The text was checked to be visible ASCII, which a header always takes.
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
            .unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        authorization.set_sensitive(true);
        let connection = Self {
            http: http_client(settings)?,
            endpoint: settings.endpoint.clone(),
            authorization,
        };
        connection.check_version().await?;
        Ok(connection)
    }

    async fn check_version(&self) -> Result<(), Error> {
        let request = Request::new("asking for its version", Method::GET, &["v1", "version"]);
        let Version { version, api } = self.send(request).await?;
        let ours = VersionRange::HERE;
        if api.minimum > ours.current || api.current < ours.minimum {
            return Err(Error::Version {
                endpoint: self.endpoint.to_string(),
                version,
                theirs: api,
            });
        }
        tracing::debug!(version, "berthd answers");
        Ok(())
    }

    /// Sends the request, as often as it takes and is safe, and reads the answer.
    pub(super) async fn send<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, Error> {
        let body = self.send_for_bytes(&request).await?;
        serde_json::from_slice(&body).map_err(|source| self.unreadable(&request.act, source))
    }

    /// Sends a request whose answer has nothing in it that is of use.
    pub(super) async fn send_for_bytes(&self, request: &Request<'_>) -> Result<Vec<u8>, Error> {
        let mut pause = Duration::from_millis(RETRY_PAUSE_MILLIS);
        let mut retries_left = RETRIES_MAX;
        let final_from = Instant::now() + Duration::from_secs(RETRY_WINDOW_SECONDS_MAX);
        loop {
            let (wanted_pause, error) = match self.attempt(request).await {
                Attempt::Answer(response) => match response.bytes().await {
                    Ok(body) => return Ok(body.to_vec()),
                    Err(source) => {
                        let error = self.unreachable(&request.act, source);
                        if !request.is_repeatable() {
                            return Err(error);
                        }
                        (None, error)
                    }
                },
                Attempt::Again(wanted_pause, error) => (wanted_pause, error),
                Attempt::Failed(error) => return Err(error),
            };
            let next_pause = wanted_pause.unwrap_or(pause);
            let too_late = Instant::now() + next_pause > final_from;
            if retries_left == 0 || too_late || next_pause.as_secs() > RETRY_AFTER_SECONDS_MAX {
                return Err(error);
            }
            tracing::debug!(act = request.act, %error, "sending the request again");
            tokio::time::sleep(next_pause).await;
            retries_left -= 1;
            pause *= 2;
        }
    }

    async fn attempt(&self, request: &Request<'_>) -> Attempt {
        let built = match self.build(request) {
            Ok(built) => built,
            Err(error) => return Attempt::Failed(error),
        };
        let response = match built.send().await {
            Ok(response) => response,
            // A connection that never opened has carried nothing, so that anything may be
            // sent again.
            Err(source) => {
                let repeat = source.is_connect() || request.is_repeatable();
                let error = self.unreachable(&request.act, source);
                return if repeat {
                    Attempt::Again(None, error)
                } else {
                    Attempt::Failed(error)
                };
            }
        };
        let status = response.status();
        tracing::debug!(
            act = request.act,
            status = status.as_u16(),
            "berthd answered"
        );
        if status.is_success() {
            return Attempt::Answer(response);
        }
        let wanted_pause = retry_after(&response);
        let error = self.refused(&request.act, response).await;
        // 429 comes before anything was done; a server error may come after it.
        let repeat = status == StatusCode::TOO_MANY_REQUESTS
            || (status.is_server_error() && request.is_repeatable());
        if repeat {
            Attempt::Again(wanted_pause, error)
        } else {
            Attempt::Failed(error)
        }
    }

    fn build(&self, request: &Request<'_>) -> Result<reqwest::RequestBuilder, Error> {
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .header("authorization", self.authorization.clone())
            .header("accept", "application/json");
        if let Some(key) = &request.idempotency_key {
            builder = builder.header("idempotency-key", key);
        }
        match &request.body {
            Some(Ok(body)) => {
                builder = builder
                    .header("content-type", "application/json")
                    .body(body.clone());
            }
            Some(Err(source)) => {
                return Err(Error::Unwritable {
                    act: request.act.clone(),
                    reason: source.to_string(),
                });
            }
            None => {}
        }
        Ok(builder)
    }

    fn unreachable(&self, act: &str, source: reqwest::Error) -> Error {
        Error::Unreachable {
            act: act.to_owned(),
            endpoint: self.endpoint.to_string(),
            // The address stands in the error already, and a query may be long.
            source: source.without_url(),
        }
    }

    pub(super) fn unreadable(
        &self,
        act: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::Unreadable {
            act: act.to_owned(),
            endpoint: self.endpoint.to_string(),
            source: source.into(),
        }
    }

    async fn refused(&self, act: &str, response: reqwest::Response) -> Error {
        let status = response.status();
        let request_id = response
            .headers()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(source) => return self.unreachable(act, source),
        };
        // A proxy in between answers in words of its own.
        let answer = serde_json::from_slice::<ApiError>(&body).unwrap_or_else(|_| ApiError {
            error: foreign(status, &body),
            code: String::new(),
            request_id,
            details: Vec::new(),
        });
        Error::Refused {
            act: act.to_owned(),
            status: status.as_u16(),
            answer: Box::new(answer),
        }
    }
}

fn foreign(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text: String = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(FOREIGN_CHARACTERS_MAX)
        .collect();
    if text.is_empty() {
        format!("the answer was {status}")
    } else {
        format!("the answer was {status}: {text}")
    }
}

/// The pause that the answer asks for, when it says so in seconds.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

fn http_client(settings: &Settings) -> Result<reqwest::Client, Error> {
    let failed = |source| Error::Prepare {
        endpoint: settings.endpoint.to_string(),
        source,
    };
    // Whoever comes second finds the same provider installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(user_agent(&settings.host_version))
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        .timeout(Duration::from_secs(ANSWER_SECONDS_MAX))
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(settings.insecure_skip_verify);
    if settings.is_local() {
        // A proxy of the environment leads elsewhere.
        builder = builder.no_proxy();
    }
    if let Some(pem) = &settings.ca_cert_pem {
        let authorities = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(failed)?;
        if authorities.is_empty() {
            return Err(settings::Error::NoCertificate.into());
        }
        builder = builder.tls_certs_only(authorities);
    } else if settings.endpoint.scheme() == "http" {
        // Without this the system's authorities are read at each start, for nothing.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(failed)
}

/// The protocol does not tell Terraform from OpenTofu, so that the host is only numbered.
fn user_agent(host_version: &str) -> String {
    let visible = |byte: &u8| byte.is_ascii_graphic();
    let host_version: String = host_version
        .bytes()
        .filter(visible)
        .map(char::from)
        .collect();
    format!(
        "terraform-provider-berth/{} ({}/{}) host/{host_version}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}
