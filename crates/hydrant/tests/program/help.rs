//! The help is the documentation, and the documentation is the help.

use hydrant::warehouse::{postgres, redshift};

use super::running::{run, text};

#[test]
fn the_settings_table_of_the_manual_is_what_the_program_has() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let table = hydrant::cli::settings_table();
    assert!(
        manual.contains(&table),
        "docs/operations.md must hold this table:\n{table}"
    );
}

#[test]
fn the_sql_of_the_manual_is_what_warehouses_need() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/warehouses.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let grants = postgres::ledger::grant_sql("loader");
    for sql in [postgres::ledger::SETUP_SQL, &grants, redshift::LEDGER] {
        assert!(
            manual.contains(sql),
            "docs/warehouses.md must hold this SQL:\n{sql}"
        );
    }
}

/// `path::test` in backticks; `::test` alone is of the file named before it.
#[test]
fn the_tests_that_the_threat_model_names_are_there() {
    let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let model = std::fs::read_to_string(format!("{crates}/../docs/security.md")).unwrap();
    let (mut file, mut checked) = (String::new(), 0);
    for name in model.split('`').skip(1).step_by(2) {
        let Some((path, test)) = name.split_once("::") else {
            continue;
        };
        if !path.is_empty() && !path.contains('.') {
            // Prose, or a path of Rust.
            continue;
        }
        if !path.is_empty() {
            let root = match path.split('/').next() {
                Some("tests") => format!("{crates}/hydrant"),
                Some("compat" | "crates") => format!("{crates}/.."),
                _ => format!("{crates}/hydrant/src"),
            };
            file = std::fs::read_to_string(format!("{root}/{path}"))
                .unwrap_or_else(|error| panic!("{root}/{path}: {error}"));
        }
        let there = ["fn ", "def "]
            .iter()
            .any(|word| file.contains(&format!("{word}{test}(")));
        assert!(there, "{path}::{test} is not there");
        checked += 1;
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn flags_that_scripts_rely_on() {
    let help = run(&["serve", "--help"], b"");
    let help = text(&help.stdout);
    for flag in [
        "--data-dir <DIR>",
        "--listen <ADDR>",
        "--admin-listen <ADDR>",
        "--quotas <default|unlimited>",
        "--max-streams <N>",
        "--max-interval <SECONDS>",
        "--s3-endpoint <URL>",
        "--config <FILE>",
    ] {
        assert!(help.contains(flag), "{flag}: {help}");
    }
}
