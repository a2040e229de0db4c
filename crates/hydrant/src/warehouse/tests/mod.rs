//! Against real databases.

mod connecting;
mod server;
