//! The config file: any text is a configuration or an error that names a line, and neither shows a secret.

use std::path::PathBuf;

use toml::{Table, Value};

use super::node::Judge;
use crate::{
    config::{Config, Settings},
    credentials::Outbound,
    destination::Buckets,
};

/// In the seeds it stands where secrets do: digits, so that it can be a number too.
const SECRET: &str = "7311845502213";
/// The keys whose values are secrets.
const SECRETS: [&str; 3] = ["secret_key", "session_token", "secret_access_key"];

/// The text of a config file.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let lines = text.matches('\n').count() + 1;
    // What stands where no secret belongs may be shown.
    let secret = match text.parse::<Table>() {
        Ok(table) => only_in_secrets(&Value::Table(table)),
        Err(_) => secrets_alone_hold_it(text),
    };
    let shows = |shown: &str| assert!(!secret || !shown.contains(SECRET), "{shown}");
    let settings = match Settings::from_toml(text, "hydrant.toml") {
        Ok(settings) => settings,
        Err(error) => {
            let error = error.to_string();
            let line = error.strip_prefix("hydrant.toml, line ");
            let line = line.and_then(|rest| rest.split_once(": "));
            let (line, detail) = line.unwrap_or_else(|| panic!("no line: {error}"));
            assert!(
                (1..=lines).contains(&line.parse().expect("a number")),
                "{error}"
            );
            assert!(!detail.is_empty() && !detail.contains('\n'), "{error}");
            return shows(&error);
        }
    };
    shows(&format!("{settings:?}"));
    match Config::resolve(settings) {
        Ok(config) => {
            shows(&format!("{config:?}"));
            let open = config.keyring.is_open();
            assert!(!open || config.listen.ip().is_loopback(), "{config:?}");
            let remote = !config.admin_listen.ip().is_loopback();
            let guarded = config.admin_token_file.is_some() && config.tls.is_some();
            assert!(!remote || guarded, "{config:?}");
            let outbound = Outbound::new(Judge::clock());
            if let Err(refused) = Buckets::new(config.buckets, PathBuf::from("/b"), outbound) {
                shows(&refused);
            }
        }
        Err(error) => {
            let error = error.to_string();
            assert!(!error.is_empty());
            shows(&error);
        }
    }
}

/// Whether the secret stands nowhere but in the values of keys that are for secrets.
fn only_in_secrets(value: &Value) -> bool {
    match value {
        Value::Table(members) => members.iter().all(|(key, value)| {
            let secret = SECRETS.contains(&key.as_str());
            !key.contains(SECRET) && (secret || only_in_secrets(value))
        }),
        Value::Array(elements) => elements.iter().all(only_in_secrets),
        other => !other.to_string().contains(SECRET),
    }
}

/// The same of a text that is no TOML, as far as its lines tell.
fn secrets_alone_hold_it(text: &str) -> bool {
    text.lines()
        .filter(|line| line.contains(SECRET))
        .all(|line| {
            let key = line.split_once('=').map(|(key, _)| key.trim());
            key.is_some_and(|key| SECRETS.contains(&key))
        })
}
