//! A row, as a parser hands it on: nothing in it is a copy unless something had to be unescaped.

use crate::{ErrorCode, Field, MAX_ROW_BYTES, RowError, error::RAW_LINE_BYTES};

/// What becomes of rows.
pub(crate) trait Sink {
    /// A row with a field for each column.
    fn row(&mut self, row: &Row<'_>);

    /// What is in a row's place that cannot be understood as one.
    fn refused(&mut self, error: RowError);
}

/// A row whose form is right; its values were not looked at.
pub(crate) struct Row<'a> {
    /// Line of the file where it begins, from 1.
    pub(crate) line: u64,
    /// As it stands in the file, without the line's end.
    pub(crate) raw: &'a [u8],
    /// Its fields, as many as there are columns.
    pub(crate) pieces: &'a [Piece],
    /// What [`Value::Scratch`] speaks of.
    pub(crate) scratch: &'a [u8],
}

/// Where a field lies in its row, and where its value is. A row is no longer than `MAX_ROW_BYTES`, so `u32` will do.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) value: Value,
}

const _: () = assert!(MAX_ROW_BYTES < u32::MAX as usize / 2);

#[derive(Clone, Copy)]
pub(crate) enum Value {
    Null,
    Missing,
    /// The field as it stands in the row.
    Raw,
    /// This part of the row, from and to.
    Inner(u32, u32),
    /// This part of the scratch, from and to.
    Scratch(u32, u32),
}

impl Piece {
    pub(super) fn new(start: usize, end: usize, value: Value) -> Self {
        Piece {
            start: start as u32,
            end: end as u32,
            value,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

impl<'a> Row<'a> {
    /// What a piece says.
    #[inline]
    pub(crate) fn field(&self, piece: &Piece) -> Field<'a> {
        match piece.value {
            Value::Raw => Field::Text(part(self.raw, piece.start, piece.end)),
            Value::Null => Field::Null,
            Value::Missing => Field::Missing,
            Value::Inner(start, end) => Field::Text(part(self.raw, start, end)),
            Value::Scratch(start, end) => Field::Text(part(self.scratch, start, end)),
        }
    }

    /// A piece as it stands in the file, with its quotes.
    pub(crate) fn as_written(&self, piece: &Piece) -> &'a [u8] {
        part(self.raw, piece.start, piece.end)
    }

    /// An error about the value in a column.
    pub(crate) fn error(&self, column: Option<usize>, code: ErrorCode, reason: String) -> RowError {
        let piece = column.and_then(|column| self.pieces.get(column));
        let fault = Fault {
            code,
            reason: "",
            column,
            span: piece.map(|p| (p.start, p.end)),
        };
        RowError {
            reason,
            ..fault.of(self.line, self.raw)
        }
    }
}

#[inline]
fn part(bytes: &[u8], start: u32, end: u32) -> &[u8] {
    bytes.get(start as usize..end as usize).unwrap_or_default()
}

/// What is wrong with a row's form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) code: ErrorCode,
    pub(super) reason: &'static str,
    pub(super) column: Option<usize>,
    /// Where in the row the field lies.
    pub(super) span: Option<(u32, u32)>,
}

impl Fault {
    /// A fault of the row as a whole.
    pub(super) fn of_row(code: ErrorCode, reason: &'static str) -> Self {
        Fault {
            code,
            reason,
            column: None,
            span: None,
        }
    }

    /// A row that is too long.
    pub(super) fn too_long() -> Self {
        Fault::of_row(ErrorCode::LINE, "Row is longer than 4194304 bytes (4 MB)")
    }

    pub(super) fn of(self, line: u64, raw: &[u8]) -> RowError {
        let (start, end) = self.span.unwrap_or_default();
        RowError {
            line,
            column: self.column,
            position: self.span.map(|(start, _)| start as usize),
            code: self.code,
            reason: self.reason.to_owned(),
            raw_line: beginning(raw),
            raw_field: beginning(part(raw, start, end)),
        }
    }
}

fn beginning(bytes: &[u8]) -> Vec<u8> {
    bytes.get(..RAW_LINE_BYTES).unwrap_or(bytes).to_vec()
}
