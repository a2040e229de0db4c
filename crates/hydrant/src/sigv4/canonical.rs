//! The canonical request: one spelling for all requests that mean the same.
//!
//! ```text
//! METHOD \n path \n sorted query \n name:value \n … \n \n signed;headers \n hash of the body
//! ```
//!
//! The path is taken as it came: Firehose knows only `/`, and clients sign what they send.

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::{ALGORITHM, key::sha256_hex};

/// The parts of a request that a signature covers, as they travel on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// `POST`.
    pub method: &'r str,
    /// The path without query, percent-encoded as sent.
    pub path: &'r str,
    /// What stands after `?`, percent-encoded as sent; empty without one.
    pub query: &'r str,
    /// All headers.
    pub headers: &'r HeaderMap,
}

impl<'r> Request<'r> {
    /// The first value of a header, when it is text.
    pub fn header(&self, name: &str) -> Option<&'r str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The query's parameters, decoded.
    pub fn parameters(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.query.replace('+', "%2B").as_bytes())
            .into_owned()
            .collect()
    }
}

/// The canonical request. `signed_headers` are lower-case and in the order of `SignedHeaders`;
/// `body_sha256` is what stands for the body, usually its SHA-256 in hex.
pub fn canonical_request(
    request: &Request<'_>,
    signed_headers: &[&str],
    body_sha256: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    for part in [request.method, request.path, &canonical_query(request)] {
        out.extend_from_slice(part.as_bytes());
        out.push(b'\n');
    }
    for name in signed_headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        for (index, value) in request.headers.get_all(*name).iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_trimmed(&mut out, value.as_bytes());
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(signed_headers.join(";").as_bytes());
    out.push(b'\n');
    out.extend_from_slice(body_sha256.as_bytes());
    out
}

/// The string to sign. `time` is `yyyymmddThhmmssZ`, `scope` is `yyyymmdd/region/service/aws4_request`.
pub fn string_to_sign(time: &str, scope: &str, canonical_request: &[u8]) -> String {
    format!(
        "{ALGORITHM}\n{time}\n{scope}\n{}",
        sha256_hex(canonical_request)
    )
}

/// Appends `value` without white space at its ends and with one space for each run of spaces.
fn push_trimmed(out: &mut Vec<u8>, value: &[u8]) {
    let mut space = false;
    for byte in value.trim_ascii() {
        if *byte != b' ' || !space {
            out.push(*byte);
        }
        space = *byte == b' ';
    }
}

/// In bytes: text would make one of all that is no UTF-8, and a signature of one good for another.
fn canonical_query(request: &Request<'_>) -> String {
    let pairs = request.query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (spelled(name), spelled(value)))
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// What a part of a query means, with all but the unreserved characters of RFC 3986 in upper-case hex. A `+` is a `+`.
fn spelled(part: &str) -> String {
    const RESERVED: AsciiSet = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let bytes: Vec<u8> = percent_decode_str(part).collect();
    percent_encode(&bytes, &RESERVED).to_string()
}
