//! Requests to a berthd, with the token of its data root.

use super::berthd::Berthd;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::error::Error;
use std::time::Duration;

const WAITS_MAX: u32 = 20;

/// A client of one berthd.
pub struct Api {
    http: Client,
    endpoint: String,
    token: String,
}

impl Api {
    /// As the administrator.
    pub fn of(berthd: &Berthd) -> Result<Self, Box<dyn Error>> {
        // An error means that another client has set it already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Ok(Self {
            http: Client::builder().timeout(Duration::from_secs(90)).build()?,
            endpoint: berthd.endpoint().to_owned(),
            token: std::fs::read_to_string(berthd.token_file())?
                .trim()
                .to_owned(),
        })
    }

    /// Orders a database and returns it as it was answered, at once.
    pub async fn order(&self, body: &Value) -> Result<Value, Box<dyn Error>> {
        let answer = self
            .send(self.http.post(self.url("/v1/databases")).json(body))
            .await?;
        Ok(answer["database"].clone())
    }

    /// Waits until the operation that a database was last given has succeeded.
    pub async fn await_done(&self, database: &Value) -> Result<(), Box<dyn Error>> {
        let operation = text(database, "operation_id")?;
        for _ in 0..WAITS_MAX {
            let answer = self
                .get(&format!("/v1/operations/{operation}?wait=30"))
                .await?;
            let found = answer.get("operation").unwrap_or(&answer);
            match found["state"].as_str() {
                Some("succeeded") => return Ok(()),
                Some("pending") => {}
                _ => return Err(format!("the operation did not succeed: {found}").into()),
            }
        }
        Err("the operation does not end".into())
    }

    /// Destroys a database for good, and waits until it is gone.
    pub async fn destroy(&self, database: &Value) -> Result<(), Box<dyn Error>> {
        let url = self.url(&format!("/v1/databases/{}", text(database, "id")?));
        let patch = json!({"recovery_window_days": 0, "deletion_protection": false});
        self.send(self.http.patch(&url).json(&patch)).await?;
        let answer = self.send(self.http.delete(&url)).await?;
        let destroyed = answer.get("database").unwrap_or(&answer);
        self.await_done(destroyed).await
    }

    /// Asks for an act that needs no words.
    pub async fn post(&self, path: &str) -> Result<Value, Box<dyn Error>> {
        self.send(self.http.post(self.url(path))).await
    }

    /// The answer to a GET.
    pub async fn get(&self, path: &str) -> Result<Value, Box<dyn Error>> {
        self.send(self.http.get(self.url(path))).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, Box<dyn Error>> {
        let answer = request.bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        if !status.is_success() {
            return Err(format!("{status}: {body}").into());
        }
        Ok(if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&body)?
        })
    }
}

/// A text field of an answer.
pub fn text<'a>(object: &'a Value, field: &str) -> Result<&'a str, Box<dyn Error>> {
    object[field]
        .as_str()
        .ok_or_else(|| format!("no {field} in {object}").into())
}
