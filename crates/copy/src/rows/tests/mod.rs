//! Options × input × what comes out, from SPEC §5.5 and Redshift's guide; each input at once and byte by byte.

mod csv;
mod fixed_width;
mod json;
mod limits;
mod properties;
mod text;

use super::json::Shape;
use super::*;
use crate::{Field, JsonFormat, RowError};

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
