//! The address of a berthd, and what may be shown of something else.

use url::{ParseError, Url};

use super::ENDPOINT_DEFAULT;

/// Why a text is not the address of a berthd. None of its parts that may be secret is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is a user or a password in it.
    #[error(
        "{shown} has a login in it, or an @ elsewhere: give the address alone, such as \
         {ENDPOINT_DEFAULT}, and the token as token, token_file or BERTH_TOKEN"
    )]
    Login {
        /// The rest of it.
        shown: String,
    },
    /// Something follows the path.
    #[error("{shown} is followed by a query or a fragment: leave out what begins with ? or #")]
    Query {
        /// The rest of it.
        shown: String,
    },
    /// It is of another protocol, or names none.
    #[error(
        "{shown} begins with neither http:// nor https://: expected such as {ENDPOINT_DEFAULT}"
    )]
    Scheme {
        /// What may be shown of it.
        shown: String,
    },
    /// There is no host in it.
    #[error("{shown} names no host: expected an address such as {ENDPOINT_DEFAULT}")]
    Host {
        /// What may be shown of it.
        shown: String,
    },
    /// It cannot be read at all.
    #[error("{shown} is not a URL ({reason}): expected one such as {ENDPOINT_DEFAULT}")]
    Text {
        /// What may be shown of it.
        shown: String,
        /// What is wrong with it.
        reason: ParseError,
    },
}

/// Reads an endpoint: the address of a berthd over HTTP, without login and query.
pub fn parse(text: &str) -> Result<Url, Error> {
    let text = text.trim();
    let shown = shown(text);
    // No address of a berthd has an @ anywhere, and a password may have what ends it early.
    if text.contains('@') {
        return Err(Error::Login { shown });
    }
    if !is_http(text) {
        return Err(Error::Scheme { shown });
    }
    match Url::parse(text) {
        Err(ParseError::EmptyHost) => Err(Error::Host { shown }),
        Err(reason) => Err(Error::Text { shown, reason }),
        Ok(url) if url.query().is_some() || url.fragment().is_some() => Err(Error::Query { shown }),
        Ok(url) => Ok(url),
    }
}

fn is_http(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        ["http", "https"]
            .iter()
            .any(|it| scheme.eq_ignore_ascii_case(it))
    })
}

/// The text without what may be secret: what stands before an @, and what follows a ? or a #.
/// Where one of these comes before the last @, that may be part of a query, and what follows it
/// no host.
fn shown(text: &str) -> String {
    let shown = match text.rsplit_once('@') {
        None => text.to_owned(),
        Some((before, rest)) => {
            let scheme = before.split_once("://").filter(|_| is_http(before));
            let scheme = scheme.map_or_else(String::new, |(scheme, _)| format!("{scheme}://"));
            match before.contains(['?', '#']) {
                true => format!("{scheme}…"),
                false => format!("{scheme}…@{rest}"),
            }
        }
    };
    let end = shown.find(['?', '#']).unwrap_or(shown.len());
    format!("{:?}", &shown[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_that_is_wrong_has_an_error_of_its_own() {
        for (text, expected) in [
            ("https://ci@berth.internal", "has a login in it"),
            ("https://berth.internal?x=1", "followed by a query"),
            ("https://berth.internal/#top", "followed by a query"),
            ("berth.internal:8420", "neither http:// nor https://"),
            ("ftp://berth.internal", "neither http:// nor https://"),
            ("http://", "names no host"),
            ("http://:8420", "names no host"),
            ("http://berth:port", "is not a URL"),
        ] {
            let told = parse(text).unwrap_err().to_string();
            assert!(told.contains(expected), "{text}: {told}");
        }
        for text in [
            "http://127.0.0.1:8420",
            " HTTPS://berth.internal/base/ ",
            "http://[::1]:1",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_password_in_an_endpoint_is_shown_to_nobody() {
        for text in [
            "https://ci:s3cret@berth.internal",
            "https://ci:s3cret@berth.internal?a=b#c",
            "https://ci:s3cret@",
            "https://s3cret@berth.internal:port",
            "https://ci:80/s3cret@berth.internal",
            "https://ci:a#s3cret?@berth.internal",
            "https://ci:a@s3cret@berth.internal",
            "https://ci:a b s3cret@berth.internal",
            "ci:s3cret@berth.internal",
            "https://berth.internal?token=s3cret",
            "https://berth.internal#s3cret",
            "https://berth.internal?who=me@x.org&token=s3cret",
            "https://berth.internal#me@x.org/s3cret",
            "berth.internal?who=me@s3cret",
        ] {
            let error = parse(text).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(!told.contains("s3cret"), "{told}");
        }
        for (text, shown) in [
            (
                "https://ci:s3cret@berth.internal",
                "https://…@berth.internal",
            ),
            (
                "https://berth.internal?who=me@x.org&token=s3cret",
                "https://…",
            ),
            ("https://berth.internal#me@x.org/s3cret", "https://…"),
        ] {
            let told = parse(text).unwrap_err().to_string();
            assert!(
                told.starts_with(&format!("{shown:?} has a login")),
                "{told}"
            );
        }
    }
}
