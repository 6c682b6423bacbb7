//! One request: sent, sent again where that is safe, and read.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use berth_api::{ApiError, Version, VersionRange};
use reqwest::header::{HeaderValue, LOCATION, RETRY_AFTER};
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
/// Since when in a request's life a failure is final.
const RETRY_WINDOW_SECONDS_MAX: u64 = 45;
/// The longest pause that a server may ask for; what asks for more is an error at once.
const RETRY_AFTER_SECONDS_MAX: u64 = 30;
/// How long the opening of a connection may take.
const CONNECT_SECONDS_MAX: u64 = 5;
/// How long the first answer may take, by which berthd shows that it is there.
const OPENING_SECONDS_MAX: u64 = 10;
/// How long any other answer may take, beyond what the request asks the server to wait.
const ANSWER_SECONDS_MAX: u64 = 30;
/// How often one request is let run into such a limit.
const SILENT_ATTEMPTS_MAX: u32 = 2;
/// How long a backend that did not answer is asked nothing more.
const SILENCE_SECONDS: u64 = 10;
/// How long a request that is under way may still be answered after the user asked to stop,
/// or the call's time was over: the answer says what was made.
const GRACE_SECONDS: u64 = 3;
/// The longest text of a foreign answer that is shown to the user.
const FOREIGN_CHARACTERS_MAX: usize = 200;

/// How long a backend is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the first answer.
    pub opening: Duration,
    /// For any other one.
    pub answer: Duration,
    /// How long nothing is asked of a backend that did not answer.
    pub silence: Duration,
    /// For an answer that comes too late for its call.
    pub grace: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            opening: Duration::from_secs(OPENING_SECONDS_MAX),
            answer: Duration::from_secs(ANSWER_SECONDS_MAX),
            silence: Duration::from_secs(SILENCE_SECONDS),
            grace: Duration::from_secs(GRACE_SECONDS),
        }
    }
}

/// An open way to a backend whose version fits.
#[derive(Debug)]
pub(super) struct Connection {
    http: reqwest::Client,
    endpoint: Url,
    authorization: HeaderValue,
    patience: Patience,
    /// Since when the backend does not answer; none when it did at last.
    silent_since: Mutex<Option<Instant>>,
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
    /// Whether a POST is safe to repeat without a key, since it writes nothing.
    writes_nothing: bool,
    /// How long the answer may take; none for as long as any.
    pub limit: Option<Duration>,
    /// How long the server itself was asked to wait before it answers.
    pub wait: Option<Duration>,
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
            writes_nothing: false,
            limit: None,
            wait: None,
        }
    }

    /// Has the server wait before it answers that nothing has changed.
    pub(super) fn wait(self, wait: Duration) -> Self {
        let mut request = self.query("wait", wait.as_secs().to_string());
        request.wait = Some(wait);
        request
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn key(mut self, key: String) -> Self {
        self.idempotency_key = Some(key);
        self
    }

    /// Marks a POST that writes nothing: it may be sent again as it is.
    pub(super) fn repeatable(mut self) -> Self {
        self.writes_nothing = true;
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
            || self.method == Method::PUT
            || self.method == Method::DELETE
            || self.idempotency_key.is_some()
            || self.writes_nothing
    }
}

/// What one attempt came to.
enum Attempt {
    Answer(reqwest::Response),
    /// The answer asks to come again, or no answer came: send it again after the pause.
    Again(Option<Duration>, Error),
    /// The connection is there, and no answer came in time.
    Silent,
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
            patience: settings.patience,
            silent_since: Mutex::new(None),
        };
        connection.check_version().await?;
        Ok(connection)
    }

    async fn check_version(&self) -> Result<(), Error> {
        let mut request = Request::new("asking for its version", Method::GET, &["v1", "version"]);
        request.limit = Some(self.patience.opening);
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
    ///
    /// A backend that has just been waited for in vain is not asked: of a thousand resources,
    /// one has waited for all.
    pub(super) async fn send_for_bytes(&self, request: &Request<'_>) -> Result<Vec<u8>, Error> {
        if self.is_silent() {
            return Err(Error::NotAsked {
                act: request.act.clone(),
                endpoint: self.endpoint.to_string(),
            });
        }
        let sent = self.send_repeatedly(request).await;
        let silent = matches!(sent, Err(Error::Silent { .. }));
        let since = silent.then(Instant::now);
        *self
            .silent_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = since;
        sent
    }

    fn is_silent(&self) -> bool {
        let since = *self
            .silent_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < self.patience.silence)
    }

    /// How long one answer to the request may take.
    fn limit(&self, request: &Request<'_>) -> Duration {
        request.limit.unwrap_or(self.patience.answer) + request.wait.unwrap_or_default()
    }

    async fn send_repeatedly(&self, request: &Request<'_>) -> Result<Vec<u8>, Error> {
        let mut pause = Duration::from_millis(RETRY_PAUSE_MILLIS);
        let mut retries_left = RETRIES_MAX;
        let mut silent_attempts = 0;
        let final_from = Instant::now() + Duration::from_secs(RETRY_WINDOW_SECONDS_MAX);
        loop {
            let (wanted_pause, error) = match self.attempt(request).await {
                Attempt::Answer(response) => match response.bytes().await {
                    Ok(body) => return Ok(body.to_vec()),
                    Err(source) if source.is_timeout() => {
                        silent_attempts += 1;
                        (None, self.silent(request, silent_attempts))
                    }
                    Err(source) => {
                        let error = self.unreachable(&request.act, source);
                        if !request.is_repeatable() {
                            return Err(error);
                        }
                        (None, error)
                    }
                },
                Attempt::Again(wanted_pause, error) => (wanted_pause, error),
                Attempt::Silent => {
                    silent_attempts += 1;
                    (None, self.silent(request, silent_attempts))
                }
                Attempt::Failed(error) => return Err(error),
            };
            let is_silent = matches!(error, Error::Silent { .. });
            if is_silent && (silent_attempts >= SILENT_ATTEMPTS_MAX || !request.is_repeatable()) {
                return Err(error);
            }
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
            Err(source) if source.is_timeout() && !source.is_connect() => return Attempt::Silent,
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
        // The URL would lose these, and the request go elsewhere.
        if let Some(segment) = request.path.iter().find(|segment| !is_segment(segment)) {
            return Err(Error::Address {
                act: request.act.clone(),
                segment: (*segment).to_owned(),
            });
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .timeout(self.limit(request))
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

    fn silent(&self, request: &Request<'_>, attempts: u32) -> Error {
        Error::Silent {
            act: request.act.clone(),
            endpoint: self.endpoint.to_string(),
            waited: self.limit(request),
            attempts,
        }
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

    /// Where an answer sends its reader, without what may be a secret in it.
    fn leads_to(&self, response: &reqwest::Response) -> Option<Url> {
        let location = response.headers().get(LOCATION)?.to_str().ok()?;
        let mut url = self.endpoint.join(location).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        // A URL that has no place for a login has none in it.
        let _ = url.set_password(None).and_then(|()| url.set_username(""));
        Some(url)
    }

    async fn refused(&self, act: &str, response: reqwest::Response) -> Error {
        let status = response.status();
        let request_id = response
            .headers()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let leads_to = self.leads_to(&response);
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(source) => return self.unreachable(act, source),
        };
        // A proxy in between answers in words of its own.
        let answer = serde_json::from_slice::<ApiError>(&body).unwrap_or_else(|_| ApiError {
            error: foreign(status, leads_to.as_ref(), &body),
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

/// Whether a URL keeps the text as one segment of its path.
fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.chars().any(char::is_control)
}

/// What somebody else's answer says, in one line without what a terminal would obey.
fn foreign(status: StatusCode, leads_to: Option<&Url>, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text: String = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|letter| !letter.is_control())
        .take(FOREIGN_CHARACTERS_MAX)
        .collect();
    let mut said = format!("the answer was {status}");
    if let Some(url) = leads_to {
        said.push_str(&format!(", which leads to {url}"));
    }
    if !text.is_empty() {
        said.push_str(&format!(": {text}"));
    }
    said
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
