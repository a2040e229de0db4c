//! The constraint check: every value out of bounds, in model order, in one text (SPEC §1.6).
//!
//! The form is that of the service's first years, which prints the value: blobs as Java prints a
//! byte buffer, lists and structures as their members, and nothing at all where the value, or
//! anything inside it, is sensitive.

use serde_json::Value;

use super::{Structure, Text, Type, types};
use crate::api::{ApiError, limits};

/// Holds `value`, which fits `shape` by type, against the constraints.
///
/// # Errors
/// `Validation`, naming every offender, ten at most.
pub fn check_constraints(shape: &Structure, value: &Value) -> Result<(), ApiError> {
    let mut offences = Offences::default();
    offences.structure(shape, value, "");
    offences.finish()
}

#[derive(Default)]
struct Offences(Vec<String>);

impl Offences {
    fn full(&self) -> bool {
        self.0.len() >= limits::VALIDATION_ERRORS
    }

    fn finish(self) -> Result<(), ApiError> {
        let count = self.0.len();
        if count == 0 {
            return Ok(());
        }
        let s = if count == 1 { "" } else { "s" };
        Err(ApiError::Validation(format!(
            "{count} validation error{s} detected: {}",
            self.0.join("; ")
        )))
    }

    /// `value`: as it is printed, with quotes and a space after it; empty when it is not.
    fn add(&mut self, value: &str, path: &str, constraint: impl std::fmt::Display) {
        if !self.full() {
            let text =
                format!("Value {value}at '{path}' failed to satisfy constraint: {constraint}");
            self.0.push(text);
        }
    }

    fn structure(&mut self, shape: &Structure, value: &Value, path: &str) {
        for member in shape.members {
            if self.full() {
                return;
            }
            let path = join(path, &lower_camel(member.name));
            match value.get(member.name) {
                Some(inner) => self.value(member.kind, inner, &path),
                None if member.required => self.add("null ", &path, "Member must not be null"),
                None => {}
            }
        }
    }

    fn value(&mut self, kind: &Type, value: &Value, path: &str) {
        match kind {
            Type::Text(text) => self.text(text, value.as_str().unwrap_or_default(), kind, path),
            Type::Enum(allowed) => {
                let given = value.as_str().unwrap_or_default();
                if !allowed.contains(&given) {
                    let set = allowed.join(", ");
                    let constraint = format!("Member must satisfy enum value set: [{set}]");
                    self.add(&shown(kind, value), path, constraint);
                }
            }
            Type::Integer { min, max } => {
                let number = value.as_i64().unwrap_or_default();
                self.bounds("value", number, *min, *max, || shown(kind, value), path);
            }
            Type::Double { min, max } => {
                let number = value.as_f64().unwrap_or_default();
                self.bounds("value", number, *min, *max, || shown(kind, value), path);
            }
            Type::Blob { max } => {
                let length = types::decoded_bytes(value.as_str().unwrap_or_default());
                self.bounds(
                    "length",
                    length,
                    None,
                    Some(*max),
                    || shown(kind, value),
                    path,
                );
            }
            Type::List { element, min, max } => {
                let elements = value.as_array().map_or(&[][..], Vec::as_slice);
                let length = elements.len() as u64;
                self.bounds(
                    "length",
                    length,
                    *min,
                    Some(*max),
                    || shown(kind, value),
                    path,
                );
                for (index, inner) in elements.iter().enumerate() {
                    if self.full() {
                        return;
                    }
                    let path = format!("{path}.{}.member", index + 1);
                    if inner.is_null() {
                        self.add("null ", &path, "Member must not be null");
                    } else {
                        self.value(element, inner, &path);
                    }
                }
            }
            Type::Structure(shape) => self.structure(shape, value, path),
            Type::Boolean | Type::Timestamp | Type::Refused => {}
        }
    }

    fn text(&mut self, text: &Text, given: &str, kind: &Type, path: &str) {
        let print = || shown(kind, &Value::from(given));
        if let Some(pattern) = text.pattern
            && !pattern.matches(given)
        {
            let constraint = format!(
                "Member must satisfy regular expression pattern: {}",
                pattern.text
            );
            self.add(&print(), path, constraint);
        }
        let length = given.chars().count() as u64;
        self.bounds("length", length, text.min, text.max, print, path);
    }

    fn bounds<N: PartialOrd + std::fmt::Display>(
        &mut self,
        what: &str,
        number: N,
        min: Option<N>,
        max: Option<N>,
        print: impl Fn() -> String,
        path: &str,
    ) {
        if let Some(min) = min.filter(|min| number < *min) {
            let constraint = format!("Member must have {what} greater than or equal to {min}");
            self.add(&print(), path, constraint);
        }
        if let Some(max) = max.filter(|max| number > *max) {
            let constraint = format!("Member must have {what} less than or equal to {max}");
            self.add(&print(), path, constraint);
        }
    }
}

/// The value as an error shows it: quoted, with a space after it; nothing when it is sensitive.
fn shown(kind: &Type, value: &Value) -> String {
    let mut text = String::new();
    if print(kind, value, &mut text) {
        format!("'{}' ", types::echo(&text))
    } else {
        String::new()
    }
}

/// Prints `value` as Java would; `false` when something in it is sensitive. Stops early once there
/// is more than an error may echo.
fn print(kind: &Type, value: &Value, out: &mut String) -> bool {
    match (kind, value) {
        (Type::Text(text), _) if text.sensitive => return false,
        (_, Value::Null) => out.push_str("null"),
        (Type::Blob { .. }, Value::String(text)) => {
            let length = types::decoded_bytes(text);
            out.push_str(&format!(
                "java.nio.HeapByteBuffer[pos=0 lim={length} cap={length}]"
            ));
        }
        (Type::List { element, .. }, Value::Array(elements)) => {
            out.push('[');
            for (index, inner) in elements.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                if out.len() > limits::ECHO_BYTES {
                    break;
                }
                if !print(element, inner, out) {
                    return false;
                }
            }
            out.push(']');
        }
        (Type::Structure(shape), Value::Object(members)) => {
            out.push_str(shape.name);
            out.push('(');
            for (index, member) in shape.members.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                out.push_str(&lower_camel(member.name));
                out.push('=');
                let inner = members.get(member.name).unwrap_or(&Value::Null);
                if !print(member.kind, inner, out) {
                    return false;
                }
            }
            out.push(')');
        }
        (_, Value::String(text)) => out.push_str(text),
        (_, other) => out.push_str(&other.to_string()),
    }
    true
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.into()
    } else {
        format!("{path}.{name}")
    }
}

/// `DeliveryStreamName` → `deliveryStreamName`, `S3DestinationConfiguration` →
/// `s3DestinationConfiguration`, `RoleARN` → `roleARN`, `AWSKMSKeyARN` → `aWSKMSKeyARN`: the front
/// end lowers the first letter and no other.
fn lower_camel(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
