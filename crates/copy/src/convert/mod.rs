//! From a field of a file to a value of a column, in COPY text.
//!
//! ```text
//! Field ─(nothing there? → NULL, '' or 1213)→ text ─(the column's Rule)→ value in COPY text
//!                                                        └→ Refusal: Redshift's number and words
//! ```
//!
//! * **Strict.** PostgreSQL must never refuse a row that left here, because that would end the whole COPY while
//!   `MAXERROR` speaks of rows. So every kind that Redshift has is judged completely; only [`Kind::Other`] is left
//!   to the database.
//! * **Fast.** Options and types are resolved once, in [`Converter::new`]; a value is checked where it lies and copied
//!   into the row as it is wherever PostgreSQL reads it the same way. The common paths allocate nothing.
//! * **Redshift's meaning** (SPEC §5.5 and Redshift's "Data conversion parameters"), one module for each family:
//!   `integer`, `decimal`, `float`, `boolean`, `chars`, `datetime`, `json`, `bytes`.

mod boolean;
mod bytes;
mod chars;
mod datetime;
mod decimal;
mod float;
mod integer;
mod json;
#[cfg(test)]
mod tests;

use crate::blank::trim;
use crate::column::{Column, Kind};
use crate::error::{ErrorCode, Field, FieldError};
use crate::options::CopyOptions;
use crate::text;
use chars::Chars;
use datetime::DateTime;
use decimal::Decimal;
use float::Float;
use integer::Integer;
use json::Json;

/// Turns rows of fields into COPY text, by the columns' types and the options.
#[derive(Clone, Debug)]
pub struct Converter {
    columns: Vec<Column>,
    plans: Vec<Plan>,
}

/// What happens to one column's fields.
#[derive(Clone, Debug)]
struct Plan {
    not_null: bool,
    missing: Absent,
    rule: Rule,
}

/// What a field that is not there becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absent {
    Null,
    Empty,
}

/// How text becomes a value.
#[derive(Clone, Debug)]
enum Rule {
    Chars(Chars),
    Integer(Integer),
    Decimal(Decimal),
    Float(Float),
    Boolean,
    DateTime(DateTime),
    Json(Json),
    Bytes,
    /// Left to the database.
    Other,
}

/// Why a text is no value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    code: ErrorCode,
    reason: String,
}

/// What became of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The value was appended.
    Written,
    /// It means NULL; nothing was appended.
    Null,
}

type Judged = Result<Outcome, Refusal>;

impl Converter {
    /// Resolves types and options; `columns` in the order in which fields will come.
    pub fn new(columns: Vec<Column>, options: &CopyOptions) -> Converter {
        let plans = columns.iter().map(|c| Plan::new(c, options)).collect();
        Converter { columns, plans }
    }

    /// The columns, in the order of a row's fields.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Appends one row in COPY text: values escaped, tabs between them, `\N` for NULL, a line feed at the end.
    ///
    /// There must be one field for each column; of more or fewer the row parser has told already, so here they are
    /// an error of the first column without a partner. On any error `out` is left as it was.
    pub fn row(&self, fields: &[Field<'_>], out: &mut Vec<u8>) -> Result<(), FieldError> {
        let start = out.len();
        self.append(fields, out)
            .inspect_err(|_| out.truncate(start))
    }

    fn append(&self, fields: &[Field<'_>], out: &mut Vec<u8>) -> Result<(), FieldError> {
        if fields.len() != self.plans.len() {
            return Err(self.wrong_number(fields.len()));
        }
        for (column, (plan, field)) in self.plans.iter().zip(fields).enumerate() {
            if column > 0 {
                out.push(b'\t');
            }
            plan.append(*field, out).map_err(|refusal| FieldError {
                column,
                code: refusal.code,
                reason: refusal.reason,
            })?;
        }
        out.push(b'\n');
        Ok(())
    }

    fn wrong_number(&self, fields: usize) -> FieldError {
        let (code, reason) = if fields > self.plans.len() {
            (ErrorCode::TOO_MANY_COLUMNS, "Extra column(s) found")
        } else {
            (ErrorCode::DELIMITER, "Delimiter not found")
        };
        FieldError {
            column: fields.min(self.plans.len().saturating_sub(1)),
            code,
            reason: reason.to_owned(),
        }
    }
}

impl Plan {
    fn new(column: &Column, options: &CopyOptions) -> Plan {
        let rule = Rule::new(&column.kind, options);
        // FILLRECORD: "NULLs are loaded … if the missing column is a VARCHAR and EMPTYASNULL is present; if not
        // present, zero-length strings" (Redshift, "Data conversion parameters"). CHAR is NULL (SPEC §5.5).
        let missing = match column.kind {
            Kind::Varchar(_) if !options.empty_is_null() => Absent::Empty,
            _ => Absent::Null,
        };
        Plan {
            not_null: column.not_null,
            missing,
            rule,
        }
    }

    fn append(&self, field: Field<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let outcome = match field {
            Field::Text(text) => self.rule.convert(text, out)?,
            Field::Missing if self.missing == Absent::Empty => Outcome::Written,
            Field::Null | Field::Missing => Outcome::Null,
        };
        match outcome {
            Outcome::Written => Ok(()),
            Outcome::Null if self.not_null => Err(Refusal::new(
                ErrorCode::NOT_NULL,
                "Missing data for not-null field",
            )),
            Outcome::Null => {
                out.extend_from_slice(text::NULL);
                Ok(())
            }
        }
    }
}

impl Rule {
    fn new(kind: &Kind, options: &CopyOptions) -> Rule {
        match kind {
            Kind::Char(_) | Kind::Varchar(_) => Rule::Chars(Chars::new(kind, options)),
            Kind::SmallInt => Rule::Integer(Integer::SMALL),
            Kind::Integer => Rule::Integer(Integer::INTEGER),
            Kind::BigInt => Rule::Integer(Integer::BIG),
            Kind::Numeric(limits) => Rule::Decimal(Decimal::new(*limits, options.round_decimals)),
            Kind::Real => Rule::Float(Float::Real),
            Kind::Double => Rule::Float(Float::Double),
            Kind::Boolean => Rule::Boolean,
            Kind::Json => Rule::Json(Json),
            Kind::Bytes => Rule::Bytes,
            Kind::Date | Kind::Time | Kind::TimeTz | Kind::Timestamp | Kind::TimestampTz => {
                Rule::DateTime(DateTime::new(kind, options))
            }
            Kind::Other(_) => Rule::Other,
        }
    }

    fn convert(&self, text: &[u8], out: &mut Vec<u8>) -> Judged {
        // Text columns have their own word on what is empty; of every other type nothing is NULL.
        if let Rule::Chars(chars) = self {
            return chars.convert(text, out);
        }
        let trimmed = trim(text);
        if trimmed.is_empty() {
            return Ok(Outcome::Null);
        }
        match self {
            Rule::Chars(chars) => chars.convert(text, out),
            Rule::Integer(integer) => integer.convert(trimmed, out),
            Rule::Decimal(decimal) => decimal.convert(trimmed, out),
            Rule::Float(float) => float.convert(trimmed, out),
            Rule::Boolean => boolean::convert(trimmed, out),
            Rule::DateTime(datetime) => datetime.convert(trimmed, out),
            Rule::Json(json) => json.convert(trimmed, out),
            Rule::Bytes => bytes::convert(trimmed, out),
            Rule::Other => chars::pass_on(text, out),
        }
    }
}

impl Refusal {
    fn new(code: ErrorCode, reason: impl Into<String>) -> Refusal {
        Refusal {
            code,
            reason: reason.into(),
        }
    }
}
