//! One case: a request as text, and what its answer must be at least.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use super::shape::{self, Difference};
use crate::harness::http;

/// How long one answer may take.
const ANSWER_SECONDS_MAX: u64 = 60;

/// What `{{name}}` stands for: ids, tokens and whatever else is another one in each run.
pub type Variables = BTreeMap<String, String>;

/// A request, unsent, and its expectation, unread: variables are filled in when its turn comes.
pub struct Case {
    request: String,
    expectation: String,
}

/// What an answer must be at least. Each field that is not there asks for nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The status.
    pub status: u16,
    /// Shapes of headers, by their names in lower case.
    #[serde(default)]
    headers: BTreeMap<String, Json>,
    /// The shape of the body; nothing means an empty one.
    body: Option<Json>,
    /// For how long the same request is sent again until a status that is on its way has come
    /// there, containers run, and the database has that in it. Nothing else is waited for.
    #[serde(default)]
    pub repeat_seconds_max: u64,
    /// Containers that must run.
    #[serde(default)]
    pub containers: Vec<String>,
    /// What the database then has in it.
    pub sql: Option<Statements>,
    /// What a pooler then says of itself.
    pub pooler: Option<PoolerSettings>,
    /// Variables for later cases, and where in the body their values are.
    #[serde(default)]
    pub capture: BTreeMap<String, String>,
}

/// Statements that an application runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statements {
    /// The id of the database.
    pub database: String,
    /// The statements.
    pub run: String,
    /// The first column of the rows that they give.
    #[serde(default)]
    pub rows: Vec<String>,
}

/// What a pooler goes by, in its own words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolerSettings {
    /// The container that it runs in.
    pub container: String,
    /// Its settings at least.
    pub settings: BTreeMap<String, String>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    headers: BTreeMap<String, String>,
    /// As JSON; text that is not JSON is a text, and nothing is null.
    pub body: Json,
}

impl Case {
    /// Reads both files of a case.
    #[track_caller]
    pub fn read(document: &Path, name: &str) -> Self {
        let text = |kind: &str| {
            let path = document.join(format!("{name}.{kind}"));
            std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let case = Self {
            request: text("http"),
            expectation: text("json"),
        };
        // A mistake in the files is one before its turn comes.
        if let Err(error) = serde_json::from_str::<Expected>(&case.expectation) {
            panic!("{}/{name}.json: {error}", document.display());
        }
        case
    }

    /// The expectation, with its variables filled in.
    pub fn expected(&self, variables: &Variables) -> Result<Expected, String> {
        let text = filled(&self.expectation, variables)?;
        serde_json::from_str(&text).map_err(|error| format!("the expectation: {error}"))
    }

    /// Sends the request, with its variables filled in.
    pub fn send(&self, address: &str, variables: &Variables) -> Result<Answer, String> {
        let text = filled(&self.request, variables)?;
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines().filter(|line| !line.starts_with('#'));
        let first = lines.next().unwrap_or_default();
        let headers: String = lines.map(|line| format!("{line}\r\n")).collect();
        let body = body.trim_end_matches('\n');
        // What every client adds by itself; without a body there is no length of one.
        let length = match body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let bytes = format!(
            "{first} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}{length}\r\n{body}"
        );
        exchanged(address, &bytes).map_err(|error| format!("{first}: {error}"))
    }
}

fn exchanged(address: &str, request: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(ANSWER_SECONDS_MAX)))?;
    stream.write_all(request.as_bytes())?;
    let message = http::read(&mut stream, &mut Vec::new())?
        .ok_or_else(|| std::io::Error::other("the connection ended before the answer"))?;
    let status = message.first_line.split(' ').nth(1);
    let head = message.bytes.len() - message.body.len();
    let head = String::from_utf8_lossy(&message.bytes[..head]).into_owned();
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let text = String::from_utf8_lossy(&message.body).into_owned();
    let body = match text.as_str() {
        "" => Json::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned())),
    };
    Ok(Answer {
        status: status.and_then(|status| status.parse().ok()).unwrap_or(0),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect(),
        body,
    })
}

impl Answer {
    /// One without headers.
    pub fn of(status: u16, body: Json) -> Self {
        let headers = BTreeMap::new();
        Self {
            status,
            headers,
            body,
        }
    }

    /// Status, code and wrong fields on one line.
    pub fn line(&self) -> String {
        let details = self.body["details"].as_array();
        let fields: Vec<_> = details
            .into_iter()
            .flatten()
            .filter_map(|detail| detail["field"].as_str())
            .collect();
        let code = self.body["code"].as_str().unwrap_or("-");
        match fields.is_empty() {
            true => format!("{} {code}", self.status),
            false => format!("{} {code} [{}]", self.status, fields.join(", ")),
        }
    }

    /// Where it is not what was expected.
    pub fn differences(&self, expected: &Expected) -> Vec<Difference> {
        let mut found = Vec::new();
        if self.status != expected.status {
            let reason = format!("{} instead of {}", self.status, expected.status);
            found.push(Difference::lasting(reason));
        }
        for (name, shape) in &expected.headers {
            let value = self
                .headers
                .get(name)
                .map_or(Json::Null, |v| Json::from(v.as_str()));
            found.extend(shape::differences(
                shape,
                Some(&value),
                &format!("header {name}"),
            ));
        }
        let nothing = Json::Null;
        let shape = expected.body.as_ref().unwrap_or(&nothing);
        found.extend(shape::differences(shape, Some(&self.body), "body"));
        found
    }
}

/// Why a case cannot be sent that needs a variable.
pub fn untold(variable: &str) -> String {
    format!("no case before this one has told {variable}")
}

/// `text` with every `{{name}}` replaced.
fn filled(text: &str, variables: &Variables) -> Result<String, String> {
    let mut parts = text.split("{{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part
            .split_once("}}")
            .ok_or_else(|| "a {{ is not closed".to_owned())?;
        let value = variables.get(name).ok_or_else(|| untold(name))?;
        out.push_str(value);
        out.push_str(rest);
    }
    Ok(out)
}
