//! Every option × input × what must be in the table afterwards, or what must be said, by a real PostgreSQL.
//!
//! Expectations are from SPEC §5.5 and from Redshift's Database Developer Guide, whose page each case names; what a
//! value means in detail is tested in hydrant-copy, here is that all of it arrives.

mod delimited;
mod errors;
mod formats;
mod values;

use super::rig::{Command, Rig};
use crate::destination::DeliveryError;

/// One file, loaded into a new table `t`.
struct Case {
    /// What is tested, and who says so.
    what: &'static str,
    /// The table's columns.
    table: &'static str,
    /// `DataTableColumns`.
    list: &'static str,
    /// `CopyOptions`.
    options: &'static str,
    file: &'static [u8],
    then: Then,
}

/// What must come of it.
enum Then {
    /// These rows, in the order of the first column, and nothing refused.
    Rows(&'static [&'static str]),
    /// These rows, and these errors: `line|column|err_code`.
    Both(&'static [&'static str], &'static [&'static str]),
    /// No row, and an error of this code that says all of these.
    Fails(&'static str, &'static [&'static str]),
}

use Then::{Both, Fails, Rows};

const fn case(
    what: &'static str,
    table: &'static str,
    options: &'static str,
    file: &'static [u8],
    then: Then,
) -> Case {
    Case {
        what,
        table,
        list: "",
        options,
        file,
        then,
    }
}

impl Case {
    const fn list(self, list: &'static str) -> Case {
        Case { list, ..self }
    }
}

/// Runs all cases and tells of all that failed.
async fn check(cases: &[Case]) {
    let rig = Rig::new("CREATE DOMAIN positive AS int CHECK (VALUE > 0)").await;
    rig.put(
        "paths",
        br#"{"jsonpaths": ["$.id", "$.tags[1]", "$['x']['y z']"]}"#,
    )
    .await;
    rig.put("auto", br#"{"paths": []}"#).await;
    rig.put("broken", br#"{"jsonpaths": ["$.id"#).await;
    rig.put("array", br#"{"jsonpaths": ["$[0]", "$[1]"]}"#)
        .await;
    let mut failures = Vec::new();
    for case in cases {
        if let Err(failure) = run(&rig, case).await {
            failures.push(format!("{} [{}]: {failure}", case.what, case.options));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

async fn run(rig: &Rig, case: &Case) -> Result<(), String> {
    rig.sql(&format!(
        "DROP TABLE IF EXISTS t; CREATE TABLE t ({});
        DO $$ BEGIN DELETE FROM hydrant.stl_load_errors; EXCEPTION WHEN OTHERS THEN NULL; END $$",
        case.table
    ))
    .await;
    let command = Command {
        table: "t",
        columns: case.list,
        options: case.options,
    };
    let copied = rig.copy_bytes(command, case.file).await;
    let found = rig
        .rows("SET TimeZone = 'UTC'; SELECT * FROM t ORDER BY 1")
        .await;
    let same = |what: &str, found: &[String], expected: &[&str]| match found == expected {
        true => Ok(()),
        false => Err(format!("{what} {found:?}, not {expected:?}")),
    };
    match (&case.then, copied) {
        (Rows(_) | Both(..), Err(error)) => Err(error.to_string()),
        (Rows(rows), Ok(loaded)) => {
            same("rows", &found, rows)?;
            match (loaded.rows, loaded.rejected) {
                (Some(count), 0) if count == rows.len() as u64 => Ok(()),
                _ => Err(format!("{loaded:?}")),
            }
        }
        (Both(rows, errors), Ok(loaded)) => {
            same("rows", &found, rows)?;
            let told = rig
                .rows("SELECT line_number, colname, err_code FROM hydrant.stl_load_errors ORDER BY 1, 3")
                .await;
            same("errors", &told, errors)?;
            match loaded.rejected == errors.len() as u64 {
                true => Ok(()),
                false => Err(format!("{loaded:?}")),
            }
        }
        (Fails(..), Ok(loaded)) => Err(format!("{loaded:?} with {found:?}")),
        (Fails(code, words), Err(error)) => {
            same("rows", &found, &[])?;
            let refused = matches!(error, DeliveryError::Refused { .. });
            let told = error.message().to_owned();
            match refused && error.code() == *code && words.iter().all(|word| told.contains(word)) {
                true => Ok(()),
                false => Err(format!("{error:?}, not {code} with {words:?}")),
            }
        }
    }
}
