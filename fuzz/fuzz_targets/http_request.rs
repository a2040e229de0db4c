//! All that comes over one connection: it ends, what is answered is HTTP, and memory is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    |bytes: &[u8]| hydrant_fuzz::bounded(4 << 20, || hydrant::fuzzing::http_request(bytes))
);
