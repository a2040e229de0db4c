//! What a server does with a signed request (SPEC §1.7).
//!
//! Reading the claim comes first and needs no secret; then time, scope, key, token, signature. Texts
//! are the service's. Both forms are understood: the `Authorization` header and, though no client
//! presigns Firehose, the query string.

use aws_lc_rs::constant_time;
use hydrant_engine::Timestamp;
use jiff::{civil, fmt::rfc2822, tz::TimeZone};

use super::{
    ALGORITHM, SERVICE, TERMINATOR,
    canonical::{Request, canonical_request, string_to_sign},
    key::SigningKey,
};

/// Clock skew that a signature may have, either way, in minutes.
pub const SKEW_MINUTES: u64 = 5;

/// Why a signature was not accepted. The texts are for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Not signed at all.
    #[error("Missing Authentication Token")]
    Missing,
    /// Signed in the header and in the query.
    #[error(
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
    )]
    BothForms,
    /// Parts are missing or cannot be read; the text says which.
    #[error("{0}")]
    Incomplete(String),
    /// No such access key.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The session token is not the key's.
    #[error("The security token included in the request is invalid.")]
    WrongToken,
    /// The key has expired.
    #[error("The security token included in the request is expired")]
    Expired,
    /// The signature is not that of this request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
    /// Signed too long ago.
    #[error("Signature expired: {signed} is now earlier than {limit} ({now} - {minutes} min.)")]
    TooOld {
        /// When it was signed.
        signed: String,
        /// The earliest time that would do.
        limit: String,
        /// The time here.
        now: String,
        /// How far back that is.
        minutes: u64,
    },
    /// Signed by a clock that runs ahead.
    #[error(
        "Signature not yet current: {signed} is still later than {limit} ({now} + {minutes} min.)",
        minutes = SKEW_MINUTES
    )]
    TooEarly {
        /// When it was signed.
        signed: String,
        /// The latest time that would do.
        limit: String,
        /// The time here.
        now: String,
    },
    /// Scoped to another service, region or day.
    #[error("{0}")]
    WrongScope(String),
}

/// What a request says about who signed it, unproven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The access key id.
    pub access_key: String,
    /// The scope's day, `yyyymmdd`.
    pub date: String,
    /// The scope's region.
    pub region: String,
    service: String,
    terminator: String,
    signed_headers: Vec<String>,
    signature: String,
    /// `yyyymmddThhmmssZ`.
    time: String,
    signed_at: Timestamp,
    token: Option<String>,
    /// How long it may be used, in minutes.
    valid_minutes: u64,
}

/// What the server knows of an access key.
#[derive(Debug)]
pub struct KnownKey<'k> {
    /// For the claim's day and region.
    pub signing_key: SigningKey,
    /// When given, the request must carry it.
    pub session_token: Option<&'k str>,
    /// When the key stops being accepted.
    pub expires: Option<Timestamp>,
}

/// Verifies `request`. `body_sha256` is the hash of the body that arrived, in lower-case hex;
/// `lookup` finds the key that the claim names.
///
/// # Errors
/// An [`AuthError`] that says what to answer.
pub fn verify<'k>(
    request: &Request<'_>,
    body_sha256: &str,
    now: Timestamp,
    lookup: impl FnOnce(&Claim) -> Option<KnownKey<'k>>,
) -> Result<Claim, AuthError> {
    let claim = Claim::read(request)?;
    claim.check_time(now)?;
    claim.check_scope()?;
    let key = lookup(&claim).ok_or(AuthError::UnknownKey)?;
    if key.expires.is_some_and(|expires| now >= expires) {
        return Err(AuthError::Expired);
    }
    if let Some(expected) = key.session_token {
        let given = claim.token.as_deref().unwrap_or_default();
        constant_time::verify_slices_are_equal(given.as_bytes(), expected.as_bytes())
            .map_err(|_| AuthError::WrongToken)?;
    }
    claim.check_signature(request, body_sha256, &key.signing_key)?;
    Ok(claim)
}

impl Claim {
    /// Reads the claim, from the header or the query.
    ///
    /// # Errors
    /// `Missing`, `BothForms` or `Incomplete`.
    pub fn read(request: &Request<'_>) -> Result<Claim, AuthError> {
        let parameters = request.parameters();
        let presigned = parameters.iter().any(|(name, _)| name == "X-Amz-Algorithm");
        match (request.headers.get("authorization"), presigned) {
            (None, false) => Err(AuthError::Missing),
            (Some(_), true) => Err(AuthError::BothForms),
            (Some(header), false) => {
                Claim::from_header(request, &String::from_utf8_lossy(header.as_bytes()))
            }
            (None, true) => Claim::from_query(&parameters),
        }
    }

    /// Access key and region of the scope, from whatever part of a signature is there; `None`
    /// without one. For nodes that verify nothing.
    pub fn scope(request: &Request<'_>) -> Option<(String, String)> {
        let credential = match request.header("authorization") {
            Some(header) => header_parameter(header, "Credential")?.to_owned(),
            None => {
                let parameters = request.parameters();
                let mut credentials = parameters
                    .into_iter()
                    .filter(|(name, _)| name == "X-Amz-Credential");
                credentials.next()?.1
            }
        };
        let mut parts = credential.split('/');
        let (access_key, region) = (parts.next()?, parts.nth(1)?);
        Some((access_key.into(), region.into()))
    }

    fn from_header(request: &Request<'_>, header: &str) -> Result<Claim, AuthError> {
        let parameter = |name: &str| header_parameter(header, name);
        let time = request
            .header("x-amz-date")
            .or_else(|| request.header("date"));
        match (
            parameter("Credential"),
            parameter("Signature"),
            parameter("SignedHeaders"),
            time,
        ) {
            (Some(credential), Some(signature), Some(signed_headers), Some(time)) => {
                let token = request.header("x-amz-security-token");
                Claim::new(
                    credential,
                    signature,
                    signed_headers,
                    time,
                    token,
                    SKEW_MINUTES,
                )
            }
            (credential, signature, signed_headers, time) => {
                let mut text = String::new();
                for (name, missing) in [
                    ("Credential", credential.is_none()),
                    ("Signature", signature.is_none()),
                    ("SignedHeaders", signed_headers.is_none()),
                ] {
                    if missing {
                        text += &format!("Authorization header requires '{name}' parameter. ");
                    }
                }
                if time.is_none() {
                    text += "Authorization header requires existence of either a 'X-Amz-Date' or a \
                             'Date' header. ";
                }
                Err(AuthError::Incomplete(format!(
                    "{text}Authorization={header}"
                )))
            }
        }
    }

    fn from_query(parameters: &[(String, String)]) -> Result<Claim, AuthError> {
        let parameter = |name: &str| {
            parameters
                .iter()
                .find(|(found, value)| found == name && !value.is_empty())
                .map(|(_, value)| value.as_str())
        };
        const NAMES: [&str; 5] = [
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Signature",
            "X-Amz-SignedHeaders",
            "X-Amz-Date",
        ];
        let [
            Some(_),
            Some(credential),
            Some(signature),
            Some(signed_headers),
            Some(time),
        ] = NAMES.map(parameter)
        else {
            let missing: String = NAMES
                .iter()
                .filter(|name| parameter(name).is_none())
                .map(|name| format!("AWS query-string parameters must include '{name}'. "))
                .collect();
            return Err(AuthError::Incomplete(format!(
                "{missing}Re-examine the query-string parameters."
            )));
        };
        // A week is the most that the signing rules allow.
        let valid_minutes = parameter("X-Amz-Expires")
            .and_then(|seconds| seconds.parse::<u64>().ok())
            .map_or(SKEW_MINUTES, |seconds| seconds.min(7 * 24 * 3600) / 60);
        let token = parameter("X-Amz-Security-Token");
        Claim::new(
            credential,
            signature,
            signed_headers,
            time,
            token,
            valid_minutes,
        )
    }

    fn new(
        credential: &str,
        signature: &str,
        signed_headers: &str,
        time: &str,
        token: Option<&str>,
        valid_minutes: u64,
    ) -> Result<Claim, AuthError> {
        let parts: Vec<&str> = credential.split('/').collect();
        let &[access_key, date, region, service, terminator] = parts.as_slice() else {
            return Err(AuthError::Incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{credential}'"
            )));
        };
        let (signed_at, time) = read_time(time).ok_or_else(|| {
            AuthError::Incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{time}'. See \
                 http://en.wikipedia.org/wiki/ISO_8601"
            ))
        })?;
        Ok(Claim {
            access_key: access_key.into(),
            date: date.into(),
            region: region.into(),
            service: service.into(),
            terminator: terminator.into(),
            signed_headers: signed_headers
                .split(';')
                .map(str::to_ascii_lowercase)
                .collect(),
            signature: signature.into(),
            time,
            signed_at,
            token: token.map(Into::into),
            valid_minutes,
        })
    }

    fn check_time(&self, now: Timestamp) -> Result<(), AuthError> {
        let earliest = Timestamp(now.0.saturating_sub(self.valid_minutes * 60_000));
        let latest = Timestamp(now.0.saturating_add(SKEW_MINUTES * 60_000));
        if self.signed_at < earliest {
            return Err(AuthError::TooOld {
                signed: self.time.clone(),
                limit: basic(earliest),
                now: basic(now),
                minutes: self.valid_minutes,
            });
        }
        if self.signed_at > latest {
            return Err(AuthError::TooEarly {
                signed: self.time.clone(),
                limit: basic(latest),
                now: basic(now),
            });
        }
        Ok(())
    }

    fn check_scope(&self) -> Result<(), AuthError> {
        let mut text = String::new();
        if !is_region(&self.region) {
            text += &wrong_region(&self.region);
        }
        if self.service != SERVICE {
            text += &format!("Credential should be scoped to correct service: '{SERVICE}'. ");
        }
        if self.terminator != TERMINATOR {
            text += &format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'. ",
                self.terminator
            );
        }
        if !self.time.starts_with(&self.date) || self.date.len() != 8 {
            text += &format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP: '{}' != '{}', from '{}'. ",
                self.date,
                self.time.get(..8).unwrap_or_default(),
                self.time
            );
        }
        if text.is_empty() {
            Ok(())
        } else {
            Err(AuthError::WrongScope(text))
        }
    }

    fn check_signature(
        &self,
        request: &Request<'_>,
        body_sha256: &str,
        key: &SigningKey,
    ) -> Result<(), AuthError> {
        let names: Vec<&str> = self.signed_headers.iter().map(String::as_str).collect();
        // A signature that does not cover the host would be good for every node.
        if !names.contains(&"host") {
            return Err(AuthError::Mismatch);
        }
        // When it is there, clients put this header's value in the place of the hash; so it must be
        // the hash. "UNSIGNED-PAYLOAD" is not, on purpose.
        if let Some(given) = request.headers.get("x-amz-content-sha256")
            && given.as_bytes() != body_sha256.as_bytes()
        {
            return Err(AuthError::Mismatch);
        }
        let canonical = canonical_request(request, &names, body_sha256);
        let scope = [&*self.date, &self.region, &self.service, &self.terminator].join("/");
        if key.verifies(
            &string_to_sign(&self.time, &scope, &canonical),
            &self.signature,
        ) {
            Ok(())
        } else {
            Err(AuthError::Mismatch)
        }
    }
}

/// The value of `name=` in an `Authorization` header.
fn header_parameter<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    header
        .strip_prefix(ALGORITHM)?
        .split([',', ' '])
        .filter_map(|part| part.split_once('='))
        .find(|(found, value)| *found == name && !value.is_empty())
        .map(|(_, value)| value)
}

/// The text for a scope whose region is not served here.
pub fn wrong_region(region: &str) -> String {
    format!("Credential should be scoped to a valid region, not '{region}'. ")
}

/// Whether `text` can be a region's name; it becomes a part of ARNs.
pub fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// `yyyymmddThhmmssZ`.
pub fn basic(time: Timestamp) -> String {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) => time.strftime("%Y%m%dT%H%M%SZ").to_string(),
        Err(_) => "99991231T235959Z".into(),
    }
}

/// Reads `yyyymmddThhmmssZ` or an RFC 1123 date, and says it as the former.
fn read_time(text: &str) -> Option<(Timestamp, String)> {
    if let Some(time) = read_basic(text.as_bytes()) {
        return Some((timestamp(time)?, text.to_owned()));
    }
    let time = match civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text) {
        Ok(time) => timestamp(time)?,
        Err(_) => since_1970(rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?)?,
    };
    Some((time, basic(time)))
}

/// Digits where they belong, which is how every client writes it: less work than for a general parser.
fn read_basic(text: &[u8]) -> Option<civil::DateTime> {
    let &[
        y0,
        y1,
        y2,
        y3,
        m0,
        m1,
        d0,
        d1,
        b'T',
        h0,
        h1,
        i0,
        i1,
        s0,
        s1,
        b'Z',
    ] = text
    else {
        return None;
    };
    let two = |tens: u8, ones: u8| {
        let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
        digits.then(|| i16::from(tens - b'0') * 10 + i16::from(ones - b'0'))
    };
    let small = |tens, ones| i8::try_from(two(tens, ones)?).ok();
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    let date = civil::Date::new(year, small(m0, m1)?, small(d0, d1)?).ok()?;
    let time = civil::Time::new(small(h0, h1)?, small(i0, i1)?, small(s0, s1)?, 0).ok()?;
    Some(date.to_datetime(time))
}

fn timestamp(time: civil::DateTime) -> Option<Timestamp> {
    since_1970(TimeZone::UTC.to_timestamp(time).ok()?)
}

fn since_1970(time: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(time.as_millisecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
