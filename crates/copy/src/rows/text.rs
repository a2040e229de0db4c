//! What delimited text, CSV and fixed width have in common.

use super::row::{Fault, Piece, Value};
use crate::{CopyOptions, ErrorCode};

/// Options that all of them heed.
pub(super) struct Rules {
    pub(super) columns: usize,
    pub(super) null_as: Vec<u8>,
    fill_record: bool,
    pub(super) ignore_blank_lines: bool,
}

impl Rules {
    pub(super) fn new(options: &CopyOptions, columns: usize) -> Self {
        Rules {
            columns,
            null_as: options.null_as.clone(),
            fill_record: options.fill_record,
            ignore_blank_lines: options.ignore_blank_lines,
        }
    }

    /// Whether `NULL AS` speaks of NUL: then NUL is a value, and not the end of a row.
    pub(super) fn null_as_nul(&self) -> bool {
        self.null_as.contains(&0)
    }

    /// A field that lies in the row as it is meant.
    #[inline]
    pub(super) fn plain(&self, row: &[u8], start: usize, end: usize) -> Piece {
        let null = row.get(start..end) == Some(self.null_as.as_slice());
        Piece::new(start, end, if null { Value::Null } else { Value::Raw })
    }

    /// Whether a row has more fields than need be looked at to know that there are too many.
    #[inline]
    pub(super) fn enough(&self, pieces: &[Piece]) -> bool {
        pieces.len() > self.columns + 1
    }

    /// Brings the number of fields to that of the columns, or says why that cannot be. A delimiter behind the last
    /// field is allowed ("Preparing your input data" in Redshift's guide).
    #[inline]
    pub(super) fn complete(&self, row: &[u8], pieces: &mut Vec<Piece>) -> Result<(), Fault> {
        if pieces.len() == self.columns {
            return Ok(());
        }
        if pieces.len() == self.columns + 1 && pieces.last().is_some_and(Piece::is_empty) {
            pieces.pop();
            return Ok(());
        }
        let end = row.len() as u32;
        if let Some(extra) = pieces.get(self.columns) {
            return Err(Fault {
                code: ErrorCode::TOO_MANY_COLUMNS,
                reason: "Extra column(s) found",
                column: None,
                span: Some((extra.start, extra.end)),
            });
        }
        if self.fill_record {
            pieces.resize(
                self.columns,
                Piece {
                    start: end,
                    end,
                    value: Value::Missing,
                },
            );
            return Ok(());
        }
        Err(Fault {
            code: ErrorCode::DELIMITER,
            reason: "Delimiter not found",
            column: Some(pieces.len()),
            span: Some((end, end)),
        })
    }

    /// With `NULL AS '\0'`, NUL must be a field of its own.
    pub(super) fn check_nul(&self, row: &[u8], pieces: &[Piece]) -> Result<(), Fault> {
        if !self.null_as_nul() || memchr::memchr(0, row).is_none() {
            return Ok(());
        }
        for (column, piece) in pieces.iter().enumerate() {
            let raw = row
                .get(piece.start as usize..piece.end as usize)
                .unwrap_or_default();
            if !matches!(piece.value, Value::Null) && raw.contains(&0) {
                return Err(Fault {
                    code: ErrorCode::NUL,
                    reason: "NUL is not alone in its field",
                    column: Some(column),
                    span: Some((piece.start, piece.end)),
                });
            }
        }
        Ok(())
    }
}
