//! All integration tests of COPY in one binary: one link instead of many.

// In helpers of tests, too, a panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod round_trip;
mod seeds;

#[test]
fn no_test_file_is_forgotten() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let main = include_str!("main.rs");
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let named = stem == "main" || main.contains(&format!("\nmod {stem};\n"));
        assert!(named, "{} is not part of main.rs", path.display());
    }
}
