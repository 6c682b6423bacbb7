//! What no schema says.

/// The ways to name an object that is imported.
pub const IMPORTS: [(&str, &[&str]); 4] = [
    (
        "berth_database",
        &[
            "its id (`db_…`)",
            "its name, in the project of the provider block or else in the default one",
            "`PROJECT/NAME`, with the project by its name or its id",
        ],
    ),
    ("berth_project", &["its id (`proj_…`)", "its name"]),
    (
        "berth_project_member",
        &["`PROJECT/USER`, each by its id (`proj_…/usr_…`) or its name"],
    ),
    ("berth_token", &["its id (`tok_…`)"]),
];

/// What an import leaves out, and what it refuses.
pub const IMPORTED: [(&str, &str); 2] = [
    (
        "berth_database",
        "Every argument is filled in; `password`, `uri` and `pooled_uri` are null. A destroyed \
         database cannot be imported: `restore_from` brings it back.",
    ),
    (
        "berth_token",
        "The secret is not in the state; `berth_token_secret` hands it over. A revoked token \
         cannot be imported.",
    ),
];

/// What a change of an argument does where the schema does not say it: berthd decides.
pub const CHANGES: [(&str, &str, &str); 12] = [
    (
        "berth_database",
        "engine",
        "replaces the database, and only while `deletion_protection` is off",
    ),
    ("berth_database", "version", REFUSED),
    ("berth_database", "region", REFUSED),
    ("berth_database", "project_id", REFUSED),
    ("berth_database", "database_name", REFUSED),
    ("berth_database", "username", REFUSED),
    ("berth_database", "storage_gb", "in place; only upwards"),
    (
        "berth_database",
        "credential_version",
        "in place; only upwards, and not while stopped",
    ),
    (
        "berth_database",
        "plan",
        "in place; the plan says when the engine restarts for it",
    ),
    ("berth_database", "restore_from", "none, with a warning"),
    (
        "berth_token",
        "user_id",
        "makes another one, when it is given",
    ),
    (
        "berth_database",
        "expose_credentials_in_state",
        "of the state alone",
    ),
];

const REFUSED: &str = "refused in the plan";

/// The variables of the environment that the provider reads.
pub const VARIABLES: [(&str, &str); 8] = [
    ("BERTH_ENDPOINT", "`endpoint`"),
    ("BERTH_TOKEN", "`token`"),
    ("BERTH_TOKEN_FILE", "`token_file`"),
    ("BERTH_PROJECT", "`project`"),
    ("BERTH_REGION", "`region`"),
    ("BERTH_CA_CERT", "`ca_cert_pem`: the certificate itself"),
    (
        "BERTH_INSECURE_SKIP_VERIFY",
        "`insecure_skip_verify`: `true` or `1`, `false` or `0`",
    ),
    (
        "BERTH_DATA_ROOT",
        "where the local berthd keeps its `admin.token`; `/var/lib/berth` when left out",
    ),
];
