//! `FIXEDWIDTH`: fields of so many characters each, rows between line ends.
//!
//! The last field that is there may be shorter than its width, as in Redshift's own example.

use super::{
    row::{Fault, Piece, Row, Sink, Value},
    skip::Skip,
    text::Rules,
    window,
};

pub(super) struct FixedWidth {
    widths: Vec<u32>,
    rules: Rules,
    pieces: Vec<Piece>,
    skip: Option<Skip>,
}

impl FixedWidth {
    pub(super) fn new(widths: Vec<u32>, rules: Rules) -> Self {
        FixedWidth {
            widths,
            rules,
            pieces: Vec::new(),
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
            let (end, next) = match memchr::memchr(b'\n', seen) {
                Some(found) => (found, found + 1),
                None if last => (seen.len(), seen.len()),
                None if seen.len() == rest.len() => return at,
                None => {
                    sink.refused(Fault::too_long().of(*line, seen));
                    self.skip = Some(Skip::line());
                    continue;
                }
            };
            let mut raw = rest.get(..end).unwrap_or_default();
            if next > end {
                raw = raw.strip_suffix(b"\r").unwrap_or(raw);
            }
            self.row(raw, *line, sink);
            *line += u64::from(next > end);
            at += next;
        }
        at
    }

    fn row(&mut self, raw: &[u8], line: u64, sink: &mut impl Sink) {
        if raw.is_empty() && self.rules.ignore_blank_lines {
            return;
        }
        self.split(raw);
        let fit = self.rules.complete(raw, &mut self.pieces);
        match fit.and_then(|()| self.rules.check_nul(raw, &self.pieces)) {
            Ok(()) => sink.row(&Row {
                line,
                raw,
                pieces: &self.pieces,
                scratch: &[],
            }),
            Err(fault) => sink.refused(fault.of(line, raw)),
        }
    }

    fn split(&mut self, raw: &[u8]) {
        self.pieces.clear();
        let mut start = 0;
        for width in &self.widths {
            if start == raw.len() {
                return;
            }
            let end = start + characters(raw.get(start..).unwrap_or_default(), *width);
            let mut piece = self.rules.plain(raw, start, end);
            if self.is_padded_null(raw.get(start..end).unwrap_or_default()) {
                piece.value = Value::Null;
            }
            self.pieces.push(piece);
            start = end;
        }
        if start < raw.len() {
            self.pieces.push(Piece::new(start, raw.len(), Value::Raw));
        }
    }

    /// A field is as wide as it is: what stands for NULL is padded like any other value.
    fn is_padded_null(&self, field: &[u8]) -> bool {
        let null = &self.rules.null_as;
        !null.is_empty()
            && field
                .strip_prefix(null.as_slice())
                .is_some_and(|padding| padding.iter().all(|byte| *byte == b' '))
    }
}

/// How many bytes the first `width` characters take: a byte that continues a character belongs to the one before.
fn characters(text: &[u8], width: u32) -> usize {
    let width = width as usize;
    match text.get(..width) {
        Some(ascii)
            if ascii.is_ascii() && text.get(width).is_none_or(|next| next & 0xC0 != 0x80) =>
        {
            return width;
        }
        _ => {}
    }
    let begins = text
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte & 0xC0 != 0x80);
    // The first byte begins a character, whatever it is.
    let first_continues = text.first().is_some_and(|byte| byte & 0xC0 == 0x80);
    let skip = width.saturating_sub(usize::from(first_continues));
    begins.map(|(at, _)| at).nth(skip).unwrap_or(text.len())
}
