//! The config file: read or refused, and no secret shown.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hydrant::fuzzing::config(bytes));
