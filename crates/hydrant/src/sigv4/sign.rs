//! What a client does: signs a request before it is sent.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header::InvalidHeaderValue};
use hydrant_engine::Timestamp;

use super::{
    ALGORITHM, TERMINATOR,
    canonical::{Request, canonical_request, string_to_sign},
    key::SigningKey,
    verify::basic,
};

/// What to sign with. `Debug` shows the access key alone.
#[derive(Clone)]
pub struct Credentials {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// What is signed, but for the headers.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// `POST`.
    pub method: &'s str,
    /// The path, percent-encoded as it will be sent.
    pub path: &'s str,
    /// The query, percent-encoded as it will be sent.
    pub query: &'s str,
    /// SHA-256 of the body, lower-case hex.
    pub body_sha256: &'s str,
}

/// Adds `X-Amz-Date`, `X-Amz-Security-Token` where there is one, and `Authorization` to `headers`,
/// which must hold `host` already. Signs `content-type`, `host` and every `x-amz-*` header: proxies
/// may change others.
///
/// # Errors
/// When a credential cannot be a header's value.
pub fn sign(
    subject: Subject<'_>,
    headers: &mut HeaderMap,
    credentials: &Credentials,
    region: &str,
    service: &str,
    now: Timestamp,
) -> Result<(), InvalidHeaderValue> {
    let time = basic(now);
    headers.insert("x-amz-date", HeaderValue::from_str(&time)?);
    if let Some(token) = &credentials.session_token {
        let mut value = HeaderValue::from_str(token)?;
        value.set_sensitive(true);
        headers.insert("x-amz-security-token", value);
    }
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.retain(|name| matches!(*name, "content-type" | "host") || name.starts_with("x-amz-"));
    names.sort_unstable();

    let request = Request {
        method: subject.method,
        path: subject.path,
        query: subject.query,
        headers,
    };
    let canonical = canonical_request(&request, &names, subject.body_sha256);
    let date = &time[..8];
    let scope = [date, region, service, TERMINATOR].join("/");
    let key = SigningKey::derive(&credentials.secret_key, date, region, service);
    let signature = key.sign(&string_to_sign(&time, &scope, &canonical));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
        credentials.access_key,
        names.join(";"),
    );
    headers.insert("authorization", HeaderValue::from_str(&authorization)?);
    Ok(())
}
