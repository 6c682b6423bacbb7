//! How clients are pooled.

use super::{Base, Evaluator};
use crate::databases::config::PoolerConfig;
use crate::databases::planned::PlannedPooler;
use crate::note::not_one_of;
use crate::{Given, Maybe};
use berth_domain::{Plan, PoolMode, Pooler};
use berth_engines::Description;
use std::collections::BTreeMap;

/// The most connections a pooler may be told of.
const CONNECTIONS_MAX: u32 = 10_000;
/// The longest time a server connection may be kept idle.
const IDLE_SECONDS_MAX: u32 = 86_400;

impl<'a> Evaluator<'a> {
    pub(super) fn pooler(
        &mut self,
        engine: &Maybe<&'a dyn Description>,
        plan: &Maybe<&'a Plan>,
    ) -> Maybe<Option<PlannedPooler>> {
        let can = engine.map(|e| e.pooler_image().is_some());
        let config = self.config;
        match (&config.pooler, self.base) {
            (Given::Unknown, _) | (Given::Absent | Given::Null, Base::Unknown) => Maybe::Unknown,
            (Given::Absent | Given::Null, Base::Trash(row)) => {
                let kept = row.pooler.as_ref().map(PlannedPooler::from);
                if let Some(pooler) = &kept {
                    self.pool_sizes(pooler, engine, plan);
                }
                Maybe::Known(kept)
            }
            (Given::Absent | Given::Null, Base::New | Base::Row(_)) => {
                let default = can.map(|can| can.then(|| PlannedPooler::from(&Pooler::default())));
                if let Maybe::Known(Some(pooler)) = &default {
                    self.pool_sizes(pooler, engine, plan);
                }
                default
            }
            (Given::Value(wish), _) => self.wished_pooler(wish, engine, plan),
        }
    }

    fn wished_pooler(
        &mut self,
        wish: &PoolerConfig,
        engine: &Maybe<&'a dyn Description>,
        plan: &Maybe<&'a Plan>,
    ) -> Maybe<Option<PlannedPooler>> {
        let enabled = match wish.enabled {
            Given::Unknown => Maybe::Unknown,
            Given::Absent | Given::Null => Maybe::Known(true),
            Given::Value(enabled) => Maybe::Known(enabled),
        };
        let default = Pooler::default();
        let pooler = PlannedPooler {
            mode: self.pool_mode(&wish.mode),
            default_pool_size: self.count(
                "default_pool_size",
                &wish.default_pool_size,
                1..=CONNECTIONS_MAX,
                default.default_pool_size,
            ),
            max_client_connections: self.count(
                "max_client_connections",
                &wish.max_client_connections,
                1..=CONNECTIONS_MAX,
                default.max_client_connections,
            ),
            reserve_pool_size: self.optional(
                "reserve_pool_size",
                &wish.reserve_pool_size,
                CONNECTIONS_MAX,
            ),
            server_idle_timeout_seconds: self.optional(
                "server_idle_timeout_seconds",
                &wish.server_idle_timeout_seconds,
                IDLE_SECONDS_MAX,
            ),
            parameters: self.pooler_parameters(&wish.parameters, engine),
        };
        let cannot = matches!(engine, Maybe::Known(e) if e.pooler_image().is_none());
        match enabled {
            Maybe::Unknown => Maybe::Unknown,
            Maybe::Known(false) => {
                self.nothing_said_of_no_pooler(&pooler);
                Maybe::Known(None)
            }
            Maybe::Known(true) if cannot => {
                self.refuse("pooler", "this engine has no pooler: leave it out");
                Maybe::Unknown
            }
            Maybe::Known(true) => {
                self.pool_sizes(&pooler, engine, plan);
                Maybe::Known(Some(pooler))
            }
        }
    }

    /// Without a pooler there is nothing to keep a setting in, so none may be given: it would
    /// be gone when it is read back.
    fn nothing_said_of_no_pooler(&mut self, pooler: &PlannedPooler) {
        fn differs<T: PartialEq>(value: &Maybe<T>, default: &T) -> bool {
            matches!(value, Maybe::Known(value) if value != default)
        }
        let default = Pooler::default();
        let said = [
            ("mode", differs(&pooler.mode, &default.mode)),
            (
                "default_pool_size",
                differs(&pooler.default_pool_size, &default.default_pool_size),
            ),
            (
                "max_client_connections",
                differs(
                    &pooler.max_client_connections,
                    &default.max_client_connections,
                ),
            ),
            (
                "reserve_pool_size",
                differs(&pooler.reserve_pool_size, &None),
            ),
            (
                "server_idle_timeout_seconds",
                differs(&pooler.server_idle_timeout_seconds, &None),
            ),
            ("parameters", differs(&pooler.parameters, &BTreeMap::new())),
        ];
        for (field, said) in said {
            if said {
                self.refuse(
                    format!("pooler.{field}"),
                    "has no meaning while pooler.enabled is false: leave it out",
                );
            }
        }
    }

    fn pool_mode(&mut self, given: &Given<String>) -> Maybe<PoolMode> {
        match given {
            Given::Unknown => Maybe::Unknown,
            Given::Absent | Given::Null => Maybe::Known(Pooler::default().mode),
            Given::Value(word) => match PoolMode::parse(word) {
                Ok(mode) => Maybe::Known(mode),
                Err(error) => {
                    let known: Vec<_> = error.known.split(", ").collect();
                    self.refuse("pooler.mode", not_one_of(word, "a pool mode", &known));
                    Maybe::Unknown
                }
            },
        }
    }

    fn count(
        &mut self,
        field: &str,
        given: &Given<u32>,
        range: std::ops::RangeInclusive<u32>,
        default: u32,
    ) -> Maybe<u32> {
        match given {
            Given::Unknown => Maybe::Unknown,
            Given::Absent | Given::Null => Maybe::Known(default),
            Given::Value(value) if range.contains(value) => Maybe::Known(*value),
            Given::Value(value) => {
                self.refuse(
                    format!("pooler.{field}"),
                    format!("is {value}: use {} to {}", range.start(), range.end()),
                );
                Maybe::Unknown
            }
        }
    }

    fn optional(&mut self, field: &str, given: &Given<u32>, max: u32) -> Maybe<Option<u32>> {
        match given {
            Given::Absent | Given::Null => Maybe::Known(None),
            given => self.count(field, given, 0..=max, 0).map(Some),
        }
    }

    fn pooler_parameters(
        &mut self,
        given: &Given<BTreeMap<String, String>>,
        engine: &Maybe<&'a dyn Description>,
    ) -> Maybe<BTreeMap<String, String>> {
        let parameters = match given {
            Given::Unknown => return Maybe::Unknown,
            Given::Absent | Given::Null => return Maybe::Known(BTreeMap::new()),
            Given::Value(parameters) => parameters,
        };
        if let Maybe::Known(engine) = engine {
            let known = engine.pooler_parameters();
            let names: Vec<_> = known.iter().map(|p| p.name).collect();
            for (name, value) in parameters {
                let field = format!("pooler.parameters.{name}");
                match known.iter().find(|p| p.name == name) {
                    None => self.refuse(field, not_one_of(name, "a setting of the pooler", &names)),
                    Some(parameter) => {
                        if let Err(expected) = parameter.check(value) {
                            self.refuse(field, format!("takes {expected}"));
                        }
                    }
                }
            }
        }
        Maybe::Known(parameters.clone())
    }

    /// Whether the engine has that many connections to pool.
    fn pool_sizes(
        &mut self,
        pooler: &PlannedPooler,
        engine: &Maybe<&'a dyn Description>,
        plan: &Maybe<&'a Plan>,
    ) {
        let size = pooler.default_pool_size;
        if let (Maybe::Known(size), Maybe::Known(clients)) = (size, pooler.max_client_connections)
            && clients < size
        {
            self.refuse(
                "pooler.max_client_connections",
                format!("is {clients}, less than default_pool_size ({size}): clients could never fill the pool"),
            );
        }
        let (Maybe::Known(engine), Maybe::Known(plan)) = (engine, plan) else {
            return;
        };
        let (Maybe::Known(size), Maybe::Known(reserve)) = (size, pooler.reserve_pool_size) else {
            return;
        };
        let reserved = engine.reserved_connections();
        let room = plan.max_connections.saturating_sub(reserved);
        let reserve = reserve.unwrap_or(0);
        if size.saturating_add(reserve) > room {
            self.refuse(
                "pooler.default_pool_size",
                format!(
                    "{size} and a reserve of {reserve} are more than the {room} that the plan {} leaves ({} connections less {reserved} for administration)",
                    plan.name, plan.max_connections
                ),
            );
        }
    }
}
