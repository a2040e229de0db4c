//! All of it together.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::Encoding;

fn columns() -> Vec<Column> {
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        kind,
        not_null: false,
    };
    vec![
        column("id", Kind::Integer),
        column("name", Kind::Varchar(Some(8))),
    ]
}

fn transform(options: &CopyOptions) -> Transform {
    Transform::new(options, columns(), None).unwrap()
}

fn fed(transform: &mut Transform, chunks: &[&[u8]]) -> (String, Vec<RowError>) {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    transform.begin_file();
    for chunk in chunks {
        transform.feed(chunk, &mut out, &mut errors).unwrap();
    }
    transform.end_file(&mut out, &mut errors).unwrap();
    (String::from_utf8(out).unwrap(), errors)
}

#[test]
fn rows_and_errors() {
    let mut transform = transform(&CopyOptions::default());
    let (out, errors) = fed(
        &mut transform,
        &[
            b"1|o",
            b"ne\n2|far too long\nx|y",
            b"\n3\n4|\\N\n5|fi",
            b"ve",
        ],
    );
    assert_eq!(out, "1\tone\n4\t\\N\n5\tfive\n");
    assert_eq!(transform.rows(), 3);
    let told: Vec<_> = errors
        .iter()
        .map(|e| {
            (
                e.line,
                e.column,
                e.position,
                e.code.number,
                e.raw_field.as_slice(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (2, Some(1), Some(2), 1204, b"far too long".as_slice()),
            (3, Some(0), Some(0), 1207, b"x"),
            (4, Some(1), Some(1), 1214, b""),
        ]
    );
    assert_eq!(errors[0].raw_line, b"2|far too long");
}

#[test]
fn refused_rows_are_counted_over_all_files() {
    let mut transform = transform(&CopyOptions::default());
    let code = ErrorCode::UNKNOWN;
    transform.refuse(
        1,
        Refusal {
            column: Some(1),
            code,
            reason: "no".to_owned(),
        },
    );
    transform.refuse(
        3,
        Refusal {
            column: None,
            code,
            reason: "nor that".to_owned(),
        },
    );
    let (out, errors) = fed(&mut transform, &[b"0|a\nbad|\n1|b\n"]);
    assert_eq!((out.as_str(), errors.len()), ("0\ta\n", 2));
    assert_eq!((errors[1].line, errors[1].reason.as_str()), (3, "no"));
    assert_eq!(errors[1].raw_field, b"b");
    let (out, errors) = fed(&mut transform, &[b"2|c\n3|d\n4|e\n"]);
    assert_eq!((out.as_str(), errors.len()), ("2\tc\n4\te\n", 1));
    assert_eq!((errors[0].line, errors[0].reason.as_str()), (2, "nor that"));
    assert_eq!(transform.rows(), 3);
}

#[test]
fn encodings() {
    let file: Vec<u8> = "\u{FEFF}1|ä€\n"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    let encoding = |encoding| CopyOptions {
        encoding,
        ..CopyOptions::default()
    };
    let mut utf16 = transform(&encoding(Encoding::Utf16));
    assert_eq!(fed(&mut utf16, &[&file]).0, "1\tä€\n");
    let mut little = transform(&encoding(Encoding::Utf16Le));
    little.begin_file();
    let error = little
        .feed(&file, &mut Vec::new(), &mut Vec::new())
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::ENCODING);
    let mut utf8 = transform(&CopyOptions::default());
    assert_eq!(fed(&mut utf8, &["\u{FEFF}1|ä".as_bytes()]).0, "1\tä\n");
}

#[test]
fn json() {
    let json = |json| CopyOptions {
        format: Format::Json(json),
        ..CopyOptions::default()
    };
    let mut auto = transform(&json(JsonFormat::Auto));
    let (out, errors) = fed(
        &mut auto,
        &[br#"{"name":"x\ty","id":7}{"id":"8"}{"id":{}}"#],
    );
    assert_eq!(out, "7\tx\\ty\n8\t\\N\n");
    assert_eq!(
        (errors.len(), errors[0].raw_field.as_slice()),
        (1, b"{}".as_slice())
    );

    let column = Column {
        name: "v".to_owned(),
        kind: Kind::Json,
        not_null: false,
    };
    let mut values = Transform::new(&json(JsonFormat::Auto), vec![column], None).unwrap();
    let file = br#"{"v":"1"}{"v":1}{"v":"a \"b\""}{"v":{"a":[]}}{"v":null}{"v":""}"#;
    let (out, errors) = fed(&mut values, &[file]);
    let expected = [
        "\"1\"",
        "1",
        r#""a \\"b\\"""#,
        "{\"a\":[]}",
        "\\N",
        "\"\"",
        "",
    ];
    assert_eq!((out, errors), (expected.join("\n"), Vec::new()));

    let paths = |file: &[u8]| Some(JsonPaths::parse(file).unwrap());
    let from_file = json(JsonFormat::Paths("s3://b/k".to_owned()));
    let new = |paths| {
        Transform::new(&from_file, columns(), paths)
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(new(None), TransformError::NoPaths);
    let mismatch = TransformError::ColumnMismatch {
        what: "JSONPaths",
        given: 1,
        columns: 2,
    };
    assert_eq!(new(paths(br#"{"jsonpaths":["$.a"]}"#)), mismatch);
    let noshred = Transform::new(&json(JsonFormat::NoShred), columns(), None);
    assert_eq!(noshred.map(|_| ()), Err(TransformError::NotOneColumn(2)));

    let file = paths(br#"{"jsonpaths":["$.x[1]","$.y.z"]}"#.as_slice());
    let mut transform = Transform::new(&from_file, columns(), file);
    let _ = transform.as_mut().map(|transform| {
        assert_eq!(
            fed(transform, &[br#"{"x":[0,1],"y":{"z":true}}"#]).0,
            "1\ttrue\n"
        );
    });
    let mut auto = Transform::new(&from_file, columns(), paths(b"{}")).unwrap();
    assert_eq!(fed(&mut auto, &[br#"{"id":1}"#]).0, "1\t\\N\n");
}

#[test]
fn widths_must_be_as_many_as_columns() {
    let format = Format::FixedWidth(vec![("id".to_owned(), 3)]);
    let options = CopyOptions {
        format,
        ..CopyOptions::default()
    };
    let error = Transform::new(&options, columns(), None)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 fixed widths for 2 columns: there must be one for each column"
    );
}

#[test]
fn a_long_row_in_small_pieces_is_not_looked_at_again_and_again() {
    let mut transform = transform(&CopyOptions::default());
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    transform.begin_file();
    transform.feed(b"1|one\n2|", &mut out, &mut errors).unwrap();
    for _ in 0..MAX_ROW_BYTES {
        transform.feed(b"x", &mut out, &mut errors).unwrap();
        assert!(transform.held.len() <= MAX_ROW_BYTES + 2);
    }
    transform.feed(b"\n3|three", &mut out, &mut errors).unwrap();
    transform.end_file(&mut out, &mut errors).unwrap();
    assert_eq!(out, b"1\tone\n3\tthree\n");
    assert_eq!((errors.len(), errors[0].line), (1, 2));
}

#[test]
fn memory_for_fields_is_used_again() {
    assert!(emptied(Vec::with_capacity(100)).capacity() >= 100);
}

proptest! {
    /// Whatever comes, in whatever pieces: the same rows and errors, and rows that are as many as are told.
    #[test]
    fn any_split_gives_the_same(
        file in vec(prop_oneof![any::<u8>(), prop::sample::select(b"12|\n\\\"{}:".to_vec())], 0..200),
        cut in any::<prop::sample::Index>(),
        json in any::<bool>(),
    ) {
        let mut options = CopyOptions { accept_inv_chars: Some(b'?'), ..CopyOptions::default() };
        if json {
            options.format = Format::Json(JsonFormat::Auto);
        }
        let whole = fed(&mut transform(&options), &[&file]);
        let (first, second) = file.split_at(cut.index(file.len() + 1));
        prop_assert_eq!(&whole, &fed(&mut transform(&options), &[first, second]));
        let bytes: Vec<_> = file.chunks(1).collect();
        let mut transform = transform(&options);
        prop_assert_eq!(&whole, &fed(&mut transform, &bytes));
        prop_assert_eq!(transform.rows(), whole.0.lines().count() as u64);
    }
}
