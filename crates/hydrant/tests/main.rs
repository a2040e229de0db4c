//! The one integration-test binary: linking once instead of once for each file is minutes on a small
//! machine. A new file in this folder must be declared here; a test makes sure of it.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod architecture;
mod models;
mod ops;
mod program;
mod redshift;
mod sdk;
mod wire;

#[test]
fn no_file_was_forgotten() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let main = std::fs::read_to_string(format!("{folder}/main.rs")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_module = path.extension().is_some_and(|e| e == "rs") || path.join("mod.rs").exists();
        if is_module && name != "main" {
            assert!(
                main.lines()
                    .any(|line| line.trim() == format!("mod {name};")),
                "tests/main.rs must declare `mod {name};`"
            );
        }
    }
}
