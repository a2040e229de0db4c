//! Reads a request's JSON, and of it only what its table knows.
//!
//! Whoever may send 8 MiB of JSON may send a million empty objects, and a tree of those takes a hundred
//! times the memory of their text. So what the table does not know is skipped, not read: members
//! without a name in it, what is inside an object where a text should be, and the elements that a
//! list has far beyond its bound. What is kept takes little more than its text; what is wrong with it
//! is the checks' business, and they find the same as in the whole tree.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Member, Structure, Type};
use crate::api::{ApiError, limits};

/// Parses a request body by its table. Anything but an object or an array is refused without text,
/// like a body that is no JSON (SPEC §1.5, step 5).
///
/// # Errors
/// `Serialization(None)`.
pub fn parse(shape: &'static Structure, body: &[u8]) -> Result<Value, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = Known(&Type::Structure(shape)).deserialize(&mut json);
    match value.and_then(|value| json.end().map(|()| value)) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
        _ => Err(ApiError::Serialization(None)),
    }
}

/// A value of this type, or of a wrong one: then without what is inside.
struct Known<'t>(&'t Type);

impl<'de> DeserializeSeed<'de> for Known<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Known<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        if let Type::List { element, max, .. } = self.0 {
            let kept = max.saturating_add(limits::ELEMENTS_BEYOND) as usize;
            while elements.len() < kept {
                match seq.next_element_seed(Known(element))? {
                    Some(value) => elements.push(value),
                    None => return Ok(elements.into()),
                }
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(elements.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let members: &[Member] = match self.0 {
            Type::Structure(shape) => shape.members,
            _ => &[],
        };
        let mut kept = Map::new();
        while let Some(member) = map.next_key_seed(Named(members))? {
            match member {
                // Of a member that comes twice the last holds.
                Some(member) => {
                    let value = map.next_value_seed(Known(member.kind))?;
                    kept.insert(member.name.into(), value);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(kept.into())
    }
}

/// The one of these members that a key names.
struct Named<'t>(&'t [Member]);

impl<'de, 't> DeserializeSeed<'de> for Named<'t> {
    type Value = Option<&'t Member>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'_> for Named<'t> {
    type Value = Option<&'t Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|member| member.name == name))
    }
}
