//! How the API is reached: its address, TLS, the proxies before it. Checked together, since
//! what one of these allows depends on the others.

use crate::config::{ConfigError, Options};
use crate::tls::Choice;
use axum::http::{HeaderValue, Uri};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The checked answers.
#[derive(Debug, Clone)]
pub struct Edge {
    /// Address of the HTTP API.
    pub listen: SocketAddr,
    /// Where its certificate comes from.
    pub tls: Choice,
    /// Proxies that are believed when they say for whom they ask.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may ask.
    pub cors_origins: Vec<HeaderValue>,
    /// What stands before the paths of requests that a proxy passes on; empty, or with a slash
    /// in front and none behind.
    pub base_path: String,
}

impl Edge {
    /// Checks what the options say of it.
    pub fn check(options: &Options) -> Result<Self, ConfigError> {
        let listen = options.listen.as_deref().unwrap_or("127.0.0.1:8420");
        let listen = listen.parse::<SocketAddr>().map_err(|_| {
            ConfigError::value(
                "listen",
                listen,
                "an address and a port, such as 127.0.0.1:8420",
            )
        })?;
        let tls = tls(options, listen.ip())?;
        // Bearer tokens and passwords cross this socket; nobody on a network may listen in
        // unless somebody has decided so.
        let plain_is_fine = listen.ip().is_loopback() || options.allow_plain_http == Some(true);
        if tls == Choice::Plain && !plain_is_fine {
            return Err(ConfigError::value(
                "listen",
                listen,
                "a loopback address, and plain HTTP carries tokens: give it TLS with --tls self \
                 or --tls-cert and --tls-key, put a TLS proxy in front, or say --allow-plain-http",
            ));
        }
        Ok(Self {
            listen,
            tls,
            trusted_proxies: proxies(options.trusted_proxies.as_deref().unwrap_or_default())?,
            cors_origins: origins(options.cors_origins.as_deref().unwrap_or_default())?,
            base_path: base_path(options.base_path.as_deref().unwrap_or_default())?,
        })
    }

    /// The scheme of the API's URL.
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Choice::Plain => "http",
            _ => "https",
        }
    }
}

fn tls(options: &Options, listen: IpAddr) -> Result<Choice, ConfigError> {
    let files = (options.tls_cert.clone(), options.tls_key.clone());
    match (options.tls.as_deref(), files) {
        (None, (None, None)) => Ok(Choice::Plain),
        (None, (Some(certificate), Some(key))) => Ok(Choice::Files { certificate, key }),
        (Some("self"), (None, None)) => Ok(Choice::Own {
            names: names(options.tls_names.clone().unwrap_or_default(), listen),
        }),
        (None, (Some(path), None)) => Err(ConfigError::value(
            "tls_cert",
            path.display(),
            "enough: name its key with --tls-key",
        )),
        (None, (None, Some(path))) => Err(ConfigError::value(
            "tls_key",
            path.display(),
            "enough: name its certificate with --tls-cert",
        )),
        (Some("self"), _) => Err(ConfigError::value(
            "tls",
            "self",
            "to be said together with --tls-cert or --tls-key",
        )),
        (Some(word), _) => Err(ConfigError::value(
            "tls",
            word,
            "self, the one word there is; certificates of your own are named with --tls-cert and --tls-key",
        )),
    }
}

/// What a client on this host calls it, the address it listens on, its own name, and what else
/// the operator says.
fn names(further: Vec<String>, listen: IpAddr) -> Vec<String> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    if !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    let host = rustix::system::uname();
    names.extend(host.nodename().to_str().ok().map(str::to_owned));
    names.extend(further);
    let mut known = std::collections::BTreeSet::new();
    names.retain(|name| !name.is_empty() && known.insert(name.clone()));
    names
}

fn proxies(texts: &[String]) -> Result<Vec<IpNet>, ConfigError> {
    let read = |text: &String| {
        text.parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| {
                ConfigError::value(
                    "trusted_proxies",
                    text,
                    "an address or a network, such as 10.0.0.0/8",
                )
            })
    };
    texts.iter().map(read).collect()
}

fn origins(texts: &[String]) -> Result<Vec<HeaderValue>, ConfigError> {
    let read = |text: &String| {
        let uri = text.parse::<Uri>().ok();
        let is_origin = uri.is_some_and(|uri| {
            let known = matches!(uri.scheme_str(), Some("http" | "https"));
            let host = uri.authority().map(|authority| authority.as_str());
            known && host.is_some_and(|host| text.ends_with(&format!("://{host}")))
        });
        let value = HeaderValue::from_str(text).ok().filter(|_| is_origin);
        value.ok_or_else(|| {
            ConfigError::value(
                "cors_origins",
                text,
                "an origin, such as https://console.example.com",
            )
        })
    };
    texts.iter().map(read).collect()
}

fn base_path(text: &str) -> Result<String, ConfigError> {
    let trimmed = text.trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let fits = trimmed.is_empty()
        || (trimmed.starts_with('/') && !trimmed.contains("//") && trimmed.bytes().all(plain));
    if fits {
        Ok(trimmed.to_owned())
    } else {
        Err(ConfigError::value(
            "base_path",
            text,
            "a path, such as /berth",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: Options) -> String {
        Edge::check(&options).unwrap_err().to_string()
    }

    fn texts(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn beyond_loopback_there_is_tls_or_a_decision_against_it() {
        let open = Options {
            listen: Some("0.0.0.0:8420".to_owned()),
            ..Options::default()
        };
        assert!(refused(open.clone()).starts_with("listen: "));
        let own = Options {
            tls: Some("self".to_owned()),
            tls_names: texts(&["berth.example.com"]),
            ..open.clone()
        };
        let edge = Edge::check(&own).unwrap();
        assert_eq!(edge.scheme(), "https");
        match edge.tls {
            Choice::Own { names } => {
                assert!(names.contains(&"localhost".to_owned()), "{names:?}");
                assert!(names.contains(&"berth.example.com".to_owned()), "{names:?}");
                assert!(!names.contains(&"0.0.0.0".to_owned()), "{names:?}");
            }
            other => panic!("{other:?}"),
        }
        let decided = Options {
            allow_plain_http: Some(true),
            ..open
        };
        assert_eq!(Edge::check(&decided).unwrap().scheme(), "http");
    }

    #[test]
    fn each_bad_value_names_its_option() {
        let cases = [
            (
                "tls",
                Options {
                    tls: Some("on".into()),
                    ..Options::default()
                },
            ),
            (
                "tls",
                Options {
                    tls: Some("self".into()),
                    tls_cert: Some("x".into()),
                    ..Options::default()
                },
            ),
            (
                "tls_cert",
                Options {
                    tls_cert: Some("x".into()),
                    ..Options::default()
                },
            ),
            (
                "tls_key",
                Options {
                    tls_key: Some("x".into()),
                    ..Options::default()
                },
            ),
            (
                "trusted_proxies",
                Options {
                    trusted_proxies: texts(&["10.0.0.0/8", "proxy"]),
                    ..Options::default()
                },
            ),
            (
                "cors_origins",
                Options {
                    cors_origins: texts(&["https://example.com/path"]),
                    ..Options::default()
                },
            ),
            (
                "cors_origins",
                Options {
                    cors_origins: texts(&["*"]),
                    ..Options::default()
                },
            ),
            (
                "base_path",
                Options {
                    base_path: Some("berth".into()),
                    ..Options::default()
                },
            ),
        ];
        for (option, options) in cases {
            let error = refused(options);
            assert!(error.starts_with(&format!("{option}: ")), "{error}");
        }
    }

    #[test]
    fn what_is_right_is_taken() {
        let edge = Edge::check(&Options {
            trusted_proxies: texts(&["10.0.0.0/8", "::1"]),
            cors_origins: texts(&["https://console.example.com", "http://localhost:3000"]),
            base_path: Some("/tools/berth/".to_owned()),
            ..Options::default()
        })
        .unwrap();
        assert_eq!(edge.trusted_proxies.len(), 2);
        assert_eq!(edge.cors_origins.len(), 2);
        assert_eq!(edge.base_path, "/tools/berth");
    }
}
