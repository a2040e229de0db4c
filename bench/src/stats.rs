//! Medians, percentiles, and pairs compared.

use std::time::Duration;

/// The middle of some values and their extremes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// The spread of `values`; `None` if there are none.
pub(crate) fn spread(values: &[f64]) -> Option<Spread> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (min, max) = (*values.first()?, *values.last()?);
    let (half, odd) = (values.len() / 2, values.len() % 2 == 1);
    let median = if odd {
        values[half]
    } else {
        (values[half - 1] + values[half]) / 2.0
    };
    Some(Spread { median, min, max })
}

/// The value at `fraction` of `sorted`, in seconds.
pub(crate) fn at(sorted: &[Duration], fraction: f64) -> f64 {
    let index = (sorted.len() as f64 * fraction) as usize;
    let index = index.min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(0.0, Duration::as_secs_f64)
}

/// B/A of each pair of runs.
pub(crate) fn ratios(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| b / a).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let of = |values: &[f64]| spread(values).unwrap();
        assert_eq!(
            of(&[3.0, 1.0, 2.0]),
            Spread {
                median: 2.0,
                min: 1.0,
                max: 3.0
            }
        );
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn percentiles() {
        let sorted: Vec<Duration> = (0..100).map(Duration::from_secs).collect();
        assert_eq!(
            (at(&sorted, 0.5), at(&sorted, 0.99), at(&sorted, 1.0)),
            (50.0, 99.0, 99.0)
        );
        assert_eq!(at(&[], 0.5), 0.0);
    }

    #[test]
    fn ratios_are_pair_by_pair() {
        assert_eq!(ratios(&[1.0, 2.0], &[2.0, 2.0]), [2.0, 1.0]);
    }
}
