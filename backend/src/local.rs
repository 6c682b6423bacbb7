//! The command line's way to the running berthd: its socket in the data root.

use berth_api::ApiError;
use reqwest::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a command waits for an answer.
const ANSWER_SECONDS_MAX: u64 = 90;

/// Why the running berthd could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no socket.
    #[error("no berthd runs on {} (there is no socket {}); start it with: berthd serve --data-root {}", data_root.display(), socket.display(), data_root.display())]
    NotRunning {
        /// The data root.
        data_root: PathBuf,
        /// The socket that should be there.
        socket: PathBuf,
    },
    /// The socket is root's, and this command runs for somebody else.
    #[error("not allowed to ask the berthd on {}: run this as root, for example with sudo", socket.display())]
    NotAllowed {
        /// The socket.
        socket: PathBuf,
    },
    /// It did not answer.
    #[error("berthd did not answer on {}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: reqwest::Error,
    },
    /// The answer is none that this program knows.
    #[error("what answers on {} ({status}) says nothing that this berthd, version {}, understands: where that is a berthd of another version, restart the older of the two from the newer program", socket.display(), env!("CARGO_PKG_VERSION"))]
    Unreadable {
        /// The socket.
        socket: PathBuf,
        /// How the answer begins.
        status: StatusCode,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// What should be an id or a name could be taken for more than one part of a path.
    #[error("{text:?} is no id or name")]
    NoName {
        /// What was given.
        text: String,
    },
    /// It refused.
    #[error("{message} ({code})")]
    Refused {
        /// The code for programs.
        code: String,
        /// The sentence, with its details.
        message: String,
    },
}

/// A connection to the berthd of one data root, as the host's administrator.
pub struct Local {
    client: reqwest::Client,
    socket: PathBuf,
}

impl Local {
    /// Prepares to ask the berthd of `data_root`.
    pub fn connect(data_root: &Path) -> Result<Self, Error> {
        let socket = crate::config::local_socket(data_root);
        match socket.try_exists() {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(Error::NotAllowed { socket });
            }
            Ok(true) => {}
            Ok(false) | Err(_) => {
                return Err(Error::NotRunning {
                    data_root: data_root.to_owned(),
                    socket,
                });
            }
        }
        let client = reqwest::Client::builder()
            .unix_socket(socket.clone())
            .timeout(Duration::from_secs(ANSWER_SECONDS_MAX))
            .build()
            .map_err(|source| Error::Unreachable {
                socket: socket.clone(),
                source,
            })?;
        Ok(Self { client, socket })
    }

    /// Asks, and reads the answer; `path` begins with a slash.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.read(self.send(self.client.get(url(path))).await?)
            .await
    }

    /// Asks, and reads the answer as it is; `path` begins with a slash.
    pub async fn text(&self, path: &str) -> Result<String, Error> {
        let response = self.send(self.client.get(url(path))).await?;
        response.text().await.map_err(|e| self.unreachable(e))
    }

    /// Sends a body, and reads the answer.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.read(self.send(self.client.post(url(path)).json(body)).await?)
            .await
    }

    /// Asks for a list page by page; `parts` takes a page apart into its objects and the token of
    /// the next one.
    pub async fn pages<P: DeserializeOwned, T>(
        &self,
        path: &str,
        parts: impl Fn(P) -> (Vec<T>, Option<String>),
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        let (mut found, mut next) = parts(self.get(path).await?);
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            all.append(&mut found);
            let Some(token) = next else { return Ok(all) };
            let path = format!("{path}{joint}page_token={token}");
            (found, next) = parts(self.get(&path).await?);
        }
    }

    /// Deletes.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        self.send(self.client.delete(url(path))).await.map(|_| ())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Error> {
        let response = request.send().await.map_err(|e| self.unreachable(e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let error: ApiError = self.read(response).await?;
        Err(Error::Refused {
            message: sentence(&error),
            code: error.code,
        })
    }

    async fn read<T: DeserializeOwned>(&self, response: reqwest::Response) -> Result<T, Error> {
        let status = response.status();
        let bytes = response.bytes().await.map_err(|e| self.unreachable(e))?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Unreadable {
            socket: self.socket.clone(),
            status,
            source,
        })
    }

    fn unreachable(&self, source: reqwest::Error) -> Error {
        let socket = self.socket.clone();
        match is_denied(&source) {
            true => Error::NotAllowed { socket },
            false => Error::Unreachable { socket, source },
        }
    }
}

/// Whether the kernel let this user not in.
fn is_denied(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// An id or a name as a part of a path; they have nothing in them that a path could take for
/// something else.
pub fn segment(text: &str) -> Result<&str, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text);
    }
    Err(Error::NoName {
        text: text.to_owned(),
    })
}

fn url(path: &str) -> String {
    format!("http://berthd{path}")
}

/// What was refused, each sentence once: the error is mostly its first detail again.
fn sentence(error: &ApiError) -> String {
    let details: Vec<_> = error
        .details
        .iter()
        .map(|d| format!("{}: {}", d.field, d.message))
        .collect();
    match details.first() {
        None => error.error.clone(),
        Some(first) if *first == error.error => details.join("; "),
        Some(_) => format!("{}: {}", error.error, details.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use serde_json::json;

    fn refusal(error: &str, details: &[(&str, &str)]) -> ApiError {
        let details: Vec<_> = details
            .iter()
            .map(|(field, message)| json!({"field": field, "message": message}))
            .collect();
        let whole = json!({"error": error, "code": "x", "details": details, "request_id": "r"});
        serde_json::from_value(whole).unwrap()
    }

    /// Asks something that answers each path so.
    async fn asked<T>(
        answers: axum::Router,
        ask: impl AsyncFnOnce(Local) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // One crypto library for the client, as `main` installs it.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let data_root = tempfile::tempdir().unwrap();
        let socket = crate::config::local_socket(data_root.path());
        let listener = tokio::net::UnixListener::bind(socket).unwrap();
        let local = Local::connect(data_root.path()).unwrap();
        tokio::select! {
            ended = async { axum::serve(listener, answers).await } => panic!("it ended: {ended:?}"),
            answer = ask(local) => answer,
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_of_berthd_is_called_so_with_its_status() {
        let other = || {
            let proxy = async || (StatusCode::BAD_GATEWAY, "<html>");
            let newer = async || axum::Json(json!({"people": []}));
            axum::Router::new()
                .route("/v1/proxy", get(proxy))
                .route("/v1/newer", get(newer))
        };
        for (path, expected) in [
            ("/v1/proxy", "(502 Bad Gateway)"),
            ("/v1/newer", "(200 OK)"),
        ] {
            let ask = async |local: Local| local.get::<berth_api::UserList>(path).await;
            let error = asked(other(), ask).await.unwrap_err();
            assert!(matches!(error, Error::Unreadable { .. }), "{error:?}");
            let said = error.to_string();
            assert!(
                said.contains(expected) && said.contains("another version"),
                "{said}"
            );
        }
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_last_page() {
        let pages = async |axum::extract::RawQuery(query): axum::extract::RawQuery| {
            let (item, next) = match query.as_deref() {
                Some("of=all") => ("first", Some("second")),
                Some("of=all&page_token=second") => ("last", None),
                other => panic!("{other:?} was asked"),
            };
            axum::Json(json!({"items": [item], "next": next}))
        };
        let answers = axum::Router::new().route("/v1/list", get(pages));
        let parts = |page: serde_json::Value| {
            let items = page["items"].as_array().unwrap().clone();
            (items, page["next"].as_str().map(str::to_owned))
        };
        let ask = async |local: Local| local.pages("/v1/list?of=all", parts).await;
        let all = asked(answers, ask).await.unwrap();
        assert_eq!(all, [json!("first"), json!("last")]);
    }

    #[test]
    fn who_is_not_let_in_is_told_of_root() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        let of = |kind: ErrorKind| Outer(kind.into());
        assert!(is_denied(&of(ErrorKind::PermissionDenied)));
        assert!(!is_denied(&of(ErrorKind::ConnectionRefused)));
        let said = Error::NotAllowed {
            socket: "/s".into(),
        }
        .to_string();
        assert!(said.contains("root") && said.contains("sudo"), "{said}");
    }

    #[test]
    fn names_are_what_a_path_can_hold() {
        assert!(segment("proj_default").is_ok() && segment("my-shop").is_ok());
        for bad in ["", "a/b", "..", "a?b", "a b", "a%2fb"] {
            assert!(segment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_is_said_once() {
        let two = [("name", "is taken"), ("plan", "is unknown")];
        for (error, details, said) in [
            ("Not found", &two[..0], "Not found"),
            ("name: is taken", &two[..1], "name: is taken"),
            (
                "name: is taken",
                &two[..],
                "name: is taken; plan: is unknown",
            ),
            ("No room", &two[1..], "No room: plan: is unknown"),
        ] {
            assert_eq!(sentence(&refusal(error, details)), said);
        }
    }
}
