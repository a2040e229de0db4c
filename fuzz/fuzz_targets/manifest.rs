//! Manifests: what was read, written, is read again as the same.
#![no_main]

use hydrant_copy::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Manifest::parse(bytes) {
        Ok(manifest) => {
            let written = manifest.to_json();
            let again = Manifest::parse(written.as_bytes());
            assert_eq!(again.ok(), Some(manifest), "{written}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
