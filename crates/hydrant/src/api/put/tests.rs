//! The two ways to read a put, held against each other.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{fuzzing::outcome, *};
use crate::metrics::ingest::Put;

/// What the fast way takes, the exact way takes too, and makes the same of it.
fn agree(put: Put, body: &[u8]) -> Result<bool, TestCaseError> {
    let (fast, exact) = both_ways(put, body);
    if let Some(fast) = &fast {
        prop_assert_eq!(
            Ok(fast),
            exact.as_ref(),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    Ok(fast.is_some())
}

/// JSON text of a value with any character of any string escaped or not, and spaces anywhere.
fn spell(value: &Value, chance: &mut impl FnMut() -> u8, out: &mut String) {
    let space = |out: &mut String, n: u8| {
        out.push_str(["", "", "", "", " ", "\t", "\r\n", "  "][usize::from(n % 8)]);
    };
    space(out, chance());
    match value {
        Value::String(text) => spell_text(text, chance, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                spell(item, chance, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if chance().is_multiple_of(2) {
                members.reverse();
            }
            out.push('{');
            for (at, (name, member)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                spell_text(name, chance, out);
                space(out, chance());
                out.push(':');
                spell(member, chance, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
    space(out, chance());
}

fn spell_text(text: &str, chance: &mut impl FnMut() -> u8, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '/' if chance().is_multiple_of(2) => out.push_str("\\/"),
            c if c < ' ' || c == '"' || c == '\\' || chance().is_multiple_of(16) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn spelled(value: &Value, seed: u64) -> String {
    let chance = hydrant_engine::Chance::seeded(seed);
    let mut out = String::new();
    spell(value, &mut || chance.next_u64() as u8, &mut out);
    out
}

/// The same, with no character escaped but `/`, as clients write it.
fn spelled_plainly(value: &Value, seed: u64) -> String {
    let chance = hydrant_engine::Chance::seeded(seed);
    let mut out = String::new();
    let mut plain = || match chance.next_u64() as u8 {
        escaping if escaping.is_multiple_of(16) => 2,
        other => other,
    };
    spell(value, &mut plain, &mut out);
    out
}

fn data() -> impl Strategy<Value = Value> {
    prop_oneof![
        20 => vec(any::<u8>(), 0..40).prop_map(|bytes| json!(STANDARD.encode(bytes))),
        1 => "[A-Za-z0-9+/=_-]{0,9}".prop_map(Value::from),
        1 => select(vec![json!(null), json!(1), json!([]), json!({}), json!(true)]),
    ]
}

fn record() -> impl Strategy<Value = Value> {
    prop_oneof![
        20 => data().prop_map(|data| json!({ "Data": data })),
        1 => data().prop_map(|data| json!({ "Data": data, "More": 1 })),
        1 => data().prop_map(|data| json!([data])),
        1 => select(vec![json!(null), json!("AAAA"), json!({})]),
    ]
}

fn name() -> impl Strategy<Value = Value> {
    prop_oneof![
        20 => "[a-zA-Z0-9_.-]{1,8}".prop_map(Value::from),
        1 => "[a-z]{60,70}".prop_map(Value::from),
        1 => select(vec![json!(""), json!("ä"), json!("a b"), json!(null), json!(7)]),
    ]
}

fn request() -> impl Strategy<Value = (Put, Value)> {
    let one = (name(), record()).prop_map(|(name, record)| {
        (
            Put::Record,
            json!({ "DeliveryStreamName": name, "Record": record }),
        )
    });
    let many = (name(), vec(record(), 0..6)).prop_map(|(name, records)| {
        (
            Put::Batch,
            json!({ "DeliveryStreamName": name, "Records": records }),
        )
    });
    let odd = (
        name(),
        record(),
        vec(record(), 0..3),
        select(vec![Put::Record, Put::Batch]),
    )
        .prop_map(|(name, record, records, put)| {
            let odd = json!({ "DeliveryStreamName": name, "Record": record, "Records": records });
            (put, odd)
        });
    prop_oneof![8 => one, 8 => many, 1 => odd]
}

proptest! {
    #[test]
    fn both_ways_agree_on_requests((put, value) in request(), seed: u64) {
        agree(put, spelled(&value, seed).as_bytes())?;
    }

    #[test]
    fn both_ways_agree_on_mutilated_requests(
        (put, value) in request(),
        seed: u64,
        at: prop::sample::Index,
        with in select(br#""\{}[],:=A/ 0n"#.to_vec()),
        cut: bool,
    ) {
        let mut body = spelled(&value, seed).into_bytes();
        let at = at.index(body.len());
        if cut { body.truncate(at) } else { body[at] = with }
        agree(put, &body)?;
    }

    /// What clients send is read the fast way: were it not, nobody would notice but by its cost.
    #[test]
    fn what_is_in_order_is_read_fast(
        stream in "[a-zA-Z0-9_.-]{1,64}",
        records in vec(vec(any::<u8>(), 0..60), 1..8),
        seed: u64,
    ) {
        let records_json: Vec<Value> =
            records.iter().map(|record| json!({ "Data": STANDARD.encode(record) })).collect();
        let value = json!({ "DeliveryStreamName": stream, "Records": records_json });
        let body = spelled_plainly(&value, seed);
        prop_assert!(agree(Put::Batch, body.as_bytes())?);
        let request = scan::scan(Put::Batch, body.as_bytes()).map(outcome);
        let records: Vec<Bytes> = records.into_iter().map(Bytes::from).collect();
        prop_assert_eq!(request, Some((stream, records)));
    }
}

fn batch(records: usize, data: &str) -> String {
    let record = format!(r#"{{"Data":"{data}"}}"#);
    let records = vec![record; records].join(",");
    format!(r#"{{"DeliveryStreamName":"a","Records":[{records}]}}"#)
}

#[test]
fn what_is_unusual_goes_the_exact_way() {
    let put = |record: &str| format!(r#"{{"DeliveryStreamName":"a","Record":{record}}}"#);
    let over = "A".repeat(1_365_336);
    for (kind, body, taken) in [
        (Put::Record, put(r#"{"Data":"AAAA"}"#), true),
        (Put::Record, put(r#"{"Data":""}"#), true),
        // A list in the place of a structure must not slip through.
        (Put::Record, put(r#"["AAAA"]"#), false),
        (Put::Record, put(r#"{"Data":"AAAA","Data":"AAAA"}"#), false),
        (
            Put::Record,
            put(r#"{"Data":"AAAA"},"Record":{"Data":"AAAA"}"#),
            false,
        ),
        (
            Put::Record,
            put(r#"{"Data":"AAAA"},"DeliveryStreamName":"b""#),
            false,
        ),
        (
            Put::Batch,
            batch(1, "").replace("]}", r#"],"Records":[{"Data":""}]}"#),
            false,
        ),
        (Put::Record, put(r#"{"Data":"AAA"}"#), false),
        (Put::Record, put(r#"{"Data":null}"#), false),
        (Put::Record, put("{}"), false),
        (Put::Record, put(&format!(r#"{{"Data":"{over}"}}"#)), false),
        (
            Put::Record,
            put(&format!(r#"{{"Data":"{}=="}}"#, &over[2..])),
            true,
        ),
        (Put::Record, batch(1, ""), false),
        (Put::Record, r#"{"DeliveryStreamName":"a"}"#.into(), false),
        (Put::Record, r#"{"Record":{"Data":""}}"#.into(), false),
        (Put::Batch, put(r#"{"Data":""}"#), false),
        (Put::Batch, batch(500, ""), true),
        (Put::Batch, batch(501, ""), false),
        (Put::Batch, batch(0, ""), false),
        (Put::Batch, batch(1, "") + "x", false),
    ] {
        assert_eq!(
            scan::scan(kind, body.as_bytes()).is_some(),
            taken,
            "{kind:?} {body:.90}"
        );
        agree(kind, body.as_bytes()).unwrap();
    }
}

#[test]
fn unknown_members_are_fine_but_not_fast() {
    let body = br#"{"DeliveryStreamName":"a","Record":{"Data":"QQ==","X":1},"Y":[1e999]}"#;
    assert!(scan::scan(Put::Record, body).is_none());
    let (stream, records) = outcome(exact::exact(Put::Record, body).unwrap());
    assert_eq!(
        (stream.as_str(), &records[..]),
        ("a", &[Bytes::from_static(b"A")][..])
    );
}
