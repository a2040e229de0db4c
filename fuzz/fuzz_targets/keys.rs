//! Names of buckets and objects: what is let through can be delivered, and stays in its bucket.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hydrant::fuzzing::keys(bytes));
