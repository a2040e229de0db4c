//! A store's errors in the words of SPEC §6.4. Pure.

use std::error::Error;

use http::StatusCode;
use object_store::client::{HttpError, HttpErrorKind};

use super::{
    Place,
    door::{Answer, Seen},
};
use crate::{
    credentials::outbound::CredentialsError, destination::DeliveryError, stream::Encryption,
};

/// What an error of `object_store` means, given what the store last answered.
pub(super) fn in_words(error: &object_store::Error, seen: &Seen, place: &Place) -> DeliveryError {
    if let Some(error) = cause::<CredentialsError>(error) {
        return match error {
            CredentialsError::RoleRefused { .. } => {
                DeliveryError::refused("S3.AccessDenied", error.to_string())
            }
            CredentialsError::Unavailable(_) => DeliveryError::internal(error.to_string()),
        };
    }
    let failed = seen.latest().filter(|answer| !answer.status.is_success());
    match failed {
        Some(answer) => answered(&answer, place),
        None => unanswered(error),
    }
}

fn answered(answer: &Answer, place: &Place) -> DeliveryError {
    let code = answer.code.as_deref().unwrap_or_default();
    let message = describe(answer, place);
    let encrypted = matches!(place.encryption, Encryption::Kms { .. });
    let told = match (code, answer.status) {
        ("NoSuchBucket", _) => "S3.NoSuchBucket",
        ("MethodNotAllowed", _) | (_, StatusCode::METHOD_NOT_ALLOWED) => "S3.MethodNotAllowed",
        ("AccountProblem", _) => "S3.AccountProblem",
        ("AllAccessDisabled", _) => "S3.AllAccessDisabled",
        ("InvalidPayer", _) => "S3.InvalidPayer",
        ("NotSignedUp", _) => "S3.NotSignedUp",
        ("KMS.RequestLimitExceeded" | "KMS.ThrottlingException", _) => {
            "S3.KMS.RequestLimitExceeded"
        }
        (kms, _) if kms.starts_with("KMS.") => "S3.KMS.NotFoundException",
        // Stores that know no KMS codes refuse the key in a way of their own: radosgw answers 403
        // InvalidAccessKeyId to a key that it does not have.
        ("InvalidAccessKeyId", StatusCode::FORBIDDEN) if encrypted => "S3.KMS.NotFoundException",
        (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => "S3.AccessDenied",
        // No code, as in an answer to HEAD: the key is never what is missing in a PUT.
        ("", StatusCode::NOT_FOUND) => "S3.NoSuchBucket",
        ("SlowDown" | "RequestTimeout" | "InternalError" | "OperationAborted", _) => "",
        (_, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT) => {
            ""
        }
        // An upload that somebody aborted, or a lifecycle rule: the next attempt begins anew.
        ("NoSuchUpload", _) => "",
        (_, status) if status.is_client_error() || status.is_redirection() => {
            return DeliveryError::refused(
                format!("S3.{}", if code.is_empty() { "Refused" } else { code }),
                message,
            );
        }
        _ => "",
    };
    if told.is_empty() {
        DeliveryError::internal(message)
    } else {
        DeliveryError::refused(told, message)
    }
}

fn describe(answer: &Answer, place: &Place) -> String {
    let mut text = format!(
        "the store answered {} to bucket {}",
        answer.status, place.bucket
    );
    if let Some(code) = &answer.code {
        text = format!("{text}: {code}");
    }
    if let Some(message) = &answer.message {
        text = format!("{text}: {message}");
    }
    text
}

/// No answer, or one that could not be read to its end.
fn unanswered(error: &object_store::Error) -> DeliveryError {
    let kind = cause::<HttpError>(error).map(HttpError::kind);
    DeliveryError::Retry {
        code: "InternalError".to_owned(),
        message: causes(error),
        unreachable: matches!(
            kind,
            Some(HttpErrorKind::Connect | HttpErrorKind::Timeout | HttpErrorKind::Request)
        ),
    }
}

fn cause<E: Error + 'static>(error: &object_store::Error) -> Option<&E> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The innermost causes say what happened; the outer ones repeat each other at length.
fn causes(error: &object_store::Error) -> String {
    let mut texts = Vec::new();
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    let inner: Vec<String> = texts.into_iter().rev().take(2).collect();
    match &inner[..] {
        [inner, outer] if !outer.contains(inner.as_str()) => format!("{outer}: {inner}"),
        [inner, ..] => inner.clone(),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(encryption: Encryption) -> Place {
        Place {
            bucket: "b".to_owned(),
            region: "us-east-1".to_owned(),
            endpoint: None,
            path_style: true,
            sign_payload: false,
            acl: None,
            encryption,
        }
    }

    #[test]
    fn statuses_and_codes_become_the_codes_of_the_contract() {
        for (status, code, told, refused) in [
            (404, Some("NoSuchBucket"), "S3.NoSuchBucket", true),
            (404, None, "S3.NoSuchBucket", true),
            (403, Some("AccessDenied"), "S3.AccessDenied", true),
            (403, Some("SignatureDoesNotMatch"), "S3.AccessDenied", true),
            (403, None, "S3.AccessDenied", true),
            (401, None, "S3.AccessDenied", true),
            (405, None, "S3.MethodNotAllowed", true),
            (403, Some("AllAccessDisabled"), "S3.AllAccessDisabled", true),
            (
                400,
                Some("KMS.NotFoundException"),
                "S3.KMS.NotFoundException",
                true,
            ),
            (
                400,
                Some("KMS.DisabledException"),
                "S3.KMS.NotFoundException",
                true,
            ),
            (
                400,
                Some("KMS.ThrottlingException"),
                "S3.KMS.RequestLimitExceeded",
                true,
            ),
            (400, Some("KeyTooLongError"), "S3.KeyTooLongError", true),
            (301, Some("PermanentRedirect"), "S3.PermanentRedirect", true),
            (503, Some("SlowDown"), "InternalError", false),
            (500, None, "InternalError", false),
            (404, Some("NoSuchUpload"), "InternalError", false),
        ] {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                code: code.map(str::to_owned),
                message: None,
            };
            let error = answered(&answer, &place(Encryption::None));
            assert_eq!(error.code(), told, "{status} {code:?}");
            let is_refused = matches!(error, DeliveryError::Refused { .. });
            assert_eq!(is_refused, refused, "{status} {code:?}");
        }
    }
}
