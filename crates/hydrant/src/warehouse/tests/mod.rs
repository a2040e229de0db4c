//! Against real databases.

mod connecting;
pub(crate) mod server;
