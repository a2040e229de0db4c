//! A database's errors in the words of SPEC §6.4. Pure.
//!
//! Told is a code, a sentence that says what it means for the stream, and the database's own text:
//!
//! ```text
//! Redshift.SyntaxError: The COPY command contains a syntax error. ERROR: syntax error at or near "mainfest" Position: 61
//! ```
//!
//! SQLSTATE decides, never the text, which may be in any language. The text may repeat part of the statement, and
//! a COPY statement for Redshift holds an access key: whatever looks like one is taken out, always.

use std::{error::Error as _, fmt, io};

use hydrant_copy::{OptionsError, OptionsErrorKind};
use tokio_postgres::error::{DbError, ErrorPosition};

use super::connect::Refusal;
use crate::destination::DeliveryError;

/// What the client library says of a way to authenticate that it does not know.
const UNKNOWN_AUTHENTICATION: &str = "unknown authentication tag";
/// The most of a database's text that is told, in characters.
const MAX_TEXT_CHARS: usize = 2000;

/// The codes of SPEC §6.4 for a COPY that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The role does not let the database in.
    AccessDenied,
    /// Username or password.
    AuthenticationFailed,
    /// A JSONPaths file has more or fewer paths than there are columns.
    ColumnMismatch,
    /// The column list names a column that the table does not have.
    ColumnNotFound,
    /// No connection.
    ConnectionFailed,
    /// Rows that the table does not take.
    DataLoadFailed,
    /// The database that the URL names.
    DatabaseNotFound,
    /// The database's disk.
    DiskFull,
    /// Options that contradict each other or cannot be honoured.
    IncorrectCopyOptions,
    /// The JSONPaths file.
    IncorrectJsonPathsFile,
    /// The bucket is in another region.
    IncorrectOrMissingRegion,
    /// The user may not load into the table.
    InsufficientPrivilege,
    /// Anything else.
    Internal,
    /// A column that must have a value is given none.
    MissingColumn,
    /// The manifest or an object that it lists is gone.
    MissingS3File,
    /// The database takes no writes at present.
    ReadOnlyCluster,
    /// The bucket does not let the database in.
    S3BucketAccessDenied,
    /// The statement.
    SyntaxError,
    /// The table.
    TableNotFound,
}

impl Code {
    /// As logs and status spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::AccessDenied => "Redshift.AccessDenied",
            Code::AuthenticationFailed => "Redshift.AuthenticationFailed",
            Code::ColumnMismatch => "Redshift.ColumnMismatch",
            Code::ColumnNotFound => "Redshift.ColumnNotFound",
            Code::ConnectionFailed => "Redshift.ConnectionFailed",
            Code::DataLoadFailed => "Redshift.DataLoadFailed",
            Code::DatabaseNotFound => "Redshift.DatabaseNotFound",
            Code::DiskFull => "Redshift.DiskFull",
            Code::IncorrectCopyOptions => "Redshift.IncorrectCopyOptions",
            Code::IncorrectJsonPathsFile => "Redshift.IncorrectJsonPathsFile",
            Code::IncorrectOrMissingRegion => "Redshift.IncorrectOrMissingRegion",
            Code::InsufficientPrivilege => "Redshift.InsufficientPrivilege",
            Code::Internal => "InternalError",
            Code::MissingColumn => "Redshift.MissingColumn",
            Code::MissingS3File => "Redshift.MissingS3File",
            Code::ReadOnlyCluster => "Redshift.ReadOnlyCluster",
            Code::S3BucketAccessDenied => "Redshift.S3BucketAccessDenied",
            Code::SyntaxError => "Redshift.SyntaxError",
            Code::TableNotFound => "Redshift.TableNotFound",
        }
    }

    /// What it means and what to do, in a sentence or two.
    pub fn meaning(self) -> &'static str {
        match self {
            Code::AccessDenied => {
                "The database may not use the role. It must be attached to the cluster and trust it."
            }
            Code::AuthenticationFailed => {
                "The database does not accept this Username and Password."
            }
            Code::ColumnMismatch => {
                "There must be one path of the JSONPaths file, or one width of FIXEDWIDTH, for each column of the table or of \
                 the column list."
            }
            Code::ColumnNotFound => "The COPY command names a column that the table does not have.",
            Code::ConnectionFailed => "There is no connection to the database.",
            Code::DataLoadFailed => "The data could not be loaded into the table.",
            Code::DatabaseNotFound => "The database that ClusterJDBCURL names does not exist.",
            Code::DiskFull => "The database's disk is full.",
            Code::IncorrectCopyOptions => {
                "The COPY options contradict each other, repeat what is set already, or cannot be honoured."
            }
            Code::IncorrectJsonPathsFile => "The JSONPaths file cannot be used.",
            Code::IncorrectOrMissingRegion => {
                "The bucket is in another region. Add REGION to the COPY options."
            }
            Code::InsufficientPrivilege => {
                "The database's user may not load into the table: it needs INSERT on it and USAGE on its schema."
            }
            Code::Internal => "The COPY command did not succeed.",
            Code::MissingColumn => {
                "A column that is NOT NULL is given no value and has no default: name it in the column list, or give it one."
            }
            Code::MissingS3File => {
                "The manifest or an object that it lists is not in the bucket any more."
            }
            Code::ReadOnlyCluster => "The database takes no writes at present.",
            Code::S3BucketAccessDenied => {
                "The database was refused by the bucket. The role or key must be allowed to read it."
            }
            Code::SyntaxError => "The COPY command contains a syntax error.",
            Code::TableNotFound => {
                "The table to load into does not exist. It is never created here."
            }
        }
    }

    /// Somebody must change something. `text` is the database's, or other detail; may be empty.
    pub fn refused(self, text: impl fmt::Display) -> DeliveryError {
        DeliveryError::refused(self.as_str(), self.with(text))
    }

    /// It may pass by itself.
    pub fn passing(self, text: impl fmt::Display) -> DeliveryError {
        DeliveryError::Retry {
            code: self.as_str().to_owned(),
            message: self.with(text),
            unreachable: false,
        }
    }

    /// Nobody answered.
    pub fn unreachable(self, text: impl fmt::Display) -> DeliveryError {
        DeliveryError::Retry {
            code: self.as_str().to_owned(),
            message: self.with(text),
            unreachable: true,
        }
    }

    fn with(self, text: impl fmt::Display) -> String {
        let text = without_keys(&text.to_string());
        let message = match text.char_indices().nth(MAX_TEXT_CHARS) {
            Some((end, _)) => format!("{} {}…", self.meaning(), &text[..end]),
            None => format!("{} {text}", self.meaning()),
        };
        message.trim_end().to_owned()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an error of the client library means.
pub fn in_words(error: &tokio_postgres::Error) -> DeliveryError {
    match error.as_db_error() {
        Some(told) => of_state(told.code().code(), told.message(), &text(told)),
        None => without_answer(error),
    }
}

/// What is wrong with options, in the words that the database would have for them.
pub fn of_options(error: &OptionsError) -> DeliveryError {
    match error.kind {
        OptionsErrorKind::Syntax => Code::SyntaxError.refused(error),
        OptionsErrorKind::Incorrect => Code::IncorrectCopyOptions.refused(error),
    }
}

/// The database's own words, in one line: severity, message, detail, hint and where in the statement.
pub fn text(error: &DbError) -> String {
    let mut text = format!("{}: {}", error.severity(), error.message());
    for (name, part) in [("Detail", error.detail()), ("Hint", error.hint())] {
        if let Some(part) = part {
            text.push_str(&format!(" {name}: {part}"));
        }
    }
    if let Some(ErrorPosition::Original(position)) = error.position() {
        text.push_str(&format!(" Position: {position}"));
    }
    one_line(&text)
}

/// Redshift lays out some errors as a table of many lines and rulers.
fn one_line(text: &str) -> String {
    text.split_whitespace()
        .filter(|word| !word.bytes().all(|byte| byte == b'-') || word.len() == 1)
        .collect::<Vec<_>>()
        .join(" ")
}

/// What SQLSTATE `state` means (SPEC §6.4); `message` is looked at only where Redshift and PostgreSQL have one state for
/// two things that Firehose tells apart.
fn of_state(state: &str, message: &str, text: &str) -> DeliveryError {
    let (class, _) = state.split_at_checked(2).unwrap_or((state, ""));
    match (state, class) {
        ("42P01" | "3F000", _) => Code::TableNotFound.refused(text),
        ("42703", _) => Code::ColumnNotFound.refused(text),
        ("42501", _) => Code::InsufficientPrivilege.refused(text),
        ("42601", _) if message.contains("redundant options") => {
            Code::IncorrectCopyOptions.refused(text)
        }
        ("3D000", _) => Code::DatabaseNotFound.refused(text),
        ("53100", _) => Code::DiskFull.refused(text),
        ("23502", _) => Code::MissingColumn.refused(text),
        // A stand-by, or a cluster that is being resized.
        ("25006", _) => Code::ReadOnlyCluster.passing(text),
        // The server ends, ended badly, or is not up yet.
        ("57P01" | "57P02" | "57P03", _) | (_, "08") => Code::ConnectionFailed.unreachable(text),
        (_, "28") => Code::AuthenticationFailed.refused(text),
        (_, "22" | "23" | "44" | "54") => Code::DataLoadFailed.refused(text),
        (_, "0A") => Code::IncorrectCopyOptions.refused(text),
        (_, "42") => Code::SyntaxError.refused(text),
        // Deadlocks, too many connections, out of memory, a lock not to be had, a statement cancelled.
        (_, "40" | "53" | "55" | "57" | "58") => Code::Internal.passing(text),
        _ => Code::Internal.refused(text),
    }
}

/// The server did not answer, or not in a way that the client understands.
fn without_answer(error: &tokio_postgres::Error) -> DeliveryError {
    let text = causes(error);
    let mut cause = error.source();
    let mut broken = error.is_closed();
    if text.contains(UNKNOWN_AUTHENTICATION) {
        return Code::AuthenticationFailed.refused(format_args!(
            "It asks for the password in a way that is not known here ({text}). Where Redshift keeps it as SHA-256, \
             ALTER USER … PASSWORD 'md5…' keeps it as MD5."
        ));
    }
    while let Some(inner) = cause {
        if let Some(refusal) = inner
            .downcast_ref::<io::Error>()
            .and_then(|error| error.get_ref()?.downcast_ref())
        {
            return refused_by_guard(*refusal);
        }
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return refused_by_tls(tls, &text);
        }
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            // An `io::Error` that wraps another has that one's cause as its own.
            if let Some(tls) = io.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
                return refused_by_tls(tls, &text);
            }
            broken = true;
        }
        cause = inner.source();
    }
    match broken {
        true => Code::ConnectionFailed.unreachable(text),
        // No TLS there, a way to authenticate that is not known here.
        false => Code::ConnectionFailed.refused(text),
    }
}

fn refused_by_guard(refusal: Refusal) -> DeliveryError {
    match refusal {
        Refusal::PasswordInClear => Code::AuthenticationFailed.refused(format_args!(
            "The server was not sent it: {refusal}. It must offer TLS or take SCRAM-SHA-256; \
             sslmode=disable in ClusterJDBCURL says that the password may be seen on its way."
        )),
        Refusal::TooMuch => Code::ConnectionFailed
            .refused(format_args!("The server is not listened to: {refusal}.")),
    }
}

fn refused_by_tls(error: &rustls::Error, text: &str) -> DeliveryError {
    match error {
        rustls::Error::InvalidCertificate(_) => Code::ConnectionFailed.refused(format_args!(
            "Its certificate is not accepted: {text}. \
             The setting database_ca names authorities to trust; sslmode in ClusterJDBCURL says what is checked."
        )),
        _ => Code::ConnectionFailed.refused(text),
    }
}

/// An error and what it was caused by, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !text.ends_with(&told) {
            text = format!("{text}: {told}");
        }
        source = cause.source();
    }
    text
}

/// `text` without the values of access keys, in both of the forms that a COPY statement may have them in.
pub(crate) fn without_keys(text: &str) -> String {
    const NAMES: [&str; 6] = [
        "aws_access_key_id",
        "aws_secret_access_key",
        "access_key_id",
        "secret_access_key",
        "session_token",
        "token",
    ];
    let lower = text.to_ascii_lowercase();
    let is_end = |c: char| c.is_whitespace() || matches!(c, ';' | '\'' | '"' | ',' | ')');
    let (mut clean, mut from) = (String::with_capacity(text.len()), 0);
    while let Some((at, name)) = NAMES
        .iter()
        .filter_map(|name| Some((from + lower.get(from..)?.find(name)?, *name)))
        .min_by_key(|(at, name)| (*at, usize::MAX - name.len()))
    {
        let after = at + name.len();
        let rest = text.get(after..).unwrap_or_default();
        let value = rest.trim_start();
        let quoted = value.strip_prefix('\'');
        let named = value.strip_prefix('=').map(str::trim_start);
        let value = match (named, quoted) {
            (Some(value), _) => value.strip_prefix('\'').unwrap_or(value),
            (None, Some(value)) => value,
            (None, None) => {
                clean.push_str(text.get(from..after).unwrap_or_default());
                from = after;
                continue;
            }
        };
        let start = text.len() - value.len();
        let end = value.find(is_end).map_or(text.len(), |end| start + end);
        clean.push_str(text.get(from..start).unwrap_or_default());
        clean.push_str("[secret]");
        from = end;
    }
    clean.push_str(text.get(from..).unwrap_or_default());
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_sqlstates_mean() {
        for (state, told, refused) in [
            ("42P01", "Redshift.TableNotFound", true),
            ("3F000", "Redshift.TableNotFound", true),
            ("42601", "Redshift.SyntaxError", true),
            ("42809", "Redshift.SyntaxError", true),
            ("42703", "Redshift.ColumnNotFound", true),
            ("42501", "Redshift.InsufficientPrivilege", true),
            ("28P01", "Redshift.AuthenticationFailed", true),
            ("28000", "Redshift.AuthenticationFailed", true),
            ("3D000", "Redshift.DatabaseNotFound", true),
            ("53100", "Redshift.DiskFull", true),
            ("23502", "Redshift.MissingColumn", true),
            ("23505", "Redshift.DataLoadFailed", true),
            ("22P02", "Redshift.DataLoadFailed", true),
            ("22001", "Redshift.DataLoadFailed", true),
            ("25006", "Redshift.ReadOnlyCluster", false),
            ("57P01", "Redshift.ConnectionFailed", false),
            ("57P03", "Redshift.ConnectionFailed", false),
            ("08006", "Redshift.ConnectionFailed", false),
            ("40001", "InternalError", false),
            ("40P01", "InternalError", false),
            ("53300", "InternalError", false),
            ("57014", "InternalError", false),
            ("55P03", "InternalError", false),
            ("XX000", "InternalError", true),
            ("", "InternalError", true),
            ("é", "InternalError", true),
        ] {
            let error = of_state(state, "m", "ERROR: m");
            assert_eq!(error.code(), told, "{state}");
            let is_refused = matches!(error, DeliveryError::Refused { .. });
            assert_eq!(is_refused, refused, "{state}");
            assert!(error.message().ends_with(" ERROR: m"), "{error}");
        }
        let redundant = of_state("42601", "conflicting or redundant options", "");
        assert_eq!(redundant.code(), "Redshift.IncorrectCopyOptions");
        assert!(of_state("57P01", "m", "t").is_unreachable());
    }

    #[test]
    fn a_ruled_table_becomes_a_line() {
        assert_eq!(
            one_line("ERROR: x - y \n -----\n  error:  a\n  code:  8001\n -----"),
            "ERROR: x - y error: a code: 8001"
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_looked_through(
            text in "(token|aws_secret_access_key|SESSION_TOKEN| |=|'|;|hush|é){0,12}",
        ) {
            let clean = without_keys(&text);
            for named in ["token=hush", "token='hush", "token 'hush", "aws_secret_access_key=hush"] {
                prop_assert!(!clean.contains(named), "{}", clean);
            }
        }
    }

    #[test]
    fn keys_are_taken_out_of_any_text() {
        for (text, clean) in [
            ("nothing here", "nothing here"),
            ("a token is meant", "a token is meant"),
            (
                "at 'aws_access_key_id=AK;aws_secret_access_key=s/+=;token=t=' x",
                "at 'aws_access_key_id=[secret];aws_secret_access_key=[secret];token=[secret]' x",
            ),
            (
                "ACCESS_KEY_ID 'AK' Secret_Access_Key 'S' SESSION_TOKEN 'T' é",
                "ACCESS_KEY_ID '[secret]' Secret_Access_Key '[secret]' SESSION_TOKEN '[secret]' é",
            ),
            (
                "aws_secret_access_key = cut-off-at-the-end",
                "aws_secret_access_key = [secret]",
            ),
            ("token=", "token=[secret]"),
        ] {
            assert_eq!(without_keys(text), clean);
        }
    }
}
