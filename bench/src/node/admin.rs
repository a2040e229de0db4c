//! What the admin port is asked.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http;

/// Records that are acknowledged and not yet delivered, of the streams that `wanted` takes by name.
pub(crate) fn backlog(admin: &str, wanted: impl Fn(&str) -> bool) -> Result<u64> {
    let streams = streams(admin)?;
    let mut sum = 0;
    for stream in streams
        .iter()
        .filter(|it| it["name"].as_str().is_some_and(&wanted))
    {
        let records = stream["backlog_records"].as_u64();
        sum += records.context("no backlog_records in the admin port's answer")?;
    }
    Ok(sum)
}

/// How many streams are ACTIVE.
pub(crate) fn active(admin: &str) -> Result<usize> {
    let streams = streams(admin)?;
    Ok(streams.iter().filter(|it| it["status"] == "ACTIVE").count())
}

/// Delivers what the stream has buffered.
pub(crate) fn flush(admin: &str, account: &str, region: &str, stream: &str) -> Result<()> {
    let path = format!("/api/streams/{account}/{region}/{stream}/flush");
    ask(admin, "POST", &path).map(drop)
}

fn streams(admin: &str) -> Result<Vec<Value>> {
    let answer: Value = serde_json::from_str(&ask(admin, "GET", "/api/streams")?)?;
    let streams = answer["streams"].as_array();
    Ok(streams
        .context("no streams in the admin port's answer")?
        .clone())
}

fn ask(admin: &str, method: &str, path: &str) -> Result<String> {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {admin}\r\ncontent-length: 0\r\n\r\n");
    let (status, text) = http::ask(admin, request.as_bytes())?;
    ensure!((200..300).contains(&status), "{path}: {status}: {text}");
    Ok(text)
}
