//! `TIMEFORMAT 'epochsecs'` and `'epochmillisecs'`: seconds or milliseconds after 1970-01-01 00:00:00 UTC, with a sign
//! and a fraction if need be; what is finer than a microsecond is cut.

use super::calendar::{Clock, Date, Moment};
use super::cursor::Cursor;

/// More digits than any year that can be written needs.
const MOST_DIGITS: usize = 17;
const DAY_SECONDS: i64 = 86_400;
const MICROS: i64 = 1_000_000;

pub(crate) fn read(text: &[u8], per_second: i64) -> Option<Moment> {
    let mut cursor = Cursor::new(text);
    let negative = cursor.eat(b'-');
    if !negative {
        cursor.eat(b'+');
    }
    let count = cursor.count_digits();
    if !(1..=MOST_DIGITS).contains(&count) {
        return None;
    }
    let digits = cursor.rest.get(..count)?;
    cursor.skip(count);
    let units = digits
        .iter()
        .fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    let millionths = i64::from(cursor.fraction()?);
    if !cursor.is_empty() {
        return None;
    }
    let scale = MICROS / per_second;
    let micros = units
        .checked_mul(scale)?
        .checked_add(millionths / per_second)?;
    moment(if negative { -micros } else { micros })
}

fn moment(micros: i64) -> Option<Moment> {
    let seconds = micros.div_euclid(MICROS);
    let fraction = micros.rem_euclid(MICROS);
    let of_day = u32::try_from(seconds.rem_euclid(DAY_SECONDS)).ok()?;
    Some(Moment {
        date: Some(Date::of_epoch_day(seconds.div_euclid(DAY_SECONDS))?),
        clock: Some(Clock::new(
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60,
            u32::try_from(fraction).ok()?,
        )?),
        offset: None,
    })
}
