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

impl ErrorCode {
    /// Nothing more exact fits: a value that this program, not Redshift, cannot hand on.
    pub const UNKNOWN: ErrorCode = code(1200, "Unknown parse error.");
    /// More fields than columns.
    pub const TOO_MANY_COLUMNS: ErrorCode = code(
        1202,
        "Input data had more columns than were defined in the DDL.",
    );
    /// A number too large, a text too long.
    pub const RANGE: ErrorCode = code(
        1204,
        "Input data exceeded the acceptable range for the data type.",
    );
    /// Not a date.
    pub const DATE: ErrorCode = code(1205, "Date format is invalid.");
    /// Not a time or a time stamp.
    pub const TIMESTAMP: ErrorCode = code(1206, "Timestamp format is invalid.");
    /// Something else where a digit must be.
    pub const DIGIT: ErrorCode = code(
        1207,
        "Data contained a value outside of the expected range of 0-9.",
    );
    /// Not a floating-point number.
    pub const FLOAT: ErrorCode = code(1208, "FLOAT data type format error.");
    /// Not a decimal number.
    pub const DECIMAL: ErrorCode = code(1209, "DECIMAL data type format error.");
    /// Not a truth value.
    pub const BOOLEAN: ErrorCode = code(1210, "BOOLEAN data type format error.");
    /// NULL where NULL may not be.
    pub const NOT_NULL: ErrorCode = code(1213, "A field specified as NOT NULL contained no data.");
    /// A row ends before its last field.
    pub const DELIMITER: ErrorCode = code(1214, "Delimiter not found.");
    /// CHAR cannot hold it.
    pub const CHAR: ErrorCode = code(1215, "CHAR field error.");
    /// A line that is no row.
    pub const LINE: ErrorCode = code(1216, "Invalid input line.");
    /// `NULL AS '\0'`, and a NUL amid other bytes.
    pub const NUL: ErrorCode = code(
        1218,
        "When using NULL AS '\\0', a field containing a null terminator (NUL, or UTF-8 0000) contained more than one byte.",
    );
    /// Something else where a hexadecimal digit must be.
    pub const HEXADECIMAL: ErrorCode = code(1219, "UTF-8 hexadecimal contains an invalid digit.");
    /// Not UTF-8, or what the column cannot hold of it.
    pub const UTF8: ErrorCode = code(
        1220,
        "String contains invalid or unsupported UTF-8 codepoints.",
    );
    /// The file is not in the encoding that `ENCODING` names.
    pub const ENCODING: ErrorCode = code(
        1221,
        "Encoding of the file is not the same as that specified in the COPY command.",
    );
    /// A SUPER column, and no JSON.
    pub const JSON: ErrorCode = code(
        1224,
        "Input data is not well-formed JSON for the SUPER data type.",
    );
}

const fn code(number: u16, text: &'static str) -> ErrorCode {
    ErrorCode { number, text }
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
