//! Errors by meaning, and the only place that knows their names and status codes on the wire
//! (SPEC §1.3, §1.4, §1.7).
//!
//! A body is `{"__type":"<Name>","message":"<text>"}`: no namespace before the name, because Fluent
//! Bit compares it whole. The text of a `SerializationException` is under `Message`, as AWS's JSON
//! front end spells it. An error without text has no such member at all.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use super::answer::CONTENT_TYPE;
use crate::{credentials::AccessDenied, sigv4::AuthError};

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// A value that this service cannot act on.
    #[error("{0}")]
    InvalidArgument(String),
    /// A quota on resources (not on throughput) is used up.
    #[error("{0}")]
    LimitExceeded(String),
    /// The resource exists already, or is in a state that forbids this.
    #[error("{0}")]
    ResourceInUse(String),
    /// There is no such resource.
    #[error("{0}")]
    ResourceNotFound(String),
    /// The version given is not the current one.
    #[error("{0}")]
    ConcurrentModification(String),
    /// Try again later: throughput exceeded, or the node cannot take data now.
    #[error("{0}")]
    ServiceUnavailable(String),
    /// Members break constraints of the model.
    #[error("{0}")]
    Validation(String),
    /// The body is no JSON (no text), or a member has the wrong type (with text).
    #[error("{}", .0.as_deref().unwrap_or("the request body is not a JSON object"))]
    Serialization(Option<String>),
    /// `X-Amz-Target` is missing or names nothing that this node does.
    #[error("unknown operation")]
    UnknownOperation,
    /// The signature is missing, incomplete, wrong or out of date.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The caller is known and may not do this.
    #[error(transparent)]
    AccessDenied(#[from] AccessDenied),
    /// Too many control-plane calls.
    #[error("Rate exceeded")]
    Throttling,
    /// The HTTP body is over [`limits::BODY_BYTES`](super::limits::BODY_BYTES).
    #[error("the request body is too large")]
    RequestEntityTooLarge,
    /// The body did not arrive in time.
    #[error("the request body did not arrive in time")]
    RequestTimeout,
    /// A fault of this node. The cause is for the log and never sent.
    #[error("{cause}")]
    InternalFailure {
        /// What went wrong inside.
        cause: String,
    },
}

impl ApiError {
    /// The throughput answer: the client should slow down and try again (SPEC §2.7).
    pub fn slow_down() -> Self {
        ApiError::ServiceUnavailable("Slow down.".into())
    }

    /// A fault of this node; the cause is logged and not sent.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        ApiError::InternalFailure {
            cause: cause.to_string(),
        }
    }

    /// The name on the wire, in `__type`, in `x-amzn-ErrorType` and as a record's `ErrorCode`.
    pub fn name(&self) -> &'static str {
        match self {
            ApiError::InvalidArgument(_) => "InvalidArgumentException",
            ApiError::LimitExceeded(_) => "LimitExceededException",
            ApiError::ResourceInUse(_) => "ResourceInUseException",
            ApiError::ResourceNotFound(_) => "ResourceNotFoundException",
            ApiError::ConcurrentModification(_) => "ConcurrentModificationException",
            ApiError::ServiceUnavailable(_) => "ServiceUnavailableException",
            ApiError::Validation(_) => "ValidationException",
            ApiError::Serialization(_) => "SerializationException",
            ApiError::UnknownOperation => "UnknownOperationException",
            ApiError::Auth(error) => match error {
                AuthError::Missing => "MissingAuthenticationTokenException",
                AuthError::Incomplete(_) => "IncompleteSignatureException",
                AuthError::UnknownKey | AuthError::WrongToken => "UnrecognizedClientException",
                AuthError::Expired => "ExpiredTokenException",
                AuthError::BothForms
                | AuthError::Mismatch
                | AuthError::TooOld { .. }
                | AuthError::TooEarly { .. }
                | AuthError::WrongScope(_) => "InvalidSignatureException",
            },
            ApiError::AccessDenied(_) => "AccessDeniedException",
            ApiError::Throttling => "ThrottlingException",
            ApiError::RequestEntityTooLarge => "RequestEntityTooLargeException",
            ApiError::RequestTimeout => "RequestTimeoutException",
            ApiError::InternalFailure { .. } => "InternalFailure",
        }
    }

    /// The HTTP status. Client errors are 400, whatever HTTP would suggest (SPEC §1.4).
    pub fn status(&self) -> StatusCode {
        match self {
            ApiError::ServiceUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::InternalFailure { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            ApiError::RequestEntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The text for the client, if this error has one.
    pub fn message(&self) -> Option<String> {
        match self {
            ApiError::Serialization(None)
            | ApiError::UnknownOperation
            | ApiError::RequestEntityTooLarge => None,
            ApiError::InternalFailure { .. } => {
                Some("The service failed to process the request. Try again.".into())
            }
            other => Some(other.to_string()),
        }
    }

    /// The body of the answer: compact JSON.
    pub fn body(&self) -> Bytes {
        let text = self.message();
        let (message, capital) = match self {
            ApiError::Serialization(_) => (None, text),
            _ => (text, None),
        };
        let body = Body {
            name: self.name(),
            message,
            capital,
        };
        // Plain texts in a plain struct always serialise.
        serde_json::to_vec(&body).unwrap_or_default().into()
    }
}

/// The members in the order in which AWS sends them.
#[derive(Serialize)]
struct Body {
    #[serde(rename = "__type")]
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
    capital: Option<String>,
}

/// Refusals of requests that are not of this protocol at all; not JSON (SPEC §1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A web page of another machine, at a node without keys.
    ForeignPage,
    /// Not POST, or neither a known content type nor a target.
    NoOperation,
    /// A target, but a content type that no front end knows.
    UnknownContentType,
    /// `application/json`, which AWS routes to another front end.
    PlainJson,
    /// `application/json` with a body that is no JSON object.
    PlainJsonMalformed,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::ForeignPage | Refusal::NoOperation => StatusCode::FORBIDDEN,
            Refusal::UnknownContentType | Refusal::PlainJson => StatusCode::NOT_FOUND,
            Refusal::PlainJsonMalformed => StatusCode::BAD_REQUEST,
        }
    }

    /// The content type of the body; the XML answers have none.
    pub fn content_type(self) -> Option<&'static str> {
        match self {
            Refusal::ForeignPage => Some(CONTENT_TYPE),
            Refusal::NoOperation | Refusal::UnknownContentType => None,
            Refusal::PlainJson | Refusal::PlainJsonMalformed => Some("application/json"),
        }
    }

    /// The name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::ForeignPage | Refusal::NoOperation => "AccessDeniedException",
            Refusal::UnknownContentType | Refusal::PlainJson => "UnknownOperationException",
            Refusal::PlainJsonMalformed => "SerializationException",
        }
    }

    /// The body of the answer.
    pub fn body(self) -> &'static str {
        match self {
            Refusal::ForeignPage => {
                r#"{"__type":"AccessDeniedException","message":"This node has no keys, so it answers no web page of another machine. Declare [[keys]] in its config file."}"#
            }
            Refusal::NoOperation => {
                "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to \
                 be authorized</Message>\n</AccessDeniedException>\n"
            }
            Refusal::UnknownContentType => "<UnknownOperationException/>\n",
            Refusal::PlainJson => {
                r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#
            }
            Refusal::PlainJsonMalformed => {
                r#"{"Output":{"__type":"com.amazon.coral.service#SerializationException"},"Version":"1.0"}"#
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(error: ApiError) -> String {
        String::from_utf8(error.body().to_vec()).unwrap()
    }

    #[test]
    fn bodies() {
        // 38 bytes at AWS; SPEC §1.3.
        let unknown = text(ApiError::UnknownOperation);
        assert_eq!(unknown, r#"{"__type":"UnknownOperationException"}"#);
        assert_eq!(unknown.len(), 38);
        assert_eq!(
            text(ApiError::Serialization(None)),
            r#"{"__type":"SerializationException"}"#
        );
        assert_eq!(
            text(ApiError::Serialization(Some("Expected null".into()))),
            r#"{"__type":"SerializationException","Message":"Expected null"}"#
        );
        assert_eq!(
            text(ApiError::slow_down()),
            r#"{"__type":"ServiceUnavailableException","message":"Slow down."}"#
        );
        assert_eq!(
            text(ApiError::InvalidArgument("a \"b\"".into())),
            r#"{"__type":"InvalidArgumentException","message":"a \"b\""}"#
        );
    }

    #[test]
    fn an_inside_cause_stays_inside() {
        let error = ApiError::internal("disk sda is gone");
        assert!(!text(error.clone()).contains("sda"));
        assert!(error.to_string().contains("sda"));
        assert_eq!(error.status(), 500);
    }

    #[test]
    fn statuses() {
        assert_eq!(ApiError::ResourceInUse(String::new()).status(), 400);
        assert_eq!(ApiError::ResourceNotFound(String::new()).status(), 400);
        assert_eq!(ApiError::slow_down().status(), 503);
        assert_eq!(ApiError::Throttling.status(), 400);
        assert_eq!(ApiError::RequestEntityTooLarge.status(), 413);
        assert_eq!(ApiError::from(AuthError::Missing).status(), 400);
    }
}
