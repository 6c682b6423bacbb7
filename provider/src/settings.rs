//! Where the backend is and with which token it is asked.
//!
//! Owns: the `provider` block together with its environment variables, and the search for a
//! token. Refuses: the network; nothing here opens a connection.

mod endpoint;

use std::fmt;
use std::path::{Path, PathBuf};

use berth_plugin::object::{AccessError, Object};
use url::{Host, Url};

use crate::client::Patience;

pub use endpoint::parse as parse_endpoint;

/// Where a berthd listens that was started without arguments.
pub const ENDPOINT_DEFAULT: &str = "http://127.0.0.1:8420";

/// Where a berthd keeps its files that was started without arguments.
const DATA_ROOT_DEFAULT: &str = "/var/lib/berth";

/// The variable that says where a berthd listens.
const ENDPOINT_VARIABLE: &str = "BERTH_ENDPOINT";

/// How errors name a token that stands in the block.
const TOKEN_ARGUMENT: &str = "the argument token";

/// The file in a data root that holds the first token.
const ADMIN_TOKEN_FILE: &str = "admin.token";

/// Looks an environment variable up. An argument, so that tests need not change their own.
pub type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Send + Sync);

/// Why the `provider` block cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value is not of the type that the schema says, or not known yet.
    #[error("{0}")]
    Access(#[from] AccessError),
    /// The endpoint is not the address of a berthd.
    #[error(transparent)]
    Endpoint(#[from] endpoint::Error),
    /// The same, where the environment says it.
    #[error("the variable {ENDPOINT_VARIABLE} cannot be used: {0}")]
    EndpointVariable(#[source] endpoint::Error),
    /// An environment variable that means yes or no says something else.
    #[error("{variable} is {text:?}: expected true or false")]
    Truth {
        /// The variable.
        variable: &'static str,
        /// What it holds.
        text: String,
    },
    /// There is no token, and the endpoint is not on this machine.
    #[error(
        "there is no token for {endpoint}: set token or token_file in the provider block, or \
         BERTH_TOKEN or BERTH_TOKEN_FILE in the environment"
    )]
    NoToken {
        /// The endpoint that needs one.
        endpoint: Url,
    },
    /// There is no token, and none can be read from the local berthd's files.
    #[error(
        "there is no token: none is configured, and that of the local berthd cannot be read \
         from {} (set token or token_file, or BERTH_DATA_ROOT when its data lies elsewhere)",
        file.display()
    )]
    LocalToken {
        /// The file that should hold it.
        file: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The file that was named cannot be read.
    #[error("the token file {} cannot be read", file.display())]
    TokenFile {
        /// The file.
        file: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// What should be certificates is something else.
    #[error("ca_cert_pem holds no certificate in PEM form")]
    NoCertificate,
    /// The token is there and empty.
    #[error(
        "{origin} is empty: give the token, or leave it out so that BERTH_TOKEN, \
         BERTH_TOKEN_FILE or the local berthd's own token is used"
    )]
    TokenEmpty {
        /// Where the token comes from.
        origin: String,
    },
    /// The token cannot stand in an HTTP header.
    #[error("the token from {origin} is not one line of visible ASCII characters")]
    TokenText {
        /// Where the token comes from.
        origin: String,
    },
}

impl Error {
    /// The argument of the block that it is about, where it is one.
    pub fn attribute(&self) -> Option<&'static str> {
        match self {
            Self::TokenEmpty { origin } | Self::TokenText { origin } => {
                (origin == TOKEN_ARGUMENT).then_some("token")
            }
            Self::NoCertificate => Some("ca_cert_pem"),
            _ => None,
        }
    }
}

/// A bearer token. Shows itself to nobody but the header it is made for.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token; white space around it, as editors leave it in files, is dropped.
    fn new(text: &str, origin: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::TokenEmpty {
                origin: origin.to_owned(),
            });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::TokenText {
                origin: origin.to_owned(),
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// The token itself. For the request's header, and for the masking of logs.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Where the token is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TokenSource {
    Given(Token),
    File(PathBuf),
    LocalDaemon { data_root: Option<PathBuf> },
}

/// The `provider` block with the environment's values where it is silent.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the backend listens.
    pub endpoint: Url,
    /// The project of resources that name none, by id or name; none leaves it to the server.
    pub project: Option<String>,
    /// The region of databases that name none; none leaves it to the server.
    pub region: Option<String>,
    /// Authorities to trust instead of the system's, as PEM.
    pub ca_cert_pem: Option<String>,
    /// The version of the client that started the provider.
    pub host_version: String,
    /// Whether the server's certificate is taken unseen.
    pub insecure_skip_verify: bool,
    /// How long the backend is waited for. No argument of the block; tests wait less.
    pub patience: Patience,
    token: TokenSource,
}

impl Settings {
    /// Whether the block still has values that are not known, so that nothing can be asked.
    pub fn is_unknown(config: &Object) -> bool {
        config.iter().any(|(_, value)| value.is_unknown())
    }

    /// Reads the block and the environment. Does not look for the token yet.
    pub fn read(
        config: &Object,
        environment: Environment<'_>,
        host_version: &str,
    ) -> Result<Self, Error> {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let text = |attribute: &str, name: &str| -> Result<Option<String>, Error> {
            let given = config.string(attribute)?.map(str::to_owned);
            Ok(given.or_else(|| variable(name)))
        };
        let endpoint = match (config.string("endpoint")?, variable(ENDPOINT_VARIABLE)) {
            (Some(given), _) => parse_endpoint(given)?,
            (None, Some(text)) => parse_endpoint(&text).map_err(Error::EndpointVariable)?,
            (None, None) => parse_endpoint(ENDPOINT_DEFAULT)?,
        };
        let insecure_skip_verify = match config.boolean("insecure_skip_verify")? {
            Some(given) => given,
            None => truth("BERTH_INSECURE_SKIP_VERIFY", &variable)?,
        };
        Ok(Self {
            endpoint,
            project: text("project", "BERTH_PROJECT")?,
            region: text("region", "BERTH_REGION")?,
            ca_cert_pem: text("ca_cert_pem", "BERTH_CA_CERT")?,
            host_version: host_version.to_owned(),
            insecure_skip_verify,
            patience: Patience::default(),
            token: token_source(config, &variable)?,
        })
    }

    /// Whether the backend is on this machine.
    pub fn is_local(&self) -> bool {
        match self.endpoint.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Whether the token would cross a network in the clear.
    pub fn is_exposed(&self) -> bool {
        self.endpoint.scheme() == "http" && !self.is_local()
    }

    /// Finds the token, reading its file when it is in one.
    pub fn token(&self) -> Result<Token, Error> {
        match &self.token {
            TokenSource::Given(token) => Ok(token.clone()),
            TokenSource::File(file) => match std::fs::read_to_string(file) {
                Ok(text) => Token::new(&text, &file.display().to_string()),
                Err(source) => Err(Error::TokenFile {
                    file: file.clone(),
                    source,
                }),
            },
            TokenSource::LocalDaemon { data_root } if self.is_local() => {
                local_token(data_root.as_deref())
            }
            TokenSource::LocalDaemon { .. } => Err(Error::NoToken {
                endpoint: self.endpoint.clone(),
            }),
        }
    }
}

fn truth(name: &'static str, variable: &impl Fn(&str) -> Option<String>) -> Result<bool, Error> {
    match variable(name).as_deref() {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(text) => Err(Error::Truth {
            variable: name,
            text: text.to_owned(),
        }),
    }
}

/// The block speaks before the environment, and a token before the file of one.
fn token_source(
    config: &Object,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<TokenSource, Error> {
    if let Some(token) = config.string("token")? {
        return Token::new(token, TOKEN_ARGUMENT).map(TokenSource::Given);
    }
    if let Some(file) = config.string("token_file")? {
        return Ok(TokenSource::File(file.into()));
    }
    if let Some(token) = variable("BERTH_TOKEN") {
        return Token::new(&token, "BERTH_TOKEN").map(TokenSource::Given);
    }
    if let Some(file) = variable("BERTH_TOKEN_FILE") {
        return Ok(TokenSource::File(file.into()));
    }
    Ok(TokenSource::LocalDaemon {
        data_root: variable("BERTH_DATA_ROOT").map(PathBuf::from),
    })
}

/// The token that the local berthd wrote at its first start. A data root that is named is the
/// only one looked into: the default one may be another installation's.
fn local_token(data_root: Option<&Path>) -> Result<Token, Error> {
    let data_root = data_root.unwrap_or(Path::new(DATA_ROOT_DEFAULT));
    let file = data_root.join(ADMIN_TOKEN_FILE);
    match std::fs::read_to_string(&file) {
        Ok(text) => Token::new(&text, &file.display().to_string()),
        Err(source) => Err(Error::LocalToken { file, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_plugin::value::Value;

    fn block(given: &[(&str, &str)]) -> Object {
        let names = [
            "endpoint",
            "token",
            "token_file",
            "project",
            "region",
            "ca_cert_pem",
            "insecure_skip_verify",
        ];
        Object::new(names.map(|name| {
            let value = given.iter().find(|(given, _)| *given == name);
            (
                name,
                value.map_or(Value::Null, |(_, text)| Value::from(*text)),
            )
        }))
    }

    fn read(given: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Settings, Error> {
        let environment: std::collections::BTreeMap<String, String> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Settings::read(
            &block(given),
            &|name| environment.get(name).cloned(),
            "1.11.4",
        )
    }

    #[test]
    fn silence_means_the_local_berthd() {
        let settings = read(&[], &[]).unwrap();
        assert_eq!(settings.endpoint.as_str(), "http://127.0.0.1:8420/");
        assert!(settings.is_local() && !settings.is_exposed());
        assert_eq!(settings.project, None);
    }

    #[test]
    fn the_block_speaks_before_the_environment() {
        let environment = [
            ("BERTH_ENDPOINT", "https://environment:8420"),
            ("BERTH_TOKEN", "environment"),
            ("BERTH_PROJECT", "environment"),
            ("BERTH_REGION", ""),
        ];
        let settings = read(&[("project", "block"), ("token", "block")], &environment).unwrap();
        assert_eq!(settings.endpoint.host_str(), Some("environment"));
        assert_eq!(settings.project.as_deref(), Some("block"));
        assert_eq!(settings.region, None, "an empty variable says nothing");
        assert_eq!(settings.token().unwrap().reveal(), "block");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_wherever_it_comes_from() {
        for text in ["berth", "http://me:pw@berth"] {
            let error = read(&[("endpoint", text)], &[]).unwrap_err();
            assert!(matches!(error, Error::Endpoint(_)), "{text}: {error}");
            assert!(!error.to_string().contains("BERTH_ENDPOINT"), "{error}");
            let error = read(&[], &[("BERTH_ENDPOINT", text)]).unwrap_err();
            let named = "the variable BERTH_ENDPOINT cannot be used: ";
            assert!(error.to_string().starts_with(named), "{text}: {error}");
        }
    }

    #[test]
    fn a_token_would_not_cross_a_network_in_the_clear_unnoticed() {
        assert!(
            read(&[("endpoint", "http://berth.internal")], &[])
                .unwrap()
                .is_exposed()
        );
        for safe in [
            "https://berth.internal",
            "http://localhost:1",
            "http://[::1]:1",
        ] {
            assert!(
                !read(&[("endpoint", safe)], &[]).unwrap().is_exposed(),
                "{safe}"
            );
        }
    }

    #[test]
    fn the_local_token_comes_from_the_data_root() {
        let root = tempfile::tempdir().unwrap();
        let data_root = root.path().to_str().unwrap().to_owned();
        let environment = [("BERTH_DATA_ROOT", data_root.as_str())];
        let file = root.path().join("admin.token");
        let error = read(&[], &environment).unwrap().token().unwrap_err();
        assert!(
            error.to_string().contains(file.to_str().unwrap()),
            "{error}"
        );
        std::fs::write(&file, "local-token\n").unwrap();
        let token = read(&[], &environment).unwrap().token().unwrap();
        assert_eq!(token.reveal(), "local-token");
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn a_remote_endpoint_never_gets_the_local_token() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("admin.token"), "local-token").unwrap();
        let environment = [("BERTH_DATA_ROOT", root.path().to_str().unwrap())];
        let settings = read(&[("endpoint", "https://berth.example")], &environment).unwrap();
        assert!(matches!(settings.token(), Err(Error::NoToken { .. })));
    }

    #[test]
    fn a_token_that_breaks_the_header_is_refused_without_showing_it() {
        let error = read(&[("token", "two\nlines")], &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("argument token") && !error.contains("lines\n"),
            "{error}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = read(&[("token_file", file.path().to_str().unwrap())], &[]).unwrap();
        assert!(matches!(settings.token(), Err(Error::TokenEmpty { .. })));
        let empty = read(&[("token", "")], &[]).unwrap_err();
        assert!(empty.to_string().starts_with("the argument token is empty"));
        assert_eq!(empty.attribute(), Some("token"));
    }
}
