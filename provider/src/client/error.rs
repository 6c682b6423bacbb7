//! What can go wrong between here and the backend, and how a user is told.

use std::sync::Arc;
use std::time::Duration;

use berth_api::{ApiError, ErrorDetail, VersionRange};
use berth_plugin::diagnostics::{Diagnostic, Diagnostics};
use berth_plugin::path::Path;

use super::words::{chain, complaint, said, sentence, sentence_start, spoken, times, traced};
use crate::settings;

/// Why the backend gave no answer that can be used. Shared, since one answer may be
/// awaited by many resources.
pub type Shared = Arc<Error>;

/// Why the backend gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The `provider` block does not say whom to ask.
    #[error("the provider is not configured well enough to ask the backend")]
    Settings {
        /// What is wrong with it.
        source: settings::Error,
    },
    /// The `provider` block has values that are known only after apply.
    #[error("the provider's configuration is not known yet")]
    SettingsUnknown,
    /// The HTTP client cannot be made of the settings.
    #[error("could not prepare the connection to {endpoint}")]
    Prepare {
        /// The backend.
        endpoint: String,
        /// What the HTTP client says.
        source: reqwest::Error,
    },
    /// No answer came.
    #[error("could not reach berthd at {endpoint} while {act}")]
    Unreachable {
        /// What was being done.
        act: String,
        /// The backend.
        endpoint: String,
        /// What the HTTP client says.
        source: reqwest::Error,
    },
    /// Connections are accepted, and no answer comes.
    #[error(
        "berthd at {endpoint} did not answer while {act}: it was asked {}, and waited for {} \
         each time",
        times(*attempts),
        spoken(*waited)
    )]
    Silent {
        /// What was being done.
        act: String,
        /// The backend.
        endpoint: String,
        /// How long each attempt waited.
        waited: Duration,
        /// How often it was tried.
        attempts: u32,
    },
    /// Another request has just been waited for in vain.
    #[error("berthd at {endpoint} does not answer, so that {act} was not tried")]
    NotAsked {
        /// What was to be done.
        act: String,
        /// The backend.
        endpoint: String,
    },
    /// The call's time was over, or the user asked to stop, before an answer came.
    #[error(
        "{act} {}: berthd at {endpoint} had not answered after {}",
        if *stopped { "was stopped" } else { "was not finished in time" },
        spoken(*waited)
    )]
    Unanswered {
        /// What was being done.
        act: String,
        /// The backend.
        endpoint: String,
        /// How long it was waited for.
        waited: Duration,
        /// Whether the user asked to stop; else the call's time was over.
        stopped: bool,
    },
    /// A name or an id cannot be part of an address.
    #[error("{act} is not possible: {segment:?} is neither a name nor an id")]
    Address {
        /// What was to be done.
        act: String,
        /// What was given.
        segment: String,
    },
    /// The answer is not what the API promises.
    #[error("berthd at {endpoint} gave an answer that cannot be read while {act}")]
    Unreadable {
        /// What was being done.
        act: String,
        /// The backend.
        endpoint: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request cannot be written as JSON.
    #[error("could not write the request for {act}: {reason}")]
    Unwritable {
        /// What was being done.
        act: String,
        /// What the writer says.
        reason: String,
    },
    /// The answer is a refusal.
    #[error("berthd refused while {act}: {}", answer.error)]
    Refused {
        /// What was being done.
        act: String,
        /// The HTTP status.
        status: u16,
        /// The reason, field by field where it can be told.
        answer: Box<ApiError>,
    },
    /// The two sides speak no common revision of the API.
    #[error("this provider and berthd {version} at {endpoint} do not understand each other")]
    Version {
        /// The backend.
        endpoint: String,
        /// The backend's version.
        version: String,
        /// The revisions that it speaks.
        theirs: VersionRange,
    },
    /// A change was accepted and then failed.
    #[error("{act} failed: {message}")]
    Operation {
        /// What was being done.
        act: String,
        /// The operation's id.
        operation: String,
        /// Why it failed.
        message: String,
    },
    /// A change took longer than was granted.
    #[error("{act} was not finished after {seconds} seconds")]
    TooLong {
        /// What was being done.
        act: String,
        /// The time that was granted.
        seconds: u64,
    },
    /// The waiting for something that was accepted ended while the backend was away.
    #[error("{ended}, and no answer came at last")]
    Away {
        /// Why it was not waited for any longer.
        ended: Shared,
        /// Why no answer came.
        source: Shared,
    },
    /// The user asked to stop.
    #[error("{act} was stopped")]
    Stopped {
        /// What was being done.
        act: String,
    },
}

impl Error {
    /// Whether the backend says that the object does not exist.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Refused { status: 404, answer, .. } if answer.code.ends_with("_not_found"))
    }

    /// Whether the same question may well be answered a while later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::NotAsked { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// Whether nobody waited any longer, and what was accepted goes on: how that is headed.
    pub fn gave_up(&self) -> Option<&'static str> {
        match self {
            Self::TooLong { .. } => Some("Timeout"),
            Self::Stopped { .. } => Some("Stopped"),
            Self::Away { ended, .. } => ended.gave_up(),
            _ => None,
        }
    }

    /// The error and its causes, in one line.
    pub fn in_full(&self) -> String {
        chain(self)
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { answer, .. } => Some(&answer.code),
            _ => None,
        }
    }

    /// What the user is told of a lookup: a refusal of what was looked for stands at `key`,
    /// unless it names another field.
    pub fn about(&self, key: &Path, fields: impl Fn(&str) -> Option<Path>) -> Diagnostics {
        let told = self.diagnostics(fields);
        let is_refusal = matches!(
            self,
            Self::Refused {
                status: 400 | 404 | 409 | 410 | 422,
                ..
            }
        );
        if !is_refusal && !matches!(self, Self::Address { .. }) {
            return told;
        }
        let at_key = |told: Diagnostic| match told.path {
            Some(_) => told,
            None => told.at(key.clone()),
        };
        told.into_iter().map(at_key).collect()
    }

    /// What the user is told. `fields` says which attribute a field of the API is.
    pub fn diagnostics(&self, fields: impl Fn(&str) -> Option<Path>) -> Diagnostics {
        match self {
            Self::Refused { answer, .. } if !answer.details.is_empty() => {
                let heading = said(&answer.error);
                let heading = heading.trim_end_matches('.');
                answer
                    .details
                    .iter()
                    .map(|detail| {
                        let said = complaint(&detail.field, &detail.message);
                        // The error is often the first detail, word for word.
                        let repeats = |detail: &ErrorDetail| {
                            let first = format!("{}: {}", detail.field, detail.message);
                            answer.error == detail.message || answer.error == first
                        };
                        let summary = match answer.details.iter().any(repeats) {
                            true => "Request refused",
                            false => heading,
                        };
                        let text = format!("{said}{}", traced(&answer.request_id));
                        let at = fields(&detail.field);
                        Diagnostic::error(summary, text).at(at.unwrap_or_default())
                    })
                    .collect()
            }
            _ => self.diagnostic().into(),
        }
    }

    fn diagnostic(&self) -> Diagnostic {
        match self {
            Self::Settings { source } => {
                Diagnostic::error("Provider configuration", sentence(&chain(source)))
                    .at(source.attribute().map(Path::from).unwrap_or_default())
            }
            Self::SettingsUnknown => Diagnostic::error(
                "Provider configuration not known yet",
                "The provider block of berth depends on values that are known only after apply. \
                 Apply what they depend on first, for example with -target.",
            ),
            Self::Prepare { .. } => Diagnostic::error(
                "Provider configuration",
                format!("{} Check ca_cert_pem.", sentence(&chain(self))),
            ),
            Self::Unreachable { endpoint, .. } => Diagnostic::error(
                "berthd cannot be reached",
                format!(
                    "{} Is berthd running at {endpoint}, and can this machine reach it? The \
                     argument endpoint or the variable BERTH_ENDPOINT says where it is.",
                    sentence(&chain(self))
                ),
            ),
            Self::Silent { endpoint, .. } | Self::NotAsked { endpoint, .. } => Diagnostic::error(
                "berthd does not answer",
                format!(
                    "{} Something accepts connections at {endpoint}: is it a berthd, and does \
                     its log say what it is waiting for? The argument endpoint or the variable \
                     BERTH_ENDPOINT says where to ask.",
                    sentence(&self.to_string())
                ),
            ),
            Self::Unanswered { stopped, .. } => Diagnostic::error(
                if *stopped { "Stopped" } else { "Timeout" },
                format!(
                    "{} Is a berthd running there? What it has accepted goes on; run the \
                     command again to see the result.",
                    sentence(&self.to_string())
                ),
            ),
            Self::Address { .. } => {
                Diagnostic::error("Neither a name nor an id", sentence(&self.to_string()))
            }
            Self::Unreadable { endpoint, .. } => Diagnostic::error(
                "Answer cannot be read",
                format!(
                    "{} Is {endpoint} a berthd, or is something else listening there?",
                    sentence(&chain(self))
                ),
            ),
            Self::Unwritable { .. } => {
                Diagnostic::error("Error in the provider", sentence(&self.to_string()))
            }
            Self::Refused {
                act,
                status,
                answer,
            } => refusal(self, act, *status, answer),
            Self::Version {
                endpoint,
                version,
                theirs,
            } => version_gap(endpoint, version, *theirs),
            Self::Operation {
                operation, message, ..
            } => Diagnostic::error(
                "Operation failed",
                format!(
                    "{} The operation is {operation}; berthd's log says more about it.",
                    said(message)
                ),
            ),
            Self::TooLong { .. } | Self::Stopped { .. } | Self::Away { .. } => Diagnostic::error(
                self.gave_up().unwrap_or("Timeout"),
                format!(
                    "{} What berthd has accepted goes on: run apply again to wait for the rest, \
                     or grant more time in the block timeouts.",
                    sentence(&chain(self))
                ),
            ),
        }
    }
}

fn refusal(error: &Error, act: &str, status: u16, answer: &ApiError) -> Diagnostic {
    let traced = traced(&answer.request_id);
    let said = said(&answer.error);
    match status {
        401 => Diagnostic::error(
            "Token not accepted",
            format!(
                "{said} Check token, token_file or BERTH_TOKEN; `berthd token list` shows which \
                 tokens are valid.{traced}"
            ),
        ),
        403 => Diagnostic::error(
            "Not allowed",
            format!(
                "{said} `berthd token create --for apply` makes a token with the rights of a \
                 pipeline.{traced}"
            ),
        ),
        429 => Diagnostic::error(
            "Too many requests",
            format!("{} Try again later.{traced}", sentence(&error.to_string())),
        ),
        500.. => Diagnostic::error(
            "berthd failed",
            format!(
                "{} This is an error of berthd, not of the configuration.{traced}",
                sentence(&error.to_string())
            ),
        ),
        _ => Diagnostic::error(
            "Request refused",
            format!("{} was refused: {said}{traced}", sentence_start(act)),
        ),
    }
}

fn version_gap(endpoint: &str, version: &str, theirs: VersionRange) -> Diagnostic {
    let ours = VersionRange::HERE;
    let advice = if theirs.minimum > ours.current {
        "Upgrade the provider: raise its version in required_providers and run init -upgrade."
    } else {
        "Upgrade berthd, or use an older provider."
    };
    Diagnostic::error(
        "Versions do not fit together",
        format!(
            "berthd {version} at {endpoint} speaks the revisions {} to {} of its API, this \
             provider {} speaks {} to {}. {advice}",
            theirs.minimum,
            theirs.current,
            env!("CARGO_PKG_VERSION"),
            ours.minimum,
            ours.current,
        ),
    )
}

impl From<settings::Error> for Error {
    fn from(source: settings::Error) -> Self {
        Self::Settings { source }
    }
}

impl From<&Error> for Diagnostics {
    fn from(error: &Error) -> Self {
        error.diagnostics(|_| None)
    }
}

impl From<Error> for Diagnostics {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, details: &[(&str, &str)]) -> Error {
        Error::Refused {
            act: "creating database orders".into(),
            status,
            answer: Box::new(ApiError {
                error: "the name orders is taken".into(),
                code: "name_taken".into(),
                request_id: "req_1".into(),
                details: details
                    .iter()
                    .map(|(field, message)| ErrorDetail {
                        field: (*field).into(),
                        message: (*message).into(),
                        code: None,
                    })
                    .collect(),
            }),
        }
    }

    fn version(minimum: u32, current: u32) -> String {
        let error = Error::Version {
            endpoint: "http://127.0.0.1:8420".into(),
            version: "9.9.9".into(),
            theirs: VersionRange { minimum, current },
        };
        Diagnostics::from(error).to_string()
    }

    #[test]
    fn a_refusal_stands_at_its_attribute_and_names_the_request() {
        let error = refused(409, &[("name", "is taken"), ("config.x", "no.")]);
        let told = error.diagnostics(|field| (field == "name").then(|| Path::from(field)));
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "error at name: The name orders is taken: name is taken. (request req_1)",
                "error: The name orders is taken: No. (request req_1)",
            ]
        );
    }

    #[test]
    fn no_sentence_is_told_twice() {
        // As berthd answers, and as a handler of its own may.
        for error in ["name: the name orders is taken", "the name orders is taken"] {
            let mut refused = refused(409, &[("name", "the name orders is taken")]);
            if let Error::Refused { answer, .. } = &mut refused {
                answer.error = error.to_owned();
            }
            assert_eq!(
                Diagnostics::from(refused).to_string(),
                "error: Request refused: The name orders is taken. (request req_1)"
            );
        }
    }

    #[test]
    fn the_version_error_says_which_side_to_upgrade() {
        assert!(version(2, 3).contains("Upgrade the provider"));
        assert!(version(0, 0).contains("Upgrade berthd"));
    }

    #[test]
    fn an_error_of_the_server_is_told_apart_from_one_of_the_user() {
        let told = |status| Diagnostics::from(refused(status, &[])).to_string();
        assert!(told(401).contains("Token not accepted"));
        assert!(told(500).contains("an error of berthd"));
        assert_eq!(
            told(409),
            "error: Request refused: Creating database orders was refused: The name orders is \
             taken. (request req_1)"
        );
    }
}
