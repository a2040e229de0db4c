//! Days, times of day, and how they are written for PostgreSQL.

use super::Target;

/// A day of the Gregorian calendar, valid, from 4713 BC to AD 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    /// Counted within its era.
    year: u16,
    before_christ: bool,
    month: u8,
    day: u8,
}

/// A time of day, valid: at most 24:00:00; a second of 60 is taken as PostgreSQL takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) micros: u32,
}

/// What a field says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) date: Option<Date>,
    pub(crate) clock: Option<Clock>,
    /// Minutes east of UTC.
    pub(crate) offset: Option<i16>,
}

/// The last year that is written with four digits.
pub(crate) const LAST_YEAR: u16 = 9999;
/// PostgreSQL's calendar begins in it.
const FIRST_YEAR_BC: u16 = 4713;
/// PostgreSQL: less than 16 hours either way.
const MOST_OFFSET: i16 = 16 * 60 - 1;
/// The Julian day of 1970-01-01.
const JULIAN_EPOCH: i64 = 2_440_588;

pub(crate) fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

pub(crate) fn days_of_month(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 0,
    }
}

impl Date {
    pub(crate) fn new(year: u32, month: u32, day: u32) -> Option<Date> {
        Date::of_era(year, false, month, day)
    }

    pub(crate) fn of_era(year: u32, before_christ: bool, month: u32, day: u32) -> Option<Date> {
        let year = u16::try_from(year).ok()?;
        let month = u8::try_from(month).ok()?;
        let day = u8::try_from(day).ok()?;
        let last = if before_christ {
            FIRST_YEAR_BC
        } else {
            LAST_YEAR
        };
        // 1 BC is the year 0 of the leap years' rule, 5 BC is -4.
        let counted = if before_christ {
            // Only its remainder by 400 matters, and that of 1 - year is that of 12 × 400 + 1 - year.
            4801_u16.checked_sub(year)?
        } else {
            year
        };
        let valid =
            (1..=last).contains(&year) && (1..=days_of_month(counted, month)).contains(&day);
        valid.then_some(Date {
            year,
            before_christ,
            month,
            day,
        })
    }

    /// The `day`th day of a year.
    pub(crate) fn of_year(year: u32, day: u32) -> Option<Date> {
        let counted = u16::try_from(year).ok()?;
        let mut rest = day;
        for month in 1..=12 {
            let days = u32::from(days_of_month(counted, month));
            if rest <= days {
                return Date::new(year, month.into(), rest);
            }
            rest -= days;
        }
        None
    }

    pub(crate) fn of_julian(day: i64) -> Option<Date> {
        Date::of_epoch_day(day.checked_sub(JULIAN_EPOCH)?)
    }

    /// So many days after 1970-01-01. Counted from 1 March of a year 0, eras of 400 years, in which leap days fall
    /// at the end of a year.
    pub(crate) fn of_epoch_day(day: i64) -> Option<Date> {
        const ERA: i64 = 146_097;
        let shifted = day.checked_add(719_468)?;
        let era = shifted.div_euclid(ERA);
        let of_era = shifted.rem_euclid(ERA);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = era
            .checked_mul(400)?
            .checked_add(year_of_era + i64::from(month <= 2))?;
        let before_christ = year <= 0;
        let year = if before_christ { 1 - year } else { year };
        Date::of_era(
            year.try_into().ok()?,
            before_christ,
            month.try_into().ok()?,
            day.try_into().ok()?,
        )
    }

    fn write(self, out: &mut Vec<u8>) {
        two(out, self.year / 100);
        two(out, self.year % 100);
        out.push(b'-');
        two(out, self.month.into());
        out.push(b'-');
        two(out, self.day.into());
    }
}

impl Clock {
    pub(crate) fn new(hour: u32, minute: u32, second: u32, micros: u32) -> Option<Clock> {
        let exact = micros == 0;
        let valid = (hour < 24 || (hour == 24 && minute == 0 && second == 0 && exact))
            && minute < 60
            && (second < 60 || (second == 60 && exact))
            && micros < 1_000_000;
        valid.then_some(Clock {
            hour: u8::try_from(hour).ok()?,
            minute: u8::try_from(minute).ok()?,
            second: u8::try_from(second).ok()?,
            micros,
        })
    }

    fn write(self, out: &mut Vec<u8>) {
        two(out, self.hour.into());
        out.push(b':');
        two(out, self.minute.into());
        out.push(b':');
        two(out, self.second.into());
        if self.micros > 0 {
            out.push(b'.');
            for power in [100_000, 10_000, 1000, 100, 10, 1] {
                out.push(digit(self.micros / power));
            }
        }
    }
}

impl Moment {
    /// Whether it says what the column needs, with what may be missing filled in.
    pub(crate) fn whole(self, target: Target) -> Option<Moment> {
        let offset = self.offset.unwrap_or(0);
        if !(-MOST_OFFSET..=MOST_OFFSET).contains(&offset) {
            return None;
        }
        let said = match target {
            Target::Date => self.date.is_some(),
            Target::Time { .. } => self.clock.is_some(),
            // The first hours of the calendar are not a time stamp everywhere on Earth.
            Target::Timestamp { .. } => self
                .date
                .is_some_and(|date| !(date.before_christ && date.year == FIRST_YEAR_BC)),
        };
        said.then_some(self)
    }

    /// Appends what [`Moment::whole`] allowed.
    pub(crate) fn write(self, target: Target, out: &mut Vec<u8>) {
        let clock = self.clock.unwrap_or_default();
        let (date, time, zone) = match target {
            Target::Date => (true, false, false),
            Target::Time { zone } => (false, true, zone),
            Target::Timestamp { zone } => (true, true, zone),
        };
        let date = self.date.filter(|_| date);
        if let Some(date) = date {
            date.write(out);
            if time {
                out.push(b' ');
            }
        }
        if time {
            clock.write(out);
        }
        if zone {
            let offset = self.offset.unwrap_or(0);
            out.push(if offset < 0 { b'-' } else { b'+' });
            two(out, offset.unsigned_abs() / 60);
            if offset % 60 != 0 {
                out.push(b':');
                two(out, offset.unsigned_abs() % 60);
            }
        }
        if date.is_some_and(|date| date.before_christ) {
            out.extend_from_slice(b" BC");
        }
    }
}

fn two(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&[digit(u32::from(number) / 10), digit(number.into())]);
}

/// The last decimal digit.
fn digit(number: u32) -> u8 {
    b"0123456789"[(number % 10) as usize]
}
