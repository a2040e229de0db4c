//! Against a real PostgreSQL, with buckets that are directories.

mod basics;
mod crash;
mod large;
mod ledger;
mod options;
mod property;
mod rejects;
mod rig;
mod settings;
