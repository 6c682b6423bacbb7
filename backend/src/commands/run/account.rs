//! Whose rights a command on the host gets.
//!
//! The socket of berthd is root's, so `berthd run` is mostly said through sudo. The command is
//! not root's for that: it is the user's who said it, and its environment is that of whoever may
//! write variables of the project.

use std::error::Error;
use tokio::process::Command;

/// What sudo says of its caller.
const CALLER_VARIABLE: &str = "SUDO_UID";

/// A user of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

impl Account {
    /// The user that was named; else the one who called sudo; none when the command is simply
    /// the caller's own.
    pub async fn of_the_command(named: Option<&str>) -> Result<Option<Self>, Box<dyn Error>> {
        let by_sudo = std::env::var(CALLER_VARIABLE).ok();
        match wanted(named, rustix::process::geteuid().is_root(), by_sudo) {
            Some(reference) => Self::find(&reference).await.map(Some),
            None => Ok(None),
        }
    }

    /// Asks the host's databases of users, whichever they are, by name or number.
    async fn find(reference: &str) -> Result<Self, Box<dyn Error>> {
        let asked = Command::new("getent")
            .args(["passwd", "--", reference])
            .output()
            .await
            .map_err(|error| format!("could not ask getent for the user {reference:?}: {error}"))?;
        let told = String::from_utf8_lossy(&asked.stdout);
        let found = told.lines().next().and_then(Self::read);
        found.ok_or_else(|| {
            format!("this host has no user {reference:?}: name another with --user").into()
        })
    }

    /// Reads a line as getent prints it.
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        let home = fields.nth(1)?;
        Some(Self {
            name: name.to_owned(),
            uid,
            gid,
            home: home.to_owned(),
        })
    }

    /// Has the command run as this user, in its first group and in no other.
    pub fn give_to(&self, command: &mut Command) {
        command
            .uid(self.uid)
            .gid(self.gid)
            .env("USER", &self.name)
            .env("LOGNAME", &self.name)
            .env("HOME", &self.home);
    }
}

/// How the user is called whom the command is to run as; none when it stays who calls.
fn wanted(named: Option<&str>, is_root: bool, by_sudo: Option<String>) -> Option<String> {
    match named {
        Some(name) => Some(name.to_owned()),
        None => by_sudo.filter(|uid| is_root && uid != "0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::must_run::not_run;

    #[test]
    fn a_command_through_sudo_is_its_callers() {
        let sudo = || Some("1000".to_owned());
        assert_eq!(wanted(None, true, sudo()), sudo());
        assert_eq!(wanted(Some("deploy"), true, sudo()).unwrap(), "deploy");
        assert_eq!(wanted(Some("root"), true, sudo()).unwrap(), "root");
        assert_eq!(wanted(None, true, None), None);
        assert_eq!(wanted(None, true, Some("0".to_owned())), None);
        // Who is not root has no other rights to give.
        assert_eq!(wanted(None, false, sudo()), None);
    }

    #[test]
    fn a_line_of_getent_is_a_user() {
        let line = "nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin";
        let account = Account::read(line).unwrap();
        assert_eq!((account.uid, account.gid), (65534, 65533));
        assert_eq!(account.home, "/nonexistent");
        for broken in ["", ":x:1:1::/:", "a:x:one:1::/:", "a:x:1"] {
            assert_eq!(Account::read(broken), None, "{broken}");
        }
    }

    #[tokio::test]
    async fn the_rights_are_given_up_before_the_command_begins() {
        if !rustix::process::geteuid().is_root() {
            return not_run("only root can give rights up");
        }
        let account = Account::find("65534").await.unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo $(id -u) $(id -G) $HOME"]);
        account.give_to(&mut command);
        let output = command.output().await.unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let own = format!("{} {} {}\n", account.uid, account.gid, account.home);
        assert_eq!(told, own);
        let nobody = Account::find("no-such-user").await.unwrap_err().to_string();
        assert!(nobody.contains("no-such-user"), "{nobody}");
    }
}
