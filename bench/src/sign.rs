//! Just enough SigV4 to sign the same few bodies again and again without being the bottleneck.

use aws_lc_rs::{digest, hmac};
use hydrant_engine::Timestamp;

/// Signs requests for one key, region and day.
#[derive(Debug)]
pub(crate) struct Signer {
    access_key: String,
    secret_key: String,
    region: String,
    host: String,
}

/// The headers that make a request a signed one.
pub(crate) struct Signed {
    pub(crate) date: String,
    pub(crate) authorization: String,
}

impl Signer {
    pub(crate) fn new(access_key: &str, secret_key: &str, region: &str, host: &str) -> Self {
        let own = str::to_owned;
        Signer {
            access_key: own(access_key),
            secret_key: own(secret_key),
            region: own(region),
            host: own(host),
        }
    }

    /// Signs a request of `target` whose body hashes to `body_hash`, at `now`.
    pub(crate) fn sign(&self, target: &str, body_hash: &str, now: Timestamp) -> Signed {
        let millis = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let now = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
        let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/{}/firehose/aws4_request", &date[..8], self.region);
        let headers = "content-type;host;x-amz-date;x-amz-target";
        let canonical = format!(
            "POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:{}\nx-amz-date:{date}\nx-amz-target:{target}\n\n{headers}\n{body_hash}",
            self.host
        );
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
            sha256(canonical.as_bytes())
        );
        let mut key = hmac_sha256(format!("AWS4{}", self.secret_key).as_bytes(), &date[..8]);
        for part in [
            self.region.as_str(),
            "firehose",
            "aws4_request",
            to_sign.as_str(),
        ] {
            key = hmac_sha256(key.as_ref(), part);
        }
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={headers}, Signature={}",
            self.access_key,
            hex::encode(key.as_ref())
        );
        Signed {
            date,
            authorization,
        }
    }
}

/// The head of a signed request of `target` with a body of `length` bytes.
pub(crate) fn head(
    signer: &Signer,
    target: &str,
    hash: &str,
    length: usize,
    now: Timestamp,
) -> Vec<u8> {
    let signed = signer.sign(target, hash, now);
    format!(
        "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-amz-json-1.1\r\nx-amz-date: {}\r\nx-amz-target: {target}\r\nauthorization: {}\r\ncontent-length: {length}\r\n\r\n",
        signer.host, signed.date, signed.authorization,
    )
    .into_bytes()
}

/// The hex SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn hmac_sha256(key: &[u8], message: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes())
}
