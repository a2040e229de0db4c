//! Runs seeds: `hydrant-sim disk --seeds 1000`.

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use hydrant_engine::Chance;
#[cfg(feature = "node")]
use hydrant_sim::node;
use hydrant_sim::{engine, outcome::Outcome};

/// Runs Hydrant in a simulated world, one run for each seed, and says which seeds broke a promise.
#[derive(Debug, Parser)]
struct Args {
    /// What is simulated.
    #[arg(value_enum)]
    what: What,
    /// How many seeds are run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed; random unless given.
    #[arg(long)]
    from: Option<u64>,
    /// Runs this seed alone, and prints all that happened.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// The engine on a disk that does its worst.
    Disk,
    /// A whole node, with clients, a network and a store that fail.
    #[cfg(feature = "node")]
    Node,
}

impl What {
    fn run(self, seed: u64, keep_history: bool) -> Outcome {
        match self {
            What::Disk => engine::run(seed, keep_history),
            #[cfg(feature = "node")]
            What::Node => node::run(seed, keep_history),
        }
    }

    fn name(self) -> &'static str {
        match self {
            What::Disk => "disk",
            #[cfg(feature = "node")]
            What::Node => "node",
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long real runs took, for people"
)]
fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(seed) = args.seed {
        let outcome = args.what.run(seed, true);
        print!("{}", outcome.history);
        return report(&args, &outcome);
    }
    let from = args.from.unwrap_or_else(|| match Chance::from_os() {
        Ok(chance) => chance.next_u64() >> 20,
        Err(_) => 0,
    });
    // Panics are findings, and are told with their seed.
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    println!("{} seeds from {from}", args.seeds);
    let mut failed = 0u64;
    let mut counts: Vec<(&str, u64)> = Vec::new();
    for seed in from..from + args.seeds {
        let outcome = args.what.run(seed, false);
        for (at, (name, count)) in outcome.counts.iter().enumerate() {
            match counts.get_mut(at) {
                Some((_, sum)) => *sum += count,
                None => counts.push((name, *count)),
            }
        }
        if outcome.violation.is_some() {
            failed += 1;
            report(&args, &outcome);
        }
    }
    for (name, sum) in counts {
        println!("{sum:>12} {name}");
    }
    println!(
        "{} seeds, {failed} violations, {:.1} s",
        args.seeds,
        started.elapsed().as_secs_f64()
    );
    if failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn report(args: &Args, outcome: &Outcome) -> ExitCode {
    match &outcome.violation {
        Some(violation) => {
            println!(
                "VIOLATION {violation}\n  replay: cargo run --release -p hydrant-sim -- {} --seed {}",
                args.what.name(),
                outcome.seed
            );
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
