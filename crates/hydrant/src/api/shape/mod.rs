//! Request shapes as tables, and the two checks that AWS's JSON front end makes with them.
//!
//! A shape is constant data ([`Structure`], [`Member`], [`Type`]). [`check`] first makes every value
//! fit its *type* ([`check_types`], texts of SPEC §1.5), then holds it against the *constraints*
//! ([`check_constraints`], texts of SPEC §1.6). What passes deserialises into a matching Rust struct
//! without further surprise: `null` and unknown members are gone, numbers for integers are whole,
//! strings for booleans are booleans.
//!
//! This is the slow, exact way. A faster reader of put requests may skip it when it is sure that a
//! request is in order, and must come here with everything else, so that errors are exact.

mod constraints;
mod parse;
pub mod patterns;
mod types;

use serde_json::Value;

pub use self::{
    constraints::check_constraints, parse::parse, patterns::Pattern, types::check_types,
};
use super::ApiError;

/// A structure: named members, in the order of the model.
#[derive(Debug)]
pub struct Structure {
    /// Name as the model has it; appears when a value is printed.
    pub name: &'static str,
    /// Members in the order of the model, which is the order of errors.
    pub members: &'static [Member],
}

/// One member of a structure.
#[derive(Debug)]
pub struct Member {
    /// Name on the wire, UpperCamel.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it must be.
    pub kind: &'static Type,
}

/// What a value must be.
#[derive(Debug)]
pub enum Type {
    /// `true`, `false`, or a string that says so.
    Boolean,
    /// A whole number; fractions are cut off.
    Integer {
        /// Least value.
        min: Option<i64>,
        /// Greatest value.
        max: Option<i64>,
    },
    /// A number.
    Double {
        /// Least value.
        min: Option<f64>,
        /// Greatest value.
        max: Option<f64>,
    },
    /// Seconds since the epoch, as a number.
    Timestamp,
    /// A text.
    Text(Text),
    /// A text out of a set, in the order in which errors list it.
    Enum(&'static [&'static str]),
    /// Bytes in standard base64 with padding; `max` counts decoded bytes.
    Blob {
        /// Most decoded bytes.
        max: u64,
    },
    /// A list.
    List {
        /// What each element must be.
        element: &'static Type,
        /// Fewest elements.
        min: Option<u64>,
        /// Most elements. Every list has a bound, so that every request has.
        max: u64,
    },
    /// A structure.
    Structure(&'static Structure),
    /// A structure that this node refuses as a whole: it must be an object, nothing in it is
    /// looked at and nothing of it is kept.
    Refused,
}

/// Constraints on a text.
#[derive(Debug)]
pub struct Text {
    /// Fewest characters.
    pub min: Option<u64>,
    /// Most characters.
    pub max: Option<u64>,
    /// The pattern that the whole text must match.
    pub pattern: Option<&'static Pattern>,
    /// Never echoed in an error.
    pub sensitive: bool,
}

impl Member {
    /// A member that must be there.
    pub const fn required(name: &'static str, kind: &'static Type) -> Self {
        Member {
            name,
            required: true,
            kind,
        }
    }

    /// A member that may be there.
    pub const fn optional(name: &'static str, kind: &'static Type) -> Self {
        Member {
            name,
            required: false,
            kind,
        }
    }
}

impl Type {
    /// A text without constraints.
    pub const STRING: Type = Type::text(None, None, None);

    /// A text of `min` to `max` characters that matches `pattern`.
    pub const fn text(
        min: Option<u64>,
        max: Option<u64>,
        pattern: Option<&'static Pattern>,
    ) -> Self {
        Type::Text(Text {
            min,
            max,
            pattern,
            sensitive: false,
        })
    }

    /// A text that is never echoed.
    pub const fn sensitive(min: u64, max: u64) -> Self {
        Type::Text(Text {
            min: Some(min),
            max: Some(max),
            pattern: None,
            sensitive: true,
        })
    }

    /// A whole number in `min..=max`.
    pub const fn integer(min: i64, max: i64) -> Self {
        Type::Integer {
            min: Some(min),
            max: Some(max),
        }
    }
}

/// Makes `value` fit `shape`, in place, and checks its constraints.
///
/// # Errors
/// `Serialization` for the first value of a wrong type, else `Validation` that names every value
/// out of bounds (ten at most).
pub fn check(shape: &Structure, value: &mut Value) -> Result<(), ApiError> {
    check_types(shape, value)?;
    check_constraints(shape, value)
}

/// Parses, checks and deserialises a request in one go.
///
/// # Errors
/// Those of [`parse()`] and [`check`]. `InternalFailure` when `T` asks for more than `shape` ensures,
/// which is a fault of the table.
pub fn read<T: serde::de::DeserializeOwned>(
    shape: &'static Structure,
    body: &[u8],
) -> Result<T, ApiError> {
    let mut value = parse(shape, body)?;
    check(shape, &mut value)?;
    serde_json::from_value(value).map_err(|error| {
        ApiError::internal(format!("{} does not fit its table: {error}", shape.name))
    })
}

#[cfg(test)]
mod tests;
