//! Loading: what the S3 leg delivered goes on into a warehouse, by COPY (SPEC §5.1).
//!
//! ```text
//! object in the bucket → entry (catalog) → manifest planned (catalog) → manifest in the bucket → COPY → settled (catalog)
//!                                                                    ╰─ given up: manifest below errors/ ─╯
//! ```
//!
//! * **One loader for each stream** that has a warehouse, or has objects left from when it had one. It belongs to the
//!   stream's worker and ends with it. It runs one COPY at a time, of everything that has accumulated meanwhile.
//! * **An entry before the span goes.** The worker keeps an object's [`entry`] before it takes the span out of the checkpoint, and
//!   tells the loader only after that. After a crash in between, the entry says that the object was delivered, and the span goes
//!   before anything else is done with it: so an object is never loaded under two names, and none is forgotten.
//! * **Settled before anything is deleted.** That a manifest is loaded, or given up, is one write of the loader's own
//!   catalog value ([`state`]). What follows (receipts, entries) is repeated after a crash. Between the database's commit and that
//!   write lies the only moment in which a crash repeats a COPY; there the warehouse's ledger knows.
//! * **The stream as it is now.** Every attempt asks for the present table, password and options, so that an update heals what
//!   is failing; the objects' bucket is the one that they are in. Where the update also changed how objects are
//!   compressed, the options stay those that the objects were made for, since GZIP is one of them. A stream that has
//!   no warehouse any more finishes with the one it had.
//! * **Patience is RetryOptions.** ([`retry`]) Failures to write a manifest do not count against it: they are the bucket's, and
//!   are retried for as long as a delivery is.
//!
//! * **Bounded.** What waits costs a catalog entry for each object; from [`RAISED_AT`] on, objects grow instead.
//!
//! | module | is |
//! |---|---|
//! | [`entry`], [`pending`] | objects to load: in the catalog, and in memory for all who take part |
//! | [`batch`] | which objects one COPY takes, and their manifest; pure |
//! | [`retry`] | when a COPY is tried again; pure |
//! | [`slots`] | how many COPYs run at a time |
//! | [`state`] | the loader's own catalog value |
//! | [`loader`], [`attempt`] | a stream's loading; one attempt |
//! | [`ask`] | a manifest that somebody wants to have loaded |
//! | [`status`] | what people are told |

/// Waiting objects at which new ones become larger, so that a warehouse that is down for long leaves few large
/// objects, not many small ones.
pub(crate) const RAISED_AT: u64 = batch::MAX_OBJECTS as u64;

pub(crate) mod ask;
pub(crate) mod attempt;
pub(crate) mod batch;
pub(crate) mod entry;
pub(crate) mod loader;
pub(crate) mod pending;
pub(crate) mod retry;
pub(crate) mod slots;
pub(crate) mod state;
pub(crate) mod status;
