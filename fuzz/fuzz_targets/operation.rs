//! Any bodies for any operations, for a caller who is let in.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hydrant_fuzz::bounded(8 << 20, || hydrant::fuzzing::operation(bytes)));
