//! Answers that are given again when a request comes again with the same key.

use crate::kept::Touches;
use crate::sealing::Place;
use crate::sql::{Fields, Link};
use crate::{Error, Tx};
use berth_domain::{Secret, Timestamp};

const TABLE: &str = "idempotency_records";

/// The answer to one request with an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Who asked: a token's id, or a word for the local socket.
    pub caller: String,
    /// The key that was sent.
    pub key: String,
    /// A hash of the request, by which another request under the same key is told apart.
    pub request_hash: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The body of the answer. It may hold a new token or a password, so it is sealed.
    pub body: Secret,
    /// When it was answered.
    pub created_at: Timestamp,
}

fn row_name(caller: &str, key: &str) -> String {
    // A token's id has no slash in it, so no two pairs are written alike.
    format!("{caller}/{key}")
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: TABLE,
        row,
        column: "sealed",
    }
}

reads! {
    /// What was answered to `caller` under that key.
    fn idempotency_record(caller: &str, key: &str) -> Option<IdempotencyRecord>;
}

async fn idempotency_record(
    link: &mut Link<'_>,
    caller: &str,
    key: &str,
) -> Result<Option<IdempotencyRecord>, Error> {
    let row = sql!(
        "idempotency_record",
        "SELECT request_hash, status, data_key, sealed, created_at FROM idempotency_records \
         WHERE caller = $1 AND idempotency_key = $2"
    )
    .bind(caller)
    .bind(key)
    .optional(link)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let fields = Fields::of(TABLE, &row);
    let name = row_name(caller, key);
    let row_key = link.keys.row_key(TABLE, &name, &fields.text("data_key")?)?;
    Ok(Some(IdempotencyRecord {
        caller: caller.to_owned(),
        key: key.to_owned(),
        request_hash: fields.text("request_hash")?,
        status: fields.narrow("status")?,
        body: row_key.open(place(&name), &fields.text("sealed")?)?,
        created_at: fields.time("created_at")?,
    }))
}

impl Tx {
    /// Writes what is answered, in the transaction that does what was asked for; `Duplicate`
    /// when that caller's key has an answer already.
    pub async fn insert_idempotency_record(
        &mut self,
        record: &IdempotencyRecord,
    ) -> Result<(), Error> {
        let name = row_name(&record.caller, &record.key);
        let mut link = self.write(Touches::Nothing);
        let row_key = link.keys.new_row_key(TABLE, &name)?;
        let sealed = row_key.seal(place(&name), &record.body)?;
        sql!(
            "insert_idempotency_record",
            "INSERT INTO idempotency_records (caller, idempotency_key, request_hash, status, \
             data_key, sealed, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)"
        )
        .bind(record.caller.as_str())
        .bind(record.key.as_str())
        .bind(record.request_hash.as_str())
        .bind(i64::from(record.status))
        .bind(row_key.stored())
        .bind(sealed)
        .bind_time(record.created_at)
        .execute(&mut link)
        .await?;
        Ok(())
    }

    /// Removes answers given before a moment; tells how many.
    pub async fn forget_idempotency_records(&mut self, before: Timestamp) -> Result<u64, Error> {
        sql!(
            "forget_idempotency_records",
            "DELETE FROM idempotency_records WHERE created_at < $1"
        )
        .bind_time(before)
        .execute(&mut self.write(Touches::Nothing))
        .await
    }
}
