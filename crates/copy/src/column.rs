//! A table's columns, as the database's catalog describes them.

/// One column that rows are loaded into, in the order of the column list or of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as the catalog spells it.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Whether it refuses NULL.
    pub not_null: bool,
}

/// A column's type: those that Redshift has, with what a value must be checked against, and the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// BOOLEAN.
    Boolean,
    /// SMALLINT.
    SmallInt,
    /// INTEGER.
    Integer,
    /// BIGINT.
    BigInt,
    /// NUMERIC(precision, scale); without limits `None`.
    Numeric(Option<(u32, i32)>),
    /// REAL.
    Real,
    /// DOUBLE PRECISION.
    Double,
    /// CHAR(n): n bytes here, as in Redshift; single-byte characters only are meant for it.
    Char(u32),
    /// VARCHAR(n), n in **bytes** as in Redshift; VARCHAR without a limit and TEXT are `None`.
    Varchar(Option<u32>),
    /// DATE.
    Date,
    /// TIME without time zone.
    Time,
    /// TIME with time zone.
    TimeTz,
    /// TIMESTAMP without time zone.
    Timestamp,
    /// TIMESTAMP with time zone.
    TimestampTz,
    /// JSON or JSONB, which stand for SUPER.
    Json,
    /// BYTEA, which stands for VARBYTE.
    Bytes,
    /// A type of PostgreSQL's that Redshift does not have (UUID, INET, arrays …), by its name: the value is passed on
    /// as text and the database judges it.
    Other(String),
}

impl Kind {
    /// Whether `EMPTYASNULL`, `BLANKSASNULL`, `TRIMBLANKS` and `TRUNCATECOLUMNS` speak of it.
    pub fn is_text(&self) -> bool {
        matches!(self, Kind::Char(_) | Kind::Varchar(_))
    }
}
