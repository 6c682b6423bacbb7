//! What an operator may set of the API, and its bounds.

use axum::http::HeaderValue;
use ipnet::IpNet;
use tokio::sync::watch;

/// How the API behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Requests a second that a token may make.
    pub requests_per_second: u32,
    /// Requests that a token may make at once.
    pub requests_burst: u32,
    /// The largest body that is read, but of a plan.
    pub body_bytes_max: usize,
    /// The largest body of a plan.
    pub plan_bytes_max: usize,
    /// Bytes of large answers that may lie unread at once; of one caller half of them.
    pub answers_bytes_max: usize,
    /// How long a body may take to arrive.
    pub body_seconds_max: u64,
    /// How long a request may take, beside the time it asked to wait.
    pub request_seconds_max: u64,
    /// How long one stream of events lasts; its client comes again with the last event's id.
    pub stream_seconds_max: u64,
    /// Clients that may be connected at once; what lasts long takes a part of them.
    pub connections_max: usize,
    /// Proxies that are believed when they say for whom they ask.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may ask; none by default.
    pub cors_origins: Vec<HeaderValue>,
    /// What stands before the paths of requests that a proxy passes on, such as `/berth`; empty
    /// when nothing does.
    pub base_path: String,
    /// Turns true when berthd stops: whoever waits is answered at once, streams end.
    pub stopping: watch::Receiver<bool>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            requests_per_second: 500,
            requests_burst: 5000,
            body_bytes_max: 256 * 1024,
            plan_bytes_max: 4 * 1024 * 1024,
            answers_bytes_max: 128 * 1024 * 1024,
            body_seconds_max: 20,
            request_seconds_max: 30,
            stream_seconds_max: 3600,
            connections_max: 4096,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            base_path: String::new(),
            stopping: watch::channel(false).1,
        }
    }
}

impl Config {
    /// Returns when berthd stops; never when nobody will say so.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        if stopping.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
