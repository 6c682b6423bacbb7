//! What may be said of a database, and what is told of it.

use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::timeouts::{self, Operation};
use berth_plugin::types::Type;
use berth_plugin::validate::{each, one_of, size, whole};

use crate::plan::{Field, Manner};
use crate::resources::rules;

/// What an order carries, and what leaving it out means.
pub const FIELDS: &[Field] = &[
    Field {
        name: "name",
        manner: Manner::Absent,
    },
    Field {
        name: "project_id",
        manner: Manner::Sticky,
    },
    Field {
        name: "engine",
        manner: Manner::Sticky,
    },
    Field {
        name: "version",
        manner: Manner::Sticky,
    },
    Field {
        name: "plan",
        manner: Manner::Sticky,
    },
    Field {
        name: "region",
        manner: Manner::Sticky,
    },
    Field {
        name: "storage_gb",
        manner: Manner::Sticky,
    },
    Field {
        name: "desired_status",
        manner: Manner::Default,
    },
    Field {
        name: "database_name",
        manner: Manner::Sticky,
    },
    Field {
        name: "username",
        manner: Manner::Sticky,
    },
    Field {
        name: "pooler",
        manner: Manner::Adopted,
    },
    // A rotation from outside raises it; a default would then ask for a lower one.
    Field {
        name: "credential_version",
        manner: Manner::Sticky,
    },
    Field {
        name: "expose",
        manner: Manner::Default,
    },
    Field {
        name: "public_port",
        manner: Manner::Kept,
    },
    Field {
        name: "allow_list",
        manner: Manner::Absent,
    },
    Field {
        name: "tls_mode",
        manner: Manner::Default,
    },
    Field {
        name: "restore_from",
        manner: Manner::Once,
    },
    Field {
        name: "deletion_protection",
        manner: Manner::Default,
    },
    Field {
        name: "recovery_window_days",
        manner: Manner::Default,
    },
    Field {
        name: "sleep_after_minutes",
        manner: Manner::Absent,
    },
    Field {
        name: "inject_env",
        manner: Manner::Absent,
    },
    Field {
        name: "tags",
        manner: Manner::Absent,
    },
];

/// What the backend knows nothing of.
pub const OWN: &[&str] = &[
    "expose_credentials_in_state",
    "password",
    "pooled_uri",
    "restore_from",
    "timeouts",
    "uri",
];

/// What `claimed` says, also of a database that is looked up.
pub const CLAIMED: &str = "Whether it was taken over after its create.";

/// The attributes that hold secrets, and only on request.
pub const SECRETS: [&str; 3] = ["password", "uri", "pooled_uri"];

/// The schema of `berth_database`.
pub fn schema() -> Schema {
    let attributes = ordered()
        .into_iter()
        .chain(reach())
        .chain(safety())
        .chain(told())
        .chain(secrets());
    Schema::new(attributes)
        .block(timeouts::block([
            Operation::Create,
            Operation::Read,
            Operation::Update,
            Operation::Delete,
        ]))
        .description(
            "A database: an engine with its pooler, its login and its data. No argument but \
             `engine` ever replaces it; everything else changes in place, or the plan says why \
             it cannot.",
        )
}

/// What is ordered.
fn ordered() -> Vec<Attribute> {
    vec![
        Attribute::string("name")
            .required()
            .description(
                "The name, unique in its project: 3 to 48 lower-case letters, digits and \
                 hyphens. It can be changed; `slug`, hosts and login stay.",
            )
            .validate(rules::name()),
        Attribute::string("project_id")
            .optional()
            .computed()
            .description("The project, by its id; the provider's, or the default one.")
            .validate(rules::id(
                "proj_",
                "berth_project.….id or data.berth_project.….id",
            )),
        Attribute::string("engine")
            .optional()
            .computed()
            .description(
                "The engine, such as `postgresql`. Required unless `restore_from` is given. \
                 Another engine is another database: it is replaced, and only while it is \
                 unprotected.",
            )
            .validate(rules::engine()),
        Attribute::string("version")
            .optional()
            .computed()
            .description("The major version, such as `17`. The server's default when left out."),
        Attribute::string("plan")
            .optional()
            .computed()
            .description("The size; the data source `berth_plans` lists them."),
        Attribute::string("region")
            .optional()
            .computed()
            .description("The region; the provider's, the project's or the server's default."),
        Attribute::number("storage_gb")
            .optional()
            .computed()
            .description("Storage in GB. It grows in place and never shrinks.")
            .validate(whole(1..=16_384)),
        Attribute::string("desired_status")
            .optional()
            .default("running")
            .description("`running` or `stopped`.")
            .validate(one_of(["running", "stopped"])),
        Attribute::string("database_name")
            .optional()
            .computed()
            .description("The first logical database; the slug when left out. Fixed at create."),
        Attribute::string("username")
            .optional()
            .computed()
            .description(
                "The login that owns it; `app_` and the slug when left out. Fixed at create.",
            ),
        pooler(),
        Attribute::number("credential_version")
            .optional()
            .computed()
            .description("A higher number sets a new generated password, in place. Starts at 1.")
            .validate(whole(1..)),
        Attribute::nested(
            "restore_from",
            [Attribute::string("deleted_database_id")
                .required()
                .description(
                    "The id of a destroyed database that is still recoverable. It comes back \
                     with its id, its login and its data.",
                )
                .validate(rules::id("db_", "`berthd trash list`"))],
        )
        .optional()
        .description("Where the data comes from. Counts at create and never again."),
        Attribute::number("sleep_after_minutes")
            .optional()
            .description(
                "Minutes without a client after which it sleeps; its project's when left out, \
                 and 0 is never. \
                 Needs the pooler, which holds the next client until the engine is up. A \
                 database that sleeps is no drift.",
            )
            .validate(whole(0..=43_200)),
        Attribute::map("inject_env", Type::String)
            .optional()
            .description(
                "Names of its variables in the project's environment (`DATABASE_URL`, \
                 `DIRECT_URL`, and its slug in capitals with `_URL`), each with the name that \
                 the application reads instead.",
            )
            .validate(rules::no_nulls()),
        Attribute::map("tags", Type::String)
            .optional()
            .description(
                "Labels: at most 64, with keys of up to 128 and values of up to 256 characters.",
            )
            .validate(rules::no_nulls()),
    ]
}

fn pooler() -> Attribute {
    let inner = |attribute: Attribute| attribute.optional().computed();
    Attribute::nested(
        "pooler",
        [
            inner(Attribute::boolean("enabled")).description("Whether there is a pooler."),
            inner(Attribute::string("mode"))
                .description(
                    "`transaction`, `session` or `statement`; `transaction` when left out.",
                )
                .validate(one_of(["transaction", "session", "statement"])),
            inner(Attribute::number("default_pool_size"))
                .description(
                    "Server connections for each pair of user and database; 20 when left out.",
                )
                .validate(whole(1..=10_000)),
            inner(Attribute::number("max_client_connections"))
                .description("Client connections that are accepted; 100 when left out.")
                .validate(whole(1..=100_000)),
            inner(Attribute::number("reserve_pool_size"))
                .description("Server connections beyond the pool size while clients wait.")
                .validate(whole(0..=10_000)),
            inner(Attribute::number("server_idle_timeout_seconds"))
                .description("Seconds after which an idle server connection is closed.")
                .validate(whole(0..=2_592_000)),
            inner(Attribute::map("parameters", Type::String))
                .description(
                    "Further settings by PgBouncer's own names. Of those these may be given: \
                     `application_name_add_host`, `client_idle_timeout`, `client_login_timeout`, \
                     `idle_transaction_timeout`, `ignore_startup_parameters`, \
                     `max_db_connections`, `max_prepared_statements`, `max_user_connections`, \
                     `min_pool_size`, `query_timeout`, `query_wait_timeout`, \
                     `reserve_pool_timeout`, `server_connect_timeout`, `server_lifetime`, \
                     `server_round_robin`.",
                )
                .validate(rules::no_nulls()),
        ],
    )
    .optional()
    .computed()
    .description("The connection pooler in front of PostgreSQL; on by default.")
}

/// Who can reach it.
fn reach() -> Vec<Attribute> {
    vec![
        Attribute::boolean("expose")
            .optional()
            .default(false)
            .description(
                "Whether it is published on the host, beyond the project's network. Where there \
                 is a pooler, the one published port is the pooler's: as seen from there `uri` \
                 is the same as `pooled_uri`, and `DIRECT_URL` as `DATABASE_URL`. Migrations that \
                 need a session of their own go by `berthd run -- …`, which reaches the engine, \
                 or with `pooler = { mode = \"session\" }`.",
            ),
        Attribute::number("public_port")
            .optional()
            .computed()
            .description(
                "The published port, from 1024 on and within the server's range \
                 (`--publish-ports`). Chosen by the server when left out, then kept.",
            )
            .validate(whole(1..=65_535)),
        Attribute::set("allow_list", Type::String)
            .optional()
            .description(
                "Networks in CIDR notation that may use the published port, at most 256. \
                 Required when it is published beyond loopback.",
            )
            .validate(size(1..))
            .validate(rules::no_nulls())
            .validate(each(rules::network())),
        Attribute::string("tls_mode")
            .optional()
            .default("allow")
            .description(
                "`allow` offers TLS in the project's network, `require` insists on it. The \
                 published port always insists.",
            )
            .validate(one_of(["allow", "require"])),
    ]
}

/// What protects its data.
fn safety() -> Vec<Attribute> {
    vec![
        Attribute::boolean("deletion_protection")
            .optional()
            .default(true)
            .description("Whether its destruction is refused, at plan already. On by default."),
        Attribute::number("recovery_window_days")
            .optional()
            .default(7)
            .description("Days for which the data is kept after a destruction: 0 to 90.")
            .validate(whole(0..=90)),
        Attribute::boolean("expose_credentials_in_state")
            .optional()
            .default(false)
            .description(
                "Whether `password`, `uri` and `pooled_uri` are written into the state, for \
                 clients without ephemeral values.",
            ),
    ]
}

/// What the URI is that goes past the pooler where it can.
pub(crate) const PAST_THE_POOLER: &str = "The URI past the pooler. From the published port it is \
    the same as `pooled_uri`, since that port is the pooler's.";

/// What is told of it; all but `id` and `created_at` is known at plan.
fn told() -> Vec<Attribute> {
    let text = |name, description| Attribute::string(name).computed().description(description);
    let port = |name, description| Attribute::number(name).computed().description(description);
    vec![
        text("id", "The id, which begins with `db_`.").keep_prior(),
        text("slug", "Made from the name at create and kept for life.").keep_prior(),
        text("created_at", "When it was made.").keep_prior(),
        Attribute::boolean("claimed").computed().description(format!(
            "{CLAIMED} Always planned as true: where a create was cut short and its object kept, \
             the next apply waits for it and takes it over."
        )),
        text("host", "The engine's host in the project's network."),
        port("port", "The engine's port there."),
        text("pooler_host", "The pooler's host there."),
        port("pooler_port", "The pooler's port there."),
        text("public_host", "The address of the published port."),
        text(
            "ca_certificate",
            "The authority that signs its certificate, as PEM.",
        ),
        text(
            "uri_template",
            "A URI with `{password}` in the password's place.",
        ),
    ]
}

fn secrets() -> Vec<Attribute> {
    let secret = |name, description| {
        Attribute::string(name)
            .computed()
            .sensitive()
            .description(format!(
                "{description} Null unless `expose_credentials_in_state`."
            ))
    };
    vec![
        secret("password", "The password."),
        secret("uri", PAST_THE_POOLER),
        secret("pooled_uri", "The URI through the pooler."),
    ]
}
