//! What a COPY command's options ask for (SPEC §5.5).
//!
//! ```text
//! text ─lex→ words, numbers, strings ─parse→ Draft: what was written, where ─settle→ CopyOptions
//! ```
//!
//! * [`CopyOptions`] holds the outcome with every default filled in, so that nothing behind it asks what was written.
//! * What cannot be honoured is refused with a reason, never ignored; ignored are only options that speak of
//!   Redshift's own inside (`REGION`, `COMPUPDATE`, `STATUPDATE`, `COMPROWS`, `READRATIO`), and those are checked for form.
//! * Options for Redshift itself are its own to judge: [`check_pasted`] only sees to it that what is pasted into the
//!   statement stays within the statement and does not contradict what the service writes there.

mod error;
mod lex;
mod parse;
mod pasted;
mod print;
mod settle;
#[cfg(test)]
mod tests;
mod value;

pub use error::{OptionsError, OptionsErrorKind};
pub use pasted::check_pasted;

/// The longest text of options, in bytes (the limit of `CopyOptions`).
pub const MAX_OPTIONS_BYTES: usize = 204_800;
/// The most columns a table of Redshift's can have, and so a list of them.
pub const MAX_COLUMNS: usize = 1600;

/// Options, complete and free of contradictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// How rows and fields lie in a file.
    pub format: Format,
    /// How files are compressed.
    pub compression: Compression,
    /// `ENCODING`.
    pub encoding: Encoding,
    /// A field equal to this is NULL; `\N` unless `NULL AS` says otherwise. Not for JSON.
    pub null_as: Vec<u8>,
    /// `EMPTYASNULL`: an empty CHAR or VARCHAR is NULL. Empty fields of other types always are.
    pub empty_as_null: bool,
    /// `BLANKSASNULL`: a CHAR or VARCHAR of white space alone is NULL. Fields of other types always are.
    pub blanks_as_null: bool,
    /// `TIMEFORMAT`.
    pub time_format: TimeFormat,
    /// `DATEFORMAT`.
    pub date_format: DateFormat,
    /// `IGNOREHEADER`: lines to skip at the beginning of each file.
    pub ignore_header: u64,
    /// `MAXERROR`, `IGNOREALLERRORS`.
    pub max_errors: MaxErrors,
    /// `TRUNCATECOLUMNS`: text that is too long is cut at a character's boundary instead of refused.
    pub truncate_columns: bool,
    /// `ACCEPTINVCHARS`: what replaces each byte that is not UTF-8; without it such a field is an error.
    pub accept_inv_chars: Option<u8>,
    /// `FILLRECORD`: columns missing at the end of a row are NULL, or empty for VARCHAR.
    pub fill_record: bool,
    /// `IGNOREBLANKLINES`: lines that hold nothing are skipped.
    pub ignore_blank_lines: bool,
    /// `TRIMBLANKS`: white space at the end of a VARCHAR is cut.
    pub trim_blanks: bool,
    /// `ACCEPTANYDATE`: a date or time that cannot be read is NULL.
    pub accept_any_date: bool,
    /// `ROUNDEC`: decimals are rounded to the column's scale instead of cut.
    pub round_decimals: bool,
    /// `EXPLICIT_IDS`: identity columns take what the file says.
    pub explicit_ids: bool,
    /// `NOLOAD`: everything is checked, nothing is loaded.
    pub no_load: bool,
}

/// How rows and fields lie in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Fields between delimiters, rows between line ends: the default, with `|`.
    Delimited {
        /// `DELIMITER`.
        delimiter: u8,
        /// `ESCAPE`: a backslash makes the next byte literal.
        escape: bool,
        /// `REMOVEQUOTES`: quotes around a field are taken away.
        remove_quotes: bool,
    },
    /// `CSV`.
    Csv {
        /// `DELIMITER`; `,` by default.
        delimiter: u8,
        /// `QUOTE`; `"` by default.
        quote: u8,
    },
    /// `FIXEDWIDTH`: each column's label, which means nothing, and width in characters.
    FixedWidth(Vec<(String, u32)>),
    /// `JSON`.
    Json(JsonFormat),
}

/// How objects become rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonFormat {
    /// `'auto'`: keys are column names.
    Auto,
    /// `'auto ignorecase'`: keys are column names, whatever their case.
    AutoIgnoreCase,
    /// `'noshred'`: the whole object goes into the one column.
    NoShred,
    /// `'s3://…'`: the file at this URL says which path belongs to which column.
    Paths(String),
}

/// How files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// `GZIP`, any number of members.
    Gzip,
    /// `BZIP2`.
    Bzip2,
    /// `ZSTD`.
    Zstd,
}

/// `ENCODING`: how a file's text is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16; a byte order mark says which, and must be there.
    Utf16,
    /// UTF-16, little end first.
    Utf16Le,
    /// UTF-16, big end first.
    Utf16Be,
}

/// `TIMEFORMAT`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// Not given: `YYYY-MM-DD HH:MI:SS`, with a fraction and, for TIMESTAMPTZ, an offset.
    #[default]
    Default,
    /// `'auto'`.
    Auto,
    /// `'epochsecs'`.
    EpochSeconds,
    /// `'epochmillisecs'`.
    EpochMilliseconds,
    /// A format of `YYYY`, `MM`, `HH24` and so on, as it was written.
    Format(String),
}

/// `DATEFORMAT`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DateFormat {
    /// Not given: `YYYY-MM-DD`.
    #[default]
    Default,
    /// `'auto'`.
    Auto,
    /// A format, as it was written.
    Format(String),
}

/// How many rows may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxErrors {
    /// `MAXERROR n`: the load fails once there are so many errors; 0 and 1 both mean the first.
    Count(u32),
    /// `IGNOREALLERRORS`.
    All,
}

impl MaxErrors {
    /// Whether a load with so many errors has failed.
    pub fn failed(self, errors: u64) -> bool {
        match self {
            MaxErrors::Count(most) => errors >= u64::from(most.max(1)),
            MaxErrors::All => false,
        }
    }
}

impl CopyOptions {
    /// Reads options as they are written in a COPY command (SPEC §5.5): in any order and case, with white space between
    /// them and perhaps a `;` at the end. No options at all are options too.
    pub fn parse(text: &str) -> Result<CopyOptions, OptionsError> {
        settle::settle(parse::parse(text)?)
    }

    /// Whether empty text is NULL: "EMPTYASNULL and NULL AS '' (empty string) produce the same behavior" (Redshift, "Data
    /// conversion parameters"), of quoted and missing fields, too.
    pub fn empty_is_null(&self) -> bool {
        self.empty_as_null || self.null_as.is_empty()
    }
}

impl Default for CopyOptions {
    /// A COPY without options.
    fn default() -> Self {
        CopyOptions {
            format: Format::Delimited {
                delimiter: b'|',
                escape: false,
                remove_quotes: false,
            },
            compression: Compression::None,
            encoding: Encoding::Utf8,
            null_as: br"\N".to_vec(),
            empty_as_null: false,
            blanks_as_null: false,
            time_format: TimeFormat::Default,
            date_format: DateFormat::Default,
            ignore_header: 0,
            max_errors: MaxErrors::Count(0),
            truncate_columns: false,
            accept_inv_chars: None,
            fill_record: false,
            ignore_blank_lines: false,
            trim_blanks: false,
            accept_any_date: false,
            round_decimals: false,
            explicit_ids: false,
            no_load: false,
        }
    }
}
