//! Against requests that SDKs signed (in `recorded/`), and every way to be refused.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::sigv4::{key::sha256_hex, sign};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "FQoDYXdzEXAMPLE/+/token==";
/// When all of them were signed: 2026-11-23T05:30:00Z.
const SIGNED_AT: Timestamp = Timestamp(1_795_411_800_000);

const PUT_RECORD: &str = include_str!("recorded/botocore-put-record.http");
const PUT_RECORD_BATCH: &str =
    include_str!("recorded/botocore-put-record-batch-session-token.http");
const LIST: &str = include_str!("recorded/botocore-list.http");
/// The set of headers that the Java SDK v1 signs, user agent and content length among them.
const JAVA: &str = include_str!("recorded/java-v1-signed-headers.http");

#[derive(Clone, Debug)]
struct Recorded {
    query: String,
    headers: HeaderMap,
    body: &'static str,
}

impl Recorded {
    fn new(text: &'static str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap();
        let mut headers = HeaderMap::new();
        for line in head.lines().skip(1) {
            let (name, value) = line.split_once(':').unwrap();
            // Between the colon and the value there is one space; the rest is the value's own.
            let value = value.strip_prefix(' ').unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        Recorded {
            query: String::new(),
            headers,
            body,
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    fn authorization(&self) -> &str {
        self.headers["authorization"].to_str().unwrap()
    }

    fn edit(self, from: &str, to: &str) -> Self {
        let edited = self.authorization().replace(from, to);
        assert_ne!(edited, self.authorization());
        self.with("authorization", &edited)
    }

    fn verify_at(&self, now: Timestamp, token: Option<&str>) -> Result<Claim, AuthError> {
        let request = Request {
            method: "POST",
            path: "/",
            query: &self.query,
            headers: &self.headers,
        };
        verify(&request, &sha256_hex(self.body.as_bytes()), now, |claim| {
            (claim.access_key == "AKIDEXAMPLE").then(|| KnownKey {
                signing_key: SigningKey::derive(SECRET, &claim.date, &claim.region, SERVICE),
                session_token: token,
                expires: Some(SIGNED_AT.plus(Duration::from_secs(120))),
            })
        })
    }

    fn verify(&self) -> Result<Claim, AuthError> {
        self.verify_at(SIGNED_AT, None)
    }

    fn refused(&self) -> AuthError {
        self.verify().unwrap_err()
    }
}

fn ago(minutes: u64) -> Timestamp {
    SIGNED_AT.plus(Duration::from_secs(minutes * 60))
}

#[test]
fn what_sdks_signed_is_verified() {
    for text in [PUT_RECORD, PUT_RECORD_BATCH, LIST, JAVA] {
        let claim = Recorded::new(text).verify().unwrap();
        assert_eq!(claim.access_key, "AKIDEXAMPLE");
        assert_eq!(claim.region, "eu-west-1");
    }
}

#[test]
fn whatever_is_signed_must_not_change() {
    for (name, value) in [
        ("host", "localhost:4574"),
        ("x-amz-target", "Firehose_20150804.DeleteDeliveryStream"),
        ("x-amz-date", "20261123T053001Z"),
        ("x-amz-security-token", "another"),
        ("user-agent", "aws-sdk-java/1.11.156"),
        ("amz-sdk-retry", "1/0/500"),
        ("content-length", "59"),
    ] {
        let changed = Recorded::new(JAVA).with(name, value);
        assert_eq!(changed.refused(), AuthError::Mismatch, "{name}");
    }
    let mut changed = Recorded::new(JAVA);
    changed.body = "{}";
    assert_eq!(changed.refused(), AuthError::Mismatch);
    // What is not signed may: proxies add and remove.
    let changed = Recorded::new(LIST)
        .with("user-agent", "other")
        .without("content-length");
    assert!(changed.verify().is_ok());
    // Nor do runs of spaces matter.
    let spaced = "aws-sdk-java/1.11.155   Linux/4.9 OpenJDK_64-Bit";
    assert!(
        Recorded::new(JAVA)
            .with("user-agent", spaced)
            .verify()
            .is_ok()
    );
}

#[test]
fn bytes_of_the_query_that_are_no_text_are_signed_too() {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("h"));
    let subject = sign::Subject {
        method: "POST",
        path: "/",
        query: "x=%FF",
        body_sha256: &sha256_hex(b""),
    };
    let credentials = sign::Credentials {
        access_key: "AKIDEXAMPLE".to_owned(),
        secret_key: SECRET.to_owned(),
        session_token: None,
    };
    sign::sign(
        subject,
        &mut headers,
        &credentials,
        "eu-west-1",
        SERVICE,
        SIGNED_AT,
    )
    .unwrap();
    let sent = |query: &str| Recorded {
        query: query.to_owned(),
        headers: headers.clone(),
        body: "",
    };
    sent("x=%FF").verify().unwrap();
    assert_eq!(sent("x=%DF").refused(), AuthError::Mismatch);
}

#[test]
fn a_header_with_the_hash_must_hold_the_hash() {
    let hash = sha256_hex(Recorded::new(LIST).body.as_bytes());
    let with = |value: &str| Recorded::new(LIST).with("x-amz-content-sha256", value);
    assert!(with(&hash).verify().is_ok());
    assert_eq!(with("UNSIGNED-PAYLOAD").refused(), AuthError::Mismatch);
    assert_eq!(with(&sha256_hex(b"")).refused(), AuthError::Mismatch);
}

#[test]
fn a_header_with_the_hash_of_what_was_signed_does_not_excuse_another_body() {
    let signed = Recorded::new(LIST);
    let hash = sha256_hex(signed.body.as_bytes());
    let mut sent = signed.with("x-amz-content-sha256", &hash);
    sent.verify().unwrap();
    sent.body = r#"{"Limit":1}"#;
    assert_eq!(sent.refused(), AuthError::Mismatch);
}

#[test]
fn missing_parts_are_named_all_at_once() {
    let recorded = Recorded::new(LIST);
    assert_eq!(
        recorded.clone().without("authorization").refused(),
        AuthError::Missing
    );
    let mut both = recorded.clone();
    both.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256".into();
    assert_eq!(both.refused(), AuthError::BothForms);

    let bare = recorded.clone().with("authorization", "AWS4-HMAC-SHA256");
    assert_eq!(
        bare.without("x-amz-date").refused().to_string(),
        "Authorization header requires 'Credential' parameter. \
         Authorization header requires 'Signature' parameter. \
         Authorization header requires 'SignedHeaders' parameter. \
         Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. \
         Authorization=AWS4-HMAC-SHA256"
    );
    let unsigned = recorded.clone().edit(", Signature=", ", Sgntr=");
    assert!(
        unsigned
            .refused()
            .to_string()
            .starts_with("Authorization header requires 'Signature' parameter. Authorization=AWS4"),
    );
    let mut presigned = recorded.without("authorization");
    presigned.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=1".into();
    assert_eq!(
        presigned.refused().to_string(),
        "AWS query-string parameters must include 'X-Amz-Credential'. \
         AWS query-string parameters must include 'X-Amz-SignedHeaders'. \
         AWS query-string parameters must include 'X-Amz-Date'. \
         Re-examine the query-string parameters."
    );
}

#[test]
fn clocks_may_differ_by_five_minutes() {
    let recorded = Recorded::new(LIST);
    let expired = |now| recorded.verify_at(now, None).unwrap_err();
    // The key of these tests expires two minutes after the signature.
    assert_eq!(expired(ago(5)), AuthError::Expired);
    assert_eq!(
        expired(ago(6)).to_string(),
        "Signature expired: 20261123T053000Z is now earlier than 20261123T053100Z \
         (20261123T053600Z - 5 min.)"
    );
    let early = Timestamp(SIGNED_AT.0 - 5 * 60_000);
    assert!(recorded.verify_at(early, None).is_ok());
    assert_eq!(
        expired(Timestamp(early.0 - 60_000)).to_string(),
        "Signature not yet current: 20261123T053000Z is still later than 20261123T052900Z \
         (20261123T052400Z + 5 min.)"
    );
}

#[test]
fn the_scope_must_be_ours() {
    let refused = |from: &str, to: &str| Recorded::new(LIST).edit(from, to).refused();
    assert_eq!(
        refused("/firehose/", "/kinesis/").to_string(),
        "Credential should be scoped to correct service: 'firehose'. "
    );
    assert_eq!(
        refused("/eu-west-1/", "/EU/").to_string(),
        "Credential should be scoped to a valid region, not 'EU'. "
    );
    assert_eq!(
        refused("aws4_request", "aws5_request").to_string(),
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. "
    );
    assert!(matches!(
        refused("/20261123/", "/20261122/"),
        AuthError::WrongScope(_)
    ));
    assert!(matches!(
        refused("/20261123/", "//"),
        AuthError::WrongScope(_)
    ));
    assert!(matches!(
        refused("/aws4_request", ""),
        AuthError::Incomplete(_)
    ));
    // Another region than was signed for is a wrong signature.
    assert_eq!(refused("/eu-west-1/", "/us-east-1/"), AuthError::Mismatch);
}

#[test]
fn keys_and_tokens() {
    let unknown = Recorded::new(LIST).edit("AKIDEXAMPLE", "AKIDOTHER");
    assert_eq!(unknown.refused(), AuthError::UnknownKey);
    let batch = Recorded::new(PUT_RECORD_BATCH);
    assert!(batch.verify_at(SIGNED_AT, Some(TOKEN)).is_ok());
    let token =
        |recorded: &Recorded, token| recorded.verify_at(SIGNED_AT, Some(token)).unwrap_err();
    assert_eq!(token(&batch, "another"), AuthError::WrongToken);
    assert_eq!(token(&Recorded::new(LIST), TOKEN), AuthError::WrongToken);
    assert_eq!(
        batch.verify_at(ago(2), Some(TOKEN)),
        Err(AuthError::Expired)
    );
}

#[test]
fn the_host_must_be_signed_and_the_rest_may_be_any_set() {
    let credentials = sign::Credentials {
        access_key: "AKIDEXAMPLE".into(),
        secret_key: SECRET.into(),
        session_token: None,
    };
    let signed = |host: bool| {
        let mut recorded = Recorded {
            query: String::new(),
            headers: HeaderMap::new(),
            body: "",
        };
        if host {
            recorded
                .headers
                .insert("host", HeaderValue::from_static("h"));
        }
        let subject = sign::Subject {
            method: "POST",
            path: "/",
            query: "",
            body_sha256: &sha256_hex(b""),
        };
        let headers = &mut recorded.headers;
        sign::sign(
            subject,
            headers,
            &credentials,
            "eu-west-1",
            SERVICE,
            SIGNED_AT,
        )
        .unwrap();
        recorded
    };
    assert!(signed(true).verify().is_ok());
    assert_eq!(signed(false).refused(), AuthError::Mismatch);
}

#[test]
fn an_rfc_1123_date_will_do() {
    let recorded = Recorded::new(LIST).without("x-amz-date");
    let dated = recorded.with("date", "Mon, 23 Nov 2026 05:30:00 GMT");
    // It was not signed this way; but it is read, and found to be in time.
    assert_eq!(dated.refused(), AuthError::Mismatch);
    let late = dated.with("date", "Mon, 23 Nov 2026 05:20:00 GMT");
    assert!(matches!(late.refused(), AuthError::TooOld { .. }));
    let odd = late.with("date", "yesterday");
    assert!(matches!(odd.refused(), AuthError::Incomplete(_)));
}

#[test]
fn times() {
    let time = Timestamp(1_440_938_160_000);
    let said = || "20150830T123600Z".to_owned();
    assert_eq!(read_time("20150830T123600Z"), Some((time, said())));
    let written_out = read_time("Sun, 30 Aug 2015 12:36:00 GMT");
    assert_eq!(written_out, Some((time, said())));
    assert_eq!(basic(time), said());
    for wrong in [
        "",
        "2015083OT123600Z",
        "20150830T246000Z",
        "20150229T123600Z",
        "20150830 123600Z",
        "20150830",
        "20151330T123600Z",
        "20150830T123600",
        "19600101T000000Z",
    ] {
        assert_eq!(read_time(wrong), None, "{wrong}");
    }
}

proptest! {
    /// The quick way reads what the general one would.
    #[test]
    fn times_are_read_as_they_are_said(seconds in 0u64..253_402_300_800, odd in "[0-9]{8}T[0-9]{6}Z") {
        let time = Timestamp(seconds * 1000);
        prop_assert_eq!(read_time(&basic(time)), Some((time, basic(time))));
        if let Some(time) = read_basic(odd.as_bytes()) {
            prop_assert_eq!(civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &odd).unwrap(), time);
        }
    }

    /// Nothing that a stranger sends panics, and nothing gets in.
    #[test]
    fn strangers_get_an_error(
        header in "(AWS4-HMAC-SHA256 )?[ -~]{0,80}",
        parameters in "(Credential=[a-z0-9/]{0,40}, ?|SignedHeaders=[a-z;]{0,9}, ?|Signature=[0-9a-f]{0,70},?){0,4}",
        date in "([0-9TZ]{0,18}|[ -~]{0,30})",
        query in "[ -~]{0,60}",
    ) {
        for value in [header, format!("AWS4-HMAC-SHA256 {parameters}")] {
            let mut request = Recorded::new(LIST);
            request.headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
            request.headers.insert("x-amz-date", HeaderValue::from_str(&date).unwrap());
            request.query = query.clone();
            prop_assert!(request.verify().is_err());
        }
    }
}
