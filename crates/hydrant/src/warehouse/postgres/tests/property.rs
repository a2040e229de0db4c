//! Rows that are written in a format and loaded are the same rows.

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use super::rig::{Command, Rig};

/// Files for each format.
const FILES: usize = 12;

/// A row of `t (a bigint, b varchar(200), c numeric(20,4), d boolean, e timestamp)`.
type Row = (
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<bool>,
    Option<u32>,
);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    // Anything but NUL, which no text of PostgreSQL's holds; `\N` is told apart by the formats below.
    let text = prop_oneof![
        "[^\\x00]{0,40}",
        "[|,\"'\\\\\\n\\r\\t %a]{0,12}",
        Just("\\N".to_owned()),
        Just("NULL".to_owned()),
    ];
    let row = (
        any::<Option<i64>>(),
        prop::option::of(text),
        prop::option::of(-1_000_000_000_000_i64..1_000_000_000_000),
        any::<Option<bool>>(),
        any::<Option<u32>>(),
    );
    prop::collection::vec(row, 0..60)
}

fn fixed(c: i64) -> String {
    let sign = if c < 0 { "-" } else { "" };
    let c = c.unsigned_abs();
    format!("{sign}{}.{:04}", c / 10_000, c % 10_000)
}

fn time(e: u32) -> String {
    jiff::Timestamp::from_second(i64::from(e))
        .unwrap()
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// A row's fields as text; `None` is NULL.
fn fields(row: &Row) -> [Option<String>; 5] {
    let (a, b, c, d, e) = row.clone();
    [
        a.map(|a| a.to_string()),
        b,
        c.map(fixed),
        d.map(|d| if d { "t" } else { "f" }.to_owned()),
        e.map(time),
    ]
}

/// How a file is written, and the options that read it.
type Format = (&'static str, fn(&[Row]) -> String);

fn escaped(rows: &[Row]) -> String {
    let field = |field: Option<String>| match field {
        None => "\\N".to_owned(),
        // Escaped as every backslash is, it would be NULL; another backslash makes the N literal.
        Some(text) if text == "\\N" => r"\\\N".to_owned(),
        Some(text) => {
            let special = |c: char| matches!(c, '\\' | '|' | '\n' | '\r' | '"' | '\'');
            text.chars()
                .flat_map(|c| special(c).then_some('\\').into_iter().chain([c]))
                .collect()
        }
    };
    let row = |row: &Row| fields(row).map(field).join("|") + "\n";
    rows.iter().map(row).collect()
}

fn csv(rows: &[Row]) -> String {
    let field = |field: Option<String>| match field {
        None => "@null@".to_owned(),
        Some(text) => format!("\"{}\"", text.replace('"', "\"\"")),
    };
    let row = |row: &Row| fields(row).map(field).join(",") + "\n";
    rows.iter().map(row).collect()
}

fn json(rows: &[Row]) -> String {
    let row = |(a, b, c, d, e): &Row| {
        serde_json::json!({
            "e": e.map(time), "d": d, "c": c.map(fixed), "b": b, "a": a, "unknown": {"a": [1]},
        })
        .to_string()
    };
    rows.iter().map(row).collect()
}

const FORMATS: [Format; 3] = [
    ("ESCAPE", escaped),
    ("CSV NULL '@null@'", csv),
    ("JSON 'auto'", json),
];

#[tokio::test]
async fn what_is_written_is_loaded() {
    let rig =
        Rig::new("CREATE TABLE t (n serial, a bigint, b varchar(200), c numeric(20,4), d boolean, e timestamp)")
            .await;
    let mut runner = TestRunner::new(ProptestConfig::default());
    for (options, write) in FORMATS {
        for _ in 0..FILES {
            let rows = rows().new_tree(&mut runner).unwrap().current();
            let file = write(&rows);
            let command = Command {
                table: "t",
                columns: "a,b,c,d,e",
                options,
            };
            let loaded = rig.copy_bytes(command, file.as_bytes()).await;
            let told = || format!("{options} of {rows:?}, written as {file:?}");
            let loaded = loaded.unwrap_or_else(|error| panic!("{error}: {}", told()));
            assert_eq!(loaded.rows, Some(rows.len() as u64), "{}", told());
            let found = rig
                .admin
                .query(
                    "SELECT a::text, b::text, c::text, left(d::text, 1), e::text FROM t ORDER BY n",
                    &[],
                )
                .await
                .unwrap();
            let found: Vec<[Option<String>; 5]> = found
                .iter()
                .map(|row| std::array::from_fn(|n| row.get(n)))
                .collect();
            let expected: Vec<_> = rows.iter().map(fields).collect();
            assert_eq!(found, expected, "{}", told());
            rig.sql("TRUNCATE t").await;
        }
    }
}
