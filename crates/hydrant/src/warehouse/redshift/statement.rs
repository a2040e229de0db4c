//! The statements, as text. Pure.
//!
//! Table, columns and options are pasted as the user wrote them (SPEC §5.3), next to keys that the user may not see. So
//! they are checked first: whatever they are, they must not end the statement, start a comment or reach over into
//! the next part with an open quote.

use hydrant_copy::{options, table};

use uuid::Uuid;

use super::Authorization;
use crate::{
    destination::DeliveryError,
    stream::CopyCommand,
    warehouse::errors::{Code, of_options},
};

/// What the user makes to have every manifest loaded exactly once. The users of streams need USAGE on the schema, and SELECT
/// and INSERT on the table.
pub const LEDGER: &str = "\
CREATE SCHEMA hydrant;
CREATE TABLE hydrant.loaded_manifests (
    manifest VARCHAR(2048) NOT NULL PRIMARY KEY,
    manifest_url VARCHAR(2048) NOT NULL,
    stream VARCHAR(256) NOT NULL,
    loaded_at TIMESTAMP NOT NULL DEFAULT GETDATE()
);";

/// Characters of a UUID with hyphens.
const UUID_CHARS: usize = 36;
/// A row where the ledger is. A catalog's table can always be asked, so that no transaction fails by it.
pub(super) const HAS_LEDGER: &str = "SELECT c.relname FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = 'hydrant' AND c.relname = 'loaded_manifests'";
/// Rows of the session's last COPY.
pub(super) const LOADED: &str = "SELECT pg_last_copy_count()";
/// Rows that the session's last COPY left out.
pub(super) const REJECTED: &str =
    "SELECT count(*) FROM stl_load_errors WHERE query = pg_last_copy_id()";

/// The COPY statement. Holds secrets.
///
/// # Errors
/// When [`check`] says so.
pub(super) fn copy(
    command: &CopyCommand,
    url: &str,
    authorization: &Authorization,
) -> Result<String, DeliveryError> {
    check(command)?;
    let columns = match columns(command) {
        Some(columns) if columns.starts_with('(') => format!(" {columns}"),
        Some(columns) => format!(" ({columns})"),
        None => String::new(),
    };
    let options = match options(command) {
        "" => String::new(),
        options => format!(" {options}"),
    };
    Ok(format!(
        "COPY {}{columns} FROM {} CREDENTIALS {} MANIFEST{options};",
        command.table.trim(),
        quoted(url),
        authorization.clause(),
    ))
}

/// Whether `command` can be pasted into a statement for Redshift.
///
/// # Errors
/// In the words of SPEC §6.4.
pub fn check(command: &CopyCommand) -> Result<(), DeliveryError> {
    for names in [Some(command.table.as_str()), columns(command)] {
        table::check_pasted(names.unwrap_or_default())
            .map_err(|error| Code::SyntaxError.refused(error))?;
    }
    options::check_pasted(command.options.as_deref().unwrap_or_default())
        .map_err(|error| of_options(&error))
}

/// Whether rows may be left out.
pub(super) fn may_reject(command: &CopyCommand) -> bool {
    let options = options(command).to_ascii_uppercase();
    options.contains("MAXERROR") || options.contains("IGNOREALLERRORS")
}

/// Whether rows are only checked.
pub(super) fn only_checks(command: &CopyCommand) -> bool {
    options(command).to_ascii_uppercase().contains("NOLOAD")
}

/// The column list, where there is one.
fn columns(command: &CopyCommand) -> Option<&str> {
    command
        .columns
        .as_deref()
        .map(str::trim)
        .filter(|columns| !columns.is_empty())
}

/// The options without the `;` that may end them.
fn options(command: &CopyCommand) -> &str {
    let options = command.options.as_deref().unwrap_or_default().trim();
    options.strip_suffix(';').unwrap_or(options).trim_end()
}

/// A manifest in the ledger.
pub(super) struct Known<'a> {
    pub(super) stream: &'a str,
    pub(super) url: &'a str,
}

impl Known<'_> {
    /// What it is known by: the UUID that its name ends with, which the one below `errors/` shares with the one that was
    /// tried, or its URL where somebody else named it.
    fn id(&self) -> &str {
        let tail = self.url.len().checked_sub(UUID_CHARS + 1);
        let tail = tail.and_then(|at| self.url.get(at..)).unwrap_or_default();
        match tail.strip_prefix('-') {
            Some(uuid) if Uuid::try_parse(uuid).is_ok() => uuid,
            _ => self.url,
        }
    }

    /// A row where it was loaded.
    pub(super) fn ask(&self) -> String {
        format!(
            "SELECT manifest FROM hydrant.loaded_manifests WHERE manifest = {}",
            quoted(self.id())
        )
    }

    /// It is loaded now.
    pub(super) fn note(&self) -> String {
        format!(
            "INSERT INTO hydrant.loaded_manifests (manifest, manifest_url, stream) VALUES ({}, {}, {})",
            quoted(self.id()),
            quoted(self.url),
            quoted(self.stream)
        )
    }
}

/// A string literal of Redshift's, in which a backslash escapes.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::aws::AwsCredential;
    use proptest::prelude::*;

    use super::*;

    fn command(table: &str, columns: Option<&str>, options: Option<&str>) -> CopyCommand {
        CopyCommand {
            table: table.to_owned(),
            columns: columns.map(str::to_owned),
            options: options.map(str::to_owned),
        }
    }

    fn role() -> Authorization {
        Authorization::Role("arn:aws:iam::1:role/r".to_owned())
    }

    #[test]
    fn the_statement_is_firehoses() {
        let url = "s3://b/it's/m";
        let keys = |token: Option<&str>| {
            Authorization::Keys(Arc::new(AwsCredential {
                key_id: "AK".to_owned(),
                secret_key: "S".to_owned(),
                token: token.map(str::to_owned),
            }))
        };
        for (command, authorization, expected) in [
            (
                command("t", None, None),
                role(),
                "COPY t FROM 's3://b/it''s/m' CREDENTIALS 'aws_iam_role=arn:aws:iam::1:role/r' MANIFEST;",
            ),
            (
                command("s.t", Some(" (a, b) "), Some("json 'auto' gzip")),
                keys(None),
                "COPY s.t (a, b) FROM 's3://b/it''s/m' CREDENTIALS 'aws_access_key_id=AK;aws_secret_access_key=S' \
                 MANIFEST json 'auto' gzip;",
            ),
            (
                command("t", Some(""), Some(r"delimiter '\t' lzop ; ")),
                keys(Some("T")),
                "COPY t FROM 's3://b/it''s/m' CREDENTIALS 'aws_access_key_id=AK;aws_secret_access_key=S;token=T' \
                 MANIFEST delimiter '\\t' lzop;",
            ),
        ] {
            assert_eq!(copy(&command, url, &authorization).unwrap(), expected);
        }
        assert_eq!(quoted(r"a\'b"), r"'a\\''b'");
    }

    #[test]
    fn a_manifest_is_known_by_its_uuid() {
        let id = |url: &str| Known { stream: "s", url }.id().to_owned();
        let uuid = "56371982-2375-4b28-8d79-45f01952667e";
        for url in ["s3://b/p/manifests/s-2019-", "s3://other/errors/s-"] {
            assert_eq!(id(&format!("{url}{uuid}")), uuid);
        }
        for url in [
            "s3://b/m",
            "s3://b/é56371982-2375-4b28-8d79-45f01952667e",
            "s3://b/s-56371982-2375-4b28-8d79-45f01952667x",
            "s3://b/s-563719822375-4b28-8d79-45f01952667e0",
        ] {
            assert_eq!(id(url), url);
        }
    }

    #[test]
    fn nothing_pasted_reaches_beyond_its_place() {
        for (command, code) in [
            (
                command("t; drop table u", None, None),
                "Redshift.SyntaxError",
            ),
            (
                command("t from 's3://mine' --", None, None),
                "Redshift.SyntaxError",
            ),
            (command("t (a", None, None), "Redshift.SyntaxError"),
            (
                command("t", Some("a) from 'x'"), None),
                "Redshift.SyntaxError",
            ),
            (command("t", Some("a, --"), None), "Redshift.SyntaxError"),
            (
                command("t", None, Some("csv; select 1")),
                "Redshift.SyntaxError",
            ),
            (command("t", None, Some("csv -- ")), "Redshift.SyntaxError"),
            (command("t", None, Some("csv /*")), "Redshift.SyntaxError"),
            (
                command("t", None, Some("delimiter '")),
                "Redshift.SyntaxError",
            ),
            (
                command("t", None, Some("quote $$ x $$")),
                "Redshift.SyntaxError",
            ),
            // A string that begins here and ends among the options, behind the keys; what is left is a comment.
            (
                command("t null $x$", None, Some("delimiter '$x$ --'")),
                "Redshift.SyntaxError",
            ),
            (
                command("t", Some("a, 1$x$"), Some("delimiter '$x$ --'")),
                "Redshift.SyntaxError",
            ),
            (
                command("t", None, Some("csv manifest")),
                "Redshift.IncorrectCopyOptions",
            ),
            (
                command("t", None, Some("credentials 'x'")),
                "Redshift.IncorrectCopyOptions",
            ),
        ] {
            let refused = copy(&command, "s3://b/m", &role()).unwrap_err();
            assert_eq!(refused.code(), code, "{command:?}: {refused}");
        }
    }

    /// The strings of `sql` as a database reads them; `None` where it is not one whole statement.
    fn strings(sql: &str, backslash_escapes: bool) -> Option<Vec<String>> {
        let (mut found, mut rest) = (Vec::new(), sql);
        let in_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        while let Some(first) = rest.chars().next() {
            let after = &rest[first.len_utf8()..];
            rest = match first {
                ';' => return after.trim().is_empty().then_some(found),
                '-' if after.starts_with('-') => after.split_once('\n').map_or("", |line| line.1),
                '/' if after.starts_with('*') => after.split_once("*/")?.1,
                c if c.is_alphabetic() || c == '_' => after.trim_start_matches(in_name),
                '"' => after.split_once('"')?.1,
                '$' => match after.split_once('$') {
                    Some((tag, body)) if tag.chars().all(char::is_alphanumeric) => {
                        let (string, after) = body.split_once(&format!("${tag}$"))?;
                        found.push(string.to_owned());
                        after
                    }
                    _ => after,
                },
                '\'' => {
                    let mut end = None;
                    let mut inside = after.char_indices().peekable();
                    while let Some((at, c)) = inside.next() {
                        match c {
                            '\\' if backslash_escapes => drop(inside.next()),
                            '\'' if inside.next_if(|(_, c)| *c == '\'').is_some() => {}
                            '\'' => {
                                end = Some(at);
                                break;
                            }
                            _ => {}
                        }
                    }
                    found.push(after[..end?].to_owned());
                    &after[end? + 1..]
                }
                _ => after,
            };
        }
        // A comment has taken the end.
        Some(found)
    }

    proptest! {
        // However a database reads strings, the keys are in the second one, alone, or the statement cannot be read at all.
        #[test]
        fn keys_stay_where_they_are_put(
            table in "(a|1|\\$|\\$a\\$|\"|'|\\\\|;|-|/|\\*|\\(|\\)| |,){1,8}",
            columns in "(a|1|\\$|\\$a\\$|\"|'|\\\\|;|-|/|\\*|\\(|\\)| |,){0,8}",
            options in "(|a|csv )'?(a|\\$|\\$a\\$|\"|'|\\\\|;|-|--|/|\\*|\\(|\\)| |,){0,8}'?",
        ) {
            let command = command(&table, Some(&columns), Some(&options));
            let Ok(sql) = copy(&command, "s3://b/m", &role()) else {
                return Ok(());
            };
            for backslash_escapes in [false, true] {
                if let Some(strings) = strings(&sql, backslash_escapes) {
                    prop_assert_eq!(&strings[0], "s3://b/m", "{}", sql);
                    prop_assert_eq!(&strings[1], "aws_iam_role=arn:aws:iam::1:role/r", "{}", sql);
                }
            }
        }
    }
}
