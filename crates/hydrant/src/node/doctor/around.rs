//! What belongs to a data directory without being the engine's: the key to passwords, and who may write.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use hydrant_engine::{
    Chance,
    doctor::{Finding, Severity},
};

use super::Surroundings;
use crate::{config::DEFAULT_SECRET_KEY_FILE, credentials::Vault, stream::DeliveryStream};

/// Streams that are named in one line; more are only counted.
const NAMED: usize = 10;

/// Whether the key file opens the passwords of those streams that have one.
pub(super) fn key_file<'a>(
    around: &Surroundings,
    streams: impl Iterator<Item = &'a DeliveryStream>,
) -> Option<Finding> {
    let path = match &around.key_file {
        Some(path) => path.clone(),
        None => around.data_dir.join(DEFAULT_SECRET_KEY_FILE),
    };
    let sealed: Vec<_> = streams
        .filter_map(|stream| Some((stream, stream.destination.redshift()?)))
        .collect();
    let lost = |streams: &[String]| {
        let more = match streams.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = streams.iter().take(NAMED).cloned().collect::<Vec<_>>();
        format!(
            "the passwords of {}{more}: their objects are delivered, and not loaded",
            named.join(", ")
        )
    };
    let remedy = "restore it, or name it with --secret-key-file; else set the passwords again with UpdateDestination";
    // One that is not there would be made.
    if !path.exists() {
        let streams: Vec<String> = sealed.iter().map(|(it, _)| it.key.to_string()).collect();
        return (!streams.is_empty()).then(|| {
            Finding::new(
                Severity::Damage,
                path,
                "the key that seals passwords is missing",
            )
            .losing(lost(&streams))
            .remedy(remedy)
        });
    }
    let vault = Chance::from_os().ok().map(|it| Vault::open(&path, &it))?;
    let vault = match vault {
        Ok(vault) => vault,
        Err(error) => {
            let what = format!("a node that finds it so does not start: {error}");
            return Some(Finding::new(Severity::Fatal, path, what).losing("nothing"));
        }
    };
    let shut: Vec<String> = sealed
        .iter()
        .filter(|(stream, spec)| {
            let opened = vault.unseal(&spec.password, &stream.key.to_string());
            opened.is_err()
        })
        .map(|(stream, _)| stream.key.to_string())
        .collect();
    (!shut.is_empty()).then(|| {
        let what = "it is not the key that sealed the stored passwords";
        Finding::new(Severity::Damage, path, what)
            .losing(lost(&shut))
            .remedy(remedy)
    })
}

/// Files that others than their owner may change.
pub(super) fn modes(data_dir: &Path) -> Vec<Finding> {
    let names = ["", "FORMAT", "catalog.redb", "log", "log/lanes"];
    let open = names.iter().filter_map(|name| {
        let path = match *name {
            "" => data_dir.to_owned(),
            name => data_dir.join(name),
        };
        let mode = fs::metadata(&path).ok()?.permissions().mode() & 0o7777;
        // In a sticky directory nobody removes what is another's.
        let writable = mode & 0o022 != 0 && mode & 0o1000 == 0;
        writable.then(|| {
            let what = format!("others may write to it (mode {mode:o})");
            Finding::new(Severity::Note, path, what).remedy("chmod go-w it")
        })
    });
    open.collect()
}
