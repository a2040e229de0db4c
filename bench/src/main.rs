//! What a Hydrant node costs, measured from outside: see `hydrant-bench --help`.

mod check;
mod cli;
mod floor;
mod guard;
mod http;
mod load;
mod node;
mod pause;
mod records;
mod report;
mod sign;
mod sink;
mod stats;
mod suite;

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::{
    cli::{Chosen, Cli, Command, Common, CompareArgs, SweepArgs, TableArgs},
    pause::pause,
    report::{FLOOR, Runs},
    sink::Sink,
    suite::{
        rows::{self, Row},
        run::Bench,
        sweep,
    },
};

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Load(args) => load::by_hand::run(&args),
        Command::Table(args) => table(&args),
        Command::Compare(args) => compare(&args),
        Command::Floor(common) => {
            let bench = bench(&common)?;
            let runs = vec![(
                FLOOR,
                vec![floor::measure(&bench.sink, &bench.dir, bench.scale)?],
            )];
            print!("{}", report::table(&runs));
            Ok(())
        }
        Command::Sink { listen } => {
            println!("{}", Sink::start(&listen)?.url());
            loop {
                pause(Duration::from_secs(3600));
            }
        }
        Command::Answer => floor::answerer::serve(),
        Command::Sweep(args) => sweep(&args),
        Command::Guard(args) => guard::run(
            &bench(&args.common)?,
            &args.hydrant,
            &args.figures,
            args.write,
        ),
    }
}

fn bench(common: &Common) -> Result<Bench> {
    Ok(Bench {
        sink: Sink::start("127.0.0.1:0")?,
        dir: common.dir.clone(),
        scale: common.scale,
    })
}

/// The rows that were chosen, in the table's order.
fn chosen(chosen: &Chosen) -> Result<Vec<Row>> {
    let mut rows = rows::all(chosen.backlog_gb);
    for name in &chosen.rows {
        let known = name == FLOOR || rows.iter().any(|row| row.name == name);
        ensure!(known, "there is no row {name:?}");
    }
    rows.retain(|row| chosen.rows.is_empty() || chosen.rows.iter().any(|name| name == row.name));
    Ok(rows)
}

fn with_floor(chosen: &Chosen) -> bool {
    chosen.rows.is_empty() || chosen.rows.iter().any(|name| name == FLOOR)
}

fn table(args: &TableArgs) -> Result<()> {
    let bench = bench(&args.common)?;
    let rows = chosen(&args.chosen)?;
    let mut runs: Runs = rows.iter().map(|row| (row.name, Vec::new())).collect();
    let mut floors = Vec::new();
    for round in 1..=args.rounds {
        for (row, (_, rounds)) in rows.iter().zip(&mut runs) {
            eprintln!("round {round}: {}", row.name);
            rounds.push(bench.run(&args.hydrant, row)?);
        }
        if with_floor(&args.chosen) {
            eprintln!("round {round}: {FLOOR}");
            floors.push(floor::measure(&bench.sink, &bench.dir, bench.scale)?);
        }
    }
    report::over_floor(&mut runs, &floors);
    if !floors.is_empty() {
        runs.push((FLOOR, floors));
    }
    print!("{}", report::table(&runs));
    if let Some(path) = &args.json {
        write(path, &format!("{:#}\n", report::json(&runs)))?;
    }
    Ok(())
}

fn compare(args: &CompareArgs) -> Result<()> {
    let bench = bench(&args.common)?;
    let rows = chosen(&args.chosen)?;
    let none: Runs = rows.iter().map(|row| (row.name, Vec::new())).collect();
    let (mut a, mut b) = (none.clone(), none);
    for (index, row) in rows.iter().enumerate() {
        for round in 1..=args.rounds {
            eprintln!("{}: pair {round}", row.name);
            a[index].1.push(bench.run(&args.a, row)?);
            b[index].1.push(bench.run(&args.b, row)?);
        }
    }
    print!("{}", report::comparison(&a, &b));
    Ok(())
}

fn sweep(args: &SweepArgs) -> Result<()> {
    let path = &args.out;
    let mut out = fs::File::create(path).with_context(|| path.display().to_string())?;
    sweep::csv(&bench(&args.common)?, &args.hydrant, &mut out)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}
