use proptest::prelude::*;
use serde_json::json;

use super::*;

static RECORD: Structure = Structure {
    name: "Record",
    members: &[Member::required("Data", &Type::Blob { max: 9 })],
};
static NAME: Type = Type::text(Some(1), Some(5), Some(&patterns::STREAM_NAME));
static RECORDS: Type = Type::List {
    element: &Type::Structure(&RECORD),
    min: Some(1),
    max: 3,
};
static INPUT: Structure = Structure {
    name: "Input",
    members: &[
        Member::required("StreamName", &NAME),
        Member::optional("Records", &RECORDS),
        Member::optional("Limit", &Type::integer(1, 10)),
        Member::optional(
            "Share",
            &Type::Double {
                min: Some(0.0),
                max: Some(1.0),
            },
        ),
        Member::optional("Password", &Type::sensitive(6, 8)),
        Member::optional("Flag", &Type::Boolean),
        Member::optional("Format", &Type::Enum(&["ZIP", "GZIP"])),
        Member::optional("When", &Type::Timestamp),
        Member::optional("S3Thing", &Type::Structure(&RECORD)),
        Member::optional("Later", &Type::Refused),
    ],
};

fn serialization(value: Value) -> String {
    let mut value = value;
    match check(&INPUT, &mut value) {
        Err(ApiError::Serialization(Some(text))) => text,
        other => panic!("expected a SerializationException, got {other:?}"),
    }
}

fn validation(value: Value) -> String {
    let mut value = value;
    match check(&INPUT, &mut value) {
        Err(ApiError::Validation(text)) => text,
        other => panic!("expected a ValidationException, got {other:?}"),
    }
}

#[test]
fn what_fits_is_normalised() {
    let mut value = json!({
        "StreamName": "abc", "Limit": 7.9, "Flag": "Yes", "Format": null, "Unknown": {"x": 1},
        "Records": [{"Data": "AAAA", "More": 1}],
        "Later": {"deep": ["er"]}, "When": 1.5,
    });
    check(&INPUT, &mut value).unwrap();
    assert_eq!(
        value,
        json!({
            "StreamName": "abc", "Limit": 7, "Flag": true, "Records": [{"Data": "AAAA"}],
            "Later": {}, "When": 1.5,
        })
    );
}

#[test]
fn wrong_types() {
    const NUMBER: &str = "com.amazon.coral.value.json.numbers.TruncatingBigNumber";
    let list = "Start of list found where not expected".to_owned();
    let object = "Start of structure or map found where not expected.".to_owned();
    let class = |class: &str, to: &str| format!("class {class} can not be converted to {to}");
    let string = "java.lang.String";
    let boolean = "java.lang.Boolean";
    for (member, value, text) in [
        ("StreamName", json!(1), class(NUMBER, "an String")),
        ("StreamName", json!(true), class(boolean, "an String")),
        ("StreamName", json!([]), list.clone()),
        ("StreamName", json!({}), object.clone()),
        ("Format", json!(1), class(NUMBER, "an String")),
        ("Limit", json!("1"), class(string, "an Integer")),
        ("Limit", json!(true), class(boolean, "an Integer")),
        ("Limit", json!([1]), list.clone()),
        ("Share", json!("1"), class(string, "an Double")),
        (
            "When",
            json!("2015"),
            class(string, "milliseconds since epoch"),
        ),
        ("Flag", json!(1), class(NUMBER, "an Boolean")),
        (
            "Flag",
            json!("maybe"),
            "'MAYBE' can not be converted to an Boolean".into(),
        ),
        ("Flag", json!({}), object.clone()),
        ("Records", json!("x"), "Expected list or null".into()),
        ("Records", json!({}), object.clone()),
        ("Records", json!([1]), "Expected null".into()),
        ("Records", json!([[]]), list.clone()),
        ("S3Thing", json!("x"), "Expected null".into()),
        ("S3Thing", json!([]), list.clone()),
        ("Later", json!(false), "Expected null".into()),
        ("S3Thing", json!({"Data": 1}), class(NUMBER, "a Blob")),
        ("S3Thing", json!({"Data": {}}), object.clone()),
    ] {
        assert_eq!(
            serialization(json!({ member: value.clone() })),
            text,
            "{member}: {value}"
        );
    }
    assert_eq!(serialization(json!([])), list);
}

#[test]
fn wrong_base64() {
    for (data, why) in [
        (
            "abc",
            "Base64 encoded length is expected a multiple of 4 bytes but found: 3",
        ),
        ("ab&=", "Invalid Base64 character: '&'"),
        ("=aaa", "Invalid Base64 character: '='"),
        ("a===", "Invalid Base64 character: '='"),
        ("ab-_", "Invalid Base64 character: '-'"),
        ("aaa\n", "Invalid Base64 character: '\n'"),
        ("äaaa", "Invalid Base64 character: 'ä'"),
        ("AAB=", "Invalid last non-pad Base64 character dectected"),
        ("AB==", "Invalid last non-pad Base64 character dectected"),
    ] {
        assert_eq!(
            serialization(json!({"S3Thing": {"Data": data}})),
            format!("'{data}' can not be converted to a Blob: {why}")
        );
    }
}

#[test]
fn constraints_of_texts_and_numbers() {
    assert_eq!(
        validation(json!({})),
        "1 validation error detected: Value null at 'streamName' failed to satisfy constraint: \
         Member must not be null"
    );
    assert_eq!(
        validation(json!({"StreamName": ""})),
        "2 validation errors detected: \
         Value '' at 'streamName' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; \
         Value '' at 'streamName' failed to satisfy constraint: \
         Member must have length greater than or equal to 1"
    );
    assert_eq!(
        validation(json!({"StreamName": "abcdef", "Limit": 0, "Share": 1.5, "Format": "zip"})),
        "4 validation errors detected: \
         Value 'abcdef' at 'streamName' failed to satisfy constraint: \
         Member must have length less than or equal to 5; \
         Value '0' at 'limit' failed to satisfy constraint: \
         Member must have value greater than or equal to 1; \
         Value '1.5' at 'share' failed to satisfy constraint: \
         Member must have value less than or equal to 1; \
         Value 'zip' at 'format' failed to satisfy constraint: \
         Member must satisfy enum value set: [ZIP, GZIP]"
    );
}

#[test]
fn a_sensitive_value_is_never_echoed() {
    let text = validation(json!({"StreamName": "a", "Password": "hunt2"}));
    assert_eq!(
        text,
        "1 validation error detected: Value at 'password' failed to satisfy constraint: \
         Member must have length greater than or equal to 6"
    );
}

#[test]
fn lists_count_from_one_and_all_offenders_are_named() {
    let big = "A".repeat(16);
    assert_eq!(
        validation(json!({"StreamName": "a", "Records": [{"Data": big}, {}, null]})),
        "3 validation errors detected: \
         Value 'java.nio.HeapByteBuffer[pos=0 lim=12 cap=12]' at 'records.1.member.data' \
         failed to satisfy constraint: Member must have length less than or equal to 9; \
         Value null at 'records.2.member.data' failed to satisfy constraint: \
         Member must not be null; \
         Value null at 'records.3.member' failed to satisfy constraint: Member must not be null"
    );
    assert_eq!(
        validation(json!({"StreamName": "a", "Records": []})),
        "1 validation error detected: Value '[]' at 'records' failed to satisfy constraint: \
         Member must have length greater than or equal to 1"
    );
    // As the service printed it in 2015 for 501 records.
    let four = vec![json!({"Data": "AA=="}); 4];
    let one = "Record(data=java.nio.HeapByteBuffer[pos=0 lim=1 cap=1])";
    assert_eq!(
        validation(json!({"StreamName": "a", "Records": four})),
        format!(
            "1 validation error detected: Value '[{one}, {one}, {one}, {one}]' at 'records' failed \
             to satisfy constraint: Member must have length less than or equal to 3"
        )
    );
}

#[test]
fn ten_errors_at_most_and_no_endless_echo() {
    let many = vec![json!({}); 100_000];
    let text = validation(json!({"StreamName": "a", "Records": many}));
    assert!(
        text.starts_with("10 validation errors detected: "),
        "{text}"
    );
    assert_eq!(text.matches("failed to satisfy").count(), 10);
    assert!(text.len() < 2 * crate::api::limits::ECHO_BYTES);
}

#[test]
fn bodies() {
    for body in ["", "null", "1", "\"a\"", "{", "{\"a\":}", "\u{fe}"] {
        assert_eq!(
            parse(&INPUT, body.as_bytes()),
            Err(ApiError::Serialization(None)),
            "{body}"
        );
    }
    assert_eq!(parse(&INPUT, b"\xff{}"), Err(ApiError::Serialization(None)));
    let deep = "[".repeat(100_000);
    let open = parse(&INPUT, deep.as_bytes());
    assert_eq!(open, Err(ApiError::Serialization(None)));
    let twice = parse(&INPUT, br#" {"Limit": 1, "Limit": 2} "#);
    assert_eq!(twice, Ok(json!({"Limit": 2})));
}

#[test]
fn what_the_table_does_not_know_takes_no_memory() {
    let (deep, end) = ("[".repeat(100_000), "]".repeat(100_000));
    let many = "{\"\":{}},".repeat(100_000);
    let body = format!(
        r#"{{"Unknown": {deep}{end}, "StreamName": {{"a": [{many} 0]}}, "Limit": [{many} 0],
            "S3Thing": [{many} 0], "Records": {{"a": [{many} 0]}}, "Later": {{"a": [{many} 0]}}}}"#
    );
    let empty = json!({
        "StreamName": {}, "Limit": [], "S3Thing": [], "Records": {}, "Later": {},
    });
    assert_eq!(parse(&INPUT, body.as_bytes()), Ok(empty));

    let body = format!(r#"{{"Records": [{many} 0]}}"#);
    let kept = 3 + crate::api::limits::ELEMENTS_BEYOND as usize;
    let records = json!({ "Records": vec![json!({}); kept] });
    assert_eq!(parse(&INPUT, body.as_bytes()), Ok(records));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[A-Za-z0-9+/]{0,8}={0,2}".prop_map(Value::from),
    ];
    let member = prop_oneof![
        3 => proptest::sample::select(
            INPUT.members.iter().map(|m| m.name.to_owned()).chain(["Data".into()]).collect::<Vec<_>>()
        ),
        1 => "[a-z]{0,3}",
    ];
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::hash_map(member.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever comes, the check gives an answer; what passes stays as it is when checked again.
    #[test]
    fn checking_is_total_and_settles(value in any_json()) {
        let mut once = value;
        if check(&INPUT, &mut once).is_ok() {
            let mut twice = once.clone();
            prop_assert_eq!(check(&INPUT, &mut twice), Ok(()));
            prop_assert_eq!(once, twice);
        }
    }

    /// Reading by the table leaves out nothing that the check would look at.
    #[test]
    fn reading_by_the_table_changes_no_verdict(value in any_json()) {
        let body = value.to_string();
        let mut whole: Value = serde_json::from_str(&body).unwrap();
        let expected = match &whole {
            Value::Object(_) | Value::Array(_) => check(&INPUT, &mut whole).map(|()| whole),
            _ => Err(ApiError::Serialization(None)),
        };
        let read = parse(&INPUT, body.as_bytes())
            .and_then(|mut value| check(&INPUT, &mut value).map(|()| value));
        prop_assert_eq!(read, expected, "{}", body);
    }

    /// The base64 check agrees with the decoder, both ways.
    #[test]
    fn base64_that_passes_decodes(text in "[AQgw/+b8=-]{0,9}") {
        use base64::Engine as _;
        let ours = check_types(&RECORD, &mut json!({ "Data": text })).is_ok();
        let decoded = base64::engine::general_purpose::STANDARD.decode(&text);
        prop_assert_eq!(ours, decoded.is_ok());
        if let Ok(bytes) = decoded {
            prop_assert_eq!(types::decoded_bytes(&text), bytes.len() as u64);
        }
    }
}
