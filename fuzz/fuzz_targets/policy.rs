//! Policies: what is allowed is what the document says.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hydrant::fuzzing::policy(bytes));
