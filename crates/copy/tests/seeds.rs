//! The fuzzers' seeds stay what they are meant to be: each gets as far as rows, or to a refusal that is meant.

use std::{fs, path::Path};

use hydrant_copy::{CopyOptions, JsonPaths, Manifest, OptionsErrorKind};

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let files = fs::read_dir(dir.join(target)).unwrap();
    files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn seeds_of_rows_have_options() {
    for seed in seeds("copy_rows") {
        let (options, _file) = seed[2..]
            .split_at_checked(seed[2..].iter().position(|b| *b == b'\n').unwrap())
            .unwrap();
        let options = std::str::from_utf8(options).unwrap();
        CopyOptions::parse(options).unwrap_or_else(|error| panic!("{options}: {error}"));
    }
}

#[test]
fn seeds_of_options_are_options() {
    let (mut read, mut incorrect) = (0, 0);
    for seed in seeds("copy_options") {
        match CopyOptions::parse(std::str::from_utf8(&seed).unwrap()) {
            Ok(_) => read += 1,
            Err(error) if error.kind == OptionsErrorKind::Incorrect => incorrect += 1,
            // A table and a column list, which the same fuzzer reads.
            Err(_) => {}
        }
    }
    assert_eq!((read, incorrect), (10, 2));
}

#[test]
fn seeds_of_files_are_read() {
    let paths = seeds("jsonpaths");
    let read = paths.iter().filter(|seed| JsonPaths::parse(seed).is_ok());
    assert_eq!(read.count(), 3);
    let manifests = seeds("manifest");
    let read = manifests
        .iter()
        .filter(|seed| Manifest::parse(seed).is_ok());
    assert_eq!(read.count(), 2);
}
