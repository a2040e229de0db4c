//! Rows are written in a format, and read again; anything may come, in any pieces.

use proptest::{collection::vec, prelude::*};

use super::*;

const COLUMNS: usize = 3;

/// Bytes that parsers care about, and some that they do not.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => prop::sample::select(b"|,\"'\\\n\r\t {}[]:nuN019.eE-".to_vec()),
        2 => any::<u8>(),
        3 => b'a'..=b'f',
    ];
    vec(byte, 0..12)
}

fn rows(field: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    vec(vec(field, COLUMNS..=COLUMNS), 0..8)
}

fn any_format() -> impl Strategy<Value = CopyOptions> {
    let format = prop_oneof![
        (any::<bool>(), any::<bool>()).prop_map(|(escape, remove_quotes)| Format::Delimited {
            delimiter: b'|',
            escape,
            remove_quotes
        }),
        Just(Format::Csv {
            delimiter: b',',
            quote: b'"'
        }),
        Just(Format::FixedWidth(vec![
            (String::new(), 1),
            (String::new(), 2),
            (String::new(), 3)
        ])),
        Just(Format::Json(JsonFormat::Auto)),
        Just(Format::Json(JsonFormat::AutoIgnoreCase)),
    ];
    let null_as = prop_oneof![
        Just(b"\\N".to_vec()),
        Just(b"\0".to_vec()),
        Just(Vec::new())
    ];
    (format, null_as, any::<bool>(), any::<bool>(), 0..3_u64).prop_map(
        |(format, null_as, fill_record, ignore_blank_lines, ignore_header)| CopyOptions {
            format,
            null_as,
            fill_record,
            ignore_blank_lines,
            ignore_header,
            ..CopyOptions::default()
        },
    )
}

/// Files that are nearly right.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        text(),
        Just(b"\"a\":1,".to_vec()),
        Just(b"{\"b\":\"".to_vec()),
        Just(b"\"}\n".to_vec()),
        Just(b"{\"a\":{\"x\":[1,\"\\u00e9\"]},\"c\":null}".to_vec()),
        Just(b"a|b|c\n".to_vec()),
        Just(b"'a'|\"b\"|c\\\n".to_vec()),
        Just(b"\"a\"\"\n\",b ,\"c\" \r\n".to_vec()),
        Just(b"\0\n".to_vec()),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn texts(told: Vec<Told>) -> Result<Vec<Vec<Vec<u8>>>, String> {
    let text = |field| match field {
        Owned::Text(text) => text,
        other => panic!("{other:?}"),
    };
    let row = |told| match told {
        Told::Row(_, fields) => Ok(fields.into_iter().map(text).collect()),
        Told::Refused(error) => Err(error.reason),
    };
    told.into_iter().map(row).collect()
}

/// Nothing is NULL that a test may write.
fn no_null(format: Format) -> CopyOptions {
    CopyOptions {
        format,
        null_as: b"there is no NULL".to_vec(),
        ..CopyOptions::default()
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        options in any_format(),
        file in file(),
        cuts in vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let whole = told(&mut parser(&options, COLUMNS), [file.as_slice()]);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(file.len() + 1)).collect();
        cuts.extend([0, file.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &file[cut[0]..cut[1]]);
        prop_assert_eq!(&whole, &told(&mut parser(&options, COLUMNS), pieces));
        prop_assert_eq!(&whole, &told(&mut parser(&options, COLUMNS), file.chunks(1)));
    }

    #[test]
    fn escaped_rows_come_back(rows in rows(text()), crlf in any::<bool>()) {
        let escape = |field: &Vec<u8>| {
            let special = |byte: &u8| matches!(byte, b'|' | b'\\' | b'\n' | b'\r' | 0);
            field.iter().flat_map(|b| special(b).then_some(b'\\').into_iter().chain([*b])).collect()
        };
        let file = written(&rows, b"|", if crlf { b"\r\n" } else { b"\n" }, escape);
        let format = Format::Delimited { delimiter: b'|', escape: true, remove_quotes: false };
        prop_assert_eq!(texts(told(&mut parser(&no_null(format), COLUMNS), [file.as_slice()])), Ok(rows));
    }

    #[test]
    fn quoted_and_escaped_rows_come_back(rows in rows(text()), quote in prop::sample::select(vec![b'"', b'\''])) {
        let escape = |field: &Vec<u8>| {
            let special = |byte: &u8| matches!(byte, b'\\' | b'\n' | b'"' | b'\'' | 0);
            let inner = field.iter().flat_map(|b| special(b).then_some(b'\\').into_iter().chain([*b]));
            [quote].into_iter().chain(inner).chain([quote]).collect()
        };
        let file = written(&rows, b"|", b"\n", escape);
        let format = Format::Delimited { delimiter: b'|', escape: true, remove_quotes: true };
        prop_assert_eq!(texts(told(&mut parser(&no_null(format), COLUMNS), [file.as_slice()])), Ok(rows));
    }

    #[test]
    fn csv_rows_come_back(rows in rows(text()), pad in prop::sample::select(vec!["", " ", "\t "])) {
        let quote = |field: &Vec<u8>| {
            let doubled = |b: &u8| (*b == b'"').then_some(b'"').into_iter().chain([*b]);
            let inner: Vec<u8> = field.iter().flat_map(doubled).collect();
            [pad.as_bytes(), b"\"", &inner, b"\"", pad.as_bytes()].concat()
        };
        let file = written(&rows, b",", b"\r\n", quote);
        let options = no_null(Format::Csv { delimiter: b',', quote: b'"' });
        prop_assert_eq!(texts(told(&mut parser(&options, COLUMNS), [file.as_slice()])), Ok(rows));
    }

    #[test]
    fn fixed_width_rows_come_back(rows in vec(vec("[^\r\n]{4}", COLUMNS..=COLUMNS), 0..8)) {
        let rows: Vec<Vec<_>> = rows.into_iter().map(|r| r.into_iter().map(String::into_bytes).collect()).collect();
        let file = written(&rows, b"", b"\n", Vec::clone);
        let options = no_null(Format::FixedWidth(vec![(String::new(), 4); COLUMNS]));
        prop_assert_eq!(texts(told(&mut parser(&options, COLUMNS), [file.as_slice()])), Ok(rows));
    }

    #[test]
    fn json_rows_come_back(
        rows in vec(vec(any::<String>(), COLUMNS..=COLUMNS), 0..8),
        between in prop::sample::select(vec!["", " ", "\n", "\r\n\t"]),
        backwards in any::<bool>(),
        pretty in any::<bool>(),
    ) {
        let object = |row: &Vec<String>| {
            let mut members: Vec<_> = ["a", "b", "c"].into_iter().zip(row).collect();
            if backwards {
                members.reverse();
            }
            let (open, comma, colon) = if pretty { ("{\n  ", ",\n  ", ": ") } else { ("{", ",", ":") };
            let members: Vec<_> = members
                .into_iter()
                .map(|(key, value)| format!("\"{key}\"{colon}{}", serde_json::to_string(value).unwrap()))
                .collect();
            format!("{open}{}}}", members.join(comma))
        };
        let file = rows.iter().map(object).collect::<Vec<_>>().join(between);
        let options = no_null(Format::Json(JsonFormat::Auto));
        let rows: Vec<Vec<_>> = rows.into_iter().map(|r| r.into_iter().map(String::into_bytes).collect()).collect();
        prop_assert_eq!(texts(told(&mut parser(&options, COLUMNS), [file.as_bytes()])), Ok(rows));
    }

    #[test]
    fn json_is_what_serde_says(value in "\\{\"a\":[\\[\\]{}\",:0-9.eE+\\-trufalsn\\\\ ]{0,10}\\}") {
        let strict = serde_json::from_str::<std::collections::HashMap<String, Box<serde_json::value::RawValue>>>(&value);
        let told = told(&mut parser(&no_null(Format::Json(JsonFormat::Auto)), COLUMNS), [value.as_bytes()]);
        let row = matches!(told.as_slice(), [Told::Row(..)]);
        prop_assert_eq!(row, strict.is_ok(), "{:?}: {:?}", told, strict);
    }
}

fn written(
    rows: &[Vec<Vec<u8>>],
    delimiter: &[u8],
    end: &[u8],
    field: impl Fn(&Vec<u8>) -> Vec<u8>,
) -> Vec<u8> {
    let row = |row: &Vec<Vec<u8>>| {
        let fields: Vec<_> = row.iter().map(&field).collect();
        [fields.join(delimiter), end.to_vec()].concat()
    };
    rows.iter().flat_map(row).collect()
}
