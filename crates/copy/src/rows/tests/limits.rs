//! Rows that are too long, and how little is held of them.

use super::*;
use crate::MAX_ROW_BYTES;

fn formats() -> [CopyOptions; 6] {
    let format = |format| CopyOptions {
        format,
        ..CopyOptions::default()
    };
    let delimited = |escape| Format::Delimited {
        delimiter: b'|',
        escape,
        remove_quotes: false,
    };
    [
        format(delimited(false)),
        format(delimited(true)),
        format(Format::Csv {
            delimiter: b',',
            quote: b'"',
        }),
        format(Format::FixedWidth(vec![(String::new(), u32::MAX)])),
        format(Format::Json(JsonFormat::NoShred)),
        format(Format::Json(JsonFormat::Auto)),
    ]
}

/// A row with a value of so many bytes, without the line's end, for one column.
fn row(options: &CopyOptions, length: usize) -> Vec<u8> {
    if let Format::Json(_) = options.format {
        return [b"{\"a\":\"", vec![b'x'; length - 8].as_slice(), b"\"}"].concat();
    }
    vec![b'x'; length]
}

#[test]
fn the_longest_row_and_one_longer() {
    for options in formats() {
        for chunk in [MAX_ROW_BYTES * 4, 1_000_000] {
            let long = [
                row(&options, MAX_ROW_BYTES + 1),
                row(&options, MAX_ROW_BYTES),
            ]
            .join(&b'\n');
            let file = [long, row(&options, 10), b"".to_vec()].join(&b'\n');
            let told = told(&mut parser(&options, 1), file.chunks(chunk));
            let [
                Told::Refused(error),
                Told::Row(2, longest),
                Told::Row(3, next),
            ] = told.as_slice()
            else {
                panic!("{:?}: {} told", options.format, told.len());
            };
            assert_eq!(
                (error.line, error.code.number),
                (1, 1216),
                "{:?}",
                options.format
            );
            assert_eq!(error.raw_line.len(), 1024);
            let text = |fields: &[Owned]| match fields {
                [Owned::Text(text)] => text.len(),
                other => panic!("{other:?}"),
            };
            let quotes = if options.format == Format::Json(JsonFormat::Auto) {
                8
            } else {
                0
            };
            assert_eq!(text(longest), MAX_ROW_BYTES - quotes);
            assert_eq!(text(next), 10 - quotes);
        }
    }
}

#[test]
fn what_is_held_is_a_row() {
    for options in formats() {
        let mut parser = parser(&options, 1);
        let mut sink = Collect::default();
        parser.begin_file();
        let mut held = Vec::new();
        // 20 MB of one row.
        for _ in 0..20 {
            held.extend_from_slice(&row(&options, 1 << 20)[..(1 << 20) - 2]);
            let taken = parser.parse(&held, false, &mut sink);
            held.drain(..taken);
            assert!(
                held.len() <= MAX_ROW_BYTES,
                "{:?} holds {}",
                options.format,
                held.len()
            );
        }
    }
}

#[test]
fn a_row_of_delimiters_is_not_taken_apart_whole() {
    let file = vec![b'|'; 1 << 20];
    let mut parser = parser(&CopyOptions::default(), 2);
    let told = told(&mut parser, [file.as_slice()]);
    assert_eq!(short(&told), ["1!1202 Extra column(s) found"]);
    let Rows::Delimited(_) = parser.rows else {
        panic!()
    };
}

#[test]
fn a_quote_that_nothing_closes_costs_its_line() {
    let options = CopyOptions {
        format: Format::Csv {
            delimiter: b',',
            quote: b'"',
        },
        ..CopyOptions::default()
    };
    let mut file = b"\"open\n".to_vec();
    for _ in 0..500_000 {
        file.extend_from_slice(b"some text\n");
    }
    let told = told(&mut parser(&options, 1), file.chunks(65_536));
    assert_eq!(told.len(), 500_001);
    assert_eq!(
        short(&told[..2]),
        ["1!1214 Invalid quote formatting for CSV", "2:some text"]
    );
}

#[test]
fn brackets_within_one_another() {
    let options = CopyOptions {
        format: Format::Json(JsonFormat::Auto),
        ..CopyOptions::default()
    };
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let file = format!("{}\n{}\n{}", nested(1024), nested(1025), nested(1));
    let told = told(&mut parser(&options, 1), [file.as_bytes()]);
    assert!(
        matches!(
            told.as_slice(),
            [Told::Row(1, _), Told::Refused(_), Told::Row(3, _)]
        ),
        "{}",
        told.len()
    );
}
