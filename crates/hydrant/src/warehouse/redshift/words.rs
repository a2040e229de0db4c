//! What Redshift's own errors mean. Pure.
//!
//! For what its planner finds Redshift has PostgreSQL's states. For nearly everything that happens while it loads it
//! has one, XX000, and a message; so there, and there alone, the message decides.

use crate::{
    destination::DeliveryError,
    warehouse::errors::{self, Code},
};

/// What a message of state XX000 means, the first that holds; in lower case.
const BY_MESSAGE: [(&str, Code); 27] = [
    ("permanentredirect", Code::IncorrectOrMissingRegion),
    (
        "must be addressed using the specified endpoint",
        Code::IncorrectOrMissingRegion,
    ),
    (
        "authorizationheadermalformed",
        Code::IncorrectOrMissingRegion,
    ),
    ("in a different region", Code::IncorrectOrMissingRegion),
    ("nosuchkey", Code::MissingS3File),
    ("nosuchbucket", Code::MissingS3File),
    ("specified key does not exist", Code::MissingS3File),
    ("specified s3 prefix", Code::MissingS3File),
    ("mandatory url is not present", Code::MissingS3File),
    ("accessdenied", Code::S3BucketAccessDenied),
    ("access denied", Code::S3BucketAccessDenied),
    ("invalidaccesskeyid", Code::S3BucketAccessDenied),
    ("signaturedoesnotmatch", Code::S3BucketAccessDenied),
    ("expiredtoken", Code::S3BucketAccessDenied),
    ("invalidtoken", Code::S3BucketAccessDenied),
    ("status 403", Code::S3BucketAccessDenied),
    ("not authorized to assume", Code::AccessDenied),
    ("not authorized to get credentials", Code::AccessDenied),
    (
        "number of jsonpaths and the number of columns",
        Code::ColumnMismatch,
    ),
    ("jsonpath", Code::IncorrectJsonPathsFile),
    ("stl_load_errors", Code::DataLoadFailed),
    ("sys_load_error_detail", Code::DataLoadFailed),
    ("disk full", Code::DiskFull),
    ("not null column without default", Code::MissingColumn),
    ("nonexistent table", Code::TableNotFound),
    ("permission denied", Code::InsufficientPrivilege),
    (
        "conflicting or redundant options",
        Code::IncorrectCopyOptions,
    ),
];
/// What passes by itself: a store in trouble, two transactions in each other's way, a resize, a queue's rule.
const PASSING: [(&str, Code); 7] = [
    ("slowdown", Code::Internal),
    ("serviceunavailable", Code::Internal),
    ("status 500", Code::Internal),
    ("status 503", Code::Internal),
    ("serializable isolation violation", Code::Internal),
    ("cancelled", Code::Internal),
    ("resize", Code::ReadOnlyCluster),
];

/// What an error of the client library means, when Redshift is at the other end.
pub(super) fn in_words(error: &tokio_postgres::Error) -> DeliveryError {
    match error.as_db_error() {
        Some(told) if told.code().code() == "XX000" => of_message(&errors::text(told)),
        _ => errors::in_words(error),
    }
}

fn of_message(text: &str) -> DeliveryError {
    let lower = text.to_ascii_lowercase();
    let found = |list: &[(&str, Code)]| {
        let hit = list.iter().find(|(part, _)| lower.contains(part));
        hit.map(|(_, code)| *code)
    };
    match (found(&PASSING), found(&BY_MESSAGE)) {
        (Some(code), _) => code.passing(text),
        (None, Some(code)) => code.refused(text),
        (None, None) => Code::Internal.refused(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redshift_says_by_message_alone() {
        for (text, told, refused) in [
            (
                "ERROR: S3ServiceException:Access Denied,Status 403,Error AccessDenied,Rid 1,CanRetry 1",
                "Redshift.S3BucketAccessDenied",
                true,
            ),
            (
                "ERROR: Problem reading manifest file - S3ServiceException:The specified key does not exist.,Status 404,\
                 Error NoSuchKey",
                "Redshift.MissingS3File",
                true,
            ),
            (
                "ERROR: S3ServiceException:The bucket you are attempting to access must be addressed using the specified \
                 endpoint.,Status 301,Error PermanentRedirect",
                "Redshift.IncorrectOrMissingRegion",
                true,
            ),
            (
                "ERROR: S3ServiceException:Please reduce your request rate.,Status 503,Error SlowDown",
                "InternalError",
                false,
            ),
            (
                "ERROR: User arn:aws:redshift:us-east-1:1:dbuser:c/u is not authorized to assume IAM Role arn:aws:iam::1:role/r",
                "Redshift.AccessDenied",
                true,
            ),
            (
                "ERROR: Number of jsonpaths and the number of columns should match. JSONPath size: 3, Number of columns in \
                 table or column list: 2",
                "Redshift.ColumnMismatch",
                true,
            ),
            (
                "ERROR: Invalid JSONPath format: Member is not an object.",
                "Redshift.IncorrectJsonPathsFile",
                true,
            ),
            (
                "ERROR: Load into table 't' failed. Check 'stl_load_errors' system table for details.",
                "Redshift.DataLoadFailed",
                true,
            ),
            ("ERROR: Disk Full", "Redshift.DiskFull", true),
            (
                "ERROR: 1023 Detail: Serializable isolation violation on table - 1",
                "InternalError",
                false,
            ),
            ("ERROR: something else", "InternalError", true),
        ] {
            let error = of_message(text);
            assert_eq!(error.code(), told, "{text}");
            assert!(error.message().ends_with(text), "{error}");
            let is_refused = matches!(error, DeliveryError::Refused { .. });
            assert_eq!(is_refused, refused, "{text}");
        }
    }
}
