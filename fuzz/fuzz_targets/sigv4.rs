//! Signatures: what is signed is verified, what was changed since is not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hydrant::fuzzing::sigv4(bytes));
