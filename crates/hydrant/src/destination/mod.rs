//! Where objects go: the trait [`Destination`] and its implementations.
//!
//! A destination is given an [`Object`]: a key, headers and a [`Body`] that can be read as often as
//! it takes. It knows neither log nor stream, and it retries only what heals within seconds; the
//! long patience of 24 hours is delivery's.
//!
//! | module | is |
//! |---|---|
//! | [`directory`] | a directory as a bucket |
//! | [`s3`] | a bucket of any S3-compatible store |
//! | [`buckets`] | which of the two a bucket's name means, and with which credentials |

pub mod buckets;
pub mod directory;
pub mod key;
pub mod s3;

#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
#[path = "tests/started.rs"]
pub(crate) mod started;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub use buckets::Buckets;

use crate::stream::S3Spec;

/// A span, encoded and named.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name in the bucket, exactly (SPEC §4.1).
    pub key: String,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Content-Encoding`; none for uncompressed objects.
    pub content_encoding: Option<&'static str>,
    /// Its bytes.
    pub body: Arc<dyn Body>,
}

/// The bytes of an object, from wherever they lie.
pub trait Body: Send + Sync + fmt::Debug {
    /// The bytes from the beginning, in pieces of a few MiB at most; the same each time.
    /// After an error the stream ends, and what was read of it must not be delivered.
    fn open(&self) -> BoxStream<'static, Result<Bytes, BodyError>>;
}

/// The bytes could not be read. Trying again later may help.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the object's records could not be read: {0}")]
pub struct BodyError(pub String);

/// A destination's word that an object is safely there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Bytes that the object has in the bucket.
    pub bytes: u64,
}

/// An object's bytes, in pieces of a few MiB at most. After an error the stream ends.
pub type Bytestream = BoxStream<'static, Result<Bytes, DeliveryError>>;

/// Why an object is not there. It stays in the log and is tried again in either case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Something that may pass by itself: no connection, a time-out, an overloaded store.
    #[error("{code}: {message}")]
    Retry {
        /// SPEC §6.4, e.g. `InternalError`.
        code: String,
        /// What happened, for people.
        message: String,
        /// Nobody answered: worth a [`Destination::probe`] before the next attempt.
        unreachable: bool,
    },
    /// The destination said no: somebody must change something there or in the stream.
    #[error("{code}: {message}")]
    Refused {
        /// SPEC §6.4, e.g. `S3.NoSuchBucket`.
        code: String,
        /// What happened, for people.
        message: String,
    },
}

impl DeliveryError {
    /// A passing failure of the node's own.
    pub fn internal(message: impl Into<String>) -> Self {
        DeliveryError::Retry {
            code: "InternalError".to_owned(),
            message: message.into(),
            unreachable: false,
        }
    }

    /// A refusal.
    pub fn refused(code: impl Into<String>, message: impl Into<String>) -> Self {
        DeliveryError::Refused {
            code: code.into(),
            message: message.into(),
        }
    }

    /// The code of SPEC §6.4.
    pub fn code(&self) -> &str {
        match self {
            DeliveryError::Retry { code, .. } | DeliveryError::Refused { code, .. } => code,
        }
    }

    /// What happened, for people.
    pub fn message(&self) -> &str {
        match self {
            DeliveryError::Retry { message, .. } | DeliveryError::Refused { message, .. } => {
                message
            }
        }
    }

    /// Whether nobody answered.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            DeliveryError::Retry {
                unreachable: true,
                ..
            }
        )
    }
}

impl From<BodyError> for DeliveryError {
    fn from(error: BodyError) -> Self {
        DeliveryError::internal(error.to_string())
    }
}

/// Takes objects, and gives them back.
///
/// 1. **Safe.** `deliver` resolves with `Ok` only when the object would survive what the bucket
///    survives: a directory was fsynced, a store has acknowledged.
/// 2. **Whole.** An object is there with all its bytes or not at all.
/// 3. **Idempotent.** Called again with the same key and the same bytes, after a crash or a time-out, it
///    leaves one object.
/// 4. **Bounded.** It gives up when nothing moves for some minutes and holds a small constant of memory, whatever
///    an object's size and however slowly it is read.
/// 5. **As stored.** An object is read back byte for byte: nothing is decompressed on the way, and the end of the stream
///    is the end of the object. What breaks off, or is replaced meanwhile, ends in an error.
#[async_trait]
pub trait Destination: Send + Sync + fmt::Debug {
    /// Puts the object.
    async fn deliver(&self, object: &Object) -> Result<Receipt, DeliveryError>;

    /// The bytes of the object under exactly this key. One that is not there is refused as `S3.NoSuchKey`.
    async fn read(&self, key: &str) -> Result<Bytestream, DeliveryError>;

    /// Whether an object is there under exactly this key. It is whole then, by promise 2.
    async fn holds(&self, key: &str) -> Result<bool, DeliveryError> {
        match self.read(key).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == "S3.NoSuchKey" => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether anybody is there: cheap, and asked after [`DeliveryError::is_unreachable`], so that a
    /// dead destination costs neither reading nor compressing. Any answer will do, also a refusal.
    async fn probe(&self) -> Result<(), DeliveryError>;
}

/// Finds the destination that a stream's configuration means.
pub trait Destinations: Send + Sync + fmt::Debug {
    /// The destination of `spec` for a stream in `region`. Cheap, and no network.
    ///
    /// # Errors
    /// When no such destination can be: told and retried like a failed delivery.
    fn find(&self, spec: &S3Spec, region: &str) -> Result<Arc<dyn Destination>, DeliveryError>;
}
