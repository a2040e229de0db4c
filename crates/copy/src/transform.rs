//! From the bytes of files to COPY text: decoding, rows, values, and what was wrong.
//!
//! ```text
//! chunk ─(encoding)→ UTF-8 ─(rows)→ Row ─(convert)→ out
//!                      └ held over: the row whose end is not in sight      └→ errors
//! ```
//!
//! * **Where a file is split makes no difference**, so whoever feeds it may take pieces as they come.
//! * **Constant memory**: what is held over is at most the longest row and a chunk. The parser looks again at a
//!   row whose end it did not see only once the row has doubled, so a row costs no more than it is long.
//! * **The database has the last word.** A row that it refused although it was converted comes out as an error next
//!   time: see [`Transform::refuse`].

use std::collections::HashMap;

use crate::{
    Column, Converter, CopyOptions, ErrorCode, Field, Format, JsonFormat, JsonPaths, Kind,
    MAX_ROW_BYTES, RowError,
    encoding::Decoder,
    rows::{
        Parser, Row, Sink,
        json::{Json, Shape},
    },
};

pub use crate::encoding::FileError;

/// Turns files into COPY text, one after the other.
pub struct Transform {
    decoder: Decoder,
    parser: Parser,
    loader: Loader,
    /// What the parser did not take yet.
    held: Vec<u8>,
    /// How much must be held before it is worth showing again.
    enough: usize,
}

/// Why options and table do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// So many paths or widths, so many columns: `Redshift.ColumnMismatch` (SPEC §6.4).
    #[error("{given} {what} for {columns} columns: there must be one for each column")]
    ColumnMismatch {
        /// "JSONPaths" or "fixed widths".
        what: &'static str,
        /// How many of them.
        given: usize,
        /// How many columns.
        columns: usize,
    },
    /// `JSON 'noshred'` loads one column.
    #[error("JSON 'noshred' loads one column, and there are {0}")]
    NotOneColumn(usize),
    /// `JSON 's3://…'`, and nobody gave what is in that file.
    #[error("the JSONPaths file was not read")]
    NoPaths,
}

/// Why the database refused a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which column, counted from 0, if it said so.
    pub column: Option<usize>,
    /// What kind of error.
    pub code: ErrorCode,
    /// Its own words.
    pub reason: String,
}

impl Transform {
    /// For rows of `columns`: the target columns in the order of the column list or of the table. `paths` is what is
    /// in the file where options say `JSON 's3://…'`.
    pub fn new(
        options: &CopyOptions,
        columns: Vec<Column>,
        paths: Option<JsonPaths>,
    ) -> Result<Self, TransformError> {
        let json = match &options.format {
            Format::Json(json) => Some(Json::new(shape(json, &columns, paths)?)),
            Format::FixedWidth(widths) if widths.len() != columns.len() => {
                return Err(TransformError::ColumnMismatch {
                    what: "fixed widths",
                    given: widths.len(),
                    columns: columns.len(),
                });
            }
            _ => None,
        };
        // Others take a string's characters.
        let as_written = match options.format {
            Format::Json(_) => (0..)
                .zip(&columns)
                .filter(|(_, c)| c.kind == Kind::Json)
                .map(|(at, _)| at)
                .collect(),
            _ => Vec::new(),
        };
        let parser = Parser::new(options, columns.len(), json).ok_or(TransformError::NoPaths)?;
        Ok(Transform {
            decoder: Decoder::new(options.encoding),
            parser,
            loader: Loader {
                converter: Converter::new(columns, options),
                as_written,
                fields: Vec::new(),
                refused: HashMap::new(),
                converted: 0,
                rows: 0,
            },
            held: Vec::new(),
            enough: 0,
        })
    }

    /// A row that the database refused in an earlier attempt becomes an error instead of output. `row` counts from 0,
    /// over all files, the rows that were fit for output, refused ones too.
    pub fn refuse(&mut self, row: u64, refusal: Refusal) {
        self.loader.refused.insert(row, refusal);
    }

    /// Another file begins.
    pub fn begin_file(&mut self) {
        self.decoder.begin_file();
        self.parser.begin_file();
        self.held.clear();
        self.enough = 0;
    }

    /// The next bytes of the file: appends rows to `out` and what is wrong with others to `errors`.
    pub fn feed(
        &mut self,
        chunk: &[u8],
        out: &mut Vec<u8>,
        errors: &mut Vec<RowError>,
    ) -> Result<(), FileError> {
        if self.held.is_empty() && self.decoder.is_through() {
            let sink = &mut Output {
                loader: &mut self.loader,
                out,
                errors,
            };
            let taken = self.parser.parse(chunk, false, sink);
            self.held
                .extend_from_slice(chunk.get(taken..).unwrap_or_default());
            self.enough = 2 * self.held.len();
            return Ok(());
        }
        self.decoder.decode(chunk, &mut self.held)?;
        if self.held.len() >= self.enough.min(MAX_ROW_BYTES + 2) {
            self.parse(false, out, errors);
        }
        Ok(())
    }

    /// The file has ended.
    pub fn end_file(
        &mut self,
        out: &mut Vec<u8>,
        errors: &mut Vec<RowError>,
    ) -> Result<(), FileError> {
        self.decoder.end(&mut self.held)?;
        self.parse(true, out, errors);
        Ok(())
    }

    /// How many rows were written to `out`, over all files.
    pub fn rows(&self) -> u64 {
        self.loader.rows
    }

    fn parse(&mut self, end_of_file: bool, out: &mut Vec<u8>, errors: &mut Vec<RowError>) {
        let sink = &mut Output {
            loader: &mut self.loader,
            out,
            errors,
        };
        let taken = self.parser.parse(&self.held, end_of_file, sink);
        self.held.drain(..taken.min(self.held.len()));
        self.enough = 2 * self.held.len();
    }
}

fn shape(
    format: &JsonFormat,
    columns: &[Column],
    paths: Option<JsonPaths>,
) -> Result<Shape, TransformError> {
    let auto = |ignore_case| Shape::auto(columns.iter().map(|c| c.name.as_str()), ignore_case);
    match (format, paths) {
        (JsonFormat::Auto, _) | (JsonFormat::Paths(_), Some(JsonPaths::Auto)) => Ok(auto(false)),
        (JsonFormat::AutoIgnoreCase, _) => Ok(auto(true)),
        (JsonFormat::NoShred, _) if columns.len() == 1 => Ok(Shape::whole()),
        (JsonFormat::NoShred, _) => Err(TransformError::NotOneColumn(columns.len())),
        (JsonFormat::Paths(_), Some(JsonPaths::Paths(paths))) if paths.len() == columns.len() => {
            Ok(Shape::paths(paths.iter().map(|path| path.steps.as_slice())))
        }
        (JsonFormat::Paths(_), Some(JsonPaths::Paths(paths))) => {
            Err(TransformError::ColumnMismatch {
                what: "JSONPaths",
                given: paths.len(),
                columns: columns.len(),
            })
        }
        (JsonFormat::Paths(_), None) => Err(TransformError::NoPaths),
    }
}

/// What rows become.
struct Loader {
    converter: Converter,
    /// Columns that take a value as it stands in the file, with its quotes: JSON's of JSON.
    as_written: Vec<usize>,
    /// Empty; here so that its memory is used again.
    fields: Vec<Field<'static>>,
    refused: HashMap<u64, Refusal>,
    /// Rows that were converted.
    converted: u64,
    /// Of them, those that were written.
    rows: u64,
}

struct Output<'a> {
    loader: &'a mut Loader,
    out: &'a mut Vec<u8>,
    errors: &'a mut Vec<RowError>,
}

impl Sink for Output<'_> {
    fn row(&mut self, row: &Row<'_>) {
        let mut fields = emptied(std::mem::take(&mut self.loader.fields));
        fields.extend(row.pieces.iter().map(|piece| row.field(piece)));
        for &column in &self.loader.as_written {
            if let (Some(field @ Field::Text(_)), Some(piece)) =
                (fields.get_mut(column), row.pieces.get(column))
            {
                *field = Field::Text(row.as_written(piece));
            }
        }
        let start = self.out.len();
        let converted = self.loader.converter.row(&fields, self.out);
        self.loader.fields = emptied(fields);
        if let Err(error) = converted {
            self.errors
                .push(row.error(Some(error.column), error.code, error.reason));
            return;
        }
        let number = self.loader.converted;
        self.loader.converted += 1;
        // A look into an empty map is all that almost every load pays.
        match self.loader.refused.get(&number) {
            None => self.loader.rows += 1,
            Some(refusal) => {
                self.out.truncate(start);
                let reason = refusal.reason.clone();
                self.errors
                    .push(row.error(refusal.column, refusal.code, reason));
            }
        }
    }

    fn refused(&mut self, error: RowError) {
        self.errors.push(error);
    }
}

/// The same memory, for fields that borrow from elsewhere.
fn emptied<'b>(mut fields: Vec<Field<'_>>) -> Vec<Field<'b>> {
    fields.clear();
    fields.into_iter().map(|_| Field::Null).collect()
}

#[cfg(test)]
mod tests;
