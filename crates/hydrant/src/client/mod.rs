//! The client side of Firehose: what `put` and `demo` speak, to a Hydrant node and to AWS alike.
//!
//! ```text
//! records → batch (pack to the limits) → sender (in flight, re-send what failed) → firehose (signed calls)
//! ```
//!
//! The environment is not read here: whoever makes a client hands over credentials.

pub mod admin;
pub mod batch;
pub mod firehose;
pub mod limits;
pub mod sender;

pub use batch::{Batch, batches};
pub use firehose::{CallError, Firehose, PutAnswer};
pub use sender::{SendError, Sender, Totals};

/// The innermost cause: "Connection refused" rather than "error sending request".
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
