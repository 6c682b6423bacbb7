//! The root key: whether it is there when it has to be, nobody else's, and the right one.

use super::Finding;
use crate::config::Config;
use crate::{chain, data_root, wiring};
use berth_domain::Secret;
use berth_store::{Keys, Store};
use std::fmt;
use std::path::Path;

const SUBJECT: &str = "root key";

/// What there is to say of the key that `serve` would take: that of the variable, else the
/// file's.
pub(super) async fn finding(config: &Config, variable: Option<String>) -> Finding {
    match look(config, variable).await {
        Ok(finding) | Err(finding) => finding,
    }
}

async fn look(config: &Config, variable: Option<String>) -> Result<Finding, Finding> {
    let path = &config.root_key_file;
    let (text, origin) = match variable {
        Some(text) => (Secret::new(text), Path::new(wiring::ROOT_KEY_VARIABLE)),
        None => match data_root::read(path) {
            Ok(Some(text)) => (Secret::new(text.trim()), path.as_path()),
            Ok(None) => return absent(config).await,
            Err(error) => return Err(failure(chain(&error), "make the file readable for root")),
        },
    };
    if let Some(mode) = data_root::readable_by_others(origin) {
        let found = format!("{} has mode {mode:04o}", origin.display());
        let advice = format!("others can read it; chmod 0600 {}", origin.display());
        return Err(failure(found, advice));
    }
    let bytes = data_root::key_bytes(&text, origin).map_err(|_| {
        failure(
            format!("{} is not 64 hexadecimal digits", origin.display()),
            "restore it from your copy: without it nothing that is sealed can be read",
        )
    })?;
    let there = format!("{} (keep a copy elsewhere)", origin.display());
    match Store::check_key(&config.store, &Keys::from_root(bytes)).await {
        Ok(_) => Ok(Finding::ok(SUBJECT, there)),
        Err(berth_store::Error::WrongRootKey) => Err(failure(
            format!(
                "{} is not the key that the store was made with",
                origin.display()
            ),
            "restore the right one from your copy, or give this data root a store of its own",
        )),
        Err(error) => Err(untried(&error)),
    }
}

/// A key that is not there is made at the first start, and at no other.
async fn absent(config: &Config) -> Result<Finding, Finding> {
    let path = config.root_key_file.display();
    match Store::has_key_check(&config.store).await {
        Ok(false) => Ok(Finding::ok(
            SUBJECT,
            format!("{path} will be made at the first start"),
        )),
        Ok(true) => Err(failure(
            format!("{path} is missing, though the store was made with one"),
            "restore the file from your copy, since nothing that is sealed can be read without it, or give this data root a store of its own",
        )),
        Err(error) => Err(untried(&error)),
    }
}

fn untried(error: &berth_store::Error) -> Finding {
    failure(
        format!("it could not be tried on the store: {}", chain(error)),
        "name the store with --store, and see that it can be reached",
    )
}

fn failure(found: impl fmt::Display, advice: impl Into<String>) -> Finding {
    Finding::failure(SUBJECT, found.to_string(), advice)
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;
    use crate::config::Options;
    use berth_domain::InstallationId;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    async fn assert_found(config: &Config, grade: Grade, part: &str) {
        let finding = finding(config, None).await;
        assert!(finding.found.contains(part), "{}", finding.found);
        assert_eq!(finding.grade, grade, "{}", finding.found);
    }

    fn keep(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn a_key_that_serve_would_refuse_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::load(Options {
            config: Some("/dev/null".into()),
            data_root: Some(folder.path().to_owned()),
            ..Options::default()
        });
        let config = config.unwrap();
        let key = &config.root_key_file;
        assert_found(&config, Grade::Ok, "will be made").await;
        assert!(
            !folder.path().join("berth.sqlite").exists(),
            "doctor makes nothing"
        );

        let own = InstallationId::from_entropy([1; 4]);
        let store = Store::open(&config.store, &own, Keys::from_root([7; 32])).await;
        store.unwrap().close().await;
        assert_found(&config, Grade::Failure, "is missing").await;
        keep(key, "short", 0o600);
        assert_found(&config, Grade::Failure, "64 hexadecimal digits").await;
        keep(key, &hex::encode([8; 32]), 0o600);
        assert_found(&config, Grade::Failure, "is not the key").await;
        keep(key, &hex::encode([7; 32]), 0o644);
        assert_found(&config, Grade::Failure, "mode 0644").await;
        keep(key, &hex::encode([7; 32]), 0o600);
        assert_found(&config, Grade::Ok, "keep a copy").await;

        // The variable goes before the file.
        let variable = super::finding(&config, Some(hex::encode([8; 32]))).await;
        assert_eq!(variable.grade, Grade::Failure);
        assert!(variable.found.starts_with(wiring::ROOT_KEY_VARIABLE));
    }
}
