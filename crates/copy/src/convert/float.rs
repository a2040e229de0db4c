//! REAL and DOUBLE PRECISION.
//!
//! A decimal number with or without an exponent, `NaN`, `inf` or `infinity` in any case; what the C library reads
//! beyond that (hexadecimal) is refused. A number that is too large, or so small that nothing but 0 would be left of
//! it, is out of range, as it is for PostgreSQL.

use super::decimal::Written;
use super::{Judged, Outcome, Refusal};
use crate::error::ErrorCode;
use std::str;

/// One of the floating-point types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Float {
    Real,
    Double,
}

/// A number of so many bytes without an exponent is in range of either type: at least 1e-35, at most 1e36.
const SAFE_BYTES: usize = 36;

impl Float {
    /// `text` has no blanks around it and is not empty.
    pub(super) fn convert(self, text: &[u8], out: &mut Vec<u8>) -> Judged {
        let number = match Written::read(text, self.name(), ErrorCode::FLOAT, ErrorCode::FLOAT) {
            Ok(number) => number,
            Err(_) if is_special(text) => {
                out.extend_from_slice(text);
                return Ok(Outcome::Written);
            }
            Err(refusal) => return Err(refusal),
        };
        let safe = text.len() <= SAFE_BYTES && !number.has_exponent();
        if safe || number.is_zero() || self.in_range(text) {
            self.write(text, number, out);
            return Ok(Outcome::Written);
        }
        Err(Refusal::new(
            ErrorCode::RANGE,
            format!("Overflow, Type: {}", self.name()),
        ))
    }

    /// Zero with a giant exponent is 0 here and an error to some C libraries.
    fn write(self, text: &[u8], number: Written<'_>, out: &mut Vec<u8>) {
        if number.has_exponent() && number.is_zero() {
            out.push(b'0');
        } else {
            out.extend_from_slice(text);
        }
    }

    /// The number is not zero: neither may what it becomes.
    fn in_range(self, text: &[u8]) -> bool {
        let Ok(text) = str::from_utf8(text) else {
            return false;
        };
        match self {
            Float::Real => text
                .parse()
                .is_ok_and(|value: f32| value.is_finite() && value != 0.0),
            Float::Double => text
                .parse()
                .is_ok_and(|value: f64| value.is_finite() && value != 0.0),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Float::Real => "Float",
            Float::Double => "Double",
        }
    }
}

fn is_special(text: &[u8]) -> bool {
    let unsigned = match text.split_first() {
        Some((b'+' | b'-', rest)) => rest,
        _ => text,
    };
    text.eq_ignore_ascii_case(b"nan")
        || unsigned.eq_ignore_ascii_case(b"inf")
        || unsigned.eq_ignore_ascii_case(b"infinity")
}
