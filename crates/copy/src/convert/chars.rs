//! CHAR and VARCHAR: UTF-8, lengths in bytes, and the options that speak of text.
//!
//! In this order: white space at the end is cut (`TRIMBLANKS`); nothing left, or nothing but white space, may be
//! NULL (`EMPTYASNULL`, `BLANKSASNULL`); bytes that are not text are replaced or refused (`ACCEPTINVCHARS`); what is
//! too long is cut or refused (`TRUNCATECOLUMNS`).
//!
//! * Redshift's "Multibyte character load errors": number 1220, with the bytes in hexadecimal and a number of its own
//!   for what is wrong with them; CHAR holds single-byte characters only.
//! * Redshift's "Character types", "Significance of trailing blanks": of a text that is too long by spaces alone, the
//!   excess is cut silently.
//! * NUL is text in Redshift's eyes only as NULL (`NULL AS '\0'`); PostgreSQL cannot hold it: 1218 or 1220, and with
//!   `ACCEPTINVCHARS` it is replaced like every other byte that is no text.

use super::{Judged, Outcome, Refusal};
use crate::blank;
use crate::column::Kind;
use crate::error::ErrorCode;
use crate::options::CopyOptions;
use crate::text::{self, survey};
use std::str;

/// What a text column does with its fields.
#[derive(Clone, Debug)]
pub(super) struct Chars {
    /// In bytes.
    limit: usize,
    /// CHAR: single-byte characters only.
    single_byte: bool,
    truncate: bool,
    trim_blanks: bool,
    empty_as_null: bool,
    blanks_as_null: bool,
    replacement: Option<u8>,
    /// `NULL AS '\0'` stands in the options.
    nul_is_null: bool,
}

impl Chars {
    pub(super) fn new(kind: &Kind, options: &CopyOptions) -> Chars {
        let (limit, single_byte) = match kind {
            Kind::Char(limit) => (*limit as usize, true),
            Kind::Varchar(Some(limit)) => (*limit as usize, false),
            _ => (usize::MAX, false),
        };
        Chars {
            limit,
            single_byte,
            truncate: options.truncate_columns,
            trim_blanks: options.trim_blanks && !single_byte,
            empty_as_null: options.empty_is_null(),
            blanks_as_null: options.blanks_as_null,
            replacement: options.accept_inv_chars.filter(|_| !single_byte),
            nul_is_null: options.null_as == [0],
        }
    }

    pub(super) fn convert(&self, text: &[u8], out: &mut Vec<u8>) -> Judged {
        // Judged as it stands in the file: TRIMBLANKS would leave nothing to be blank.
        if self.blanks_as_null && !text.is_empty() && blank::is_blank(text) {
            return Ok(Outcome::Null);
        }
        let text = if self.trim_blanks {
            blank::trim_end(text)
        } else {
            text
        };
        if text.is_empty() {
            return Ok(if self.empty_as_null {
                Outcome::Null
            } else {
                Outcome::Written
            });
        }
        let seen = survey(text);
        if seen.plain && seen.ascii && text.len() <= self.limit {
            out.extend_from_slice(text);
            return Ok(Outcome::Written);
        }
        if !seen.plain && text.contains(&0) && self.replacement.is_none() {
            return Err(self.nul());
        }
        if !seen.ascii && self.single_byte {
            return Err(multibyte(text));
        }
        match (seen.ascii, self.replacement) {
            (true, None) => self.fit(text, true, out),
            (_, Some(replacement)) if invalid(text) => {
                self.fit(&replaced(text, replacement), false, out)
            }
            (true, Some(_)) => self.fit(text, true, out),
            (false, _) => match str::from_utf8(text) {
                Ok(_) => self.fit(text, false, out),
                Err(error) => Err(not_utf8(text, error)),
            },
        }
    }

    /// The limit in bytes, then out; `text` is UTF-8 without NUL.
    fn fit(&self, text: &[u8], ascii: bool, out: &mut Vec<u8>) -> Judged {
        let Some((kept, excess)) = text.split_at_checked(self.limit) else {
            text::escape(text, out);
            return Ok(Outcome::Written);
        };
        let kept = if excess.iter().all(|&byte| byte == b' ') {
            kept
        } else if self.truncate {
            whole_characters(text, kept.len(), ascii)
        } else {
            let reason = if self.single_byte {
                "Char length exceeds DDL length"
            } else {
                "String length exceeds DDL length"
            };
            return Err(Refusal::new(ErrorCode::RANGE, reason));
        };
        text::escape(kept, out);
        Ok(Outcome::Written)
    }

    fn nul(&self) -> Refusal {
        if self.nul_is_null {
            return Refusal::new(
                ErrorCode::NUL,
                "NULL AS '\\0' field with more than one byte",
            );
        }
        bad_sequence(&[0], 3)
    }
}

/// A value of a type that only the database knows: any text it can hold.
pub(super) fn pass_on(text: &[u8], out: &mut Vec<u8>) -> Judged {
    if text.contains(&0) {
        return Err(bad_sequence(&[0], 3));
    }
    str::from_utf8(text).map_err(|error| not_utf8(text, error))?;
    text::escape(text, out);
    Ok(Outcome::Written)
}

/// The longest beginning of at most so many bytes that ends with a character.
fn whole_characters(text: &[u8], most: usize, ascii: bool) -> &[u8] {
    let continues = |at: usize| text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let mut end = most;
    while !ascii && end > 0 && continues(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// Whether something must be replaced: NUL, what is not UTF-8, or a code point that is not a character.
fn invalid(text: &[u8]) -> bool {
    text.contains(&0)
        || match str::from_utf8(text) {
            Ok(text) => !text.is_ascii() && text.chars().any(is_noncharacter),
            Err(_) => true,
        }
}

/// U+FDD0–U+FDEF and the last two of each plane: Redshift loads them, and replaces them with `ACCEPTINVCHARS`.
fn is_noncharacter(char: char) -> bool {
    matches!(u32::from(char), 0xFDD0..=0xFDEF) || u32::from(char) & 0xFFFE == 0xFFFE
}

/// As many bytes as before, each invalid one replaced.
fn replaced(text: &[u8], replacement: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            if char == '\0' || is_noncharacter(char) {
                out.resize(out.len() + char.len_utf8(), replacement);
            } else {
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        out.resize(out.len() + chunk.invalid().len(), replacement);
    }
    out
}

/// The first character that CHAR cannot hold.
fn multibyte(text: &[u8]) -> Refusal {
    let start = text.iter().position(|byte| !byte.is_ascii()).unwrap_or(0);
    let rest = text.get(start..).unwrap_or_default();
    let length = rest
        .iter()
        .skip(1)
        .take_while(|&&byte| byte & 0xC0 == 0x80)
        .take(3)
        .count()
        + 1;
    Refusal::new(
        ErrorCode::UTF8,
        format!(
            "Multibyte character not supported for CHAR (Hint: Try using VARCHAR). Invalid char: {}",
            hexadecimal(rest.get(..length).unwrap_or(rest))
        ),
    )
}

/// Redshift's number for what is wrong with a byte sequence (its "Multibyte character load errors").
pub(super) fn not_utf8(text: &[u8], error: str::Utf8Error) -> Refusal {
    let rest = text.get(error.valid_up_to()..).unwrap_or_default();
    let [first, second, ..] = *rest else {
        return bad_sequence(rest, if matches!(rest, [0xC2..=0xF4]) { 2 } else { 3 });
    };
    let trailing = second & 0xC0 == 0x80;
    let number = match first {
        0x80..=0xBF | 0xFE | 0xFF => 3,
        0xF8..=0xFD => 1,
        _ if error.error_len().is_none() => 2,
        _ if !trailing => 4,
        0xED if second >= 0xA0 => 5,
        0xF5..=0xF7 => 8,
        0xF4 if second >= 0x90 => 8,
        0xC0 | 0xC1 => 9,
        0xE0 if second < 0xA0 => 9,
        0xF0 if second < 0x90 => 9,
        _ => 4,
    };
    let length = match number {
        3 => 1,
        5 | 8 | 9 => (first.leading_ones() as usize).clamp(2, 4),
        1 | 4 => error.error_len().unwrap_or(1) + 1,
        _ => rest.len(),
    };
    bad_sequence(rest.get(..length).unwrap_or(rest), number)
}

fn bad_sequence(bytes: &[u8], number: u8) -> Refusal {
    Refusal::new(
        ErrorCode::UTF8,
        format!(
            "String contains invalid or unsupported UTF-8 codepoints. Bad UTF-8 hex sequence: {} (error {number})",
            hexadecimal(bytes)
        ),
    )
}

fn hexadecimal(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}
