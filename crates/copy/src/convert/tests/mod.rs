//! Tables of type × option × input → value or error, and what holds for any input.

mod dates;
mod postgres;
mod random;
mod values;

use super::Converter;
use crate::column::{Column, Kind};
use crate::error::Field;
use crate::options::{CopyOptions, DateFormat, TimeFormat};

/// A value in COPY text, or number and reason.
type Expected = Result<&'static str, (u16, &'static str)>;

const NULL: Expected = Ok(r"\N");

fn converter(kind: Kind, not_null: bool, options: &CopyOptions) -> Converter {
    let column = Column {
        name: "c".to_owned(),
        kind,
        not_null,
    };
    Converter::new(vec![column], options)
}

/// One field through one column that may be NULL.
fn convert(kind: &Kind, options: &CopyOptions, field: Field<'_>) -> Result<Vec<u8>, (u16, String)> {
    let mut out = b"before\n".to_vec();
    let result = converter(kind.clone(), false, options).row(&[field], &mut out);
    assert!(out.starts_with(b"before\n"));
    match result {
        Ok(()) => {
            let row = out[7..].strip_suffix(b"\n").expect("a whole row");
            Ok(row.to_vec())
        }
        Err(error) => {
            assert_eq!(out, b"before\n", "an error leaves no trace");
            assert_eq!(error.column, 0);
            Err((error.code.number, error.reason))
        }
    }
}

#[track_caller]
fn expect(kind: &Kind, options: &CopyOptions, field: Field<'_>, expected: Expected) {
    let got = convert(kind, options, field);
    let got = match &got {
        Ok(value) => Ok(std::str::from_utf8(value).expect("UTF-8")),
        Err((number, reason)) => Err((*number, reason.as_str())),
    };
    assert_eq!(got, expected, "{kind:?} of {field:?}");
}

#[track_caller]
fn all(kind: &Kind, options: &CopyOptions, table: &[(&str, Expected)]) {
    for (input, expected) in table {
        expect(kind, options, Field::Text(input.as_bytes()), *expected);
    }
}

fn options(set: impl FnOnce(&mut CopyOptions)) -> CopyOptions {
    let mut options = CopyOptions::default();
    set(&mut options);
    options
}

fn time_format(format: &str) -> CopyOptions {
    options(|o| o.time_format = TimeFormat::Format(format.to_owned()))
}

fn date_format(format: &str) -> CopyOptions {
    options(|o| o.date_format = DateFormat::Format(format.to_owned()))
}
