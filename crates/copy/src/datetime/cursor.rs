//! A text read from left to right, in the small pieces that dates and times are made of.

use super::calendar::Clock;
use crate::blank::is_space;

/// What is left of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Cursor<'a> {
        Cursor { rest }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.skip(1);
        }
        found
    }

    /// Skips white space; whether there was any.
    pub(crate) fn spaces(&mut self) -> bool {
        let count = self.rest.iter().take_while(|&&byte| is_space(byte)).count();
        self.skip(count);
        count > 0
    }

    /// How many digits come next.
    pub(crate) fn count_digits(&self) -> usize {
        self.rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    }

    /// A number of `least` to `most` (9 at most) digits; digits behind those are left.
    pub(crate) fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self.count_digits().min(most);
        if count < least || count == 0 {
            return None;
        }
        let digits = self.rest.get(..count)?;
        self.skip(count);
        Some(
            digits
                .iter()
                .fold(0, |value, digit| value * 10 + u32::from(digit - b'0')),
        )
    }

    /// The letters that come next.
    pub(crate) fn word(&mut self) -> &'a [u8] {
        let count = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let (word, rest) = self.rest.split_at(count);
        self.rest = rest;
        word
    }

    /// `.` or `,` and digits: microseconds, what is finer is cut. None of it: 0.
    pub(crate) fn fraction(&mut self) -> Option<u32> {
        if !matches!(self.peek(), Some(b'.' | b',')) {
            return Some(0);
        }
        self.skip(1);
        let count = self.count_digits();
        let micros = self.number(1, 6)?;
        self.skip(count.saturating_sub(6));
        let missing = 6_usize.saturating_sub(count);
        Some((0..missing).fold(micros, |micros, _| micros * 10))
    }

    /// `HH:MI[:SS[.ffffff]]`, the hour with one or two digits.
    pub(crate) fn clock(&mut self) -> Option<Clock> {
        let hour = self.number(1, 2)?;
        if !self.eat(b':') {
            return None;
        }
        let minute = self.number(2, 2)?;
        let (second, micros) = if self.eat(b':') {
            (self.number(2, 2)?, self.fraction()?)
        } else {
            (0, 0)
        };
        Clock::new(hour, minute, second, micros)
    }

    /// A time zone as minutes east of UTC: `Z`, an abbreviation, or `±HH`, `±HH:MI`, `±HHMI`.
    pub(crate) fn offset(&mut self) -> Option<i16> {
        let sign = match self.peek()? {
            b'+' => 1,
            b'-' => -1,
            _ => return zone(self.word()),
        };
        self.skip(1);
        let hours = self.number(1, 2)?;
        let colon = self.eat(b':');
        let minutes = if colon || self.count_digits() > 0 {
            self.number(2, 2)?
        } else {
            0
        };
        if minutes > 59 {
            return None;
        }
        i16::try_from(hours * 60 + minutes)
            .ok()
            .map(|minutes| sign * minutes)
    }
}

/// The abbreviations that mean one thing: UTC's names, those of North America and of western and central Europe
/// (as PostgreSQL's default set has them).
pub(crate) fn zone(word: &[u8]) -> Option<i16> {
    const ZONES: [(&[u8], i16); 16] = [
        (b"z", 0),
        (b"utc", 0),
        (b"gmt", 0),
        (b"ut", 0),
        (b"zulu", 0),
        (b"est", -5),
        (b"edt", -4),
        (b"cst", -6),
        (b"cdt", -5),
        (b"mst", -7),
        (b"mdt", -6),
        (b"pst", -8),
        (b"pdt", -7),
        (b"cet", 1),
        (b"cest", 2),
        (b"wet", 0),
    ];
    ZONES
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name))
        .map(|(_, hours)| hours * 60)
}

/// A month's number by its English name, in full or its first three letters (September's four, too), in any case.
pub(crate) fn month(word: &[u8]) -> Option<u32> {
    const MONTHS: [&[u8]; 12] = [
        b"january",
        b"february",
        b"march",
        b"april",
        b"may",
        b"june",
        b"july",
        b"august",
        b"september",
        b"october",
        b"november",
        b"december",
    ];
    let names = |full: &&[u8]| {
        let short = full.get(..3).unwrap_or_default();
        word.eq_ignore_ascii_case(full) || word.eq_ignore_ascii_case(short)
    };
    let at = match MONTHS.iter().position(names) {
        None if word.eq_ignore_ascii_case(b"sept") => 8,
        found => found?,
    };
    u32::try_from(at + 1).ok()
}

/// Whether it is a day of the week, which says nothing that the date does not.
pub(crate) fn is_weekday(word: &[u8]) -> bool {
    const DAYS: [&[u8]; 7] = [
        b"monday",
        b"tuesday",
        b"wednesday",
        b"thursday",
        b"friday",
        b"saturday",
        b"sunday",
    ];
    word.len() >= 3
        && DAYS.iter().any(|day| {
            day.get(..word.len())
                .is_some_and(|start| word.eq_ignore_ascii_case(start))
        })
}

/// `AM` is `Some(false)`, `PM` is `Some(true)`.
pub(crate) fn meridiem(word: &[u8]) -> Option<bool> {
    if word.eq_ignore_ascii_case(b"am") {
        Some(false)
    } else if word.eq_ignore_ascii_case(b"pm") {
        Some(true)
    } else {
        None
    }
}

/// An hour of the clock with twelve, made one of 24; one that needs no AM or PM may have the right one.
pub(crate) fn hour_of_day(hour: u32, afternoon: bool) -> Option<u32> {
    match (hour, afternoon) {
        (12, false) => Some(0),
        (1..=11, true) => Some(hour + 12),
        (0..=11, false) | (12..=23, true) => Some(hour),
        _ => None,
    }
}

/// A year of two digits: 1970 to 2069.
pub(crate) fn century(year: u32) -> u32 {
    if year < 70 { 2000 + year } else { 1900 + year }
}
