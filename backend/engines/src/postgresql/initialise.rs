//! How an empty data directory is made.

use super::statements::CLOSE_DATABASES;
use super::{ADMINISTRATOR, DATA, SPARE, versions};
use crate::{Initialisation, Occasion, Version};

/// The host syncs the finished directory once, so nothing is synced on the way. The time
/// zone is given, or initdb would compare all there are with the system's.
pub(super) fn initialisation(version: &Version, occasion: Occasion) -> Initialisation {
    let collation = if versions::has_builtin_collations(version) {
        " --locale-provider=builtin --builtin-locale=C.UTF-8"
    } else {
        ""
    };
    let mut script = format!(
        "set -eu; export TZ=UTC; {initdb} --pgdata={DATA} --no-sync --no-instructions --username={ADMINISTRATOR} \
         --auth=reject --encoding=UTF8 --locale=C.UTF-8{collation} --data-checksums",
        initdb = versions::program(version, "initdb"),
    );
    if occasion == Occasion::Spare {
        script.push_str(&ahead(version));
    }
    Initialisation {
        image: version.image,
        command: ["bash", "-c", &script].map(str::to_owned).to_vec(),
        data_path: DATA,
        marker: "global/pg_control",
        timeout_seconds: 300,
    }
}

/// What a bootstrap finds done. Another server starts and ends for it, which takes longer than
/// a running one needs for the same.
fn ahead(version: &Version) -> String {
    let statements = [
        format!("CREATE ROLE {SPARE} LOGIN"),
        format!("CREATE DATABASE {SPARE} OWNER {SPARE}"),
        CLOSE_DATABASES.to_owned(),
    ]
    .join("\\n");
    format!(
        "; printf '{statements}\\n' | {postgres} --single -D {DATA} -c fsync=off -c log_min_messages=warning postgres",
        postgres = versions::program(version, "postgres"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_waits_for_no_second_server() {
        for version in versions::ALL {
            let script = |occasion| initialisation(version, occasion).command[2].clone();
            let (order, spare) = (script(Occasion::Order), script(Occasion::Spare));
            assert!(spare.starts_with(&order), "{spare}");
            assert!(!order.contains("--single"), "{order}");
            assert!(spare.contains("--single") && spare.contains(CLOSE_DATABASES));
        }
    }
}
