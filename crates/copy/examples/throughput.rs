//! How fast files become COPY text, without a database: `cargo run --release -p hydrant-copy --example throughput`.
//!
//! A million rows like those of an access log, in each format, fed 64 KiB at a time. With a name of a format, only that
//! one, ten times over: for a profiler.

use std::hint::black_box;

use hydrant_copy::{Column, CopyOptions, Format, JsonFormat, Kind, Transform};

const ROWS: u64 = 1_000_000;
const CHUNK: usize = 64 << 10;

fn columns() -> Vec<Column> {
    let column = |(name, kind): (&str, Kind)| Column {
        name: name.to_owned(),
        kind,
        not_null: false,
    };
    [
        ("id", Kind::BigInt),
        ("at", Kind::Timestamp),
        ("host", Kind::Varchar(Some(64))),
        ("method", Kind::Varchar(Some(8))),
        ("path", Kind::Varchar(Some(256))),
        ("status", Kind::SmallInt),
        ("bytes", Kind::Integer),
        ("seconds", Kind::Numeric(Some((10, 4)))),
        ("cached", Kind::Boolean),
        ("agent", Kind::Varchar(Some(256))),
    ]
    .map(column)
    .to_vec()
}

/// The fields of a row, and whether JSON quotes them.
fn row(id: u64) -> [(String, bool); 10] {
    let mixed = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    [
        (id.to_string(), false),
        (
            format!(
                "2026-11-{:02} {:02}:{:02}:{:02}.{:03}",
                1 + id % 28,
                id % 24,
                mixed % 60,
                id % 60,
                mixed % 1000
            ),
            true,
        ),
        (
            format!("10.{}.{}.{}", mixed % 256, id % 256, mixed / 256 % 256),
            true,
        ),
        (
            ["GET", "GET", "POST", "PUT"].map(str::to_owned)[(mixed % 4) as usize].clone(),
            true,
        ),
        (
            format!("/api/v1/accounts/{}/orders/{}", mixed % 100_000, id),
            true,
        ),
        ((200 + mixed % 5 * 100).to_string(), false),
        ((mixed % 1_000_000).to_string(), false),
        (format!("{}.{:04}", mixed % 10, mixed % 10_000), false),
        (
            if mixed.is_multiple_of(3) {
                "true"
            } else {
                "false"
            }
            .to_owned(),
            false,
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0".to_owned(),
            true,
        ),
    ]
}

fn file(format: &Format) -> Vec<u8> {
    let columns = columns();
    let mut file = Vec::new();
    for id in 0..ROWS {
        let fields = row(id);
        let line = match format {
            Format::Csv { .. } => fields
                .map(|(text, quoted)| if quoted { format!("\"{text}\"") } else { text })
                .join(","),
            Format::Json(_) => {
                let member = |(column, (text, quoted)): (&Column, &(String, bool))| {
                    let quote = if *quoted { "\"" } else { "" };
                    format!("\"{}\":{quote}{text}{quote}", column.name)
                };
                let members: Vec<_> = columns.iter().zip(&fields).map(member).collect();
                format!("{{{}}}", members.join(","))
            }
            _ => fields.map(|(text, _)| text).join("|"),
        };
        file.extend_from_slice(line.as_bytes());
        file.push(b'\n');
    }
    file
}

#[expect(
    clippy::disallowed_methods,
    reason = "a stop watch is all that this is"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let only = std::env::args().nth(1);
    let delimited = |escape| Format::Delimited {
        delimiter: b'|',
        escape,
        remove_quotes: false,
    };
    let formats = [
        ("delimited", delimited(false)),
        ("escape", delimited(true)),
        (
            "csv",
            Format::Csv {
                delimiter: b',',
                quote: b'"',
            },
        ),
        ("json", Format::Json(JsonFormat::Auto)),
    ];
    for (name, format) in formats {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let file = file(&format);
        let options = CopyOptions {
            format,
            ..CopyOptions::default()
        };
        let mut transform = Transform::new(&options, columns(), None)?;
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let times = if only.is_some() { 10 } else { 3 };
        let mut best = f64::INFINITY;
        for _ in 0..times {
            let started = std::time::Instant::now();
            transform.begin_file();
            for chunk in file.chunks(CHUNK) {
                transform.feed(chunk, &mut out, &mut errors)?;
                black_box(&out).len();
                out.clear();
            }
            transform.end_file(&mut out, &mut errors)?;
            best = best.min(started.elapsed().as_secs_f64());
        }
        assert_eq!(
            (transform.rows(), errors.len()),
            (ROWS * times, 0),
            "{:?}",
            errors.first()
        );
        let bytes = file.len() as f64;
        println!(
            "{name:10} {:4.0} MB  {best:.3} s  {:5.0} MB/s",
            bytes / 1e6,
            bytes / 1e6 / best
        );
    }
    Ok(())
}
