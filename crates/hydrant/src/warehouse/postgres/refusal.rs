//! Which row it was that PostgreSQL refused, as its error's context tells. Pure.
//!
//! ```text
//! CONTEXT:  COPY t, line 3, column b: "abc"
//! CONTEXT:  PL/pgSQL function f() line 2 at RAISE
//!           COPY t, line 1: "1"
//! ```
//!
//! Words may be in any language, numbers and names are not. Lines are counted over the rows that were sent.

use hydrant_copy::ErrorCode;
use tokio_postgres::error::{DbError, SqlState};

/// The row that `error`, of a COPY into `table`, is about: which of those that were sent, from 1, and the column, where
/// one is named. None where it is no single row's fault: the disk, a lock, or a foreign key, which is looked at when
/// all rows are in.
pub(super) fn refused(error: &DbError, table: &str) -> Option<(u64, Option<String>)> {
    // Data exceptions, constraints, checks of views, limits, and what triggers raise.
    let class = error.code().code().get(..2)?;
    if !matches!(class, "22" | "23" | "44" | "54" | "P0") {
        return None;
    }
    let (line, column) = parse(error.where_()?, table)?;
    Some((line, error.column().map(str::to_owned).or(column)))
}

/// Redshift's number that comes next to what the database says.
pub(super) fn code(error: &DbError) -> ErrorCode {
    match error.code() {
        &SqlState::NOT_NULL_VIOLATION => ErrorCode {
            number: 1213,
            text: "A field specified as NOT NULL contained no data.",
        },
        &SqlState::NUMERIC_VALUE_OUT_OF_RANGE | &SqlState::STRING_DATA_RIGHT_TRUNCATION => {
            ErrorCode {
                number: 1204,
                text: "Input data exceeded the acceptable range for the data type.",
            }
        }
        _ => ErrorCode {
            number: 1216,
            text: "Invalid input line.",
        },
    }
}

fn parse(context: &str, table: &str) -> Option<(u64, Option<String>)> {
    let line = context
        .lines()
        .find(|line| line.contains("COPY") && line.contains(table))?;
    // The table's name may hold anything, digits included.
    let (_, rest) = line.split_once(table)?;
    let start = rest.find(|c: char| c.is_ascii_digit())?;
    let number = rest.get(start..)?;
    let end = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    let (number, rest) = number.split_at(end);
    // `, column b: "abc"`; the value may hold anything, the name nearly so.
    let column = rest
        .strip_prefix(", ")
        .and_then(|rest| rest.split_once(' '))
        .map(|(_, rest)| rest)
        .map(|rest| rest.split_once(':').map_or(rest, |(name, _)| name))
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    Some((number.parse().ok()?, column))
}

/// Which of all rows, from 0, the `line`-th that was sent is, when those of `left_out` (in order) were not sent.
pub(super) fn among_all(line: u64, left_out: impl Iterator<Item = u64>) -> u64 {
    let mut row = line.saturating_sub(1);
    for out in left_out {
        if out > row {
            break;
        }
        row += 1;
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_name_row_and_column() {
        for (context, table, line, column) in [
            ("COPY t, line 3, column b: \"a, line 9\"", "t", 3, Some("b")),
            ("COPY t, line 12: \"1\t2\"", "t", 12, None),
            ("COPY t, line 7", "t", 7, None),
            (
                "COPY t2 10, line 4, column c 1: null input",
                "t2 10",
                4,
                Some("c 1"),
            ),
            ("COPY t, Zeile 5, Spalte b: »x«", "t", 5, Some("b")),
            (
                "PL/pgSQL function f() line 2 at RAISE\nCOPY t, line 1: \"1\"",
                "t",
                1,
                None,
            ),
        ] {
            let found = parse(context, table);
            assert_eq!(found, Some((line, column.map(str::to_owned))), "{context}");
        }
        assert_eq!(parse("SQL statement \"SELECT 1 FROM t\"", "t"), None);
        assert_eq!(parse("COPY t, line", "t"), None);
    }

    #[test]
    fn rows_that_were_left_out_are_counted_in() {
        for (line, row) in [(1, 2), (2, 3), (3, 5), (4, 6)] {
            assert_eq!(among_all(line, [0, 1, 4].into_iter()), row);
        }
        assert_eq!(among_all(1, std::iter::empty()), 0);
    }
}
