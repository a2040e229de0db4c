//! `DATEFORMAT 'format'` and `TIMEFORMAT 'format'`.
//!
//! ```text
//! YYYY YY · MM · MON MONTH · DD · DDD · HH HH24 (the same in COPY) · HH12 · MI · SS (a fraction may follow)
//! AM PM · OF TZ · DAY DY · T and Z, digits and signs: themselves · "…": itself · space: any white space
//! ```
//!
//! Parts in upper or lower case; longest first, so `MON` is no `MO`. Numbers may lack their leading zero where a
//! separator follows. `SS.SSS`, `SS.US` and the like mean `SS`. A TIMESTAMPTZ may end with an offset whether or not
//! the format says so, and a time behind a DATE whose format has none is dropped.

use super::calendar::{Clock, Date, Moment};
use super::cursor::{self, Cursor};
use super::iso;

/// The longest format.
const MOST_BYTES: usize = 128;

/// A format, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
    has_clock: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Year,
    ShortYear,
    Month,
    MonthName,
    Day,
    DayOfYear,
    Hour,
    HourOfTwelve,
    Minute,
    Second,
    Meridiem,
    Offset,
    Weekday,
    Space,
    Literal(u8),
}

/// Names, the longer before what they begin with.
const NAMES: [(&[u8], Part); 20] = [
    (b"yyyy", Part::Year),
    (b"yy", Part::ShortYear),
    (b"month", Part::MonthName),
    (b"mon", Part::MonthName),
    (b"mm", Part::Month),
    (b"mi", Part::Minute),
    (b"ddd", Part::DayOfYear),
    (b"dd", Part::Day),
    (b"day", Part::Weekday),
    (b"dy", Part::Weekday),
    (b"hh24", Part::Hour),
    (b"hh12", Part::HourOfTwelve),
    (b"hh", Part::Hour),
    (b"ss", Part::Second),
    (b"am", Part::Meridiem),
    (b"pm", Part::Meridiem),
    (b"of", Part::Offset),
    (b"tz", Part::Offset),
    (b"t", Part::Literal(b'T')),
    (b"z", Part::Literal(b'Z')),
];

/// What has been read so far.
#[derive(Default)]
struct Seen {
    year: Option<u32>,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    hour: Option<u32>,
    twelve: bool,
    minute: u32,
    second: u32,
    micros: u32,
    afternoon: Option<bool>,
    offset: Option<i16>,
}

impl Pattern {
    pub(crate) fn compile(format: &str) -> Result<Pattern, String> {
        if format.len() > MOST_BYTES {
            return Err(format!(
                "the format is longer than {MOST_BYTES} bytes: shorten it"
            ));
        }
        let mut parts = Vec::new();
        let mut rest = format.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            let name = NAMES.iter().find(|(name, _)| {
                rest.get(..name.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(name))
            });
            if let Some(&(name, part)) = name {
                rest = rest.get(name.len()..).unwrap_or_default();
                if part == Part::Second {
                    rest = without_fraction(rest);
                }
                add(&mut parts, part, format)?;
            } else if byte == b'"' {
                let Some(end) = after.iter().position(|&byte| byte == b'"') else {
                    return Err(format!("the format '{format}' has a quote without an end"));
                };
                let (quoted, behind) = after.split_at(end);
                parts.extend(quoted.iter().map(|&byte| Part::Literal(byte)));
                rest = behind.get(1..).unwrap_or_default();
            } else if byte.is_ascii_whitespace() {
                if parts.last() != Some(&Part::Space) {
                    parts.push(Part::Space);
                }
                rest = after;
            } else if byte.is_ascii_alphabetic() || !byte.is_ascii() {
                let at = format.len() - rest.len();
                return Err(format!(
                    "the format '{format}' has something unknown at position {at}: use YYYY, YY, MM, MON, DD, HH, HH24, HH12, MI, SS, AM, PM, separators, and other text in double quotes"
                ));
            } else {
                parts.push(Part::Literal(byte));
                rest = after;
            }
        }
        Pattern::checked(parts, format)
    }

    fn checked(parts: Vec<Part>, format: &str) -> Result<Pattern, String> {
        let has = |wanted: &[Part]| wanted.iter().any(|part| parts.contains(part));
        let year = has(&[Part::Year, Part::ShortYear]);
        let day = has(&[Part::Month, Part::MonthName]) && has(&[Part::Day]);
        let date = year && (day || has(&[Part::DayOfYear]));
        let has_clock = has(&[Part::Hour, Part::HourOfTwelve]);
        if !date && !has_clock {
            return Err(format!(
                "the format '{format}' names neither a whole date (YYYY, MM, DD) nor a time (HH, MI, SS)"
            ));
        }
        Ok(Pattern { parts, has_clock })
    }

    /// `exact`: nothing may follow but an offset; otherwise a time may, which is dropped.
    pub(crate) fn read(&self, text: &[u8], exact: bool) -> Option<Moment> {
        let mut cursor = Cursor::new(text);
        let mut seen = Seen::default();
        for part in &self.parts {
            seen.take(*part, &mut cursor)?;
        }
        let mut moment = seen.moment()?;
        if !exact && !self.has_clock && !cursor.is_empty() {
            if !cursor.spaces() && !cursor.eat(b'T') {
                return None;
            }
            cursor.clock()?;
        }
        if moment.offset.is_none() {
            moment = iso::finish(cursor, moment, true)?;
        } else if !cursor.is_empty() {
            return None;
        }
        Some(moment)
    }
}

/// Appends a part, which must not be there yet if it reads something.
fn add(parts: &mut Vec<Part>, part: Part, format: &str) -> Result<(), String> {
    if !matches!(part, Part::Literal(_)) && parts.contains(&part) {
        return Err(format!("the format '{format}' names the same part twice"));
    }
    parts.push(part);
    Ok(())
}

/// Behind `SS`: a point and what stands for a fraction.
fn without_fraction(rest: &[u8]) -> &[u8] {
    let Some((b'.' | b',', after)) = rest.split_first() else {
        return rest;
    };
    for name in [&b"ms"[..], b"us"] {
        if after
            .get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
        {
            return after.get(name.len()..).unwrap_or_default();
        }
    }
    let stands = |byte: &&u8| b"0123456789sSfF".contains(byte);
    let count = after.iter().take_while(stands).count();
    if count == 0 {
        return rest;
    }
    after.get(count..).unwrap_or_default()
}

impl Seen {
    fn take(&mut self, part: Part, cursor: &mut Cursor<'_>) -> Option<()> {
        match part {
            Part::Year => self.year = Some(cursor.number(4, 4)?),
            Part::ShortYear => self.year = Some(cursor::century(cursor.number(2, 2)?)),
            Part::Month => self.month = Some(cursor.number(1, 2)?),
            Part::MonthName => self.month = Some(cursor::month(cursor.word())?),
            Part::Day => self.day = Some(cursor.number(1, 2)?),
            Part::DayOfYear => self.day_of_year = Some(cursor.number(1, 3)?),
            Part::Hour => self.hour = Some(cursor.number(1, 2)?),
            Part::HourOfTwelve => {
                self.hour = Some(cursor.number(1, 2)?);
                self.twelve = true;
            }
            Part::Minute => self.minute = cursor.number(1, 2)?,
            Part::Second => {
                self.second = cursor.number(1, 2)?;
                self.micros = cursor.fraction()?;
            }
            Part::Meridiem => self.afternoon = Some(cursor::meridiem(cursor.word())?),
            Part::Offset => self.offset = Some(cursor.offset()?),
            Part::Weekday => cursor::is_weekday(cursor.word()).then_some(())?,
            Part::Space => cursor.spaces().then_some(())?,
            Part::Literal(byte) => {
                let found = cursor.peek()?;
                found.eq_ignore_ascii_case(&byte).then_some(())?;
                cursor.skip(1);
            }
        }
        Some(())
    }

    fn moment(&self) -> Option<Moment> {
        let date = match (self.year, self.month, self.day, self.day_of_year) {
            (Some(year), Some(month), Some(day), _) => Some(Date::new(year, month, day)?),
            (Some(year), _, _, Some(day)) => Some(Date::of_year(year, day)?),
            _ => None,
        };
        let clock = match self.hour {
            None => None,
            Some(hour) => {
                let valid = !self.twelve || (1..=12).contains(&hour);
                let hour = match self.afternoon {
                    Some(afternoon) => cursor::hour_of_day(hour, afternoon)?,
                    None => hour,
                };
                let clock = Clock::new(hour, self.minute, self.second, self.micros)?;
                valid.then_some(()).map(|()| Some(clock))?
            }
        };
        Some(Moment {
            date,
            clock,
            offset: self.offset,
        })
    }
}
