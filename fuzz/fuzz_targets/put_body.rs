//! Bodies of puts: read the fast way, the exact way and the plain way.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hydrant::fuzzing::put_body(bytes));
