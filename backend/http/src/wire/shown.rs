//! Databases on the wire, written once for all who read them until they change.
//!
//! The objects here are those of `berth_api` with their databases written already.

use super::database;
use crate::answers::written;
use crate::error::Refusal;
use crate::page;
use axum::body::Body;
use berth_services::databases::Rules;
use berth_services::{DatabaseRecord, Page, Telling, Told, tag_of_database};
use serde_json::json;
use std::io::{self, Write};
use std::sync::Arc;

/// How a database is told.
pub(crate) fn tell(
    rules: &Rules,
) -> impl Fn(&DatabaseRecord) -> Result<Telling, serde_json::Error> + Sync {
    |record| {
        Ok(Telling {
            text: serde_json::to_string(&database(record, rules))?,
            tag: tag_of_database(&record.database),
        })
    }
}

/// A [`berth_api::DatabaseEnvelope`].
pub(crate) fn told_envelope(told: &Told) -> Result<Body, Refusal> {
    let mut text = Vec::new();
    written(|answer| {
        answer.write_all(b"{\"database\":")?;
        write_told(answer, told, &mut text)?;
        answer.write_all(b"}")
    })
}

/// A [`berth_api::DatabaseList`].
pub(crate) fn told_list(found: &Page<Arc<Told>>) -> Result<Body, Refusal> {
    let last = found.rows.last().filter(|_| found.more);
    let next = last.map(|told| page::token(told.id.as_str()));
    written(|answer| {
        answer.write_all(b"{\"databases\":")?;
        write_all_told(answer, &found.rows)?;
        write!(answer, ",\"next_page_token\":{}}}", json!(next))
    })
}

/// A [`berth_api::Snapshot`] of databases.
pub(crate) fn told_snapshot(
    version: i64,
    rows: &[Arc<Told>],
    next_page_token: Option<&str>,
) -> Result<Body, Refusal> {
    written(|answer| {
        write!(answer, "{{\"version\":{version},\"databases\":")?;
        write_all_told(answer, rows)?;
        write!(answer, ",\"next_page_token\":{}}}", json!(next_page_token))
    })
}

fn write_all_told(answer: &mut dyn Write, rows: &[Arc<Told>]) -> io::Result<()> {
    let mut text = Vec::new();
    answer.write_all(b"[")?;
    for (number, told) in rows.iter().enumerate() {
        if number > 0 {
            answer.write_all(b",")?;
        }
        write_told(answer, told, &mut text)?;
    }
    answer.write_all(b"]")
}

/// Writes what is told, by way of a buffer that many use one after the other.
fn write_told(answer: &mut dyn Write, told: &Told, text: &mut Vec<u8>) -> io::Result<()> {
    text.clear();
    told.append_to(text).map_err(io::Error::other)?;
    answer.write_all(text)
}
