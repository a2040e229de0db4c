//! `DATEFORMAT 'auto'` and `TIMEFORMAT 'auto'`: Redshift's "Using automatic recognition with DATEFORMAT and
//! TIMEFORMAT", and the formats of its "DATEFORMAT and TIMEFORMAT strings".
//!
//! A value is a sequence of words; each says by its form what it is, and none may say twice what another has said:
//!
//! | word | is |
//! |---|---|
//! | `1996-01-08`, `1996/1/8`, `1996.01.08` | year, month, day |
//! | `12/17/1997`, `12-17-97`, `12.17.1997` | month, day, year; day first where the other reading is no date |
//! | `Jan-08-1995`, `08-JAN-95` | a month by its name |
//! | `19960108`, `960108`, `1996.008`, `J2451187` | without separators; day of the year; Julian day |
//! | `March 31, 2003`, `17 Dec … 1997` | a month's name, a day, a year as words |
//! | `04:05:06.789`, `04:05`, `040809` (behind a date) | time |
//! | `AM`, `PM`, `BC`, `AD`, a weekday | |
//! | `Z`, `PST`, `+02:00`, `-08` (behind a time) | time zone |
//!
//! A number of seconds since 1970 is never recognized, as in Redshift.

use super::calendar::{Clock, Date, Moment};
use super::cursor::{self, Cursor};

/// What the words have said.
#[derive(Default)]
struct Found {
    date: Option<Date>,
    /// A date by separate words, or one whose era is still to be said.
    year: Option<Year>,
    month: Option<u32>,
    day: Option<u32>,
    clock: Option<Clock>,
    offset: Option<i16>,
    afternoon: Option<bool>,
    before_christ: Option<bool>,
}

/// A year as written: one of two digits has no century yet.
#[derive(Clone, Copy)]
struct Year {
    number: u32,
    digits: usize,
}

pub(crate) fn read(text: &[u8]) -> Option<Moment> {
    let mut cursor = Cursor::new(text);
    let mut found = Found::default();
    while !cursor.is_empty() {
        found.word(&mut cursor)?;
        // Commas separate words as spaces do.
        while cursor.spaces() || cursor.eat(b',') {}
    }
    found.moment()
}

impl Found {
    fn word(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        match cursor.peek()? {
            b'0'..=b'9' => self.number(cursor),
            b'+' | b'-' if self.clock.is_some() => set(&mut self.offset, cursor.offset()?),
            byte if byte.is_ascii_alphabetic() => self.letters(cursor),
            _ => None,
        }
    }

    fn letters(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let word = cursor.word();
        if word.eq_ignore_ascii_case(b"j") && cursor.count_digits() > 0 {
            let day = cursor.number(1, 8)?;
            return set(&mut self.date, Date::of_julian(day.into())?);
        }
        if word.eq_ignore_ascii_case(b"t") && self.has_date() && self.clock.is_none() {
            return self.time(cursor);
        }
        if let Some(month) = cursor::month(word) {
            return match cursor.peek() {
                Some(separator @ (b'-' | b'/' | b'.')) if self.day.is_none() => {
                    cursor.skip(1);
                    let day = cursor.number(1, 2)?;
                    cursor.eat(separator).then_some(())?;
                    self.of_parts(year(cursor)?, month, day)
                }
                _ => {
                    cursor.eat(b'.');
                    set(&mut self.month, month)
                }
            };
        }
        if let Some(afternoon) = cursor::meridiem(word) {
            return set(&mut self.afternoon, afternoon);
        }
        if let Some(offset) = cursor::zone(word).filter(|_| self.clock.is_some()) {
            return set(&mut self.offset, offset);
        }
        if word.eq_ignore_ascii_case(b"bc") {
            return set(&mut self.before_christ, true);
        }
        if word.eq_ignore_ascii_case(b"ad") {
            return set(&mut self.before_christ, false);
        }
        cursor::is_weekday(word).then_some(())
    }

    fn number(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let count = cursor.count_digits();
        let behind = cursor.rest.get(count).copied();
        match (behind, count) {
            (Some(b':'), 1 | 2) => set(&mut self.clock, cursor.clock()?),
            (Some(separator @ (b'-' | b'/' | b'.')), _) if !self.has_date() => {
                self.separated(cursor, separator)
            }
            (_, 8) if !self.has_date() => {
                let year = year_of(cursor.number(4, 4)?, 4);
                let month = cursor.number(2, 2)?;
                self.of_parts(year, month, cursor.number(2, 2)?)
            }
            (_, 6) if !self.has_date() => {
                let year = year_of(cursor.number(2, 2)?, 2);
                let month = cursor.number(2, 2)?;
                self.of_parts(year, month, cursor.number(2, 2)?)
            }
            (_, 6) => self.time(cursor),
            (_, 1 | 2) if self.day.is_none() => {
                let day = cursor.number(1, 2)?;
                // `08-JAN-1995` was taken above; here is `17 Dec …`, and `31st` is not read.
                self.day = Some(day);
                Some(())
            }
            (_, 2 | 4) if self.year.is_none() => {
                self.year = Some(year_of(cursor.number(count, count)?, count));
                Some(())
            }
            _ => None,
        }
    }

    /// A date with separators, beginning with a number.
    fn separated(&mut self, cursor: &mut Cursor<'_>, separator: u8) -> Option<()> {
        let digits = cursor.count_digits();
        let first = cursor.number(1, 4)?;
        cursor.eat(separator).then_some(())?;
        if digits == 4 {
            if separator == b'.' && cursor.count_digits() == 3 {
                let day = cursor.number(3, 3)?;
                return set(&mut self.date, Date::of_year(first, day)?);
            }
            let month = match cursor.count_digits() {
                0 => cursor::month(cursor.word())?,
                _ => cursor.number(1, 2)?,
            };
            cursor.eat(separator).then_some(())?;
            return self.of_parts(year_of(first, 4), month, cursor.number(1, 2)?);
        }
        if digits > 2 {
            return None;
        }
        if cursor.count_digits() == 0 {
            let month = cursor::month(cursor.word())?;
            cursor.eat(separator).then_some(())?;
            return self.of_parts(year(cursor)?, month, first);
        }
        let second = cursor.number(1, 2)?;
        cursor.eat(separator).then_some(())?;
        let year = year(cursor)?;
        if first > 12 && second <= 12 {
            self.of_parts(year, second, first)
        } else {
            self.of_parts(year, first, second)
        }
    }

    fn of_parts(&mut self, year: Year, month: u32, day: u32) -> Option<()> {
        set(&mut self.year, year)?;
        set(&mut self.month, month)?;
        set(&mut self.day, day)
    }

    /// A time behind a date: with colons, or `HHMISS`.
    fn time(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        if cursor.count_digits() != 6 {
            return set(&mut self.clock, cursor.clock()?);
        }
        let hour = cursor.number(2, 2)?;
        let minute = cursor.number(2, 2)?;
        let second = cursor.number(2, 2)?;
        let clock = Clock::new(hour, minute, second, cursor.fraction()?)?;
        set(&mut self.clock, clock)
    }

    fn has_date(&self) -> bool {
        self.date.is_some() || (self.year.is_some() && self.month.is_some() && self.day.is_some())
    }

    fn moment(self) -> Option<Moment> {
        let parts = (self.year, self.month, self.day);
        let date = match (self.date, parts) {
            (Some(date), (None, None, None)) if self.before_christ.is_none() => date,
            (None, (Some(year), Some(month), Some(day))) => {
                let before_christ = self.before_christ == Some(true);
                // With an era the year is meant as it is written.
                let century = year.digits == 2 && self.before_christ.is_none();
                let number = if century {
                    cursor::century(year.number)
                } else {
                    year.number
                };
                Date::of_era(number, before_christ, month, day)?
            }
            _ => return None,
        };
        let clock = match (self.clock, self.afternoon) {
            (Some(clock), Some(afternoon)) => {
                let hour = cursor::hour_of_day(clock.hour.into(), afternoon)?;
                Some(Clock {
                    hour: hour.try_into().ok()?,
                    ..clock
                })
            }
            (None, Some(_)) => return None,
            (clock, None) => clock,
        };
        Some(Moment {
            date: Some(date),
            clock,
            offset: self.offset,
        })
    }
}

/// Two or four digits.
fn year(cursor: &mut Cursor<'_>) -> Option<Year> {
    let digits = cursor.count_digits();
    matches!(digits, 2 | 4).then_some(())?;
    Some(year_of(cursor.number(digits, digits)?, digits))
}

fn year_of(number: u32, digits: usize) -> Year {
    Year { number, digits }
}

/// Says something that has not been said yet.
fn set<T>(place: &mut Option<T>, value: T) -> Option<()> {
    if place.is_some() {
        return None;
    }
    *place = Some(value);
    Some(())
}
