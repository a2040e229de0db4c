//! What must survive a crash, and nothing else.
//!
//! This crate knows nothing of AWS, HTTP or S3. It keeps two things:
//!
//! * a [`Log`] of [`Frame`]s, each an accepted request's records, in lanes;
//! * a [`Catalog`] of small versioned values, changed by compare-and-set.
//!
//! Together they are an [`Engine`]. The one promise everything above rests on:
//! **when `append` or `put` resolves, the data is on disk, and it stays readable until it is
//! trimmed, removed or deleted.**
//!
//! | module | is |
//! |---|---|
//! | [`engine`] | `Engine { log, catalog }` and how to open one |
//! | [`log`] | the trait `Log`, with its numbered promises |
//! | [`catalog`] | the trait `Catalog` |
//! | [`frame`] | a frame in memory; pure |
//! | [`clock`] | the one door for time and chance |
//! | [`threads`] | the one door to threads |
//! | [`local`] | the embedded engine: segment files and redb in one directory |
//! | [`doctor`] | checks and repairs a stopped engine's directory |
//! | `conformance` | the suite that every engine passes (feature `conformance`) |
//! | [`mem`] | the reference model of both traits, for tests and simulation |

pub mod catalog;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod engine;
pub mod frame;
pub mod local;
pub mod log;
pub mod mem;
pub mod threads;

pub use catalog::{Catalog, CatalogError, Change, Expect, Version, Versioned};
pub use clock::{Chance, Clock, ManualClock, SystemClock, Timestamp};
pub use engine::{Engine, EngineConfig, EngineParts, OpenError};
pub use frame::{Frame, FrameBuilder};
pub use local::doctor;
pub use local::{RecoveryReport, disk};
pub use log::{FrameMeta, LaneId, LaneUsage, Log, LogError, Position, Usage};
pub use threads::{SystemThreads, Threads};
