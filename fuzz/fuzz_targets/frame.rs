//! The formats on disk, each by itself, with checksums made right.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hydrant_fuzz::bounded(16 << 20, || {
    hydrant_engine::local::fuzzing::frame(bytes)
}));
