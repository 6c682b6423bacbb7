//! Ids that show their kind, so that a wrong one does not compile and is plain in a log.

use smol_str::{SmolStr, format_smolstr};
use std::fmt;

/// An id that is not one: what was expected and what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{found}\" is not {expected}")]
pub struct InvalidId {
    /// The form that was expected, for people.
    pub expected: &'static str,
    /// The text that was given.
    pub found: String,
}

// In place where they are as long as those made here: several are kept for each database.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Makes a new id from eight random bytes.
            pub fn from_entropy(entropy: [u8; 8]) -> Self {
                Self(format_smolstr!("{}{}", $prefix, hex::encode(entropy)))
            }

            /// Reads an id; the prefix must be right and the rest be at most 60 letters,
            /// digits, hyphens or underscores.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let rest = text.strip_prefix($prefix).filter(|rest| {
                    !rest.is_empty()
                        && rest.len() <= 60
                        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
                });
                match rest {
                    Some(_) => Ok(Self(SmolStr::new(text))),
                    None => Err(InvalidId { expected: $expected, found: text.to_owned() }),
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(/// A project.
    ProjectId, "proj_", "a project id (proj_…)");
id!(/// A database as its users know it; it outlives its instances.
    DatabaseId, "db_", "a database id (db_…)");
id!(/// One change under way, or done.
    OperationId, "op_", "an operation id (op_…)");
id!(/// An API token; the secret is something else.
    TokenId, "tok_", "a token id (tok_…)");
id!(/// A person.
    UserId, "usr_", "a user id (usr_…)");
id!(/// An entry of the audit journal.
    EventId, "evt_", "an event id (evt_…)");

impl ProjectId {
    /// The project that exists in every installation.
    pub fn default_project() -> Self {
        Self(SmolStr::new_static("proj_default"))
    }
}

impl UserId {
    /// The installation's administrator, who exists from the start.
    pub fn administrator() -> Self {
        Self(SmolStr::new_static("usr_admin"))
    }
}

/// How many characters a UUID has.
const UUID_LENGTH: usize = 36;

/// One running engine process and its data. A UUID: names and labels derive from it.
///
/// In place rather than on the heap: the loop keeps several for each database.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId([u8; UUID_LENGTH]);

impl InstanceId {
    /// Makes a version 4 UUID from sixteen random bytes.
    pub fn from_entropy(mut entropy: [u8; 16]) -> Self {
        entropy[6] = (entropy[6] & 0x0f) | 0x40;
        entropy[8] = (entropy[8] & 0x3f) | 0x80;
        let mut text = [b'-'; UUID_LENGTH];
        let digits = hex::encode(entropy);
        let places = text
            .iter_mut()
            .enumerate()
            .filter(|(at, _)| !is_hyphen(*at));
        for ((_, place), digit) in places.zip(digits.bytes()) {
            *place = digit;
        }
        Self(text)
    }

    /// Reads a UUID in its usual spelling: 36 lower-case hexadecimal digits and hyphens.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let well_formed = text.bytes().enumerate().all(|(at, b)| {
            if is_hyphen(at) {
                b == b'-'
            } else {
                b.is_ascii_digit() || (b'a'..=b'f').contains(&b)
            }
        });
        let bytes = <[u8; UUID_LENGTH]>::try_from(text.as_bytes());
        match bytes {
            Ok(bytes) if well_formed => Ok(Self(bytes)),
            _ => Err(InvalidId {
                expected: "an instance id (a UUID)",
                found: text.to_owned(),
            }),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // It is made of digits, letters and hyphens only.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first eight hexadecimal digits, for names and paths with little room.
    pub fn short(&self) -> &str {
        &self.as_str()[..8]
    }
}

/// Whether a UUID has a hyphen there.
fn is_hyphen(at: usize) -> bool {
    matches!(at, 8 | 13 | 18 | 23)
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InstanceId").field(&self.as_str()).finish()
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One data root: eight hexadecimal digits that tell installations on a host apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstallationId(String);

impl InstallationId {
    /// Makes a new id from four random bytes.
    pub fn from_entropy(entropy: [u8; 4]) -> Self {
        Self(hex::encode(entropy))
    }

    /// Reads eight lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if text.len() == 8
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                expected: "an installation id (8 hexadecimal digits)",
                found: text.to_owned(),
            })
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_shows_its_kind() {
        let id = DatabaseId::from_entropy([0xa1; 8]);
        assert_eq!(id.as_str(), "db_a1a1a1a1a1a1a1a1");
        assert_eq!(DatabaseId::parse(id.as_str()), Ok(id));
        assert!(ProjectId::parse("db_a1").is_err());
        assert!(DatabaseId::parse("db_").is_err());
        assert!(DatabaseId::parse("db_../../x").is_err());
    }

    #[test]
    fn an_instance_id_is_a_version_4_uuid() {
        let id = InstanceId::from_entropy([0xff; 16]);
        assert_eq!(id.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.short(), "ffffffff");
        assert_eq!(InstanceId::parse(id.as_str()), Ok(id));
        assert!(InstanceId::parse("ffffffff-ffff-4fff-bfff-fffffffffffg").is_err());
        assert!(InstanceId::parse("é").is_err());
    }
}
