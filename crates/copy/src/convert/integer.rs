//! SMALLINT, INTEGER, BIGINT.
//!
//! Digits with a sign, nothing else: Redshift refuses `1.0` in an integer column ("Invalid digit, Value '.', Pos 1,
//! Type: Integer", seen in many users' `STL_LOAD_ERRORS`), from JSON too, where a number is its text. We do the same:
//! cutting `1.9` to 1 would lose data without a word.

use super::{Judged, Outcome, Refusal};
use crate::error::ErrorCode;

/// One of the integer types.
#[derive(Clone, Copy, Debug)]
pub(super) struct Integer {
    name: &'static str,
    least: i64,
    most: i64,
}

impl Integer {
    pub(super) const SMALL: Integer = Integer::new("Short", i16::MIN as i64, i16::MAX as i64);
    pub(super) const INTEGER: Integer = Integer::new("Integer", i32::MIN as i64, i32::MAX as i64);
    pub(super) const BIG: Integer = Integer::new("Long", i64::MIN, i64::MAX);

    const fn new(name: &'static str, least: i64, most: i64) -> Integer {
        Integer { name, least, most }
    }

    /// `text` has no blanks around it and is not empty.
    pub(super) fn convert(self, text: &[u8], out: &mut Vec<u8>) -> Judged {
        let (negative, digits) = match text.split_first() {
            Some((b'-', digits)) => (true, digits),
            Some((b'+', digits)) => (false, digits),
            _ => (false, text),
        };
        let mut value: i64 = 0;
        let mut overflow = digits.is_empty();
        for &byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(invalid_digit(text, self.name));
            }
            // Counted downwards: the least number has no positive counterpart.
            let next = value
                .checked_mul(10)
                .and_then(|tens| tens.checked_sub(i64::from(digit)));
            overflow |= next.is_none();
            value = next.unwrap_or_default();
        }
        if digits.is_empty() {
            return Err(invalid_digit(text, self.name));
        }
        let value = if negative {
            Some(value)
        } else {
            value.checked_neg()
        };
        match value {
            Some(value) if !overflow && (self.least..=self.most).contains(&value) => {
                out.extend_from_slice(text);
                Ok(Outcome::Written)
            }
            _ => Err(Refusal::new(
                ErrorCode::RANGE,
                format!(
                    "Overflow ({} valid range {} to {})",
                    self.name, self.least, self.most
                ),
            )),
        }
    }
}

/// Redshift's words for the first byte that is no digit (of a sign alone: the sign).
pub(super) fn invalid_digit(text: &[u8], name: &str) -> Refusal {
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')) && text.len() > 1);
    let at = text
        .iter()
        .skip(sign)
        .position(|byte| !byte.is_ascii_digit())
        .map_or(0, |at| at + sign);
    invalid_byte(text, at, name)
}

/// Redshift's words for a byte that may not stand where it stands.
pub(super) fn invalid_byte(text: &[u8], at: usize, name: &str) -> Refusal {
    let found = text.get(at).copied().unwrap_or_default();
    Refusal::new(
        ErrorCode::DIGIT,
        format!(
            "Invalid digit, Value '{}', Pos {at}, Type: {name}",
            found.escape_ascii()
        ),
    )
}
