//! `JSON`: objects, with white space or nothing between them, and their members as fields.
//!
//! An object is read once, byte by byte, as strictly as RFC 8259 wants it, by a [`Scanner`] that knows from the
//! [`Shape`] which values belong to columns. Bytes of strings are not checked here to be UTF-8: whoever converts
//! them does, and `ACCEPTINVCHARS` speaks of it.
//!
//! After what is not JSON, rows go on behind the brace that closes the object, or at a brace that begins a line,
//! whichever comes first: so both an object with a slip in it and one that was cut off cost themselves alone.

mod recover;
mod scan;
mod shape;
mod unescape;

use crate::{ErrorCode, MAX_ROW_BYTES, error::RAW_LINE_BYTES};

use super::{
    lines_in,
    row::{Fault, Row, Sink},
};
use recover::Recovery;
use scan::{Scanner, Stop};

pub(crate) use shape::Shape;
pub(crate) use unescape::push;

/// Objects, one after the other.
pub(crate) struct Json {
    shape: Shape,
    scanner: Scanner,
    skip: Option<Skip>,
}

/// What is left of something that is no row and was told of.
enum Skip {
    Broken(Recovery),
    Junk,
}

impl Json {
    pub(crate) fn new(shape: Shape) -> Self {
        Json {
            shape,
            scanner: Scanner::default(),
            skip: None,
        }
    }

    pub(super) fn begin_file(&mut self) {
        self.skip = None;
    }

    pub(super) fn parse(
        &mut self,
        input: &[u8],
        end_of_file: bool,
        line: &mut u64,
        sink: &mut impl Sink,
    ) -> usize {
        let mut at = 0;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            let taken = if let Some(skip) = &mut self.skip {
                let end = skip.end(rest);
                if end.is_some() {
                    self.skip = None;
                }
                end.unwrap_or(rest.len())
            } else {
                match rest.first() {
                    Some(b' ' | b'\n' | b'\r' | b'\t') => 1,
                    Some(b'{' | b'[') => match self.object(rest, end_of_file, *line, sink) {
                        Some(taken) => taken,
                        None => return at,
                    },
                    _ => {
                        let fault = Fault::of_row(ErrorCode::LINE, "Invalid JSON: not an object");
                        match self.refuse(Skip::Junk, fault, rest, end_of_file, *line, sink) {
                            Some(taken) => taken,
                            None => return at,
                        }
                    }
                }
            };
            *line += lines_in(rest.get(..taken).unwrap_or_default());
            at += taken;
        }
        at
    }

    /// What begins with a bracket: how many bytes it took, or none if its end is not in sight.
    fn object(
        &mut self,
        rest: &[u8],
        end_of_file: bool,
        line: u64,
        sink: &mut impl Sink,
    ) -> Option<usize> {
        let (seen, last) = match rest.get(..MAX_ROW_BYTES) {
            Some(most) if rest.len() > MAX_ROW_BYTES => (most, false),
            _ => (rest, end_of_file),
        };
        let (fault, from) = match self.scanner.row(&mut self.shape, seen, last) {
            Ok(end) => {
                let raw = rest.get(..end).unwrap_or_default();
                if let Some(fault) = self.scanner.fault(&self.shape, raw) {
                    sink.refused(fault.of(line, raw));
                } else {
                    let (pieces, scratch) = self.scanner.found();
                    sink.row(&Row {
                        line,
                        raw,
                        pieces,
                        scratch,
                    });
                }
                return Some(end);
            }
            Err(Stop::More) if seen.len() == rest.len() => return None,
            Err(Stop::More) => (Fault::too_long(), seen.len()),
            Err(Stop::Bad { at, what }) => {
                let span = Some((at as u32, (at + 1).min(seen.len()) as u32));
                (
                    Fault {
                        code: ErrorCode::LINE,
                        reason: what,
                        column: None,
                        span,
                    },
                    at,
                )
            }
        };
        let recovery = Recovery::new(rest.first() == Some(&b'['), from);
        self.refuse(Skip::Broken(recovery), fault, rest, end_of_file, line, sink)
    }

    /// Tells of something that is no row, once so much of it is in sight as the error will quote.
    fn refuse(
        &mut self,
        mut skip: Skip,
        fault: Fault,
        rest: &[u8],
        end_of_file: bool,
        line: u64,
        sink: &mut impl Sink,
    ) -> Option<usize> {
        let end = skip.end(rest);
        if end.is_none() && !end_of_file && rest.len() < RAW_LINE_BYTES {
            return None;
        }
        let taken = end.unwrap_or(rest.len());
        let quoted = rest.get(..taken.min(RAW_LINE_BYTES)).unwrap_or_default();
        sink.refused(fault.of(line, quoted.trim_ascii_end()));
        if end.is_none() {
            self.skip = Some(skip);
        }
        Some(taken)
    }
}

impl Skip {
    /// Where it ends, if that is in sight.
    fn end(&mut self, input: &[u8]) -> Option<usize> {
        match self {
            Skip::Broken(recovery) => recovery.end(input),
            Skip::Junk => memchr::memchr3(b'\n', b'{', b'[', input),
        }
    }
}
