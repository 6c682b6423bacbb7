//! The file systems in memory: whether there is room in them.

use super::Finding;
use crate::config::{Config, Runtime};
use crate::{data_root, wiring};
use rustix::fs::{StatVfs, statvfs};
use std::path::Path;

const SUBJECT: &str = "memory";
/// From this share on a file system is said to be nearly full.
const FULL_PERCENT: u64 = 80;

/// What there is to say of those of this installation that are there: before the first database
/// and before the first variable there is none.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    if config.runtime == Runtime::Fake {
        return Vec::new();
    }
    let Ok(Some(installation)) = data_root::read(&config.data_root.join("installation")) else {
        return Vec::new();
    };
    let run_root = Path::new(wiring::RUN_BASE).join(installation.trim());
    let env = run_root.join("env");
    let all = [
        (run_root, "keys, configurations and sockets", KEYS_FULL),
        (env, "env files", ENV_FULL),
    ];
    all.into_iter()
        .filter_map(|(path, what, advice)| {
            let used = used_percent(&statvfs(&path).ok()?);
            Some(finding(&path, what, used, advice))
        })
        .collect()
}

const KEYS_FULL: &str = "when it is full, databases cannot be made, started or given new passwords; see what fills it (du -s), or give the file system more (mount -o remount,size=512m)";
const ENV_FULL: &str = "when it is full, env files are not brought up to date; see whose variables fill it (du -s), or give the file system more (mount -o remount,size=512m)";

/// The larger share of bytes and of files.
fn used_percent(stat: &StatVfs) -> u64 {
    let percent = |all: u64, free: u64| match all {
        0 => 0,
        all => all.saturating_sub(free).saturating_mul(100) / all,
    };
    percent(stat.f_blocks, stat.f_bavail).max(percent(stat.f_files, stat.f_favail))
}

fn finding(path: &Path, what: &str, used: u64, advice: &str) -> Finding {
    let found = format!("{what}: {} is {used} % full", path.display());
    if used < FULL_PERCENT {
        Finding::ok(SUBJECT, found)
    } else {
        Finding::warning(SUBJECT, found, advice)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;

    #[test]
    fn what_is_nearly_full_is_a_warning() {
        let path = Path::new("/run/berth/0123abcd/env");
        let with_room = finding(path, "env files", 79, ENV_FULL);
        assert!(with_room.grade == Grade::Ok && with_room.advice.is_none());
        let full = finding(path, "env files", 80, ENV_FULL);
        assert!(full.grade == Grade::Warning, "{}", full.found);
        assert!(
            full.advice
                .is_some_and(|advice| advice.contains("env files"))
        );
    }

    #[test]
    fn files_count_as_bytes_do() {
        let mut stat = statvfs("/").unwrap();
        (stat.f_blocks, stat.f_bavail) = (100, 90);
        (stat.f_files, stat.f_favail) = (100, 15);
        assert_eq!(used_percent(&stat), 85);
        (stat.f_files, stat.f_favail) = (0, 0);
        assert_eq!(used_percent(&stat), 10);
    }
}
