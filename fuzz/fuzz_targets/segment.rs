//! A whole directory as a disk may hand it back: opened, read, used, opened again; and memory is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    hydrant_fuzz::bounded(32 << 20, || hydrant_engine::local::fuzzing::segment(bytes));
});
