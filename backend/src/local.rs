//! The command line's way to the running berthd: its socket in the data root.

use berth_api::ApiError;
use serde::Serialize;
use serde::de::DeserializeOwned;
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
    /// It did not answer.
    #[error("berthd did not answer on {}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: reqwest::Error,
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
        if !socket.exists() {
            return Err(Error::NotRunning {
                data_root: data_root.to_owned(),
                socket,
            });
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

    /// Deletes.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        self.send(self.client.delete(url(path))).await.map(|_| ())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Error> {
        let response = request.send().await.map_err(|e| self.unreachable(e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let error: Result<ApiError, _> = response.json().await;
        Err(match error {
            Ok(e) => Error::Refused {
                message: sentence(&e),
                code: e.code,
            },
            Err(_) => Error::Refused {
                code: status.as_str().to_owned(),
                message: "berthd refused".to_owned(),
            },
        })
    }

    async fn read<T: DeserializeOwned>(&self, response: reqwest::Response) -> Result<T, Error> {
        response.json().await.map_err(|e| self.unreachable(e))
    }

    fn unreachable(&self, source: reqwest::Error) -> Error {
        Error::Unreachable {
            socket: self.socket.clone(),
            source,
        }
    }
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
    use serde_json::json;

    fn refusal(error: &str, details: &[(&str, &str)]) -> ApiError {
        let details: Vec<_> = details
            .iter()
            .map(|(field, message)| json!({"field": field, "message": message}))
            .collect();
        let whole = json!({"error": error, "code": "x", "details": details, "request_id": "r"});
        serde_json::from_value(whole).unwrap()
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
