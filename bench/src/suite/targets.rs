//! What each row is to reach.

use super::measure::*;

/// Which side of a bound is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// A bound on a row's median.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) row: &'static str,
    pub(crate) measure: &'static str,
    pub(crate) better: Better,
    pub(crate) bound: f64,
    /// What would be better than asked for.
    pub(crate) beyond: Option<f64>,
}

/// The row that sums up all others, by their worst.
pub(crate) const ALL: &str = "all rows";

/// All targets. Device bytes are those of the batch rows: where each record is synced alone, a page of 4 KiB is the least
/// that a device is given.
pub(crate) const TARGETS: &[Target] = &[
    at_most("batch-1k-gzip", CPU_PER_GB, 7.3, Some(4.6)),
    at_least("batch-1k-gzip", MB_PER_S, 220.0, Some(350.0)),
    at_least("batch-1k-gzip", OBJECT_RATIO, 4.1, None),
    at_most("batch-250-gzip", CPU_PER_GB, 5.9, Some(4.1)),
    at_least("batch-250-gzip", RECORDS_PER_CORE_S, 450_000.0, None),
    at_most("batch-1k-plain", CPU_PER_GB, 2.5, Some(1.9)),
    at_least("put-64", RECORDS_PER_S, 28_000.0, Some(40_000.0)),
    at_most("put-64", CPU_US, 33.0, None),
    at_most("put-64", P50_MS, 3.0, None),
    at_most("put-1", P50_OVER_FSYNC, 1.5, Some(1.2)),
    at_most("streams-1000", CORE_PERCENT, 15.0, None),
    at_most("streams-1000", PEAK_RSS_MB, 150.0, None),
    at_most("backlog", READY_MS, 2000.0, None),
    at_most("cold-start", FIRST_ANSWER_MS, 50.0, None),
    at_most(ALL, PEAK_RSS_MB, 150.0, Some(64.0)),
    at_most(ALL, DEVICE_BYTES, 1.1, Some(1.05)),
];

type Row = &'static str;
type Measure = &'static str;

const fn at_most(row: Row, measure: Measure, bound: f64, beyond: Option<f64>) -> Target {
    target(row, measure, Better::Lower, bound, beyond)
}

const fn at_least(row: Row, measure: Measure, bound: f64, beyond: Option<f64>) -> Target {
    target(row, measure, Better::Higher, bound, beyond)
}

const fn target(
    row: Row,
    measure: Measure,
    better: Better,
    bound: f64,
    beyond: Option<f64>,
) -> Target {
    Target {
        row,
        measure,
        better,
        bound,
        beyond,
    }
}

/// The target of a row's measure.
pub(crate) fn of(row: &str, measure: &str) -> Option<&'static Target> {
    TARGETS
        .iter()
        .find(|it| it.row == row && it.measure == measure)
}

impl Target {
    /// "met", "not met", or "met, and beyond".
    pub(crate) fn verdict(&self, value: f64) -> &'static str {
        let reached = |bound: f64| match self.better {
            Better::Lower => value <= bound,
            Better::Higher => value >= bound,
        };
        match self.beyond {
            _ if !reached(self.bound) => "**not met**",
            Some(beyond) if reached(beyond) => "met, and beyond",
            _ => "met",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_know_which_side_is_good() {
        let cpu = of("batch-1k-gzip", CPU_PER_GB).unwrap();
        assert_eq!(cpu.verdict(7.4), "**not met**");
        assert_eq!(cpu.verdict(7.3), "met");
        assert_eq!(cpu.verdict(4.0), "met, and beyond");
        let speed = of("batch-1k-gzip", MB_PER_S).unwrap();
        assert_eq!(speed.verdict(219.0), "**not met**");
        assert_eq!(speed.verdict(350.0), "met, and beyond");
        assert!(of("batch-1k-gzip", P99_MS).is_none());
    }
}
