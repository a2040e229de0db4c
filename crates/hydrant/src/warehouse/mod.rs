//! Warehouses: what COPY loads objects into (SPEC §5).
//!
//! ```text
//! manifest (in the bucket) ─COPY→ rows in a table
//!
//! Redshift     reads the bucket itself; it is sent the COPY statement
//! PostgreSQL   cannot; the node reads the objects, does what Redshift's COPY would do (hydrant-copy), and
//!              streams the rows into COPY … FROM STDIN, with a ledger entry for each object in the same transaction
//! ```
//!
//! | module | is |
//! |---|---|
//! | [`jdbc`] | `ClusterJDBCURL`, taken apart |
//! | [`connect`] | a connection: TLS, time-outs, and a cancelled COPY that is cancelled there, too |
//! | [`vet`] | what can be refused before a stream has it |
//! | [`redshift`] | the COPY statement, its transaction and its errors |
//! | [`postgres`] | Redshift's COPY for PostgreSQL, with a ledger |
//! | [`errors`] | what databases say, in the words of SPEC §6.4 |
//!
//! A warehouse knows neither log nor stream. It makes one attempt; when to make the next is delivery's to say.

pub mod connect;
pub mod errors;
pub mod jdbc;
pub mod postgres;
pub mod redshift;
pub mod vet;
mod warehouses;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

pub use self::warehouses::Warehouses;
use crate::{
    destination::DeliveryError,
    stream::{RedshiftSpec, S3Spec, StreamKey},
};

/// One COPY to run: the files of one manifest, into one table, all of them or none.
#[derive(Clone, Debug)]
pub struct Load {
    /// Whose; also the owner that the password is sealed for.
    pub stream: StreamKey,
    /// Which database, table and options.
    pub warehouse: Arc<RedshiftSpec>,
    /// How the bucket of manifest and objects is reached: its name, the role, the encryption.
    pub leg: Arc<S3Spec>,
    /// The manifest's key in that bucket.
    pub manifest: String,
}

/// What a COPY has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows that are in the table now; unknown where the database does not say.
    pub rows: Option<u64>,
    /// Rows that were refused within MAXERROR.
    pub rejected: u64,
    /// Objects that the ledger knows from an earlier COPY, which were not loaded again.
    pub skipped: u64,
}

/// Runs COPYs.
///
/// 1. **Whole.** All rows of the manifest are committed, but for those that MAXERROR lets go, or none.
/// 2. **Idempotent where there is a ledger.** Called again after a crash, with the outcome of the first call
///    unknown, it loads nothing twice. PostgreSQL always has one; Redshift has one where the user made it.
/// 3. **In plain words.** An error has the code of SPEC §6.4 and the database's own text. `Retry` is for what may
///    pass by itself (no connection, a restart, a deadlock), `Refused` for what somebody must change.
/// 4. **Bounded.** Memory is a small constant. It may take hours, and can be cancelled by dropping it.
#[async_trait]
pub trait Warehouse: Send + Sync + fmt::Debug {
    /// One attempt.
    async fn copy(&self, load: &Load) -> Result<Loaded, DeliveryError>;
}
