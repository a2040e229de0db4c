//! The operations over the model engine, without a socket: what each answers and what it leaves
//! behind in registry and log.

mod create;
pub(crate) mod node;
mod puts;
mod redshift;
mod streams;
mod tags;
mod update;
