//! Variables of a project's environment.

use crate::{ProjectId, Secret, Timestamp};
use std::fmt;

/// The longest name of a variable.
pub const ENV_NAME_CHARACTERS_MAX: usize = 128;
/// The longest value of a variable: half of what Linux takes as one text of an environment.
pub const ENV_VALUE_BYTES_MAX: usize = 64 * 1024;

/// Names by which programs are told what to run, what to load or where to look for it.
const STEERING: [&str; 46] = [
    // Shells.
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "ENV",
    "GLOBIGNORE",
    "HOME",
    "IFS",
    "PATH",
    "PROMPT_COMMAND",
    "PS4",
    "SHELL",
    "SHELLOPTS",
    "ZDOTDIR",
    // The dynamic loader and the C library.
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "HOSTALIASES",
    "LD_AUDIT",
    "LD_DEBUG_OUTPUT",
    "LD_LIBRARY_PATH",
    "LD_ORIGIN_PATH",
    "LD_PRELOAD",
    "LD_PROFILE",
    "LD_PROFILE_OUTPUT",
    "LOCALDOMAIN",
    "LOCPATH",
    "NLSPATH",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    // Programs that others start.
    "BROWSER",
    "EDITOR",
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_TEMPLATE_DIR",
    "LESSCLOSE",
    "LESSOPEN",
    "PAGER",
    "PSQL_EDITOR",
    "PSQL_PAGER",
    "VISUAL",
];
/// Names by which interpreters are told so: applications are configured by them.
const INTERPRETERS: [&str; 20] = [
    "CLASSPATH",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LUA_CPATH",
    "LUA_INIT",
    "LUA_PATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
    "_JAVA_OPTIONS",
];
/// What such names begin with: git reads a whole configuration from numbered ones, and npm one
/// from names in either case.
const STEERING_BEGINNINGS: [&str; 2] = ["GIT_CONFIG_", "NPM_CONFIG_"];

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

    /// Whether shells, loaders and the helpers of others take their own instructions from a
    /// variable of that name, so that whoever sets it decides what the programs of others do.
    ///
    /// The list cannot be complete. It is there so that no value of a project turns an ordinary
    /// command into another one; whose rights that command has is decided elsewhere.
    pub fn steers_programs(&self) -> bool {
        let folded = self.0.to_ascii_uppercase();
        STEERING.contains(&self.0.as_str())
            || STEERING_BEGINNINGS
                .iter()
                .any(|beginning| folded.starts_with(beginning))
    }

    /// Whether an interpreter takes its own instructions from a variable of that name: ordinary
    /// for an application in its container, another program for a command on the host.
    pub fn steers_interpreters(&self) -> bool {
        INTERPRETERS.contains(&self.0.as_str())
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

    #[test]
    fn what_steers_programs_is_known_by_its_name() {
        for steering in [
            "PATH",
            "BASH_ENV",
            "ENV",
            "IFS",
            "SHELLOPTS",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "GIT_SSH_COMMAND",
            "npm_config_script_shell",
        ] {
            assert!(
                EnvName::parse(steering).unwrap().steers_programs(),
                "{steering}"
            );
        }
        for plain in [
            "DATABASE_URL",
            "MY_PATH",
            "env",
            "LDAP_URL",
            "NODE_ENV",
            "GIT_SHA",
            "LD_SDK_KEY",
        ] {
            let name = EnvName::parse(plain).unwrap();
            assert!(
                !name.steers_programs() && !name.steers_interpreters(),
                "{plain}"
            );
        }
        for ordinary in ["NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "PYTHONPATH"] {
            let name = EnvName::parse(ordinary).unwrap();
            assert!(
                !name.steers_programs() && name.steers_interpreters(),
                "{ordinary}"
            );
        }
    }
}
