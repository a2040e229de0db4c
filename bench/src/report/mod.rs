//! What was measured, as Markdown and JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    stats::{Spread, ratios, spread},
    suite::{
        measure::*,
        targets::{self, ALL},
    },
};

/// A row's name and the measures of each of its runs.
pub(crate) type Runs = Vec<(&'static str, Vec<Measures>)>;

/// The floor's name in the table.
pub(crate) const FLOOR: &str = "floor";

/// What the table leaves out where it has no target; the JSON has it.
const DETAILS: [&str; 7] = [
    CORE_PERCENT,
    CPU_US,
    DELIVERED_MB_PER_S,
    LOAD_CPU_PER_GB,
    MEDIAN_RSS_MB,
    OBJECT_RATIO,
    RECORDS_PER_CORE_S,
];

/// The table of medians, with the targets.
pub(crate) fn table(runs: &Runs) -> String {
    let mut text =
        String::from("| row | measure | median (min–max) | target | |\n|---|---|---|---|---|\n");
    for (row, rounds) in runs.iter().chain([&(ALL, worst(runs))]) {
        for measure in measures(rounds) {
            let Some(spread) = spread(&values(rounds, measure)) else {
                continue;
            };
            let target = targets::of(row, measure);
            if target.is_none() && DETAILS.contains(&measure) {
                continue;
            }
            let sign = |better| {
                if better == targets::Better::Lower {
                    '≤'
                } else {
                    '≥'
                }
            };
            let wanted = target.map_or(String::new(), |it| {
                let beyond = it
                    .beyond
                    .map_or(String::new(), |beyond| format!(" ({})", number(beyond)));
                format!("{} {}{beyond}", sign(it.better), number(it.bound))
            });
            let verdict = target.map_or("", |it| it.verdict(spread.median));
            let _ = writeln!(
                text,
                "| {row} | {measure} | {} | {wanted} | {verdict} |",
                show(spread)
            );
        }
    }
    text
}

/// Adds to each run how its CPU time compares with the floor of its round, which saw the same machine.
pub(crate) fn over_floor(runs: &mut Runs, floors: &[Measures]) {
    for (row, rounds) in runs {
        let Some((measure, beneath)) = floor_of(row) else {
            continue;
        };
        for (round, floor) in rounds.iter_mut().zip(floors) {
            if let (Some(cpu), Some(floor)) = (round.get(measure), floor.get(beneath)) {
                round.insert(OVER_FLOOR, cpu / floor);
            }
        }
    }
}

/// The largest memory of each round over all rows, and the most device bytes over the batch rows.
fn worst(runs: &Runs) -> Vec<Measures> {
    let rounds = runs
        .iter()
        .map(|(_, rounds)| rounds.len())
        .max()
        .unwrap_or(0);
    let most = |round: usize, measure: &str, wanted: &dyn Fn(&str) -> bool| {
        let rows = runs.iter().filter(|(row, _)| wanted(row));
        let values = rows.filter_map(|(_, rounds)| rounds.get(round)?.get(measure));
        values.copied().max_by(f64::total_cmp)
    };
    let round = |round| {
        let memory = most(round, PEAK_RSS_MB, &|_| true).map(|value| (PEAK_RSS_MB, value));
        let device = most(round, DEVICE_BYTES, &|row| row.starts_with("batch"));
        memory
            .into_iter()
            .chain(device.map(|value| (DEVICE_BYTES, value)))
            .collect()
    };
    (0..rounds).map(round).collect()
}

/// A and B beside each other, with B/A of each pair.
pub(crate) fn comparison(a: &Runs, b: &Runs) -> String {
    let mut text =
        String::from("| row | measure | A | B | B/A median (min–max) |\n|---|---|---|---|---|\n");
    for ((row, a), (_, b)) in a.iter().zip(b) {
        for measure in measures(a) {
            let (a, b) = (values(a, measure), values(b, measure));
            let shown = [spread(&a), spread(&b), spread(&ratios(&a, &b))];
            let shown = shown.map(|it| it.map_or(String::new(), show));
            let _ = writeln!(text, "| {row} | {measure} | {} |", shown.join(" | "));
        }
    }
    text
}

/// Every run's figures.
pub(crate) fn json(runs: &Runs) -> Value {
    runs.iter()
        .map(|(row, rounds)| json!({"row": row, "rounds": rounds}))
        .collect()
}

/// The names of what was measured.
fn measures(rounds: &[Measures]) -> impl Iterator<Item = &'static str> {
    rounds
        .first()
        .into_iter()
        .flat_map(|round| round.keys().copied())
}

fn values(rounds: &[Measures], measure: &str) -> Vec<f64> {
    rounds
        .iter()
        .filter_map(|round| round.get(measure).copied())
        .collect()
}

fn show(spread: Spread) -> String {
    format!(
        "{} ({}–{})",
        number(spread.median),
        number(spread.min),
        number(spread.max)
    )
}

/// Three significant digits, thousands whole.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0..100.0 => 1,
        1.0..10.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(value: f64) -> Measures {
        Measures::from([(CPU_PER_GB, value)])
    }

    #[test]
    fn a_row_has_its_median_its_target_and_the_verdict() {
        let text = table(&vec![("batch-1k-gzip", vec![run(9.0), run(7.0), run(5.0)])]);
        let row = "| batch-1k-gzip | CPU s/GB | 7.00 (5.00–9.00) | ≤ 7.30 (4.60) | met |";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn a_run_is_compared_with_the_floor_of_its_round() {
        let mut runs = vec![
            ("batch-1k-gzip", vec![run(8.0), run(9.0)]),
            ("put-64", vec![run(8.0)]),
        ];
        let floors = [4.0, 3.0].map(|sum| Measures::from([(FLOOR_1K, sum)]));
        over_floor(&mut runs, &floors);
        let found = values(&runs[0].1, OVER_FLOOR);
        assert_eq!(found, [2.0, 3.0]);
        assert!(values(&runs[1].1, OVER_FLOOR).is_empty());
    }

    #[test]
    fn all_rows_are_judged_by_the_worst() {
        let rss = |value| vec![Measures::from([(PEAK_RSS_MB, value)])];
        let text = table(&vec![("batch-1k-gzip", rss(60.0)), ("put-64", rss(200.0))]);
        assert!(
            text.contains(
                "| all rows | peak RSS MB | 200 (200–200) | ≤ 150 (64.0) | **not met** |"
            ),
            "{text}"
        );
    }

    #[test]
    fn ratios_are_those_of_pairs() {
        let a = vec![("put-64", vec![run(1.0), run(2.0), run(4.0)])];
        let b = vec![("put-64", vec![run(2.0), run(2.0), run(2.0)])];
        let row = "| put-64 | CPU s/GB | 2.00 (1.00–4.00) | 2.00 (2.00–2.00) | 1.00 (0.500–2.00) |";
        assert!(comparison(&a, &b).contains(row), "{}", comparison(&a, &b));
    }
}
