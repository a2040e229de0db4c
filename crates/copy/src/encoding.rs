//! `ENCODING`: whatever a file is encoded in, what is behind this is UTF-8, or what was meant to be.
//!
//! A mark at a file's beginning is no text. `UTF16` needs one, to know which end of a character comes first; with
//! `UTF16LE` and `UTF16BE` one may be there, and must not be the other's. What is not Unicode (half a surrogate pair,
//! half a character at the file's end) becomes bytes that are not UTF-8, so that it is an error of its row and
//! `ACCEPTINVCHARS` speaks of it, not an error of the file.

use crate::{Encoding, ErrorCode, rows::json::push};

/// A file that cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (error {})", code.number)]
pub struct FileError {
    /// What kind of error.
    pub code: ErrorCode,
    /// What is wrong, for people.
    pub reason: String,
}

/// A byte that is nowhere in UTF-8.
const NOT_UTF8: u8 = 0xFF;

/// Decodes one file after the other.
pub(crate) struct Decoder {
    encoding: Encoding,
    state: State,
    /// The beginning of a file up to its mark, or a byte whose other half is still to come.
    held: Vec<u8>,
    /// The first half of a surrogate pair.
    high: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A mark may come.
    Beginning,
    Utf8,
    Utf16 {
        big: bool,
    },
}

impl Decoder {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Decoder {
            encoding,
            state: State::Beginning,
            held: Vec::new(),
            high: None,
        }
    }

    pub(crate) fn begin_file(&mut self) {
        self.state = State::Beginning;
        self.held.clear();
        self.high = None;
    }

    /// Whether bytes mean themselves from here on.
    #[inline]
    pub(crate) fn is_through(&self) -> bool {
        self.state == State::Utf8
    }

    /// Appends what `chunk` says to `into`.
    pub(crate) fn decode(&mut self, chunk: &[u8], into: &mut Vec<u8>) -> Result<(), FileError> {
        let mut chunk = chunk;
        while self.state == State::Beginning {
            let Some((first, rest)) = chunk.split_first() else {
                return Ok(());
            };
            self.held.push(*first);
            chunk = rest;
            self.begin(false, into)?;
        }
        self.units(chunk, into);
        Ok(())
    }

    /// Appends what is left at the file's end.
    pub(crate) fn end(&mut self, into: &mut Vec<u8>) -> Result<(), FileError> {
        if self.state == State::Beginning {
            self.begin(true, into)?;
        }
        if let Some(high) = self.high.take() {
            push(high, into);
        }
        if !self.held.is_empty() {
            self.held.clear();
            into.push(NOT_UTF8);
        }
        Ok(())
    }

    /// Looks for a mark in what is held, once there is enough of it.
    fn begin(&mut self, end_of_file: bool, into: &mut Vec<u8>) -> Result<(), FileError> {
        const UTF8: &[u8] = b"\xEF\xBB\xBF";
        const LITTLE: &[u8] = b"\xFF\xFE";
        const BIG: &[u8] = b"\xFE\xFF";
        if self.encoding == Encoding::Utf8 {
            if self.held.len() < UTF8.len() && UTF8.starts_with(&self.held) && !end_of_file {
                return Ok(());
            }
            self.state = State::Utf8;
            let held = std::mem::take(&mut self.held);
            into.extend_from_slice(held.strip_prefix(UTF8).unwrap_or(&held));
            return Ok(());
        }
        if self.held.len() < 2 && !end_of_file {
            return Ok(());
        }
        let mark = match self.held.as_slice() {
            LITTLE => Some(false),
            BIG => Some(true),
            _ => None,
        };
        let big = match (self.encoding, mark) {
            (Encoding::Utf16, Some(big)) => big,
            (Encoding::Utf16, None) if self.held.is_empty() => false,
            (Encoding::Utf16, None) => {
                return Err(wrong(
                    "ENCODING UTF16 needs a byte order mark at the file's beginning",
                ));
            }
            (Encoding::Utf16Le, Some(true)) => {
                return Err(wrong(
                    "ENCODING is UTF16LE, and the file's byte order mark says UTF16BE",
                ));
            }
            (Encoding::Utf16Be, Some(false)) => {
                return Err(wrong(
                    "ENCODING is UTF16BE, and the file's byte order mark says UTF16LE",
                ));
            }
            (encoding, _) => encoding == Encoding::Utf16Be,
        };
        self.state = State::Utf16 { big };
        let held = std::mem::take(&mut self.held);
        if mark.is_none() {
            self.units(&held, into);
        }
        Ok(())
    }

    fn units(&mut self, mut chunk: &[u8], into: &mut Vec<u8>) {
        let State::Utf16 { big } = self.state else {
            into.extend_from_slice(chunk);
            return;
        };
        let unit = |pair: [u8; 2]| {
            u32::from(if big {
                u16::from_be_bytes(pair)
            } else {
                u16::from_le_bytes(pair)
            })
        };
        if let (Some(first), Some((second, rest))) = (self.held.first(), chunk.split_first()) {
            let pair = [*first, *second];
            self.held.clear();
            self.unit(unit(pair), into);
            chunk = rest;
        }
        let (pairs, rest) = chunk.as_chunks::<2>();
        for pair in pairs {
            self.unit(unit(*pair), into);
        }
        self.held.extend_from_slice(rest);
    }

    #[inline]
    fn unit(&mut self, unit: u32, into: &mut Vec<u8>) {
        if let Some(high) = self.high.take() {
            if (0xDC00..0xE000).contains(&unit) {
                push(0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00), into);
                return;
            }
            push(high, into);
        }
        match unit {
            0xD800..0xDC00 => self.high = Some(unit),
            _ => push(unit, into),
        }
    }
}

fn wrong(reason: &str) -> FileError {
    FileError {
        code: ErrorCode::ENCODING,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Encoding, file, text or number of the error.
    type Case<'a> = (Encoding, &'a [u8], Result<&'a [u8], u16>);

    fn decoded(encoding: Encoding, file: &[u8], chunk: usize) -> Result<Vec<u8>, u16> {
        let mut decoder = Decoder::new(encoding);
        let mut text = Vec::new();
        // The second file is like the first.
        for _ in 0..2 {
            text.clear();
            decoder.begin_file();
            for chunk in file.chunks(chunk) {
                decoder
                    .decode(chunk, &mut text)
                    .map_err(|error| error.code.number)?;
            }
            decoder.end(&mut text).map_err(|error| error.code.number)?;
        }
        Ok(text)
    }

    #[test]
    fn marks() {
        use Encoding::{Utf8, Utf16, Utf16Be, Utf16Le};
        let table: &[Case<'_>] = &[
            (Utf8, b"", Ok(b"")),
            (Utf8, b"\xEF\xBB\xBFa", Ok(b"a")),
            (Utf8, b"\xEF\xBB", Ok(b"\xEF\xBB")),
            (Utf8, b"a\xEF\xBB\xBF", Ok(b"a\xEF\xBB\xBF")),
            (Utf8, b"\xEF\xBB\xBF\xEF\xBB\xBF", Ok(b"\xEF\xBB\xBF")),
            (Utf16, b"", Ok(b"")),
            (Utf16, b"\xFF\xFEa\0\n\0", Ok(b"a\n")),
            (Utf16, b"\xFE\xFF\0a\0\n", Ok(b"a\n")),
            (Utf16, b"a\0", Err(1221)),
            (Utf16, b"a", Err(1221)),
            (Utf16Le, b"a\0", Ok(b"a")),
            (Utf16Le, b"\xFF\xFEa\0", Ok(b"a")),
            (Utf16Le, b"\xFE\xFF\0a", Err(1221)),
            (Utf16Be, b"\0a", Ok(b"a")),
            (Utf16Be, b"\xFE\xFF\0a", Ok(b"a")),
            (Utf16Be, b"\xFF\xFEa\0", Err(1221)),
            // Halves are no text.
            (Utf16Le, b"a\0\x3D\xD8", Ok(b"a\xED\xA0\xBD")),
            (Utf16Le, b"\x00\xDEa\0", Ok(b"\xED\xB8\x80a")),
            (Utf16Le, b"a\0b", Ok(b"a\xFF")),
        ];
        for (encoding, file, expected) in table {
            for chunk in [1, 2, 3, 100] {
                let expected = expected.map(<[u8]>::to_vec);
                assert_eq!(
                    decoded(*encoding, file, chunk),
                    expected,
                    "{encoding:?} {file:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn text_comes_back(text in any::<String>(), chunk in 1..9_usize, mark in any::<bool>()) {
            let with_mark = if mark { format!("\u{FEFF}{text}") } else { format!("x{text}") };
            let little: Vec<u8> = with_mark.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = with_mark.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let expected = if mark { text } else { with_mark };
            let expected = Ok(expected.into_bytes());
            prop_assert_eq!(&decoded(Encoding::Utf16Le, &little, chunk), &expected);
            prop_assert_eq!(&decoded(Encoding::Utf16Be, &big, chunk), &expected);
            if mark {
                prop_assert_eq!(&decoded(Encoding::Utf16, &little, chunk), &expected);
                prop_assert_eq!(&decoded(Encoding::Utf16, &big, chunk), &expected);
            }
        }
    }
}
