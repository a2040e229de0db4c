//! Who a caller is and what it may do.

pub mod keyring;
pub mod outbound;
pub mod policy;

pub use self::{
    keyring::{Identity, Key, Keyring, Secret},
    outbound::Outbound,
    policy::{AccessDenied, Effect, Policy, Statement},
};
