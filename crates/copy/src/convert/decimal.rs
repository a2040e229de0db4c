//! NUMERIC(precision, scale).
//!
//! Digits beyond the scale are **cut** (Redshift's default, PostgreSQL would round) or, with `ROUNDEC`, rounded half
//! away from zero. An exponent is read too: serializers write large and small numbers of JSON so, and its meaning is
//! plain. `NaN` and infinity are no decimals of Redshift's.

use super::integer::{invalid_byte, invalid_digit};
use super::{Judged, Outcome, Refusal};
use crate::error::ErrorCode;

/// What PostgreSQL's NUMERIC holds at most before and after the point ("Numeric Types").
const MOST_WHOLE_DIGITS: i64 = 131_072;
const MOST_FRACTION_DIGITS: i64 = 16_383;

/// Exponents are read up to here; beyond it a number is out of every range, or nothing, all the same.
const EXPONENT_LIMIT: i64 = 1_000_000_000;

/// What a NUMERIC column does with its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    limits: Option<Limits>,
    round: bool,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    precision: i64,
    scale: i64,
}

/// A number as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: Option<i64>,
}

/// A number as its digits from the first that is not 0: 0.`digits` × 10^`point`.
#[derive(Clone, Copy, Debug)]
struct Digits<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    point: i64,
}

impl Decimal {
    pub(super) fn new(limits: Option<(u32, i32)>, round: bool) -> Decimal {
        let limits = limits.map(|(precision, scale)| Limits {
            precision: precision.into(),
            scale: scale.into(),
        });
        Decimal { limits, round }
    }

    /// `text` has no blanks around it and is not empty.
    pub(super) fn convert(self, text: &[u8], out: &mut Vec<u8>) -> Judged {
        let number = Written::read(text, "Decimal", ErrorCode::DIGIT, ErrorCode::DECIMAL)?;
        match self.limits {
            Some(limits) => limits.convert(text, number, self.round, out),
            None if number.fits_unlimited() => {
                out.extend_from_slice(text);
                Ok(Outcome::Written)
            }
            None => Err(Refusal::new(ErrorCode::RANGE, "Overflow for NUMERIC")),
        }
    }
}

impl Limits {
    fn convert(self, text: &[u8], number: Written<'_>, round: bool, out: &mut Vec<u8>) -> Judged {
        let digits = number.digits();
        if number.exponent.is_none()
            && number.fraction.len() as i64 <= self.scale
            && digits.point <= self.precision - self.scale
        {
            out.extend_from_slice(text);
            return Ok(Outcome::Written);
        }
        // How many of the digits remain; what follows them is cut or decides the rounding.
        let kept = digits.point.saturating_add(self.scale);
        let up = round && digits.get(kept) >= b'5';
        let magnitude = digits.point + i64::from(up && digits.all_nines(kept));
        if digits.is_zero() || (kept < 0 || (kept == 0 && !up)) {
            out.push(b'0');
            return Ok(Outcome::Written);
        }
        if magnitude > self.precision - self.scale {
            return Err(self.overflow());
        }
        if number.negative {
            out.push(b'-');
        }
        let start = out.len();
        digits.write(kept, out);
        if up {
            add_one(start, self.zeros_behind(), out);
        }
        Ok(Outcome::Written)
    }

    /// Zeros that a negative scale leaves before the point.
    fn zeros_behind(self) -> usize {
        usize::try_from(-self.scale).unwrap_or(0)
    }

    fn overflow(self) -> Refusal {
        Refusal::new(
            ErrorCode::RANGE,
            format!("Overflow for NUMERIC({},{})", self.precision, self.scale),
        )
    }
}

impl<'a> Written<'a> {
    /// Sign, digits with a point among them or at either end, exponent; at least one digit.
    pub(super) fn read(
        text: &'a [u8],
        name: &str,
        digit: ErrorCode,
        format: ErrorCode,
    ) -> Result<Written<'a>, Refusal> {
        let bad = |at| Refusal {
            code: digit,
            ..invalid_byte(text, at, name)
        };
        let (negative, unsigned) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, text),
        };
        let (whole, rest) = digits_of(unsigned);
        let (fraction, rest) = match rest.split_first() {
            Some((b'.', rest)) => digits_of(rest),
            _ => (&rest[..0], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(Refusal {
                code: digit,
                ..invalid_digit(text, name)
            });
        }
        let exponent = match rest.split_first() {
            None => None,
            Some((b'e' | b'E', power)) => {
                let Some(power) = exponent_of(power) else {
                    return Err(Refusal::new(
                        format,
                        format!("Invalid exponent, Type: {name}"),
                    ));
                };
                Some(power)
            }
            Some(_) => return Err(bad(text.len() - rest.len())),
        };
        Ok(Written {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    /// Whether PostgreSQL's NUMERIC without limits can hold it.
    pub(super) fn fits_unlimited(self) -> bool {
        let exponent = self.exponent.unwrap_or(0);
        let digits = self.digits();
        digits.point <= MOST_WHOLE_DIGITS
            && exponent <= MOST_WHOLE_DIGITS
            && self.fraction.len() as i64 - exponent <= MOST_FRACTION_DIGITS
    }

    /// Whether every digit is 0.
    pub(super) fn is_zero(self) -> bool {
        self.digits().is_zero()
    }

    pub(super) fn has_exponent(self) -> bool {
        self.exponent.is_some()
    }

    fn digits(self) -> Digits<'a> {
        let whole = without_zeros(self.whole);
        let exponent = self.exponent.unwrap_or(0);
        if !whole.is_empty() {
            return Digits {
                whole,
                fraction: self.fraction,
                point: whole.len() as i64 + exponent,
            };
        }
        let fraction = without_zeros(self.fraction);
        let zeros = self.fraction.len() - fraction.len();
        Digits {
            whole,
            fraction,
            point: if fraction.is_empty() {
                // Zero is smaller than everything, whatever its exponent.
                -EXPONENT_LIMIT
            } else {
                exponent - zeros as i64
            },
        }
    }
}

impl Digits<'_> {
    fn len(&self) -> i64 {
        (self.whole.len() + self.fraction.len()) as i64
    }

    fn is_zero(&self) -> bool {
        self.len() == 0
    }

    /// The digit at an index; beyond either end there are zeros.
    fn get(&self, at: i64) -> u8 {
        let Ok(at) = usize::try_from(at) else {
            return b'0';
        };
        let found = match at.checked_sub(self.whole.len()) {
            None => self.whole.get(at),
            Some(at) => self.fraction.get(at),
        };
        found.copied().unwrap_or(b'0')
    }

    fn all_nines(&self, count: i64) -> bool {
        count <= self.len() && (0..count).all(|at| self.get(at) == b'9')
    }

    /// Appends the number with its first `kept` digits, without an exponent. Bounded by the column's limits: the
    /// point lies within its precision.
    fn write(&self, kept: i64, out: &mut Vec<u8>) {
        let digit = |at| if at < kept { self.get(at) } else { b'0' };
        if self.point <= 0 {
            out.push(b'0');
        }
        out.extend((0..self.point).map(digit));
        // Zeros behind the last digit say nothing, but a digit that is rounded up must be there.
        if kept > self.point {
            out.push(b'.');
            out.extend((self.point..kept).map(digit));
        }
    }
}

/// Adds one to the last digit from `start` on that is not among the `zeros` at the end.
fn add_one(start: usize, zeros: usize, out: &mut Vec<u8>) {
    let end = out.len().saturating_sub(zeros);
    let digits = out.get_mut(start..end).unwrap_or_default();
    for byte in digits.iter_mut().rev() {
        match *byte {
            b'.' => {}
            b'9' => *byte = b'0',
            _ => {
                *byte += 1;
                return;
            }
        }
    }
    // Every digit was a 9, or there was none: one more in front.
    out.insert(start, b'1');
}

fn digits_of(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

fn exponent_of(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = (value * 10 + i64::from(byte - b'0')).min(EXPONENT_LIMIT);
    }
    Some(if negative { -value } else { value })
}
