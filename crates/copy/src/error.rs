//! What can be wrong with a row, in the words and numbers of Redshift's `STL_LOAD_ERRORS`.

/// A field of a row, between the two halves: what the file says, before it is known what the column wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// NULL by the file's own word: equal to `NULL AS`, JSON `null`, a key that is missing.
    Null,
    /// Not there at all, and `FILLRECORD` allows that: empty for VARCHAR, NULL for the rest.
    Missing,
    /// These bytes, unescaped and unquoted; not necessarily UTF-8 yet. Of JSON: a string's characters, or the text
    /// of a number, `true`, `false`, an object or an array.
    Text(&'a [u8]),
}

/// Redshift's number for what is wrong, and its text (its reference of load errors).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// `err_code`.
    pub number: u16,
    /// The general text of that number, without anything of the row.
    pub text: &'static str,
}

/// A field that its column cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Which column, counted from 0.
    pub column: usize,
    /// What kind of error.
    pub code: ErrorCode,
    /// `err_reason`: for people, in Redshift's style.
    pub reason: String,
}

/// A row that was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Line of the file where the row begins, counted from 1.
    pub line: u64,
    /// Which column, counted from 0; none where the row as a whole is wrong.
    pub column: Option<usize>,
    /// Position of the field in the row, in bytes from 0, where it is known.
    pub position: Option<usize>,
    /// What kind of error.
    pub code: ErrorCode,
    /// `err_reason`: for people, in Redshift's style, with the offending value's kind or length.
    pub reason: String,
    /// The row as it stands in the file, its first [`RAW_LINE_BYTES`].
    pub raw_line: Vec<u8>,
    /// The field as it stands in the file, its first [`RAW_LINE_BYTES`].
    pub raw_field: Vec<u8>,
}

/// `raw_line` and `raw_field_value` hold so much at most, as in Redshift.
pub const RAW_LINE_BYTES: usize = 1024;
