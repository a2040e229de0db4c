//! How the bytes of a file become rows of fields (SPEC §5.5).
//!
//! A parser is pure and sees a window of the file: it takes whole rows off its beginning, tells a [`Sink`] about each,
//! and answers how many bytes it is done with; what is left is the beginning of a row, which the caller holds over
//! and shows again with more behind it. So **it makes no difference where a file is split**: whatever a parser
//! decides, it decides from the file's bytes alone, never from where the window ends.
//!
//! * No allocation for a row or a field: [`row::Piece`]s and unescaped text lie in buffers that are used again.
//! * A row that is wrong costs itself alone; each format says how it finds the next one.
//! * A row longer than [`MAX_ROW_BYTES`] is wrong as soon as so much of it was seen; the rest of
//!   it is skipped without being held.

mod csv;
mod delimited;
mod fixed_width;
pub(crate) mod json;
mod row;
mod skip;
mod text;

pub(crate) use row::{Row, Sink};

use json::Json;

use crate::{CopyOptions, Format, MAX_ROW_BYTES};
use csv::Csv;
use delimited::Delimited;
use fixed_width::FixedWidth;

/// One file after the other, in one format.
pub(crate) struct Parser {
    rows: Rows,
    /// `IGNOREHEADER`.
    headers: u64,
    /// Of them, those still to be skipped in this file.
    headers_left: u64,
    /// Line of the file at which the next row begins, from 1.
    line: u64,
}

enum Rows {
    Delimited(Delimited),
    Csv(Csv),
    FixedWidth(FixedWidth),
    Json(Json),
}

impl Parser {
    /// A parser of text with `columns` fields in a row; of JSON, `json` must be given.
    pub(crate) fn new(options: &CopyOptions, columns: usize, json: Option<Json>) -> Option<Self> {
        let rules = text::Rules::new(options, columns);
        let rows = match (&options.format, json) {
            (
                &Format::Delimited {
                    delimiter,
                    escape,
                    remove_quotes,
                },
                _,
            ) => Rows::Delimited(Delimited::new(delimiter, escape, remove_quotes, rules)),
            (&Format::Csv { delimiter, quote }, _) => Rows::Csv(Csv::new(delimiter, quote, rules)),
            (Format::FixedWidth(widths), _) => {
                let widths = widths.iter().map(|(_, width)| *width).collect();
                Rows::FixedWidth(FixedWidth::new(widths, rules))
            }
            (Format::Json(_), Some(json)) => Rows::Json(json),
            (Format::Json(_), None) => return None,
        };
        Some(Parser {
            rows,
            headers: options.ignore_header,
            headers_left: options.ignore_header,
            line: 1,
        })
    }

    /// Forgets whatever was left of the file before.
    pub(crate) fn begin_file(&mut self) {
        self.headers_left = self.headers;
        self.line = 1;
        match &mut self.rows {
            Rows::Delimited(rows) => rows.begin_file(),
            Rows::Csv(rows) => rows.begin_file(),
            Rows::FixedWidth(rows) => rows.begin_file(),
            Rows::Json(rows) => rows.begin_file(),
        }
    }

    /// Tells `sink` of the rows at the beginning of `input` and returns how many bytes they took, with what lies
    /// between them: all of them at the `end_of_file`.
    pub(crate) fn parse(&mut self, input: &[u8], end_of_file: bool, sink: &mut impl Sink) -> usize {
        let header = self.skip_headers(input);
        let input = input.get(header..).unwrap_or_default();
        let line = &mut self.line;
        let taken = match &mut self.rows {
            _ if self.headers_left > 0 => 0,
            Rows::Delimited(rows) => rows.parse(input, end_of_file, line, sink),
            Rows::Csv(rows) => rows.parse(input, end_of_file, line, sink),
            Rows::FixedWidth(rows) => rows.parse(input, end_of_file, line, sink),
            Rows::Json(rows) => rows.parse(input, end_of_file, line, sink),
        };
        header + taken
    }

    /// Headers are lines whatever the format is, and however long they are.
    fn skip_headers(&mut self, input: &[u8]) -> usize {
        if self.headers_left == 0 {
            return 0;
        }
        for end in memchr::memchr_iter(b'\n', input) {
            self.headers_left -= 1;
            self.line += 1;
            if self.headers_left == 0 {
                return end + 1;
            }
        }
        input.len()
    }
}

/// The part of `rest` in which the line's end of a row that begins there has to be, and whether the file ends with it.
fn window(rest: &[u8], end_of_file: bool) -> (&[u8], bool) {
    match rest.get(..=MAX_ROW_BYTES) {
        Some(most) => (most, false),
        None => (rest, end_of_file),
    }
}

/// How many lines end in what was taken. Mostly it is one, at its end, or none.
fn lines_in(taken: &[u8]) -> u64 {
    match memchr::memchr(b'\n', taken) {
        None => 0,
        Some(first) if first + 1 == taken.len() => 1,
        Some(_) => memchr::memchr_iter(b'\n', taken).count() as u64,
    }
}

#[cfg(test)]
mod tests;
