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
