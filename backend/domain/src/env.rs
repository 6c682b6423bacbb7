//! Variables of a project's environment.

use crate::{ProjectId, Secret, Timestamp};
use std::fmt;

/// The longest name of a variable.
pub const ENV_NAME_CHARACTERS_MAX: usize = 128;
/// The longest value of a variable: half of what Linux takes as one text of an environment.
pub const ENV_VALUE_BYTES_MAX: usize = 64 * 1024;

/// Why a text names no variable; the text says the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{found}\" is not a variable's name: use at most {ENV_NAME_CHARACTERS_MAX} letters, digits and underscores, not beginning with a digit"
)]
pub struct InvalidEnvName {
    /// The text that was given, cut after 64 characters.
    pub found: String,
}

/// The name of a variable: what a shell takes as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvName(String);

impl EnvName {
    /// Reads a name; the only way to get one.
    pub fn parse(text: &str) -> Result<Self, InvalidEnvName> {
        let well_formed = (1..=ENV_NAME_CHARACTERS_MAX).contains(&text.len())
            && !text.as_bytes()[0].is_ascii_digit()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidEnvName {
                found: text.chars().take(64).collect(),
            })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A variable that a user gave to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVariable {
    /// The project.
    pub project_id: ProjectId,
    /// The name; unique in the project.
    pub name: EnvName,
    /// The value.
    pub value: Secret,
    /// Whether only who may read credentials sees the value.
    pub sensitive: bool,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When it was set last.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_a_shell_takes_as_one() {
        for good in ["A", "_", "a1", "DATABASE_URL", &"A".repeat(128)] {
            assert!(EnvName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "1A", "A-B", "A B", "A=B", "Ä", "A\n", &"A".repeat(129)] {
            assert!(EnvName::parse(bad).is_err(), "{bad}");
        }
    }
}
