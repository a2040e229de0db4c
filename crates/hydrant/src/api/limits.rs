//! Every limit on what a client may send, a named constant with its source.
//!
//! `M15`, `M26`: the service's API model of 2015 and of today; `S`: the founding document; `ours`:
//! not in any contract, chosen here.

use std::time::Duration;

/// Longest delivery stream name, characters (M15, M26).
pub const STREAM_NAME_CHARS: u64 = 64;
/// Longest role or KMS key ARN, characters (M15, M26).
pub const ARN_CHARS: u64 = 512;
/// Longest bucket ARN, characters (M15, M26).
pub const BUCKET_ARN_CHARS: u64 = 2048;
/// Longest prefix, characters (M26; M15 had no bound, but a longer key fits no S3 store).
pub const PREFIX_CHARS: u64 = 1024;
/// Longest destination id, characters (M15, M26).
pub const DESTINATION_ID_CHARS: u64 = 100;
/// Longest version id, characters (M15, M26).
pub const VERSION_ID_CHARS: u64 = 50;

/// Largest record, decoded bytes: 1,000 KiB (M15, M26, S).
pub const RECORD_BYTES: usize = 1_024_000;
/// Most records in one `PutRecordBatch` (M15, M26, S).
pub const BATCH_RECORDS: usize = 500;
/// Most decoded bytes in one `PutRecordBatch`: 4 MiB (S).
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Largest buffer size hint, MiB (M15, M26).
pub const BUFFER_SIZE_MBS: std::ops::RangeInclusive<i64> = 1..=128;
/// Buffer interval hint, seconds (M26; M15 began at 60).
pub const BUFFER_INTERVAL_SECONDS: std::ops::RangeInclusive<i64> = 0..=900;
/// `Limit` of both list-like operations (M15, M26).
pub const PAGE_SIZE: std::ops::RangeInclusive<i64> = 1..=10_000;
/// `Limit` of `ListDeliveryStreams` when none is given (M26).
pub const DEFAULT_PAGE_SIZE: usize = 10;

/// Most tags of a stream, and of one request or answer about them (M26).
pub const TAGS: usize = 50;

/// Most processors of a stream, and most parameters of one (ours: the model has no bound, and no
/// use for more than a handful).
pub const PROCESSORS: u64 = 50;

/// How many elements beyond a list's bound are looked at before the list is refused (ours: enough for
/// an error to name [`VALIDATION_ERRORS`] offenders).
pub const ELEMENTS_BEYOND: u64 = 10;
/// Most offenders that one `ValidationException` names (measured on AWS's JSON front end).
pub const VALIDATION_ERRORS: usize = 10;
/// Longest value echoed in an error text, bytes (ours: an answer must not be as large as the
/// request that caused it).
pub const ECHO_BYTES: usize = 16 * 1024;

/// Largest HTTP body (ours, SPEC §1.4: 500 records of 4 MiB are 5.6 MiB of base64, plus JSON).
pub const BODY_BYTES: usize = 8 * 1024 * 1024;
/// Bodies from this size on are read by their table on a thread of their own, so that they hold up no
/// other request (ours: some 0.1 ms on a slow machine).
pub const TABLE_ELSEWHERE: usize = 64 * 1024;
/// Clock skew that a signature may have, either way (measured on Firehose, SPEC §1.7).
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// What one node spends on its clients (ours, all of it). Tests and small machines lower them.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Most open connections; more wait in the listen queue.
    pub connections: usize,
    /// Longest TLS handshake.
    pub handshake: Duration,
    /// Longest wait for the complete head of a request, from the moment that the connection is ready
    /// for it: idle time-out of kept-alive connections and guard against slow heads in one. Clients
    /// pool connections for 50 to 90 s.
    pub head: Duration,
    /// Largest head of a request, bytes.
    pub head_bytes: usize,
    /// Most headers of a request.
    pub headers: usize,
    /// Most bytes that a connection reads ahead of what is asked for, and most of answers that wait to be
    /// written before it reads on; not less than `head_bytes`.
    pub buffer_bytes: usize,
    /// Largest body, bytes.
    pub body_bytes: usize,
    /// Time that a body may take however small it is …
    pub body_grace: Duration,
    /// … and the bytes a second that it must arrive with beyond.
    pub body_bytes_per_second: u64,
    /// How much of a body that is too large is read and thrown away, so that its sender gets to see
    /// the answer instead of a broken pipe.
    pub drained_bytes: usize,
    /// Most bytes of bodies held at one time, over all connections.
    pub bytes_in_flight: usize,
    /// Longest wait for a share of those, before the client is told to slow down.
    pub in_flight_wait: Duration,
    /// Longest time that a client may leave an answer unread.
    pub write_stall: Duration,
    /// Longest wait for requests in flight when the node stops.
    pub shutdown: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        ServerLimits {
            connections: 10_000,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(75),
            head_bytes: 64 * 1024,
            headers: 100,
            buffer_bytes: 64 * 1024,
            body_bytes: BODY_BYTES,
            body_grace: Duration::from_secs(20),
            body_bytes_per_second: 16 * 1024,
            drained_bytes: 16 * 1024 * 1024,
            bytes_in_flight: 256 * 1024 * 1024,
            in_flight_wait: Duration::from_secs(5),
            write_stall: Duration::from_secs(60),
            shutdown: Duration::from_secs(10),
        }
    }
}
