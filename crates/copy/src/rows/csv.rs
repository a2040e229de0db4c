//! `CSV`: fields may be quoted, and then hold delimiters, line ends and, doubled, quotes.
//!
//! White space between a delimiter and a quote means nothing. A quote anywhere but around a field is an error, as
//! in Redshift, which says `Invalid quote formatting for CSV` with number 1214.
//!
//! A quote that nothing closes, within the longest row or until the file's end, would take all rows behind it along.
//! So only its line counts as the row that is wrong, and the next line begins a new one. (That costs a second look at
//! those bytes, but not a third: if no quote closes this one, every quote behind it is one of a pair.)

use super::{
    lines_in,
    row::{Fault, Piece, Row, Sink, Value},
    skip::Skip,
    text::Rules,
    window,
};
use crate::ErrorCode;

pub(super) struct Csv {
    delimiter: u8,
    quote: u8,
    rules: Rules,
    pieces: Vec<Piece>,
    scratch: Vec<u8>,
    skip: Option<Skip>,
}

/// What a look at the beginning of a row says.
enum Scan {
    /// Its content ends here, the next row begins there.
    Row {
        end: usize,
        next: usize,
        fault: Option<Fault>,
    },
    /// Its end is not in sight, and no quote is open.
    Open,
    /// Its end is not in sight, for this quote is open.
    Quoted(Fault),
}

/// Where a field ends.
enum FieldEnd {
    Delimiter(usize),
    Line(usize),
    File,
    Unknown,
}

impl Csv {
    pub(super) fn new(delimiter: u8, quote: u8, rules: Rules) -> Self {
        let pieces = Vec::with_capacity(rules.columns + 2);
        Csv {
            delimiter,
            quote,
            rules,
            pieces,
            scratch: Vec::new(),
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
            if let Some(skip) = &mut self.skip {
                let Some(skipped) = skip.end(rest, line) else {
                    return input.len();
                };
                self.skip = None;
                at += skipped.next;
                continue;
            }
            let (seen, last) = window(rest, end_of_file);
            match self.scan(seen, last) {
                Scan::Row { end, next, fault } => {
                    self.row(rest.get(..end).unwrap_or_default(), fault, *line, sink);
                    *line += lines_in(rest.get(..next).unwrap_or_default());
                    at += next;
                }
                _ if seen.len() == rest.len() && !last => return at,
                Scan::Quoted(fault) => {
                    let end = memchr::memchr(b'\n', seen).unwrap_or(seen.len());
                    sink.refused(fault.of(*line, without_cr(seen.get(..end).unwrap_or(seen))));
                    self.skip = Some(Skip::line());
                }
                Scan::Open => {
                    sink.refused(Fault::too_long().of(*line, seen));
                    *line += lines_in(seen);
                    at += seen.len();
                    self.skip = Some(Skip::line());
                }
            }
        }
        at
    }

    fn row(&mut self, raw: &[u8], fault: Option<Fault>, line: u64, sink: &mut impl Sink) {
        if raw.is_empty() && self.rules.ignore_blank_lines {
            return;
        }
        let fit = fault.map_or(Ok(()), Err);
        let fit = fit.and_then(|()| self.rules.complete(raw, &mut self.pieces));
        match fit.and_then(|()| self.rules.check_nul(raw, &self.pieces)) {
            Ok(()) => sink.row(&Row {
                line,
                raw,
                pieces: &self.pieces,
                scratch: &self.scratch,
            }),
            Err(fault) => sink.refused(fault.of(line, raw)),
        }
    }

    /// Takes a row apart in one go.
    fn scan(&mut self, seen: &[u8], last: bool) -> Scan {
        self.pieces.clear();
        self.scratch.clear();
        let mut fault = None;
        let mut start = 0;
        loop {
            let mut end = match self.opening_quote(seen, start) {
                None => self.plain_field(seen, start, &mut fault),
                Some(quote) => match self.quoted_field(seen, start, quote, last, &mut fault) {
                    Some(end) => end,
                    None => return Scan::Quoted(self.bad_quote(quote, seen.len())),
                },
            };
            if let FieldEnd::Unknown = end {
                if !last {
                    return Scan::Open;
                }
                end = FieldEnd::File;
            }
            match end {
                FieldEnd::Delimiter(at) => start = at + 1,
                FieldEnd::Line(at) => {
                    let end = without_cr(seen.get(..at).unwrap_or_default()).len();
                    return Scan::Row {
                        end,
                        next: at + 1,
                        fault,
                    };
                }
                FieldEnd::File | FieldEnd::Unknown => {
                    return Scan::Row {
                        end: seen.len(),
                        next: seen.len(),
                        fault,
                    };
                }
            }
        }
    }

    #[inline]
    fn is_blank(&self, byte: u8) -> bool {
        matches!(byte, b' ' | b'\t' | b'\r' | 0x0B | 0x0C)
            && byte != self.delimiter
            && byte != self.quote
    }

    fn behind_blanks(&self, seen: &[u8], from: usize) -> usize {
        let rest = seen.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| self.is_blank(**byte)).count()
    }

    /// Where the quote is that opens the field at `start`, if it is a quoted one.
    #[inline]
    fn opening_quote(&self, seen: &[u8], start: usize) -> Option<usize> {
        let first = *seen.get(start)?;
        let at = if self.is_blank(first) {
            self.behind_blanks(seen, start)
        } else {
            start
        };
        (seen.get(at) == Some(&self.quote)).then_some(at)
    }

    /// A field without quotes around it.
    #[inline]
    fn plain_field(&mut self, seen: &[u8], start: usize, fault: &mut Option<Fault>) -> FieldEnd {
        let rest = seen.get(start..).unwrap_or_default();
        let mut found = memchr::memchr3(self.delimiter, b'\n', self.quote, rest);
        if let Some(quote) = found.filter(|at| rest.get(*at) == Some(&self.quote)) {
            fault.get_or_insert(self.bad_quote(start, start + quote));
            found = memchr::memchr2(self.delimiter, b'\n', rest);
        }
        let (end, outcome) = self.field_end(seen, found.map(|at| start + at));
        if !self.rules.enough(&self.pieces) {
            self.pieces
                .push(self.rules.plain(seen, start, end.max(start)));
        }
        outcome
    }

    /// A field with quotes around it; none if the closing one is not in sight.
    fn quoted_field(
        &mut self,
        seen: &[u8],
        start: usize,
        quote: usize,
        last: bool,
        fault: &mut Option<Fault>,
    ) -> Option<FieldEnd> {
        let scratch = self.scratch.len();
        let mut from = quote + 1;
        let close = loop {
            let close = from + memchr::memchr(self.quote, seen.get(from..)?)?;
            match seen.get(close + 1) {
                Some(next) if *next == self.quote => {
                    self.scratch
                        .extend_from_slice(seen.get(from..=close).unwrap_or_default());
                    from = close + 2;
                }
                None if !last => return Some(FieldEnd::Unknown),
                _ => break close,
            }
        };
        let value = if from == quote + 1 {
            Value::Inner(from as u32, close as u32)
        } else {
            self.scratch
                .extend_from_slice(seen.get(from..close).unwrap_or_default());
            Value::Scratch(scratch as u32, self.scratch.len() as u32)
        };
        let at = self.behind_blanks(seen, close + 1);
        let found = match seen.get(at) {
            None => None,
            Some(byte) if *byte == self.delimiter || *byte == b'\n' => Some(at),
            Some(_) => {
                fault.get_or_insert(self.bad_quote(start, at));
                let rest = seen.get(at..).unwrap_or_default();
                memchr::memchr2(self.delimiter, b'\n', rest).map(|found| at + found)
            }
        };
        // After the fault, which is one of this column.
        if !self.rules.enough(&self.pieces) {
            self.pieces.push(Piece::new(start, close + 1, value));
        }
        Some(self.field_end(seen, found).1)
    }

    /// Up to where the field's text goes, and what is there.
    #[inline]
    fn field_end(&self, seen: &[u8], found: Option<usize>) -> (usize, FieldEnd) {
        match found {
            None => (seen.len(), FieldEnd::Unknown),
            Some(at) if seen.get(at) == Some(&b'\n') => {
                let crlf = at > 0 && seen.get(at - 1) == Some(&b'\r');
                (at - usize::from(crlf), FieldEnd::Line(at))
            }
            Some(at) => (at, FieldEnd::Delimiter(at)),
        }
    }

    fn bad_quote(&self, start: usize, end: usize) -> Fault {
        Fault {
            code: ErrorCode::DELIMITER,
            reason: "Invalid quote formatting for CSV",
            column: Some(self.pieces.len()),
            span: Some((start as u32, end as u32)),
        }
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
