//! The rows of the table, what each is to reach, and how each is run.

pub(crate) mod measure;
pub(crate) mod rows;
pub(crate) mod run;
mod starts;
pub(crate) mod sweep;
pub(crate) mod targets;
