//! What Redshift's table of load errors knows of a COPY that failed.

use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::destination::DeliveryError;

/// So many of the latest errors are told.
const MOST: usize = 3;

/// A table of load errors: clusters have the first, serverless ones the second, and their errors say which.
struct Table {
    name: &'static str,
    /// File, line, column, error's number, reason; `session`'s, the latest first.
    select: fn(session: u32) -> String,
}

const TABLES: [Table; 2] = [
    Table {
        name: "stl_load_errors",
        select: |session| {
            format!(
                "SELECT filename, line_number, colname, err_code, err_reason FROM stl_load_errors \
                 WHERE session = {session} ORDER BY starttime DESC LIMIT {MOST}"
            )
        },
    },
    Table {
        name: "sys_load_error_detail",
        select: |session| {
            format!(
                "SELECT file_name, line_number, column_name, error_code, error_message FROM sys_load_error_detail \
                 WHERE session_id = {session} ORDER BY start_time DESC LIMIT {MOST}"
            )
        },
    },
];

/// `told`, with what the table of load errors says where `error` points there. A session has one COPY, so its errors
/// are this COPY's. When the table cannot be read, `told` must do.
pub(super) async fn added(
    client: &Client,
    error: &tokio_postgres::Error,
    told: DeliveryError,
) -> DeliveryError {
    let message = match error.as_db_error() {
        Some(error) => error.message().to_ascii_lowercase(),
        None => return told,
    };
    let Some(table) = TABLES.iter().find(|table| message.contains(table.name)) else {
        return told;
    };
    match latest(client, table).await {
        Ok(lines) if !lines.is_empty() => with(told, table.name, &lines),
        Ok(_) => told,
        Err(error) => {
            tracing::debug!(%error, table = table.name, "load errors could not be read");
            told
        }
    }
}

async fn latest(client: &Client, table: &Table) -> Result<Vec<String>, tokio_postgres::Error> {
    // Asked for itself: that function is the leader's alone and cannot stand beside tables.
    let session = rows(client, "SELECT pg_backend_pid()").await?;
    let session = session
        .first()
        .and_then(|row| field(row, 0))
        .map(str::parse);
    let Some(Ok(session)) = session else {
        return Ok(Vec::new());
    };
    let found = rows(client, &(table.select)(session)).await?;
    Ok(found.iter().map(line).collect())
}

async fn rows(client: &Client, sql: &str) -> Result<Vec<SimpleQueryRow>, tokio_postgres::Error> {
    let answer = client.simple_query(sql).await?;
    let rows = answer.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(rows.collect())
}

/// A field without the blanks that CHAR ends with; `None` when nothing is left.
fn field(row: &SimpleQueryRow, index: usize) -> Option<&str> {
    let field = row.try_get(index).ok()??.trim();
    (!field.is_empty()).then_some(field)
}

/// Where and why, but nothing of the row itself: what users load is nobody else's.
fn line(row: &SimpleQueryRow) -> String {
    let [file, line, column, number, reason] = [0, 1, 2, 3, 4].map(|index| field(row, index));
    let mut text = file.unwrap_or("a file").to_owned();
    if let Some(line) = line {
        text.push_str(&format!(", line {line}"));
    }
    if let Some(column) = column {
        text.push_str(&format!(", column {column}"));
    }
    text.push_str(&format!(": {}", reason.unwrap_or("no reason is given")));
    if let Some(number) = number {
        text.push_str(&format!(" ({number})"));
    }
    text
}

fn with(mut told: DeliveryError, table: &str, lines: &[String]) -> DeliveryError {
    let (DeliveryError::Retry { message, .. } | DeliveryError::Refused { message, .. }) = &mut told;
    message.push_str(&format!(" {table}: {}", lines.join("; ")));
    told
}
