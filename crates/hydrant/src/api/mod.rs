//! Firehose's wire API (`Firehose_20150804`, AWS JSON 1.1): from bytes on a socket to an answer.
//!
//! ```text
//! socket → server (limits, TLS) → front (order of checks) → auth (SigV4, keyring) → Dispatch
//! ```
//!
//! What an operation means is behind [`Dispatch`], which [`Operations`] carries out ([`ops`]: control
//! operations, `put`: the hot path); what travels on the wire is here. The order of
//! checks is SPEC §1.5: this module does 1–7, and an operation behind [`Dispatch`] does 8–11 with
//! [`shape::check`] and [`Identity::authorize`](crate::credentials::Identity::authorize).

mod answer;
pub mod auth;
mod body;
pub mod error;
pub mod front;
pub mod limits;
pub mod operation;
pub mod ops;
mod page;
mod put;
pub mod server;
pub mod shape;
pub mod shapes;
mod stall;
mod timer;
pub mod tls;
mod wire;

use async_trait::async_trait;
use bytes::Bytes;

#[cfg(any(test, fuzzing))]
pub(crate) use self::put::both_ways;
pub use self::{
    auth::Authenticator,
    error::ApiError,
    front::{Front, Observer},
    limits::ServerLimits,
    operation::Operation,
    ops::Operations,
    server::{Answers, Server},
};
use crate::credentials::Identity;

/// What the operations do, once a request is known to be well formed, known and authentic.
///
/// Implementations check types and constraints ([`shape::check`]), then the caller's permission,
/// then the meaning, in this order (SPEC §1.5, steps 8–11).
#[async_trait]
pub trait Dispatch: Send + Sync + 'static {
    /// Carries out `operation` for `identity`. `body` is what the client sent, not parsed yet:
    /// when it is no JSON, the answer is `ApiError::Serialization(None)`.
    /// Returns the compact JSON of a 200 answer.
    ///
    /// The future may be dropped when the client goes away.
    async fn call(
        &self,
        operation: Operation,
        identity: &Identity,
        body: Bytes,
    ) -> Result<Bytes, ApiError>;
}
