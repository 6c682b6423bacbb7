//! What the programs that berthd starts find in their environment of berthd's own.
//!
//! Its variables may hold the root key and the URL of the store, with its password: whoever has
//! both reads every password. They end here.

use crate::config;
use crate::wiring::ROOT_KEY_VARIABLE;
use std::ffi::OsStr;
use tokio::process::Command;

/// What the name of every variable of berth's begins with.
const PREFIX: &[u8] = b"BERTH_";
/// Those of them that the recipes' tools read.
const OF_THE_TOOLS: [&str; 3] = [
    "BERTH_IMAGE_CACHE",
    "BERTH_DEBIAN_MIRROR",
    "BERTH_DEBIAN_SECURITY_MIRROR",
];
/// Those of berthd's configuration that clients of the API read too: where an installation is.
const OF_CLIENTS: [&str; 2] = ["BERTH_CONFIG", "BERTH_DATA_ROOT"];

/// Leaves a tool of the recipes only what it reads.
pub fn for_a_tool(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if !may_reach_a_tool(&name) {
            command.env_remove(name);
        }
    }
}

fn may_reach_a_tool(name: &OsStr) -> bool {
    !name.as_encoded_bytes().starts_with(PREFIX) || OF_THE_TOOLS.iter().any(|own| name == *own)
}

/// Takes berthd's own configuration from a user's command. What clients read stays: the command
/// may be one, such as `terraform` with `BERTH_ENDPOINT` and `BERTH_TOKEN`, and the user who
/// says the command has given it them.
pub fn for_a_users_command(command: &mut Command) {
    command.env_remove(ROOT_KEY_VARIABLE);
    for name in config::variables() {
        if !OF_CLIENTS.iter().any(|client| name == *client) {
            command.env_remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_tool_gets_what_it_reads_and_nothing_else_of_berths() {
        for name in ["PATH", "HOME", "http_proxy", "BERTHS"] {
            assert!(may_reach_a_tool(OsStr::new(name)), "{name}");
        }
        for name in ["BERTH_ROOT_KEY", "BERTH_STORE", "BERTH_TOKEN", "BERTH_NEW"] {
            assert!(!may_reach_a_tool(OsStr::new(name)), "{name}");
        }
        let tools = [
            include_str!("../images/build"),
            include_str!("../images/verify"),
        ];
        let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
        let read: BTreeSet<_> = tools
            .iter()
            .flat_map(|text| text.split(|c| !is_part(c)))
            .filter(|word| word.starts_with("BERTH_"))
            .collect();
        assert_eq!(read, BTreeSet::from(OF_THE_TOOLS));
    }

    #[test]
    fn a_users_command_gets_nothing_that_configures_berthd() {
        let mut command = Command::new("true");
        for_a_users_command(&mut command);
        let removed: BTreeSet<_> = command
            .as_std()
            .get_envs()
            .map(|(name, value)| {
                assert_eq!(value, None);
                name.to_str().unwrap().to_owned()
            })
            .collect();
        for secret in ["BERTH_ROOT_KEY", "BERTH_STORE", "BERTH_ROOT_KEY_FILE"] {
            assert!(removed.contains(secret), "{secret}");
        }
        for client in ["BERTH_ENDPOINT", "BERTH_TOKEN", "BERTH_DATA_ROOT", "PATH"] {
            assert!(!removed.contains(client), "{client}");
        }
    }
}
