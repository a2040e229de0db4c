//! Who a caller is and what it may do, who Hydrant is towards others, and how secrets are kept.

pub mod keyring;
pub mod outbound;
pub mod policy;
pub mod private;
pub mod seal;
pub mod token;

pub use self::{
    keyring::{Identity, Key, Keyring, Secret},
    outbound::Outbound,
    policy::{AccessDenied, Effect, Policy, Statement},
    seal::{Sealed, Vault},
    token::Token,
};
