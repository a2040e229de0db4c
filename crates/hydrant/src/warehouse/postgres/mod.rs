//! Loading into PostgreSQL, which cannot read a bucket: the node reads the objects, does what Redshift's COPY would
//! do, and feeds the rows into `COPY … FROM STDIN`.
//!
//! ```text
//! manifest ─(source)→ objects ─(feed: decompress, Transform)→ COPY text ─→ table        ┐ one
//!                                  └→ rows that are wrong ─(rejects)→ stl_load_errors    │ transaction
//!                        └──────────────(ledger)──────────────────→ loaded_objects       ┘
//! ```
//!
//! | module | is |
//! |---|---|
//! | `plan` | the COPY command and the files that it means |
//! | `source` | the bucket: manifest, objects, JSONPaths |
//! | `target` | the table and the columns that a file is for |
//! | `load` | one attempt: the transaction, object after object |
//! | `feed`, `decompress` | one object, from the bucket into the table, in constant memory |
//! | `refusal` | which row it was that the database refused |
//! | [`ledger`] | what was loaded, so that nothing is loaded twice |
//! | [`rejects`] | what was not, and why |
//!
//! PostgreSQL 12 or newer. What differs from Redshift:
//!
//! * **Constraints hold.** Redshift takes PRIMARY KEY, UNIQUE and FOREIGN KEY for information; PostgreSQL enforces
//!   them, CHECK, and whatever triggers raise. A row against one of them counts as any other that is wrong: without MAXERROR
//!   it ends the load; within MAXERROR it is left out, up to [`MAX_REPLAYS`] of them in an object, since each costs
//!   loading that object again. A foreign key is looked at when an object's rows are all in and names no row: it
//!   ends the load.
//! * **Only what is recorded.** `hydrant.stl_load_errors` has the first [`rejects::MAX_RECORDED`] errors of a load.
//! * **`NOLOAD`** reads and checks everything but what the database itself checks. The objects do not become loaded.
//! * Zones: time stamps without one are UTC, as in Redshift.

mod decompress;
mod feed;
pub mod ledger;
mod load;
mod plan;
mod refusal;
pub mod rejects;
mod source;
mod target;
#[cfg(test)]
mod tests;

use tokio_postgres::Client;

pub use load::MAX_REPLAYS;

use self::{ledger::Ledger, plan::Plan, source::Source};
use super::{Load, Loaded};
use crate::destination::{DeliveryError, Destinations};

/// One attempt at `load`, for a stream in `region`, over a connection that nobody else uses.
pub async fn copy(
    buckets: &dyn Destinations,
    region: &str,
    client: &mut Client,
    load: &Load,
) -> Result<Loaded, DeliveryError> {
    let source = Source {
        buckets,
        leg: &load.leg,
        region,
    };
    let plan = Plan::read(source, load).await?;
    let ledger = Ledger::open(client).await?;
    let loaded = load::load(client, ledger, source, &plan).await;
    ledger.prune(client).await;
    loaded
}
