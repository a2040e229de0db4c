//! The type check: makes each value fit its type in place, or says why it cannot (SPEC §1.5).
//!
//! The texts are those of AWS's JSON front end, spelling included; they name Java classes because
//! that is what is behind it.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::{Structure, Type};
use crate::api::{ApiError, limits};

const LIST: &str = "Start of list found where not expected";
const OBJECT: &str = "Start of structure or map found where not expected.";

/// Makes `value` fit `shape`: drops `null` and unknown members, cuts fractions off integers, turns
/// texts for booleans into booleans.
///
/// # Errors
/// `Serialization` for the first value, in model order, that has the wrong type.
pub fn check_types(shape: &Structure, value: &mut Value) -> Result<(), ApiError> {
    structure(shape, value).map_err(|text| ApiError::Serialization(Some(text)))
}

fn structure(shape: &Structure, value: &mut Value) -> Result<(), String> {
    let members = object(value, "Expected null")?;
    let mut kept = Map::new();
    for member in shape.members {
        match members.remove(member.name) {
            None | Some(Value::Null) => {}
            Some(mut inner) => {
                fit(member.kind, &mut inner)?;
                kept.insert(member.name.into(), inner);
            }
        }
    }
    *members = kept;
    Ok(())
}

fn fit(kind: &Type, value: &mut Value) -> Result<(), String> {
    match kind {
        Type::Boolean => boolean(value),
        Type::Integer { .. } => integer(value),
        Type::Double { .. } => match scalar(value)? {
            Value::Number(_) => Ok(()),
            other => Err(cannot(other, "an Double")),
        },
        Type::Timestamp => match scalar(value)? {
            Value::Number(_) => Ok(()),
            other => Err(cannot(other, "milliseconds since epoch")),
        },
        Type::Text(_) | Type::Enum(_) => match scalar(value)? {
            Value::String(_) => Ok(()),
            other => Err(cannot(other, "an String")),
        },
        Type::Blob { .. } => match scalar(value)? {
            Value::String(text) => base64(text),
            other => Err(cannot(other, "a Blob")),
        },
        Type::List { element, .. } => {
            let elements = match value {
                Value::Array(elements) => elements,
                Value::Object(_) => return Err(OBJECT.into()),
                _ => return Err("Expected list or null".into()),
            };
            // A null stays where it is: it is the constraint check that refuses it, by index.
            elements
                .iter_mut()
                .filter(|element| !element.is_null())
                .try_for_each(|inner| fit(element, inner))
        }
        Type::Structure(shape) => structure(shape, value),
        Type::Refused => object(value, "Expected null").map(Map::clear),
    }
}

fn object<'v>(value: &'v mut Value, scalar: &str) -> Result<&'v mut Map<String, Value>, String> {
    match value {
        Value::Object(members) => Ok(members),
        Value::Array(_) => Err(LIST.into()),
        _ => Err(scalar.into()),
    }
}

/// Passes on anything but a list or an object.
fn scalar(value: &mut Value) -> Result<&mut Value, String> {
    match value {
        Value::Array(_) => Err(LIST.into()),
        Value::Object(_) => Err(OBJECT.into()),
        other => Ok(other),
    }
}

fn boolean(value: &mut Value) -> Result<(), String> {
    let truth = match scalar(value)? {
        Value::Bool(_) => return Ok(()),
        Value::String(text) => match text.to_lowercase().as_str() {
            "true" | "1" | "yes" => true,
            "false" | "0" | "no" => false,
            _ => {
                let shout = text.to_uppercase();
                return Err(format!(
                    "'{}' can not be converted to an Boolean",
                    echo(&shout)
                ));
            }
        },
        other => return Err(cannot(other, "an Boolean")),
    };
    *value = Value::Bool(truth);
    Ok(())
}

fn integer(value: &mut Value) -> Result<(), String> {
    match scalar(value)? {
        Value::Number(number) => {
            if number.as_i64().is_none() {
                // Beyond i64, or with a fraction: `as` cuts off and saturates, which is wanted.
                let whole = number.as_f64().unwrap_or(f64::MAX) as i64;
                *number = Number::from(whole);
            }
            Ok(())
        }
        other => Err(cannot(other, "an Integer")),
    }
}

fn cannot(value: &Value, target: &str) -> String {
    let class = match value {
        Value::Bool(_) => "java.lang.Boolean",
        Value::Number(_) => "com.amazon.coral.value.json.numbers.TruncatingBigNumber",
        _ => "java.lang.String",
    };
    format!("class {class} can not be converted to {target}")
}

/// Checks base64 without decoding: what passes here decodes.
fn base64(text: &str) -> Result<(), String> {
    let refuse = |why: String| {
        Err(format!(
            "'{}' can not be converted to a Blob: {why}",
            echo(text)
        ))
    };
    let length = text.chars().count();
    if !length.is_multiple_of(4) {
        return refuse(format!(
            "Base64 encoded length is expected a multiple of 4 bytes but found: {length}"
        ));
    }
    let body = text
        .strip_suffix("==")
        .or_else(|| text.strip_suffix('='))
        .unwrap_or(text);
    let padding = text.len() - body.len();
    if let Some(wrong) = body.chars().find(|c| sextet(*c).is_none()) {
        return refuse(format!("Invalid Base64 character: '{wrong}'"));
    }
    // The bits of the last character that no byte uses must be zero.
    let unused = [0, 0b11, 0b1111][padding];
    match body.chars().next_back().and_then(sextet) {
        Some(last) if last & unused != 0 => {
            refuse("Invalid last non-pad Base64 character dectected".into())
        }
        _ => Ok(()),
    }
}

fn sextet(c: char) -> Option<u32> {
    let code = u32::from(c);
    match c {
        'A'..='Z' => Some(code - u32::from('A')),
        'a'..='z' => Some(code - u32::from('a') + 26),
        '0'..='9' => Some(code - u32::from('0') + 52),
        '+' => Some(62),
        '/' => Some(63),
        _ => None,
    }
}

/// How many bytes checked base64 decodes to.
pub(super) fn decoded_bytes(text: &str) -> u64 {
    let padding = text.bytes().rev().take(2).filter(|b| *b == b'=').count();
    (text.len() / 4 * 3 - padding) as u64
}

/// `text`, cut to what an error may echo.
pub(super) fn echo(text: &str) -> Cow<'_, str> {
    if text.len() <= limits::ECHO_BYTES {
        return Cow::Borrowed(text);
    }
    let cut = text.floor_char_boundary(limits::ECHO_BYTES);
    Cow::Owned(format!("{}…", &text[..cut]))
}
