//! The wire over real sockets, with a toy behind it (SPEC §1).

mod closed;
mod limits;
mod node;
mod open;
mod sdk;
mod simulated;
