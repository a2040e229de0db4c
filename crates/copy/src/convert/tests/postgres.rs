//! What left here is loaded by a real PostgreSQL: it must take every row, of every kind, whatever the file held.
//!
//! `HYDRANT_TEST_POSTGRES` says where it is (`compat/lib/postgres.py --run` sets it); `psql` speaks to it. A failure's
//! message is PostgreSQL's own and holds the value.

use super::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::io::Write;
use std::process::{Command, Stdio};

/// Random values for each column type.
const VALUES: usize = 3000;

/// So many of them must be values of each type, or the test says little; twice as many and more are expected.
const LEAST_ACCEPTED: usize = 50;

/// Values at the edges of what PostgreSQL takes, tried in every type.
const EDGES: [&str; 46] = [
    "0",
    "-0",
    "+1.",
    ".5",
    "1e131071",
    "-1e131071",
    "1e131072",
    "1e-16383",
    "1.5e-16383",
    "1e-16384",
    "0e131072",
    "0e-16384",
    "9223372036854775807",
    "-9223372036854775808",
    "3.4028235e38",
    "3.4028236e38",
    "1.4e-45",
    "7e-46",
    "1.7976931348623157e308",
    "1.7976931348623159e308",
    "5e-324",
    "2e-324",
    "NaN",
    "-Infinity",
    "inf",
    "0001-01-01",
    "9999-12-31 24:00:00",
    "9999-12-31 23:59:60",
    "0001-01-01 00:00:00+15:59",
    "9999-12-31 23:59:59.999999-15:59",
    "4713-01-01 BC",
    "4712-01-01 00:00:00 +15:59 BC",
    "0001-02-29 BC",
    "0401-02-29 BC",
    "J38",
    "J0",
    "24:00:00",
    "23:59:60",
    "23:59:59.9999999-15:59",
    "253402300799.999999",
    "-62135596800",
    "\"\\ud83d\\ude00\"",
    "{\"a\":1e131071,\"a\":[1e-16383]}",
    "[\"\u{7f}\u{FFFF}\"]",
    "\\x00ff",
    "\\.",
];

/// Column types, those with a modifier in their extremes.
fn types() -> Vec<&'static str> {
    vec![
        "boolean",
        "smallint",
        "integer",
        "bigint",
        "numeric",
        "numeric(5,2)",
        "numeric(38,37)",
        "numeric(1000,500)",
        "numeric(3,-2)",
        "numeric(2,4)",
        "real",
        "double precision",
        "char(3)",
        "bpchar",
        "varchar(5)",
        "varchar",
        "text",
        "date",
        "time",
        "time(0)",
        "timetz",
        "timestamp",
        "timestamp(0)",
        "timestamptz",
        "json",
        "jsonb",
        "bytea",
    ]
}

#[test]
fn postgresql_takes_every_row() {
    let Ok(info) = std::env::var("HYDRANT_TEST_POSTGRES") else {
        eprintln!("skipped: HYDRANT_TEST_POSTGRES names no server; scripts/test starts one");
        return;
    };
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let mut runner = TestRunner::default();
    let inputs = random::inputs();
    let settings = random::any_options();
    let mut script = Vec::new();
    let mut counts = Vec::new();
    for (type_name, kind) in catalog(&info) {
        let mut rows = Vec::new();
        let mut count = 0;
        let mut load = |options: &CopyOptions, input: &[u8]| {
            // Beside the value its own text, so that PostgreSQL can say whether it changed it.
            if let Ok(value) = convert(&kind, options, Field::Text(input)) {
                rows.extend_from_slice(&value);
                rows.push(b'\t');
                rows.extend_from_slice(&value);
                rows.push(b'\n');
                count += 1;
            }
        };
        let default = CopyOptions::default();
        let auto = options(|o| {
            o.time_format = TimeFormat::Auto;
            o.date_format = DateFormat::Auto;
            o.round_decimals = true;
        });
        let epoch = options(|o| o.time_format = TimeFormat::EpochSeconds);
        for edge in EDGES {
            for options in [&default, &auto, &epoch] {
                load(options, edge.as_bytes());
            }
        }
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        load(&default, deep.as_bytes());
        for _ in 0..VALUES {
            let options = settings.new_tree(&mut runner).unwrap().current();
            let input = inputs.new_tree(&mut runner).unwrap().current();
            load(&options, &input);
        }
        let changed = match kind {
            Kind::Numeric(_) => "v <> written::numeric",
            Kind::Varchar(_) => "v <> written",
            Kind::Boolean => "v <> written::boolean",
            Kind::Bytes => "v <> written::bytea",
            _ => "false",
        };
        write!(
            script,
            "CREATE TEMP TABLE t (v {type_name}, written text);\nCOPY t FROM STDIN;\n"
        )
        .unwrap();
        script.extend_from_slice(&rows);
        write!(
            script,
            "\\.\nSELECT '{type_name}', count(*), count(*) FILTER (WHERE {changed}) FROM t;\nDROP TABLE t;\n"
        )
        .unwrap();
        assert!(
            count > LEAST_ACCEPTED,
            "{type_name}: {count} values are no test"
        );
        counts.push(format!("{type_name}|{count}|0"));
    }
    let printed = psql(&info, script);
    let printed: Vec<&str> = printed.lines().collect();
    assert_eq!(printed, counts);
}

/// Each type with the kind that the catalog's numbers make of it.
fn catalog(info: &serde_json::Value) -> Vec<(&'static str, Kind)> {
    let columns: Vec<String> = types()
        .iter()
        .enumerate()
        .map(|(at, name)| format!("c{at:02} {name}"))
        .collect();
    let script = format!(
        "CREATE TEMP TABLE t ({});\nSELECT atttypid, atttypmod, atttypid::regtype FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum;\n",
        columns.join(", ")
    );
    let printed = psql(info, script.into_bytes());
    let kinds = printed.lines().map(|line| {
        let mut fields = line.split('|');
        let oid = fields.next().unwrap().parse().unwrap();
        let typmod = fields.next().unwrap().parse().unwrap();
        Kind::from_postgres(oid, typmod, fields.next().unwrap())
    });
    types().into_iter().zip(kinds).collect()
}

/// What a script printed; it must succeed.
fn psql(info: &serde_json::Value, script: Vec<u8>) -> String {
    let text = |name: &str| info[name].as_str().unwrap().to_owned();
    let mut child = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
        .env("PGHOST", text("host"))
        .env("PGPORT", info["port"].to_string())
        .env("PGUSER", text("user"))
        .env("PGPASSWORD", text("password"))
        .env("PGDATABASE", text("database"))
        .env("PGCLIENTENCODING", "UTF8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        // A script that failed is not read to its end; psql says why.
        let _ = stdin.write_all(&script);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "PostgreSQL refused: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
