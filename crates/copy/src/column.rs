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

/// The size that PostgreSQL adds to every type modifier (`VARHDRSZ`).
const MODIFIER_BASE: i32 = 4;

impl Kind {
    /// The kind of a column of PostgreSQL's, from `pg_attribute.atttypid` and `atttypmod` (-1: none) and the type's
    /// name, which is kept for types that Redshift does not have. Of a domain give the base type.
    ///
    /// `VARCHAR(n)` is n **bytes** here, as in Redshift; PostgreSQL, which counts characters, has room for more.
    pub fn from_postgres(oid: u32, typmod: i32, type_name: &str) -> Kind {
        let modifier = typmod
            .checked_sub(MODIFIER_BASE)
            .and_then(|modifier| u32::try_from(modifier).ok());
        match oid {
            16 => Kind::Boolean,
            21 => Kind::SmallInt,
            23 => Kind::Integer,
            20 => Kind::BigInt,
            1700 => Kind::Numeric(modifier.map(numeric_limits)),
            700 => Kind::Real,
            701 => Kind::Double,
            // `bpchar` without a length has no limit.
            1042 => Kind::Char(modifier.unwrap_or(u32::MAX)),
            1043 => Kind::Varchar(modifier),
            25 => Kind::Varchar(None),
            1082 => Kind::Date,
            1083 => Kind::Time,
            1266 => Kind::TimeTz,
            1114 => Kind::Timestamp,
            1184 => Kind::TimestampTz,
            114 | 3802 => Kind::Json,
            17 => Kind::Bytes,
            _ => Kind::Other(type_name.to_owned()),
        }
    }
}

/// Precision in the upper half; the scale is a signed number of 11 bits (before PostgreSQL 15 it was at most the
/// precision, 1000, which reads the same).
fn numeric_limits(modifier: u32) -> (u32, i32) {
    let scale = (modifier & 0x7FF) as i32;
    (modifier >> 16, (scale ^ 0x400) - 0x400)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type numbers and modifiers as `SELECT atttypid, atttypmod FROM pg_attribute` of PostgreSQL 15 gives them.
    #[test]
    fn kinds_of_postgres() {
        let kinds = [
            (16, -1, Kind::Boolean),
            (21, -1, Kind::SmallInt),
            (23, -1, Kind::Integer),
            (20, -1, Kind::BigInt),
            (1700, -1, Kind::Numeric(None)),
            (1700, 655_366, Kind::Numeric(Some((10, 2)))),
            (1700, 2_490_408, Kind::Numeric(Some((38, 36)))),
            (1700, 198_658, Kind::Numeric(Some((3, -2)))),
            (1700, 65_536_004, Kind::Numeric(Some((1000, 0)))),
            (700, -1, Kind::Real),
            (701, -1, Kind::Double),
            (1042, 7, Kind::Char(3)),
            (1042, -1, Kind::Char(u32::MAX)),
            (1043, 259, Kind::Varchar(Some(255))),
            (1043, -1, Kind::Varchar(None)),
            (25, -1, Kind::Varchar(None)),
            (1082, -1, Kind::Date),
            (1083, -1, Kind::Time),
            (1083, 3, Kind::Time),
            (1266, -1, Kind::TimeTz),
            (1114, 0, Kind::Timestamp),
            (1184, -1, Kind::TimestampTz),
            (114, -1, Kind::Json),
            (3802, -1, Kind::Json),
            (17, -1, Kind::Bytes),
            (2950, -1, Kind::Other("uuid".to_owned())),
        ];
        for (oid, typmod, kind) in kinds {
            let name = if oid == 2950 { "uuid" } else { "unused" };
            assert_eq!(
                Kind::from_postgres(oid, typmod, name),
                kind,
                "{oid} {typmod}"
            );
        }
    }
}
