//! Files into COPY text: as many lines as rows are counted, and where the file is split makes no difference.
//!
//! ```text
//! columns (one byte)  split (one byte)  options, to the first LF  the file
//! ```
//!
//! A JSONPaths file is the key of its own URL: `JSON 's3://b/{"jsonpaths":["$.a"]}'`.
#![no_main]

use hydrant_copy::{
    Column, CopyOptions, Format, JsonFormat, JsonPaths, Kind, RowError, S3Url, Transform,
};
use libfuzzer_sys::fuzz_target;

/// One of each kind that is converted differently.
const KINDS: [Kind; 16] = [
    Kind::Varchar(Some(5)),
    Kind::Integer,
    Kind::Numeric(Some((5, 2))),
    Kind::Timestamp,
    Kind::Boolean,
    Kind::Date,
    Kind::Char(3),
    Kind::Json,
    Kind::Double,
    Kind::TimestampTz,
    Kind::Varchar(None),
    Kind::Bytes,
    Kind::Time,
    Kind::TimeTz,
    Kind::SmallInt,
    Kind::Numeric(None),
];

#[derive(Debug, PartialEq)]
struct Outcome {
    out: Vec<u8>,
    errors: Vec<RowError>,
    rows: u64,
    /// Whether the file as a whole is wrong, which may show before or after other rows.
    failed: bool,
}

/// What becomes of a file that comes in these pieces.
fn outcome<'a>(mut transform: Transform, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    transform.begin_file();
    let mut fed = Ok(());
    for piece in pieces {
        fed = transform.feed(piece, &mut out, &mut errors);
        if fed.is_err() {
            break;
        }
    }
    let fed = fed.and_then(|()| transform.end_file(&mut out, &mut errors));
    Outcome {
        rows: transform.rows(),
        failed: fed.is_err(),
        out,
        errors,
    }
}

fn transform(options: &CopyOptions, columns: u8) -> Option<Transform> {
    let count = usize::from(columns) % 5 + 1;
    let first = usize::from(columns) / 5;
    let kinds = KINDS.iter().cycle().skip(first).take(count);
    let columns = kinds.zip('a'..).map(|(kind, name)| Column {
        name: name.to_string(),
        kind: kind.clone(),
        not_null: name == 'b',
    });
    let paths = match &options.format {
        Format::Json(JsonFormat::Paths(url)) => {
            let url = S3Url::parse(url).ok()?;
            Some(JsonPaths::parse(url.key().as_bytes()).ok()?)
        }
        _ => None,
    };
    Transform::new(options, columns.collect(), paths).ok()
}

fuzz_target!(|bytes: &[u8]| {
    let [columns, split, rest @ ..] = bytes else {
        return;
    };
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (options, file) = (&rest[..end], &rest[end + 1..]);
    let Some(options) = std::str::from_utf8(options).ok() else {
        return;
    };
    let Ok(options) = CopyOptions::parse(options) else {
        return;
    };
    let Some(transform_whole) = transform(&options, *columns) else {
        return;
    };
    let again = || transform(&options, *columns).expect("the same as before");

    let whole = outcome(transform_whole, std::iter::once(file));
    let lines = whole.out.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines as u64, whole.rows);
    assert!(whole.out.is_empty() || whole.out.ends_with(b"\n"));
    assert!(std::str::from_utf8(&whole.out).is_ok());
    assert!(!whole.out.contains(&0));

    let (one, other) = file.split_at(file.len() * usize::from(*split) / 256);
    same(&whole, outcome(again(), [one, other].into_iter()));
    same(&whole, outcome(again(), file.chunks(1)));
});

/// A file that is wrong as a whole is not loaded, whatever came of it before.
fn same(whole: &Outcome, split: Outcome) {
    assert_eq!(whole.failed, split.failed);
    if !whole.failed {
        assert_eq!(*whole, split);
    }
}
