//! The real servers behind the tests, as `compat/lib` starts them.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde::de::DeserializeOwned;

/// What the JSON in `variable` says of a server. Where nothing says it, the server that `helper` starts, if all of the
/// paths in `needs` exist. It ends when its standard input closes, which is when this process ends: keep the child.
pub(crate) fn found<T: DeserializeOwned>(
    variable: &str,
    helper: &str,
    needs: &[&str],
) -> Option<(T, Option<Child>)> {
    if let Ok(json) = std::env::var(variable) {
        return Some((serde_json::from_str(&json).unwrap(), None));
    }
    let helper = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../compat/lib")
        .join(helper);
    if !helper.exists() || !needs.iter().all(|path| Path::new(path).exists()) {
        return None;
    }
    let mut child = Command::new("python3")
        .arg(helper)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    told.read_line(&mut line).unwrap();
    Some((serde_json::from_str(&line).unwrap(), Some(child)))
}
