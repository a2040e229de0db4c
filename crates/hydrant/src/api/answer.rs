//! Answers: what every response of this API carries (SPEC §1.2, §1.3).

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hydrant_engine::{Chance, Timestamp};
use jiff::fmt::rfc2822;

use super::error::{ApiError, Refusal};

/// The one content type of this protocol.
pub(super) const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

const EXPOSED: &str = "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,\
                       x-amzn-ErrorMessage,Date";

/// What a request is told, before it is dressed in headers.
#[derive(Debug)]
pub(super) enum Answer {
    /// 200 with compact JSON.
    Done(Bytes),
    /// An error of this protocol.
    Failed(ApiError),
    /// Not of this protocol.
    Refused(Refusal),
    /// A browser asked whether it may post from another site.
    Preflight,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Answer::Done(_) | Answer::Preflight => StatusCode::OK,
            Answer::Failed(error) => error.status(),
            Answer::Refused(refusal) => refusal.status(),
        }
    }

    /// The error's name on the wire, `None` when all is well.
    pub(super) fn error_name(&self) -> Option<&'static str> {
        match self {
            Answer::Done(_) | Answer::Preflight => None,
            Answer::Failed(error) => Some(error.name()),
            Answer::Refused(refusal) => Some(refusal.name()),
        }
    }

    /// The response to a request that had `headers`.
    pub(super) fn into_response(
        self,
        headers: &HeaderMap,
        request_id: &str,
        chance: &Chance,
        now: Timestamp,
    ) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        *response.status_mut() = self.status();
        let out = response.headers_mut();
        put(out, "x-amzn-requestid", request_id);
        if let Some(date) = http_date(now) {
            put(out, "date", &date);
        }
        if !matches!(self, Answer::Preflight) {
            put(out, "x-amz-id-2", &id_2(chance));
        }
        let foreign = matches!(self, Answer::Refused(Refusal::ForeignPage));
        if headers.contains_key(header::ORIGIN) && !foreign {
            put(out, "access-control-allow-origin", "*");
            put(out, "access-control-expose-headers", EXPOSED);
        }
        let body = match self {
            Answer::Done(body) => {
                put(out, "content-type", CONTENT_TYPE);
                body
            }
            Answer::Failed(error) => {
                put(out, "content-type", CONTENT_TYPE);
                put(out, "x-amzn-errortype", error.name());
                error.body()
            }
            Answer::Refused(refusal) => {
                if let Some(kind) = refusal.content_type() {
                    put(out, "content-type", kind);
                }
                Bytes::from_static(refusal.body().as_bytes())
            }
            Answer::Preflight => {
                for (asked, answered) in [
                    (
                        header::ACCESS_CONTROL_REQUEST_HEADERS,
                        header::ACCESS_CONTROL_ALLOW_HEADERS,
                    ),
                    (
                        header::ACCESS_CONTROL_REQUEST_METHOD,
                        header::ACCESS_CONTROL_ALLOW_METHODS,
                    ),
                ] {
                    if let Some(value) = headers.get(asked) {
                        out.insert(answered, value.clone());
                    }
                }
                put(out, "access-control-max-age", "172800");
                Bytes::new()
            }
        };
        out.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        *response.body_mut() = Full::new(body);
        response
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A request id: a random UUID.
pub(super) fn request_id(chance: &Chance) -> String {
    let mut bytes = [0; 16];
    chance.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

/// Base64 of 72 random bytes, as AWS's JSON front end sends it.
fn id_2(chance: &Chance) -> String {
    let mut bytes = [0; 72];
    chance.fill(&mut bytes);
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// `Wed, 07 Oct 2015 13:05:42 GMT`.
fn http_date(now: Timestamp) -> Option<String> {
    let millis = i64::try_from(now.as_millis()).ok()?;
    let time = jiff::Timestamp::from_millisecond(millis).ok()?;
    rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .ok()
}
