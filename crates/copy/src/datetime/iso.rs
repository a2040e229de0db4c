//! The default formats: `YYYY-MM-DD`, `YYYY-MM-DD HH:MI:SS[.ffffff]`, for TIMESTAMPTZ with an offset.
//!
//! Strict where Redshift is: dates with ten characters, a space before the time. An ISO 8601 `T` needs
//! `TIMEFORMAT 'auto'`, as there.

use super::calendar::{Date, Moment, days_of_month};
use super::cursor::Cursor;

/// `YYYY-MM-DD`.
pub(crate) const DATE_BYTES: usize = 10;
/// `YYYY-MM-DD HH:MI:SS`.
const TIMESTAMP_BYTES: usize = 19;
/// A point and microseconds.
const FRACTION_BYTES: usize = 7;

/// Whether it begins with a valid date, without taking it apart further than that needs.
pub(crate) fn is_date(text: &[u8]) -> bool {
    let Some(&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]) = text.first_chunk::<DATE_BYTES>()
    else {
        return false;
    };
    let (Some(century), Some(year), Some(month), Some(day)) =
        (pair(y1, y2), pair(y3, y4), pair(m1, m2), pair(d1, d2))
    else {
        return false;
    };
    let year = u16::from(century) * 100 + u16::from(year);
    year > 0
        && day > 0
        && (day <= 28 || day <= days_of_month(year, month))
        && (1..=12).contains(&month)
}

/// Whether it is a whole timestamp of the common form: no offset, at most microseconds.
pub(crate) fn is_timestamp(text: &[u8]) -> bool {
    let Some((stamp, fraction)) = text.split_first_chunk::<TIMESTAMP_BYTES>() else {
        return false;
    };
    let Some((date, [b' ', h1, h2, b':', m1, m2, b':', s1, s2])) =
        stamp.split_first_chunk::<DATE_BYTES>()
    else {
        return false;
    };
    let below = |pair: Option<u8>, limit| pair.is_some_and(|number| number < limit);
    is_date(date)
        && below(pair(*h1, *h2), 24)
        && below(pair(*m1, *m2), 60)
        && below(pair(*s1, *s2), 60)
        && is_fraction(fraction)
}

fn is_fraction(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b'.', digits @ ..] => {
            !digits.is_empty()
                && text.len() <= FRACTION_BYTES
                && digits.iter().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

fn pair(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

/// A date, and a time that a DATE drops.
pub(crate) fn date(text: &[u8]) -> Option<Moment> {
    timestamp(text, true)
}

/// A date, then nothing or a time, then, where it is allowed, nothing or an offset.
pub(crate) fn timestamp(text: &[u8], zone: bool) -> Option<Moment> {
    let mut cursor = Cursor::new(text);
    let date = date_part(&mut cursor)?;
    let mut moment = Moment {
        date: Some(date),
        ..Moment::default()
    };
    if cursor.is_empty() {
        return Some(moment);
    }
    if !cursor.spaces() {
        return None;
    }
    moment.clock = Some(cursor.clock()?);
    finish(cursor, moment, zone)
}

/// A time, alone or behind a date, with or without an offset.
pub(crate) fn time(text: &[u8]) -> Option<Moment> {
    let mut cursor = Cursor::new(text);
    if date_part(&mut cursor).is_none() || !(cursor.spaces() || cursor.eat(b'T')) {
        cursor = Cursor::new(text);
    }
    let clock = cursor.clock()?;
    let moment = Moment {
        clock: Some(clock),
        ..Moment::default()
    };
    finish(cursor, moment, true)
}

fn date_part(cursor: &mut Cursor<'_>) -> Option<Date> {
    let year = cursor.number(4, 4).filter(|_| cursor.eat(b'-'))?;
    let month = cursor.number(2, 2).filter(|_| cursor.eat(b'-'))?;
    let day = cursor.number(2, 2)?;
    Date::new(year, month, day)
}

/// Nothing more, or an offset.
pub(crate) fn finish(mut cursor: Cursor<'_>, mut moment: Moment, zone: bool) -> Option<Moment> {
    cursor.spaces();
    if !cursor.is_empty() && zone {
        moment.offset = Some(cursor.offset()?);
    }
    cursor.is_empty().then_some(moment)
}
