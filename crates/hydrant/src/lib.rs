//! Hydrant: Amazon Kinesis Firehose that you run yourself. What speaks to the world; what must survive a
//! crash is in `hydrant-engine`.
//!
//! How a record flows:
//!
//! ```text
//! api       reads a request, checks it, decodes its records into a frame, appends it to the log;
//!           when the log says that it is on disk, the client has its RecordIds
//! delivery  follows the log, cuts spans, makes objects of them, gives them to a destination,
//!           and forgets what the destination has
//! ```
//!
//! The two halves never call each other. They meet in the engine, and in the registry of streams that
//! lies in the engine's catalog.
//!
//! | module | is |
//! |---|---|
//! | [`cli`] | the commands: the only place that reads the environment and prints |
//! | [`node`] | configuration becomes running parts |
//! | [`api`] | the Firehose wire API and its operations |
//! | [`delivery`] | from the log to objects |
//! | [`destination`] | buckets: S3-compatible stores and directories |
//! | [`warehouse`] | COPY: from a bucket into a table of Redshift or PostgreSQL |
//! | [`console`] | the admin port |
//! | [`client`] | the other side of the wire, for `put` and `demo` |
//! | [`stream`] | what a delivery stream is; no I/O but the catalog |
//! | [`credentials`], [`sigv4`] | who calls us, as whom we call, and signatures |
//! | [`config`], [`metrics`] | what is set, what is counted |
//!
//! Which may use which: `tests/architecture.rs`.

pub mod api;
pub mod cli;
pub mod client;
pub mod config;
pub mod console;
pub mod credentials;
pub mod delivery;
pub mod destination;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod metrics;
pub mod node;
pub mod sigv4;
pub mod stream;
pub mod warehouse;
