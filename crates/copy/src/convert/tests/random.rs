//! What holds for any input. Each value that leaves is checked by rules of the type itself, written apart from the
//! code that made it; `postgres.rs` asks PostgreSQL.

use super::*;
use crate::options::{Format, JsonFormat};
use jiff::civil::DateTime;
use proptest::prelude::*;

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Boolean),
        Just(Kind::SmallInt),
        Just(Kind::Integer),
        Just(Kind::BigInt),
        Just(Kind::Numeric(None)),
        (1_u32..40, -3_i32..40).prop_map(|limits| Kind::Numeric(Some(limits))),
        Just(Kind::Real),
        Just(Kind::Double),
        (0_u32..12).prop_map(Kind::Char),
        proptest::option::of(0_u32..12).prop_map(Kind::Varchar),
        Just(Kind::Date),
        Just(Kind::Time),
        Just(Kind::TimeTz),
        Just(Kind::Timestamp),
        Just(Kind::TimestampTz),
        Just(Kind::Json),
        Just(Kind::Bytes),
        Just(Kind::Other("inet".to_owned())),
    ]
}

pub(super) fn any_options() -> impl Strategy<Value = CopyOptions> {
    let times = prop_oneof![
        Just(TimeFormat::Default),
        Just(TimeFormat::Auto),
        Just(TimeFormat::EpochSeconds),
        Just(TimeFormat::EpochMilliseconds),
        "[YMDHISTZ/:. -]{0,20}|(YYYY|YY|MM|MON|DD|HH|MI|SS|AM|-|:| ){0,9}"
            .prop_map(TimeFormat::Format),
    ];
    (any::<[bool; 8]>(), times).prop_map(|(flags, time_format)| {
        let [
            truncate,
            invalid,
            empty,
            blanks,
            trim,
            any_date,
            round,
            json,
        ] = flags;
        options(|o| {
            o.truncate_columns = truncate;
            o.accept_inv_chars = invalid.then_some(b'?');
            o.empty_as_null = empty;
            o.blanks_as_null = blanks;
            o.trim_blanks = trim;
            o.accept_any_date = any_date;
            o.round_decimals = round;
            o.time_format = time_format;
            if any_date {
                o.date_format = DateFormat::Auto;
            }
            if json {
                o.format = Format::Json(JsonFormat::Auto);
            }
        })
    })
}

/// Bytes of all sorts, and text that is nearly what some type wants.
pub(super) fn inputs() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        any::<String>().prop_map(String::into_bytes),
        "[ +-]?[0-9]{0,12}([.][0-9]{0,12})?([eE][+-]?[0-9]{1,4})? ?".prop_map(String::into_bytes),
        "[0-9]{2,4}[-/. ][0-9A-Za-z]{1,3}[-/. ][0-9]{1,4}[ T]?([0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]{0,8})?)?)? ?([A-Z]{0,3}|[+-][0-9:]{1,5})"
            .prop_map(String::into_bytes),
        "[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]( [0-2][0-9]:[0-5][0-9](:[0-5][0-9]([.][0-9]{1,8})?)?)?( ?([+-][01][0-9](:?[0-5][0-9])?|Z|PST))?"
            .prop_map(String::into_bytes),
        "[0-2]?[0-9]:[0-5][0-9](:[0-6][0-9]([.][0-9]{1,8})?)?([+-][01][0-9](:?[0-5][0-9])?)?"
            .prop_map(String::into_bytes),
        "-?[0-9]{9,13}([.][0-9]{1,7})?".prop_map(String::into_bytes),
        "[ +-]?[0-9]{1,5}".prop_map(String::into_bytes),
        "t|true|no|0|F|YES|([0-9a-f]{2}){0,8}".prop_map(String::into_bytes),
        "[]\\[{}\",:0-9. truefalsn\\\\ud8c-]{0,20}".prop_map(String::into_bytes),
    ]
}

/// Whether PostgreSQL could read the value; the text is unescaped.
fn check(kind: &Kind, value: &str) {
    match kind {
        Kind::Boolean => assert!(matches!(value, "t" | "f")),
        Kind::SmallInt => drop(value.parse::<i16>().unwrap()),
        Kind::Integer => drop(value.parse::<i32>().unwrap()),
        Kind::BigInt => drop(value.parse::<i64>().unwrap()),
        Kind::Numeric(limits) => {
            let number: f64 = value.parse().unwrap();
            if let Some((precision, scale)) = limits {
                let most = 10_f64.powi(*precision as i32 - scale);
                assert!(number.abs() <= most, "{value} of {limits:?}");
                let fraction = value
                    .split_once('.')
                    .map_or(0, |(_, fraction)| fraction.len());
                assert!(fraction as i32 <= (*scale).max(0), "{value} of {limits:?}");
                assert!(!value.contains(['e', 'E']));
            }
        }
        Kind::Real => {
            assert!(!value.parse::<f32>().unwrap().is_infinite() || value.contains("inf"))
        }
        Kind::Double => drop(value.parse::<f64>().unwrap()),
        Kind::Char(limit) => assert!(value.is_ascii() && value.len() <= *limit as usize),
        Kind::Varchar(limit) => assert!(limit.is_none_or(|limit| value.len() <= limit as usize)),
        Kind::Date | Kind::Timestamp | Kind::TimestampTz => {
            let value = value.strip_suffix(" BC").unwrap_or(value);
            let (date, time) = value.split_once(' ').unwrap_or((value, "00:00:00"));
            let time = time.split(['+', '-']).next().unwrap();
            // The rest of the calendar is in `dates.rs`.
            if !time.starts_with("24:") && !value.ends_with("-02-29") {
                format!("{date}T{time}").parse::<DateTime>().unwrap();
            }
        }
        Kind::Time | Kind::TimeTz => assert!(value.as_bytes()[2] == b':'),
        Kind::Json => drop(serde_json::from_str::<&serde_json::value::RawValue>(value).unwrap()),
        Kind::Bytes => assert!(value.starts_with("\\x") && value.len().is_multiple_of(2)),
        Kind::Other(_) => {}
    }
    assert!(!value.contains('\0'));
}

/// COPY text read backwards; no bare tab or line feed may be in it.
fn unescape(value: &[u8]) -> String {
    let text = std::str::from_utf8(value).unwrap();
    assert!(!text.contains(['\t', '\n', '\r']));
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        out.push(match char {
            '\\' => match chars.next().unwrap() {
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                '\\' => '\\',
                other => panic!("an escape of {other}"),
            },
            char => char,
        });
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_leaves_is_a_value(kind in kinds(), options in any_options(), input in inputs()) {
        match convert(&kind, &options, Field::Text(&input)) {
            Ok(value) if value == br"\N" => {}
            Ok(value) => check(&kind, &unescape(&value)),
            Err((number, reason)) => {
                prop_assert!((1200..=1224).contains(&number));
                prop_assert!(!reason.is_empty() && reason.len() < 300);
            }
        }
    }

    #[test]
    fn integers_are_judged_as_rust_does(value: i128) {
        for shift in [0, 64, 65, 95, 96, 111, 112] {
            let value = value >> shift;
            let text = value.to_string();
            let accepts = |kind| convert(&kind, &CopyOptions::default(), Field::Text(text.as_bytes())).is_ok();
            prop_assert_eq!(accepts(Kind::SmallInt), i16::try_from(value).is_ok());
            prop_assert_eq!(accepts(Kind::Integer), i32::try_from(value).is_ok());
            prop_assert_eq!(accepts(Kind::BigInt), i64::try_from(value).is_ok());
        }
    }

    /// Against whole numbers: `units` × 10^-`written` in a column of another scale.
    #[test]
    fn decimals_are_cut_and_rounded_as_whole_numbers(
        units in -10_i128.pow(17)..10_i128.pow(17),
        written in 0_u32..9,
        exponent in -4_i32..5,
        scale in 0_u32..9,
        precision in 9_u32..25,
        round: bool,
    ) {
        let power = 10_i128.pow(written);
        let sign = if units < 0 { "-" } else { "" };
        let mut text = format!("{sign}{}", units.abs() / power);
        if written > 0 {
            text += &format!(".{:0width$}", units.abs() % power, width = written as usize);
        }
        if exponent != 0 {
            text += &format!("e{exponent}");
        }
        // What the column should hold, in units of its scale.
        let shift = scale as i32 + exponent - written as i32;
        let expected = if shift >= 0 {
            units * 10_i128.pow(shift as u32)
        } else {
            let divisor = 10_i128.pow(shift.unsigned_abs());
            let half = if round { divisor / 2 * units.signum() } else { 0 };
            (units + half) / divisor
        };
        let options = options(|o| o.round_decimals = round);
        let kind = Kind::Numeric(Some((precision, scale as i32)));
        let got = convert(&kind, &options, Field::Text(text.as_bytes()));
        if expected.abs() >= 10_i128.pow(precision) {
            prop_assert_eq!(got.map_err(|error| error.0), Err(1204));
        } else {
            let got = String::from_utf8(got.unwrap()).unwrap();
            let (whole, fraction) = got.split_once('.').unwrap_or((&got, ""));
            let digits = format!("{whole}{fraction:0<width$}", width = scale as usize);
            prop_assert_eq!(digits.parse::<i128>().unwrap(), expected, "{} gave {}", text, got);
        }
    }

    #[test]
    fn floats_come_back(value: f64) {
        let text = value.to_string();
        let got = convert(&Kind::Double, &CopyOptions::default(), Field::Text(text.as_bytes())).unwrap();
        let got: f64 = String::from_utf8(got).unwrap().parse().unwrap();
        prop_assert!(got.to_bits() == value.to_bits() || value.is_nan());
    }

    /// Each way of writing an instant gives the same time stamp.
    #[test]
    fn timestamps_come_back(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
        let stamp = jiff::Timestamp::from_microsecond(micros).unwrap();
        let civil = jiff::tz::Offset::UTC.to_datetime(stamp);
        let expected = civil.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string();
        let whole = |text: &str| match text.split_once('.') {
            Some((_, fraction)) => format!("{text}{:0<width$}", "", width = 6 - fraction.len()),
            None => format!("{text}.000000"),
        };
        let read = |options: &CopyOptions, text: String| {
            let got = convert(&Kind::Timestamp, options, Field::Text(text.as_bytes())).unwrap();
            whole(std::str::from_utf8(&got).unwrap())
        };
        prop_assert_eq!(read(&CopyOptions::default(), expected.clone()), expected.clone());
        let auto = options(|o| o.time_format = TimeFormat::Auto);
        for format in ["%Y-%m-%dT%H:%M:%S%.6fZ", "%m/%d/%Y %H:%M:%S%.6f", "%a, %d %b %Y %H:%M:%S%.6f", "%Y%m%d %H%M%S%.6f"] {
            prop_assert_eq!(read(&auto, civil.strftime(format).to_string()), expected.clone());
        }
        let own = time_format("DD.MM.YYYY HH12:MI:SS AM");
        if micros % 1_000_000 == 0 {
            prop_assert_eq!(read(&own, civil.strftime("%d.%m.%Y %I:%M:%S %p").to_string()), expected.clone());
        }
        let (sign, size) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
        let seconds = options(|o| o.time_format = TimeFormat::EpochSeconds);
        prop_assert_eq!(
            read(&seconds, format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)),
            expected.clone()
        );
        let millis = options(|o| o.time_format = TimeFormat::EpochMilliseconds);
        prop_assert_eq!(
            read(&millis, format!("{sign}{}.{:03}", size / 1000, size % 1000)),
            expected
        );
    }

    #[test]
    fn text_comes_back(text: String) {
        let got = convert(&Kind::Varchar(None), &CopyOptions::default(), Field::Text(text.as_bytes()));
        match got {
            Ok(value) => prop_assert_eq!(unescape(&value), text),
            Err(error) => prop_assert!(error.0 == 1220 && text.contains('\0')),
        }
    }
}
