//! What Firehose takes in one call (SPEC §2.9). The client's own copy: it talks to AWS as well.

/// Largest record, bytes.
pub const RECORD_BYTES: usize = 1_024_000;
/// Most records in a `PutRecordBatch`.
pub const BATCH_RECORDS: usize = 500;
/// Most bytes of data in a `PutRecordBatch`.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;
