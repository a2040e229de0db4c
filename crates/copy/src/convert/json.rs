//! JSON and JSONB, which stand for SUPER.
//!
//! A field must be one JSON text; anything else is refused with 1224, as Redshift refuses it for SUPER. Of a file of JSON
//! objects it is the value as it stands there, a string with its quotes, so that the string "1" does not become a number.
//!
//! Judged as strictly as JSONB does it: no `\u0000`, no half of a surrogate pair, no number that NUMERIC cannot hold;
//! nested at most [`MOST_LEVELS`] deep, as SUPER ("Limitations for using semistructured data").

use super::decimal::Written;
use super::{Judged, Outcome, Refusal, chars};
use crate::error::ErrorCode;
use crate::text;
use std::str;

/// Objects and arrays within each other.
const MOST_LEVELS: usize = 1000;

/// What a JSON column does with its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json;

impl Json {
    /// `text` has no blanks around it and is not empty.
    pub(super) fn convert(self, text: &[u8], out: &mut Vec<u8>) -> Judged {
        if let Err(error) = str::from_utf8(text) {
            return Err(chars::not_utf8(text, error));
        }
        match check(text) {
            Ok(()) => text::escape(text, out),
            Err(at) => {
                return Err(Refusal::new(
                    ErrorCode::JSON,
                    format!("Invalid JSON, Pos {at}, Type: Super"),
                ));
            }
        }
        Ok(Outcome::Written)
    }
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    /// A value, or the end of an array that has none.
    ValueOrEnd,
    /// A key, or the end of an object that has none.
    KeyOrEnd,
    Key,
    /// After a value.
    CommaOrEnd,
}

/// Whether it is one JSON text; else the position of what is wrong. Not recursive: depth is bounded, and no stack
/// depends on it.
fn check(text: &[u8]) -> Result<(), usize> {
    let mut at = 0;
    let mut levels = Levels::default();
    let mut expect = Expect::Value;
    loop {
        at = skip_spaces(text, at);
        let Some(&byte) = text.get(at) else {
            let whole = expect == Expect::CommaOrEnd && levels.depth == 0;
            return if whole { Ok(()) } else { Err(at) };
        };
        expect = match (expect, byte) {
            (Expect::Value | Expect::ValueOrEnd, b'{') if levels.push(true) => {
                at += 1;
                Expect::KeyOrEnd
            }
            (Expect::Value | Expect::ValueOrEnd, b'[') if levels.push(false) => {
                at += 1;
                Expect::ValueOrEnd
            }
            (Expect::KeyOrEnd | Expect::CommaOrEnd, b'}') if levels.pop(true) => {
                at += 1;
                Expect::CommaOrEnd
            }
            (Expect::ValueOrEnd | Expect::CommaOrEnd, b']') if levels.pop(false) => {
                at += 1;
                Expect::CommaOrEnd
            }
            (Expect::Value | Expect::ValueOrEnd, _) => {
                at = scalar(text, at)?;
                Expect::CommaOrEnd
            }
            (Expect::Key | Expect::KeyOrEnd, b'"') => {
                at = skip_spaces(text, string(text, at)?);
                if text.get(at) != Some(&b':') {
                    return Err(at);
                }
                at += 1;
                Expect::Value
            }
            (Expect::CommaOrEnd, b',') if levels.depth > 0 => {
                at += 1;
                if levels.in_object() {
                    Expect::Key
                } else {
                    Expect::Value
                }
            }
            _ => return Err(at),
        };
    }
}

/// Which of the open levels are objects, a bit for each.
struct Levels {
    depth: usize,
    objects: [u64; MOST_LEVELS.div_ceil(64)],
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            depth: 0,
            objects: [0; MOST_LEVELS.div_ceil(64)],
        }
    }
}

impl Levels {
    fn push(&mut self, object: bool) -> bool {
        if self.depth == MOST_LEVELS {
            return false;
        }
        let bit = 1 << (self.depth % 64);
        if let Some(word) = self.objects.get_mut(self.depth / 64) {
            *word = if object { *word | bit } else { *word & !bit };
        }
        self.depth += 1;
        true
    }

    fn pop(&mut self, object: bool) -> bool {
        let closes = self.depth > 0 && self.in_object() == object;
        if closes {
            self.depth -= 1;
        }
        closes
    }

    fn in_object(&self) -> bool {
        let top = self.depth.wrapping_sub(1);
        self.objects
            .get(top / 64)
            .is_some_and(|word| word >> (top % 64) & 1 == 1)
    }
}

fn skip_spaces(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

/// A string, number or word from `at` on; where it ends.
fn scalar(text: &[u8], at: usize) -> Result<usize, usize> {
    let rest = text.get(at..).unwrap_or_default();
    match rest.first() {
        Some(b'"') => string(text, at),
        Some(b'-' | b'0'..=b'9') => number(rest).map(|length| at + length).ok_or(at),
        _ => [&b"true"[..], b"false", b"null"]
            .iter()
            .find(|word| rest.starts_with(word))
            .map(|word| at + word.len())
            .ok_or(at),
    }
}

/// The length of the number at the beginning.
fn number(text: &[u8]) -> Option<usize> {
    let part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let length = text.iter().take_while(|byte| part(byte)).count();
    let text = text.get(..length)?;
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let leading_zero = matches!(unsigned, [b'0', b'0'..=b'9', ..]);
    let bare_point = unsigned.first() == Some(&b'.')
        || unsigned
            .windows(2)
            .any(|pair| matches!(pair, [b'.', b'e' | b'E']))
        || unsigned.last() == Some(&b'.');
    let signed_twice = matches!(unsigned.first(), Some(b'+' | b'-'));
    if leading_zero || bare_point || signed_twice {
        return None;
    }
    let number = Written::read(text, "", ErrorCode::JSON, ErrorCode::JSON).ok()?;
    number.fits_unlimited().then_some(length)
}

/// The end of the string that begins at `at`.
fn string(text: &[u8], at: usize) -> Result<usize, usize> {
    let mut at = at + 1;
    loop {
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape(text, at)?,
            Some(0..b' ') | None => return Err(at),
            Some(_) => at += 1,
        }
    }
}

/// The end of the escape that begins at `at`.
fn escape(text: &[u8], at: usize) -> Result<usize, usize> {
    match text.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match unit(text, at) {
            None | Some(0 | 0xDC00..=0xDFFF) => Err(at),
            Some(0xD800..=0xDBFF) => match unit(text, at + 6) {
                Some(0xDC00..=0xDFFF) => Ok(at + 12),
                _ => Err(at),
            },
            Some(_) => Ok(at + 6),
        },
        _ => Err(at),
    }
}

/// The code unit of `\uXXXX`.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix(br"\u")?;
    digits.iter().try_fold(0, |value, &digit| {
        Some(value * 16 + char::from(digit).to_digit(16)?)
    })
}
