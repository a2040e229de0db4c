//! Hydrant: Amazon Kinesis Firehose that you run yourself.
//!
//! How a record flows: the API decodes a request into a frame and appends it to the log; when the
//! log says that it is on disk, the client has its RecordIds. Delivery follows the log, cuts spans, makes
//! objects of them and gives them to a destination. The two halves meet only in the engine.

pub mod api;
pub mod cli;
pub mod client;
pub mod config;
pub mod console;
pub mod credentials;
pub mod delivery;
pub mod destination;
pub mod metrics;
pub mod node;
pub mod sigv4;
pub mod stream;
