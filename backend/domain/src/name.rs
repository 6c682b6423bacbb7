//! Names that people choose, and the slugs that are made of them once and for life.

use sha2::{Digest, Sha256};
use std::fmt;

/// Why a name is refused; the text says the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{found}\" is not a name: use 3 to 48 lower-case letters, digits and hyphens, starting with a letter and ending with a letter or digit"
)]
pub struct InvalidName {
    /// The text that was given, cut after 64 characters.
    pub found: String,
}

/// The name of a project or a database: 3 to 48 lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Reads a name; the only way to get one.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let bytes = text.as_bytes();
        let well_formed = (3..=48).contains(&bytes.len())
            && bytes[0].is_ascii_lowercase()
            && bytes
                .iter()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            && bytes[bytes.len() - 1] != b'-';
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName {
                found: text.chars().take(64).collect(),
            })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What hosts, logins and networks are named after: made from the name at create, kept for life.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

impl Slug {
    /// The longest name that is its own slug.
    const WHOLE: usize = 38;

    /// The slug of a name: the name itself up to 38 characters, else its first 31, a hyphen
    /// and six hexadecimal digits of its SHA-256.
    pub fn of(name: &Name) -> Self {
        let text = name.as_str();
        if text.len() <= Self::WHOLE {
            return Self(text.to_owned());
        }
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        Self(format!("{}-{}", &text[..31], &digest[..6]))
    }

    /// Takes a slug as the store kept it.
    pub fn from_store(text: String) -> Self {
        Self(text)
    }

    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["abc", "a-b", "orders-2", &"a".repeat(48)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "Abc",
            "a b c",
            "1ab",
            "-ab",
            "ab-",
            "a_b",
            "äbc",
            &"a".repeat(49),
            "../etc",
        ] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_long_name_has_a_short_slug() {
        let name = Name::parse(&"x".repeat(39)).unwrap();
        let slug = Slug::of(&name);
        assert_eq!(slug.as_str().len(), 38);
        assert!(slug.as_str().starts_with(&"x".repeat(31)));
        let short = Name::parse(&"x".repeat(38)).unwrap();
        assert_eq!(Slug::of(&short).as_str(), short.as_str());
    }
}
