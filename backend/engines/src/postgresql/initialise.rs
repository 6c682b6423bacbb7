//! How an empty data directory is made.

use super::{ADMINISTRATOR, DATA, SPARE, versions};
use crate::{Initialisation, Version};

/// The host syncs the finished directory once, so nothing is synced on the way. The time
/// zone is given, or initdb would compare all there are with the system's.
pub(super) fn initialisation(version: &Version) -> Initialisation {
    let collation = if versions::has_builtin_collations(version) {
        " --locale-provider=builtin --builtin-locale=C.UTF-8"
    } else {
        ""
    };
    // What nobody was granted cannot leak between the logins of one database: the owner
    // enters its own database and no other.
    let statements = [
        format!("CREATE ROLE {SPARE} LOGIN"),
        format!("CREATE DATABASE {SPARE} OWNER {SPARE}"),
        format!("REVOKE ALL ON DATABASE {SPARE} FROM PUBLIC"),
        "REVOKE ALL ON DATABASE postgres FROM PUBLIC".to_owned(),
        "REVOKE ALL ON DATABASE template1 FROM PUBLIC".to_owned(),
    ]
    .join("\\n");
    let script = format!(
        "set -eu; export TZ=UTC; {initdb} --pgdata={DATA} --no-sync --no-instructions --username={ADMINISTRATOR} \
         --auth=reject --encoding=UTF8 --locale=C.UTF-8{collation} --data-checksums; \
         printf '{statements}\\n' | {postgres} --single -D {DATA} -c fsync=off -c log_min_messages=warning postgres",
        initdb = versions::program(version, "initdb"),
        postgres = versions::program(version, "postgres"),
    );
    Initialisation {
        image: version.image,
        command: ["bash", "-c", &script].map(str::to_owned).to_vec(),
        data_path: DATA,
        marker: "global/pg_control",
        timeout_seconds: 300,
    }
}
