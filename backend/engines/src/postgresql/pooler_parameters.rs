//! Settings of PgBouncer that a user may give. Those that decide who gets in, from where and
//! with what are berth's own and stand in no list.

use crate::{Parameter, ParameterKind};

const DAY_SECONDS: u64 = 86_400;

const fn number(name: &'static str, min: u64, max: u64) -> Parameter {
    Parameter {
        name,
        kind: ParameterKind::Number { min, max },
    }
}

const fn switch(name: &'static str) -> Parameter {
    Parameter {
        name,
        kind: ParameterKind::Word(&["0", "1"]),
    }
}

pub(super) const ALL: &[Parameter] = &[
    switch("application_name_add_host"),
    number("client_idle_timeout", 0, DAY_SECONDS),
    number("client_login_timeout", 1, 600),
    number("idle_transaction_timeout", 0, DAY_SECONDS),
    Parameter {
        name: "ignore_startup_parameters",
        kind: ParameterKind::Names,
    },
    number("max_db_connections", 0, 10_000),
    number("max_prepared_statements", 0, 10_000),
    number("max_user_connections", 0, 10_000),
    number("min_pool_size", 0, 10_000),
    number("query_timeout", 0, DAY_SECONDS),
    number("query_wait_timeout", 0, DAY_SECONDS),
    number("reserve_pool_timeout", 0, DAY_SECONDS),
    number("server_connect_timeout", 1, 600),
    number("server_lifetime", 0, DAY_SECONDS),
    switch("server_round_robin"),
];
