//! What Redshift's COPY means, without a database and without I/O: bytes of files go in, rows in the text format of
//! PostgreSQL's `COPY … FROM STDIN` come out, and what was wrong with the others.
//!
//! ```text
//! options  ─parse→ CopyOptions ┐
//! table    ─catalog→ [Column]  ┴→ Transform:  file bytes ─(rows)→ fields ─(convert)→ values ─(text)→ COPY text
//!                                                          └────────────────┴→ RowError, counted against MAXERROR
//! ```
//!
//! * Pure and synchronous: whoever calls decides where bytes come from and where they go, so all of it can be
//!   tested and fuzzed without a server.
//! * Constant memory: one row at most is held over from one piece of a file to the next, and a row is at
//!   most [`MAX_ROW_BYTES`].
//! * Strict: what a value means is decided here, not by the database, because one value that PostgreSQL refuses
//!   would end the whole COPY, and MAXERROR speaks of rows.
//! * Behaviour is Redshift's (SPEC §5.5), not PostgreSQL's: decimals are cut, not rounded; `VARCHAR(n)` counts bytes.

mod blank;
pub mod column;
pub mod convert;
mod datetime;
mod encoding;
pub mod error;
pub mod jsonpaths;
pub mod manifest;
pub mod options;
mod rows;
pub mod table;
pub mod text;
pub mod transform;

pub use column::{Column, Kind};
pub use convert::Converter;
pub use encoding::FileError;
pub use error::{ErrorCode, Field, FieldError, RowError};
pub use jsonpaths::JsonPaths;
pub use manifest::{Entry, Manifest, S3Url};
pub use options::{
    Compression, CopyOptions, DateFormat, Encoding, Format, JsonFormat, MaxErrors, OptionsError,
    OptionsErrorKind, TimeFormat,
};
pub use table::{ColumnList, TableName};
pub use transform::{Refusal, Transform, TransformError};

/// The longest row, in bytes (SPEC §5.5: 4 MB).
pub const MAX_ROW_BYTES: usize = 4 << 20;
