//! Hydrant in a simulated world.
//!
//! A seed decides everything: what is sent, which thread runs when, what the disk and the network do, when power
//! goes. So a run that breaks a promise can be run again, as often as it takes to understand it.
//!
//! | module | is |
//! |---|---|
//! | [`baton`] | threads of which one runs at a time |
//! | [`disk`] | a disk that loses power, fails, fills up and rots |
//! | [`engine`] | the local engine on such a disk |
//! | [`node`] | a whole node on such a disk, with clients, a network and a store that fail |
//! | [`outcome`] | what a run came to |

pub mod baton;
pub mod disk;
pub mod engine;
#[cfg(feature = "node")]
pub mod node;
pub mod outcome;
