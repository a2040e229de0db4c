//! How dates and times are read, in each way that COPY has of writing them. What a column does with them is
//! [`convert`](crate::convert)'s.

pub(crate) mod auto;
pub(crate) mod calendar;
pub(crate) mod cursor;
pub(crate) mod epoch;
pub(crate) mod iso;
pub(crate) mod pattern;

use pattern::Pattern;

/// What is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Date,
    Time { zone: bool },
    Timestamp { zone: bool },
}

/// Whether a string can be `DATEFORMAT` or `TIMEFORMAT` (one that is neither `auto` nor an epoch); else what is
/// wrong with it, in words for whoever wrote it.
pub(crate) fn check_format(format: &str) -> Result<(), String> {
    Pattern::compile(format).map(|_| ())
}
