//! Fields between delimiters, rows between line ends: COPY's default format, with `ESCAPE` and `REMOVEQUOTES`.
//!
//! A line's end, or NUL unless `NULL AS` speaks of it, ends a row wherever it stands, within quotes too; only a
//! backslash hides it, with `ESCAPE`. So a row that is wrong never drags the next one along.

use super::{
    lines_in,
    row::{Fault, Piece, Row, Sink, Value},
    skip::Skip,
    text::Rules,
    window,
};
use crate::ErrorCode;

pub(super) struct Delimited {
    delimiter: u8,
    escape: bool,
    remove_quotes: bool,
    nul_ends: bool,
    rules: Rules,
    pieces: Vec<Piece>,
    scratch: Vec<u8>,
    /// A row that is too long is being skipped.
    skip: Option<Skip>,
    /// NUL ended the row before, so that the line's end behind it ends nothing.
    after_nul: bool,
}

/// A row's place: up to where its content goes, where the next one begins, and what is between.
struct Bounds {
    end: usize,
    next: usize,
    nul: bool,
}

impl Delimited {
    pub(super) fn new(delimiter: u8, escape: bool, remove_quotes: bool, rules: Rules) -> Self {
        Delimited {
            delimiter,
            escape,
            remove_quotes,
            nul_ends: !rules.null_as_nul(),
            pieces: Vec::with_capacity(rules.columns + 2),
            rules,
            scratch: Vec::new(),
            skip: None,
            after_nul: false,
        }
    }

    pub(super) fn begin_file(&mut self) {
        self.skip = None;
        self.after_nul = false;
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
            if let Some(skip) = &mut self.skip {
                let Some(skipped) = skip.end(rest, line) else {
                    return input.len();
                };
                self.skip = None;
                self.after_nul = skipped.nul;
                at += skipped.next;
                continue;
            }
            let (seen, last) = window(rest, end_of_file);
            let Some(bounds) = self.bounds(seen, last) else {
                if seen.len() == rest.len() {
                    return at;
                }
                sink.refused(Fault::too_long().of(*line, seen));
                self.skip = Some(Skip::row(self.escape, self.nul_ends));
                continue;
            };
            let raw = rest.get(..bounds.end).unwrap_or_default();
            self.row(raw, *line, sink);
            self.after_nul = bounds.nul;
            *line += if self.escape {
                lines_in(rest.get(..bounds.next).unwrap_or_default())
            } else {
                u64::from(rest.get(bounds.next - 1) == Some(&b'\n'))
            };
            at += bounds.next;
        }
        at
    }

    fn row(&mut self, raw: &[u8], line: u64, sink: &mut impl Sink) {
        if raw.is_empty() && (self.rules.ignore_blank_lines || self.after_nul) {
            return;
        }
        self.pieces.clear();
        let split = if self.escape || self.remove_quotes {
            self.scratch.clear();
            self.split_carefully(raw)
        } else {
            self.split(raw);
            Ok(())
        };
        let fit = split.and_then(|()| self.rules.complete(raw, &mut self.pieces));
        match fit.and_then(|()| self.rules.check_nul(raw, &self.pieces)) {
            Ok(()) => {
                sink.row(&Row {
                    line,
                    raw,
                    pieces: &self.pieces,
                    scratch: &self.scratch,
                });
            }
            Err(fault) => sink.refused(fault.of(line, raw)),
        }
    }

    /// Where the row ends that begins with `seen`; none if that is not to be seen.
    #[inline]
    fn bounds(&self, seen: &[u8], last: bool) -> Option<Bounds> {
        // Up to where backslashes have made bytes literal.
        let mut literal = 0;
        loop {
            let rest = seen.get(literal..).unwrap_or_default();
            let found = match (self.escape, self.nul_ends) {
                (false, true) => memchr::memchr2(b'\n', 0, rest),
                (false, false) => memchr::memchr(b'\n', rest),
                (true, true) => memchr::memchr3(b'\n', 0, b'\\', rest),
                (true, false) => memchr::memchr2(b'\n', b'\\', rest),
            };
            let Some(found) = found.map(|found| literal + found) else {
                return last.then_some(Bounds {
                    end: seen.len(),
                    next: seen.len(),
                    nul: false,
                });
            };
            match seen.get(found) {
                Some(b'\\') if self.escape => literal = found + 2,
                Some(0) => {
                    return Some(Bounds {
                        end: found,
                        next: found + 1,
                        nul: true,
                    });
                }
                _ => {
                    let crlf = found > literal && seen.get(found - 1) == Some(&b'\r');
                    let end = found - usize::from(crlf);
                    return Some(Bounds {
                        end,
                        next: found + 1,
                        nul: false,
                    });
                }
            }
        }
    }

    /// Where every byte means itself.
    #[inline]
    fn split(&mut self, raw: &[u8]) {
        let mut start = 0;
        for end in memchr::memchr_iter(self.delimiter, raw) {
            self.pieces.push(self.rules.plain(raw, start, end));
            start = end + 1;
            if self.rules.enough(&self.pieces) {
                return;
            }
        }
        self.pieces.push(self.rules.plain(raw, start, raw.len()));
    }

    /// Where backslashes or quotes may stand.
    fn split_carefully(&mut self, raw: &[u8]) -> Result<(), Fault> {
        let mut start = 0;
        loop {
            let (text, end, escapes) = match raw.get(start) {
                Some(&quote @ (b'"' | b'\'')) if self.remove_quotes => {
                    let Some((close, escapes)) = self.closing_quote(raw, start + 1, quote) else {
                        return Err(Fault {
                            code: ErrorCode::DELIMITER,
                            reason: "Quote at the beginning of a field has no closing quote",
                            column: Some(self.pieces.len()),
                            span: Some((start as u32, raw.len() as u32)),
                        });
                    };
                    ((start + 1, close), close + 1, escapes)
                }
                _ => {
                    let (end, escapes) = self.field_end(raw, start);
                    ((start, end), end, escapes)
                }
            };
            let mut piece = self.rules.plain(raw, start, end);
            if self.is_escaped_null(raw.get(start..end).unwrap_or_default()) {
                piece.value = Value::Null;
            }
            if !matches!(piece.value, Value::Null) {
                piece.value = if escapes {
                    self.unescape(raw.get(text.0..text.1).unwrap_or_default())
                } else {
                    Value::Inner(text.0 as u32, text.1 as u32)
                };
            }
            self.pieces.push(piece);
            if end >= raw.len() || self.rules.enough(&self.pieces) {
                return Ok(());
            }
            start = end + 1;
        }
    }

    /// With ESCAPE "`\N` and `\\N` produce the same results", as long as NULL AS names nothing else (Redshift, "Data
    /// conversion parameters").
    fn is_escaped_null(&self, field: &[u8]) -> bool {
        self.escape && field == br"\\N" && self.rules.null_as == br"\N"
    }

    /// The delimiter or the row's end behind `from`, and whether there is a backslash before it.
    fn field_end(&self, raw: &[u8], from: usize) -> (usize, bool) {
        let mut at = from;
        let mut escapes = false;
        loop {
            let rest = raw.get(at..).unwrap_or_default();
            let found = if self.escape {
                memchr::memchr2(self.delimiter, b'\\', rest)
            } else {
                memchr::memchr(self.delimiter, rest)
            };
            let Some(found) = found else {
                return (raw.len(), escapes);
            };
            if !self.escape || raw.get(at + found) != Some(&b'\\') {
                return (at + found, escapes);
            }
            escapes = true;
            at += found + 2;
        }
    }

    /// The quote behind `from` that a delimiter or the row's end follows: others belong to the text.
    fn closing_quote(&self, raw: &[u8], from: usize, quote: u8) -> Option<(usize, bool)> {
        let mut at = from;
        let mut escapes = false;
        loop {
            let byte = *raw.get(at)?;
            if byte == b'\\' && self.escape {
                escapes = true;
                at += 1;
            } else if byte == quote {
                match raw.get(at + 1) {
                    None => return Some((at, escapes)),
                    Some(next) if *next == self.delimiter => return Some((at, escapes)),
                    Some(_) => {}
                }
            }
            at += 1;
        }
    }

    /// Without the backslashes. One that nothing follows stays.
    fn unescape(&mut self, text: &[u8]) -> Value {
        let start = self.scratch.len();
        let mut from = 0;
        let mut search = 0;
        while let Some(found) =
            memchr::memchr(b'\\', text.get(search..).unwrap_or_default()).map(|at| search + at)
        {
            if found + 1 >= text.len() {
                break;
            }
            self.scratch
                .extend_from_slice(text.get(from..found).unwrap_or_default());
            from = found + 1;
            search = found + 2;
        }
        self.scratch
            .extend_from_slice(text.get(from..).unwrap_or_default());
        Value::Scratch(start as u32, self.scratch.len() as u32)
    }
}
