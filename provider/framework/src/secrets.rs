//! The strings that must never be written anywhere, and how they are taken out of a text.
//!
//! Owns: one list for the whole process, since logs and panics are the whole process's too.
//! Refuses: deciding what is secret. Whoever decodes a sensitive value or reads a token says so.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{PoisonError, RwLock};

/// What stands in a text where a secret was.
pub const MASK: &str = "***";

/// Shorter strings are not remembered: hiding each "no" would show which word is the secret, and
/// leave nothing to read.
const SECRET_BYTES_MIN: usize = 4;
/// A process that saw more secrets than this writes no text at all any more.
const SECRETS_MAX: usize = 200_000;
const TOO_MANY: &str = "text withheld: too many secrets to look for";

static SECRETS: Secrets = Secrets::new();

/// Has `secret` replaced in everything this process logs from now on, also where it is quoted, in
/// JSON or percent-encoded. Strings of fewer than four bytes are left alone.
pub fn remember(secret: &str) {
    SECRETS.remember(secret);
}

/// `text` with every secret remembered so far replaced.
pub fn mask(text: &str) -> Cow<'_, str> {
    SECRETS.mask(text)
}

struct Secrets {
    // Longest first, so that a secret which contains another one is replaced whole.
    known: RwLock<BTreeSet<(Reverse<usize>, String)>>,
}

impl Secrets {
    const fn new() -> Self {
        Self {
            known: RwLock::new(BTreeSet::new()),
        }
    }

    fn remember(&self, secret: &str) {
        if secret.len() < SECRET_BYTES_MIN {
            return;
        }
        let entry = (Reverse(secret.len()), secret.to_owned());
        {
            // Refresh meets the same values again and again; looking is cheaper than spelling.
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.len() > SECRETS_MAX || known.contains(&entry) {
                return;
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let spellings = [
            debug_escaped(secret),
            json_escaped(secret),
            percent_encoded(secret),
        ];
        for spelling in spellings {
            known.insert((Reverse(spelling.len()), spelling));
        }
        known.insert(entry);
    }

    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.len() > SECRETS_MAX {
            return Cow::Borrowed(TOO_MANY);
        }
        let mut masked = Cow::Borrowed(text);
        for (_, secret) in known.iter() {
            if masked.contains(secret.as_str()) {
                masked = Cow::Owned(masked.replace(secret.as_str(), MASK));
            }
        }
        masked
    }
}

/// As `{:?}` writes it, without the quotes around.
fn debug_escaped(secret: &str) -> String {
    without_quotes(&format!("{secret:?}"))
}

/// As it stands in JSON, without the quotes around.
fn json_escaped(secret: &str) -> String {
    without_quotes(&serde_json::Value::from(secret).to_string())
}

fn without_quotes(quoted: &str) -> String {
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(quoted).to_owned()
}

/// As it stands in a URI.
fn percent_encoded(secret: &str) -> String {
    let mut encoded = String::with_capacity(secret.len());
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_replaced_wherever_and_however_it_is_spelled() {
        let secrets = Secrets::new();
        let secret = "it's\u{1}\"ss/wörd";
        secrets.remember(secret);
        let text = format!(
            "plain {secret} quoted {secret:?} json {} uri postgres://u:{}@h",
            serde_json::Value::from(secret),
            "it%27s%01%22ss%2Fw%C3%B6rd",
        );
        assert_eq!(
            secrets.mask(&text),
            "plain *** quoted \"***\" json \"***\" uri postgres://u:***@h"
        );
    }

    #[test]
    fn the_longer_of_two_overlapping_secrets_goes_whole() {
        let secrets = Secrets::new();
        secrets.remember("hunter");
        secrets.remember("hunter2-and-more");
        assert_eq!(secrets.mask("hunter2-and-more hunter"), "*** ***");
    }

    #[test]
    fn short_strings_are_left_readable() {
        let secrets = Secrets::new();
        secrets.remember("no");
        secrets.remember("");
        assert_eq!(secrets.mask("nothing is known"), "nothing is known");
    }

    #[test]
    fn a_full_list_withholds_everything_rather_than_let_one_through() {
        let secrets = Secrets::new();
        for number in 0..=SECRETS_MAX {
            secrets.remember(&format!("secret-{number:06}"));
        }
        assert_eq!(secrets.mask("secret-of-another-kind"), TOO_MANY);
    }
}
