//! DATE, TIME, TIMESTAMP and their kin with a time zone.
//!
//! `DATEFORMAT` speaks of DATE, `TIMEFORMAT` of the rest (Redshift's "DATEFORMAT and TIMEFORMAT strings"):
//!
//! * Without one: `YYYY-MM-DD`, `YYYY-MM-DD HH:MI:SS` with a fraction, for TIMESTAMPTZ with an offset (module `iso`).
//!   What is valid there is copied as it is: PostgreSQL reads it the same way whatever its `DateStyle`.
//! * A format: module `pattern`. `'auto'`: module `auto`. `'epochsecs'`, `'epochmillisecs'`: module `epoch`.
//! * A DATE drops a time, a TIMESTAMP without a time is midnight, one without a time zone is UTC for TIMESTAMPTZ, and
//!   TIMESTAMP drops a time zone, as in PostgreSQL. A fraction is cut after microseconds.
//! * TIME follows `TIMEFORMAT` only where that is a format; otherwise it is `HH:MI[:SS[.ffffff]]`, alone or behind a
//!   date.
//! * `ACCEPTANYDATE`: what cannot be read is NULL, of dates and time stamps.

use super::{Judged, Outcome, Refusal};
use crate::column::Kind;
use crate::datetime::{Target, auto, calendar::Moment, epoch, iso, pattern::Pattern};
use crate::error::ErrorCode;
use crate::options::{CopyOptions, DateFormat, TimeFormat};

/// What a date or time column does with its fields.
#[derive(Clone, Debug)]
pub(super) struct DateTime {
    target: Target,
    reading: Reading,
    /// How the format is called in an `err_reason`.
    label: String,
    any: bool,
}

#[derive(Clone, Debug)]
enum Reading {
    Default,
    Auto,
    Epoch {
        per_second: i64,
    },
    Pattern(Pattern),
    /// A format that says nothing: it was to be refused before, and no value fits it.
    Nothing,
}

impl DateTime {
    /// `kind` is one of the dates and times.
    pub(super) fn new(kind: &Kind, options: &CopyOptions) -> DateTime {
        let target = match kind {
            Kind::Date => Target::Date,
            Kind::Time => Target::Time { zone: false },
            Kind::TimeTz => Target::Time { zone: true },
            Kind::TimestampTz => Target::Timestamp { zone: true },
            _ => Target::Timestamp { zone: false },
        };
        let (reading, label) = match target {
            Target::Date => match &options.date_format {
                DateFormat::Default => (Reading::Default, "YYYY-MM-DD"),
                DateFormat::Auto => (Reading::Auto, "auto"),
                DateFormat::Format(format) => (Reading::pattern(format), format.as_str()),
            },
            Target::Timestamp { .. } => match &options.time_format {
                TimeFormat::Default => (Reading::Default, "YYYY-MM-DD HH24:MI:SS"),
                TimeFormat::Auto => (Reading::Auto, "auto"),
                TimeFormat::EpochSeconds => (Reading::Epoch { per_second: 1 }, "epochsecs"),
                TimeFormat::EpochMilliseconds => {
                    (Reading::Epoch { per_second: 1000 }, "epochmillisecs")
                }
                TimeFormat::Format(format) => (Reading::pattern(format), format.as_str()),
            },
            Target::Time { .. } => match &options.time_format {
                TimeFormat::Format(format) => (Reading::pattern(format), format.as_str()),
                _ => (Reading::Default, "HH24:MI:SS"),
            },
        };
        DateTime {
            target,
            reading,
            label: label.to_owned(),
            any: options.accept_any_date && !matches!(target, Target::Time { .. }),
        }
    }

    /// `text` has no blanks around it and is not empty.
    pub(super) fn convert(&self, text: &[u8], out: &mut Vec<u8>) -> Judged {
        if let (Reading::Default, Some(copied)) = (&self.reading, self.copied(text)) {
            out.extend_from_slice(copied);
            if self.target == (Target::Timestamp { zone: true }) {
                out.extend_from_slice(b"+00");
            }
            return Ok(Outcome::Written);
        }
        match self.read(text).and_then(|moment| moment.whole(self.target)) {
            Some(moment) => {
                moment.write(self.target, out);
                Ok(Outcome::Written)
            }
            None if self.any => Ok(Outcome::Null),
            None => Err(self.refusal(text)),
        }
    }

    /// The default formats' common forms, which need not be taken apart.
    fn copied<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        match self.target {
            Target::Date => (text.len() == iso::DATE_BYTES && iso::is_date(text)).then_some(text),
            Target::Timestamp { .. } => iso::is_timestamp(text).then_some(text),
            Target::Time { .. } => None,
        }
    }

    fn read(&self, text: &[u8]) -> Option<Moment> {
        match &self.reading {
            Reading::Nothing => None,
            Reading::Auto => auto::read(text),
            Reading::Epoch { per_second } => epoch::read(text, *per_second),
            Reading::Pattern(pattern) => pattern.read(text, self.target != Target::Date),
            Reading::Default => match self.target {
                Target::Date => iso::date(text),
                Target::Time { .. } => iso::time(text),
                Target::Timestamp { zone } => iso::timestamp(text, zone),
            },
        }
    }

    fn refusal(&self, text: &[u8]) -> Refusal {
        let (code, reason) = match self.target {
            Target::Date if self.is_default() && text.len() < iso::DATE_BYTES => (
                ErrorCode::DATE,
                "Invalid Date Format - length must be 10 or more".to_owned(),
            ),
            Target::Date => (
                ErrorCode::DATE,
                format!("Invalid date format or value [{}]", self.label),
            ),
            Target::Time { .. } => (
                ErrorCode::TIMESTAMP,
                format!("Invalid time format or value [{}]", self.label),
            ),
            Target::Timestamp { .. } => (
                ErrorCode::TIMESTAMP,
                format!("Invalid timestamp format or value [{}]", self.label),
            ),
        };
        Refusal::new(code, reason)
    }

    fn is_default(&self) -> bool {
        matches!(self.reading, Reading::Default)
    }
}

impl Reading {
    fn pattern(format: &str) -> Reading {
        Pattern::compile(format).map_or(Reading::Nothing, Reading::Pattern)
    }
}
