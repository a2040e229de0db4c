//! AWS Signature Version 4: pure functions over a request's parts (SPEC §1.7).
//!
//! | module | is |
//! |---|---|
//! | [`canonical`] | the canonical request and the string to sign |
//! | [`key`] | signing keys, derived for a day, region and service, and a small cache of them |
//! | [`verify`] | what a server does with a signed request |
//! | [`sign`] | what a client does |

pub mod canonical;
pub mod key;
pub mod sign;
pub mod verify;

pub use self::{
    key::{SigningKey, SigningKeys},
    verify::{AuthError, Claim},
};

/// The service name in the credential scope.
pub const SERVICE: &str = "firehose";
/// The one signing algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last part of every credential scope.
pub const TERMINATOR: &str = "aws4_request";
