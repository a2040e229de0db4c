//! Options × input × what comes out, from SPEC §5.5 and Redshift's guide.

use super::*;
use crate::{Field, JsonFormat, RowError};
use json::Shape;

/// A field that owns its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owned {
    Null,
    Missing,
    Text(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Row(u64, Vec<Owned>),
    Refused(RowError),
}

#[derive(Default)]
struct Collect(Vec<Told>);

impl Sink for Collect {
    fn row(&mut self, row: &Row<'_>) {
        let fields = row.pieces.iter().map(|piece| match row.field(piece) {
            Field::Null => Owned::Null,
            Field::Missing => Owned::Missing,
            Field::Text(text) => Owned::Text(text.to_vec()),
        });
        self.0.push(Told::Row(row.line, fields.collect()));
    }

    fn refused(&mut self, error: RowError) {
        self.0.push(Told::Refused(error));
    }
}

pub(super) fn parser(options: &CopyOptions, columns: usize) -> Parser {
    let names = ["a", "b", "c", "d", "e", "f"];
    let json = matches!(options.format, Format::Json(_)).then(|| {
        let ignore_case = options.format == Format::Json(JsonFormat::AutoIgnoreCase);
        if options.format == Format::Json(JsonFormat::NoShred) {
            return Json::new(Shape::whole());
        }
        Json::new(Shape::auto(names.into_iter().take(columns), ignore_case))
    });
    Parser::new(options, columns, json).unwrap()
}

/// What is told of a file that comes in these pieces.
pub(super) fn told<'a>(
    parser: &mut Parser,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Told> {
    let mut sink = Collect::default();
    let mut held = Vec::new();
    parser.begin_file();
    for chunk in chunks {
        held.extend_from_slice(chunk);
        let taken = parser.parse(&held, false, &mut sink);
        held.drain(..taken);
    }
    let taken = parser.parse(&held, true, &mut sink);
    assert_eq!(taken, held.len(), "all is taken at the end");
    sink.0
}

/// In short: `1:a,b` is a row of line 1, `~` NULL, `_` missing, `2!1214 reason` an error of line 2.
fn short(told: &[Told]) -> Vec<String> {
    let field = |field: &Owned| match field {
        Owned::Null => "~".to_owned(),
        Owned::Missing => "_".to_owned(),
        Owned::Text(text) => String::from_utf8_lossy(text).into_owned(),
    };
    told.iter()
        .map(|told| match told {
            Told::Row(line, fields) => {
                format!(
                    "{line}:{}",
                    fields.iter().map(field).collect::<Vec<_>>().join(",")
                )
            }
            Told::Refused(e) => format!("{}!{} {}", e.line, e.code.number, e.reason),
        })
        .collect()
}

fn check(options: &CopyOptions, columns: usize, table: &[(&[u8], &[&str])]) {
    for (input, expected) in table {
        let whole = told(&mut parser(options, columns), [*input]);
        assert_eq!(
            short(&whole),
            *expected,
            "of {:?}",
            input.escape_ascii().to_string()
        );
        let bytes = told(&mut parser(options, columns), input.chunks(1));
        assert_eq!(
            whole,
            bytes,
            "byte by byte, {:?}",
            input.escape_ascii().to_string()
        );
    }
}

fn delimited(escape: bool, remove_quotes: bool) -> CopyOptions {
    let format = Format::Delimited {
        delimiter: b'|',
        escape,
        remove_quotes,
    };
    CopyOptions {
        format,
        ..CopyOptions::default()
    }
}

#[test]
fn delimited_rows() {
    check(
        &CopyOptions::default(),
        2,
        &[
            (b"", &[]),
            (b"a|b\nc|d\n", &["1:a,b", "2:c,d"]),
            (b"a|b\r\nc|d", &["1:a,b", "2:c,d"]),
            // A carriage return of its own is text.
            (b"a|b\rc\nd|e\r", &["1:a,b\rc", "2:d,e\r"]),
            (b"|\n", &["1:,"]),
            (b"\\N|x\\N\n", &["1:~,x\\N"]),
            (b"a\nb|c\n", &["1!1214 Delimiter not found", "2:b,c"]),
            (b"\na|b\n", &["1!1214 Delimiter not found", "2:a,b"]),
            (b"a|b|c\nd|e\n", &["1!1202 Extra column(s) found", "2:d,e"]),
            // A delimiter may stand behind the last field.
            (b"a|b|\n", &["1:a,b"]),
            (b"a|b||\n", &["1!1202 Extra column(s) found"]),
            // Quotes and backslashes mean themselves.
            (b"\"a|b\\\n", &["1:\"a,b\\"]),
            // NUL ends a record; a line's end behind it ends nothing.
            (
                b"a|b\0c|d\0\ne|f\0\r\ng|h\n",
                &["1:a,b", "1:c,d", "2:e,f", "3:g,h"],
            ),
        ],
    );
}

#[test]
fn error_says_where() {
    let told = told(
        &mut parser(&CopyOptions::default(), 2),
        [b"x|y\na|b|cd|e\nz\n".as_slice()],
    );
    let [_, Told::Refused(extra), Told::Refused(few)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(
        (extra.line, extra.column, extra.position),
        (2, None, Some(4))
    );
    assert_eq!(
        (extra.raw_line.as_slice(), extra.raw_field.as_slice()),
        (b"a|b|cd|e".as_slice(), b"cd".as_slice())
    );
    assert_eq!((few.line, few.column, few.position), (3, Some(1), Some(1)));
    assert_eq!(
        (few.raw_line.as_slice(), few.raw_field.as_slice()),
        (b"z".as_slice(), b"".as_slice())
    );
}

#[test]
fn escape() {
    check(
        &delimited(true, false),
        2,
        &[
            (b"a\\|b|c\\\\d\n", &["1:a|b,c\\d"]),
            // A hidden line's end belongs to the field, and counts as a line.
            (b"a\\\nb|c\nd|e\n", &["1:a\nb,c", "3:d,e"]),
            // Two characters: the backslash only makes the n literal.
            (b"a\\nb|c\n", &["1:anb,c"]),
            (b"\\N|x\\N\n", &["1:~,xN"]),
            (b"a|b\\\r\nc|d\r\n", &["1:a,b\r", "2:c,d"]),
            (b"a\\\0b|c\0d|e", &["1:a\0b,c", "1:d,e"]),
            (b"a|b\\", &["1:a,b\\"]),
            (b"a\\|b\n", &["1!1214 Delimiter not found"]),
        ],
    );
    let null_as = CopyOptions {
        null_as: b"nil".to_vec(),
        ..delimited(true, false)
    };
    check(&null_as, 2, &[(b"nil|\\N\nn\\il|\n", &["1:~,N", "2:nil,"])]);
}
