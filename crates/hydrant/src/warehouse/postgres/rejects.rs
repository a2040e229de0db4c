//! `hydrant.stl_load_errors`: rows that were not loaded, in the columns of Redshift's STL_LOAD_ERRORS.
//!
//! Beyond those it has the table's name, the stream, the manifest, and whether the whole load failed or only
//! the row was left out, as MAXERROR allows. `slice` is 0; `session` is the backend's process and `query` the transaction.

use hydrant_copy::{Column, Kind, RowError};
use serde::Serialize;
use tokio_postgres::{Client, GenericClient};

use super::{
    ledger::{BRIEFLY, Claim},
    target::Target,
};

/// Errors that are written for each load; the rest is only counted.
pub const MAX_RECORDED: usize = 1_000;
/// Characters of `err_reason`.
const REASON_CHARS: usize = 1_000;

/// A row of the table, but for what is the same for the whole load.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reject {
    pub(super) filename: String,
    pub(super) line_number: i64,
    pub(super) colname: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) col_length: String,
    pub(super) position: i32,
    pub(super) raw_line: String,
    pub(super) raw_field_value: String,
    pub(super) err_code: i32,
    pub(super) err_reason: String,
}

impl Reject {
    /// For a database that does not have every character.
    fn in_ascii(&self) -> Reject {
        let ascii = |text: &str| {
            let mut ascii = String::with_capacity(text.len());
            for character in text.chars() {
                match character {
                    '\0'..='\x7f' => ascii.push(character),
                    character => ascii.extend(character.escape_unicode()),
                }
            }
            ascii
        };
        Reject {
            filename: ascii(&self.filename),
            colname: ascii(&self.colname),
            kind: ascii(&self.kind),
            raw_line: ascii(&self.raw_line),
            raw_field_value: ascii(&self.raw_field_value),
            err_reason: ascii(&self.err_reason),
            ..self.clone()
        }
    }
}

/// The first rejects of a load, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Rejects {
    pub(super) recorded: Vec<Reject>,
    pub(super) count: u64,
}

impl Rejects {
    pub(super) fn add(&mut self, url: &str, columns: &[Column], error: &RowError) {
        self.count += 1;
        if self.recorded.len() < MAX_RECORDED {
            self.recorded.push(reject(url, columns, error));
        }
    }

    /// Where an attempt begins, to come [`Self::back_to`].
    pub(super) fn mark(&self) -> Mark {
        Mark {
            recorded: self.recorded.len(),
            count: self.count,
        }
    }

    /// Forgets what came after `mark`.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.recorded.truncate(mark.recorded);
        self.count = mark.count;
    }

    /// Why these ended a load into `table`, with the first of them.
    pub(super) fn in_words(&self, table: &str) -> String {
        let mut text = format!(
            "Load into table '{table}' failed. Check 'hydrant.stl_load_errors' for details."
        );
        if let Some(first) = self.recorded.first() {
            text.push_str(&format!(
                " The first of {} errors: {}, line {}",
                self.count, first.filename, first.line_number
            ));
            if !first.colname.is_empty() {
                text.push_str(&format!(", column {}", first.colname));
            }
            text.push_str(&format!(
                ": {} (error {})",
                first.err_reason, first.err_code
            ));
        }
        text
    }

    /// Writes them in a transaction of their own, or not if that takes long: whoever holds the table must not hold up what is
    /// told of a load.
    pub(super) async fn record(
        &self,
        client: &mut Client,
        load: &Written<'_>,
    ) -> Result<(), tokio_postgres::Error> {
        let transaction = client.build_transaction().read_only(false).start().await?;
        transaction.batch_execute(BRIEFLY).await?;
        self.write(&transaction, load).await?;
        transaction.commit().await
    }

    /// Writes them.
    pub(super) async fn write(
        &self,
        client: &impl GenericClient,
        load: &Written<'_>,
    ) -> Result<(), tokio_postgres::Error> {
        if self.recorded.is_empty() {
            return Ok(());
        }
        let mut rows = serde_json::to_string(&self.recorded).unwrap_or_default();
        if !rows.is_ascii() && !holds_all_text(client).await? {
            let escaped: Vec<Reject> = self.recorded.iter().map(Reject::in_ascii).collect();
            rows = serde_json::to_string(&escaped).unwrap_or_default();
        }
        client
            .execute(
                "INSERT INTO hydrant.stl_load_errors (userid, slice, tbl, starttime, session, query, filename,
                    line_number, colname, type, col_length, position, raw_line, raw_field_value, err_code, err_reason,
                    table_name, stream, manifest, load_failed)
                SELECT (SELECT oid::bigint FROM pg_catalog.pg_roles WHERE rolname = current_user), 0, $2,
                    now() AT TIME ZONE 'UTC', pg_backend_pid(), txid_current(), filename, line_number, colname, type,
                    col_length, position, raw_line, raw_field_value, err_code, err_reason, $3, $4, $5, $6
                FROM jsonb_to_recordset($1::text::jsonb) AS reject(filename text, line_number bigint, colname text,
                    type text, col_length text, position integer, raw_line text, raw_field_value text,
                    err_code integer, err_reason text)",
                &[
                    &rows,
                    &i64::from(load.target.oid),
                    &load.claim.table,
                    &load.claim.stream,
                    &load.claim.manifest,
                    &load.failed,
                ],
            )
            .await?;
        Ok(())
    }
}

/// Whether the database's encoding has every character.
async fn holds_all_text(client: &impl GenericClient) -> Result<bool, tokio_postgres::Error> {
    let sql = "SELECT current_setting('server_encoding') = 'UTF8'";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// A place among [`Rejects`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    recorded: usize,
    count: u64,
}

/// What all rejects of a load share.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) claim: Claim<'a>,
    pub(super) target: &'a Target,
    pub(super) failed: bool,
}

fn reject(url: &str, columns: &[Column], error: &RowError) -> Reject {
    let column = error.column.and_then(|column| columns.get(column));
    let (kind, length) = column.map_or_else(Default::default, |column| describe(&column.kind));
    Reject {
        filename: url.to_owned(),
        line_number: i64::try_from(error.line).unwrap_or(i64::MAX),
        colname: column.map_or_else(String::new, |column| column.name.clone()),
        kind,
        col_length: length,
        position: error
            .position
            .and_then(|position| i32::try_from(position).ok())
            .unwrap_or_default(),
        raw_line: printable(&error.raw_line),
        raw_field_value: printable(&error.raw_field),
        err_code: i32::from(error.code.number),
        err_reason: error.reason.chars().take(REASON_CHARS).collect(),
    }
}

/// A column's type and length, as STL_LOAD_ERRORS names them.
fn describe(kind: &Kind) -> (String, String) {
    let (name, length) = match kind {
        Kind::Boolean => ("bool", None),
        Kind::SmallInt => ("int2", None),
        Kind::Integer => ("int4", None),
        Kind::BigInt => ("int8", None),
        Kind::Numeric(limits) => (
            "numeric",
            limits.map(|(precision, scale)| format!("{precision}, {scale}")),
        ),
        Kind::Real => ("float4", None),
        Kind::Double => ("float8", None),
        Kind::Char(length) => ("char", Some(length.to_string())),
        Kind::Varchar(length) => ("varchar", length.map(|length| length.to_string())),
        Kind::Date => ("date", None),
        Kind::Time => ("time", None),
        Kind::TimeTz => ("timetz", None),
        Kind::Timestamp => ("timestamp", None),
        Kind::TimestampTz => ("timestamptz", None),
        Kind::Json => ("super", None),
        Kind::Bytes => ("varbyte", None),
        Kind::Other(name) => (name.as_str(), None),
    };
    (name.to_owned(), length.unwrap_or_default())
}

/// Bytes of a file as text that a database takes and a person can read: what is not UTF-8, and NUL, as `\xNN`.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\0' => text.push_str("\\x00"),
                character => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_lines_are_text_whatever_they_hold() {
        assert_eq!(printable("ü|b".as_bytes()), "ü|b");
        assert_eq!(printable(b"a\0b\xff\xfe|c\xc3"), "a\\x00b\\xff\\xfe|c\\xc3");
    }
}
