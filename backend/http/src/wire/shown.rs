//! Databases on the wire, written once for all who read them until they change.
//!
//! The objects here are those of `berth_api` with their databases written already.

use super::database;
use crate::error::Refusal;
use crate::page;
use berth_services::databases::Rules;
use berth_services::{DatabaseRecord, Page, SharedDatabase, Told};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// A [`berth_api::DatabaseEnvelope`].
#[derive(Serialize)]
pub(crate) struct ShownEnvelope<'a> {
    database: &'a RawValue,
}

/// A [`berth_api::DatabaseList`].
#[derive(Serialize)]
pub(crate) struct ShownList<'a> {
    databases: Vec<&'a RawValue>,
    next_page_token: Option<String>,
}

/// A [`berth_api::Snapshot`] of databases.
#[derive(Serialize)]
pub(crate) struct ShownSnapshot<'a> {
    version: i64,
    databases: Vec<&'a RawValue>,
    next_page_token: Option<&'a str>,
}

/// A database in its envelope.
pub(crate) fn shown_envelope<'a>(
    record: &'a SharedDatabase,
    rules: &Rules,
) -> Result<ShownEnvelope<'a>, Refusal> {
    let database = shown(record, rules)?;
    Ok(ShownEnvelope { database })
}

/// A database in its envelope, as it was told before.
pub(crate) fn told_envelope(told: &Told) -> Result<ShownEnvelope<'_>, Refusal> {
    let database = serde_json::from_str(&told.text).map_err(unwritten)?;
    Ok(ShownEnvelope { database })
}

/// A page of databases.
pub(crate) fn shown_list<'a>(
    found: &'a Page<Arc<SharedDatabase>>,
    rules: &Rules,
) -> Result<ShownList<'a>, Refusal> {
    let last = found.rows.last().filter(|_| found.more);
    Ok(ShownList {
        databases: all_shown(&found.rows, rules)?,
        next_page_token: last.map(|record| page::token(record.database.id.as_str())),
    })
}

/// A page of a snapshot of databases.
pub(crate) fn shown_snapshot<'a>(
    version: i64,
    rows: &'a [Arc<SharedDatabase>],
    next_page_token: Option<&'a str>,
    rules: &Rules,
) -> Result<ShownSnapshot<'a>, Refusal> {
    let databases = all_shown(rows, rules)?;
    Ok(ShownSnapshot {
        version,
        databases,
        next_page_token,
    })
}

fn all_shown<'a>(
    rows: &'a [Arc<SharedDatabase>],
    rules: &Rules,
) -> Result<Vec<&'a RawValue>, Refusal> {
    rows.iter().map(|record| shown(record, rules)).collect()
}

fn shown<'a>(record: &'a SharedDatabase, rules: &Rules) -> Result<&'a RawValue, Refusal> {
    record
        .shown(|record: &DatabaseRecord| to_raw_value(&database(record, rules)))
        .map_err(unwritten)
}

/// It is a plain object of texts and numbers; none is beyond JSON.
fn unwritten(error: serde_json::Error) -> Refusal {
    tracing::error!(%error, "an answer could not be written");
    Refusal::internal()
}
