//! What a seed has in store for a node.

use std::time::Duration;

use hydrant_engine::Chance;

use crate::{
    disk::Faults,
    engine::{End, pick},
};

/// A whole run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) streams: u64,
    pub(super) producers: u64,
    pub(super) lives: Vec<Life>,
    /// Days rather than minutes: what waits too long is given up.
    pub(super) long: bool,
}

/// One life of a node.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) lasts: Duration,
    pub(super) down_before: Duration,
    pub(super) faults: Faults,
    pub(super) slow: f64,
    pub(super) breaks: f64,
    /// How often the store changes its mood.
    pub(super) moods: u64,
    pub(super) cut_after: Option<u64>,
    pub(super) cut_after_requests: Option<u64>,
    /// How often somebody changes, deletes or makes a stream.
    pub(super) changes: u64,
    /// The wall clock is set by so many milliseconds, so often.
    pub(super) jumps: Vec<i64>,
    pub(super) end: End,
    pub(super) large: bool,
}

impl Plan {
    /// How far the wall clock of one time and that of another may be apart, but for the time between them. A machine that
    /// was started anew knows no other clock, so that an age may be wrong by so much.
    pub(super) fn clock_error(&self) -> Duration {
        let (mut least, mut most) = (0, 0);
        for life in &self.lives {
            let mut wrong = 0;
            for jump in &life.jumps {
                wrong += jump;
                (least, most) = (wrong.min(least), wrong.max(most));
            }
        }
        Duration::from_millis(u64::try_from(most - least).unwrap_or(0))
    }

    pub(super) fn draw(chance: &Chance) -> Self {
        let lives = 1 + pick(chance, 5);
        let long = pick(chance, 10) == 0;
        Plan {
            streams: 1 + pick(chance, 4),
            producers: 1 + pick(chance, 4),
            lives: (0..lives).map(|_| Life::draw(chance, long)).collect(),
            long,
        }
    }
}

impl Life {
    fn draw(chance: &Chance, long: bool) -> Self {
        let minutes = match long {
            true => 60 * (1 + pick(chance, 40)),
            false => 1 + pick(chance, 30),
        };
        let rare = || [0.0, 0.0, 0.0, 0.0005][pick(chance, 4) as usize];
        let end = match pick(chance, 4) {
            0 => End::Closed,
            1 => End::Killed,
            _ => End::PowerCut {
                likely: [0.0, 0.5, 1.0][pick(chance, 3) as usize],
            },
        };
        let crashes = end != End::Closed;
        let minute = 60_000;
        Life {
            lasts: Duration::from_secs(60 * minutes),
            down_before: Duration::from_secs(pick(chance, 300)),
            faults: Faults {
                write: rare(),
                sync: rare(),
                name: rare(),
                read: rare() * 10.0,
                dead_sector: 0.0,
            },
            slow: [0.0, 0.0, 0.02, 0.2][pick(chance, 4) as usize],
            breaks: [0.0, 0.1, 0.5][pick(chance, 3) as usize],
            moods: pick(chance, 8),
            cut_after: (crashes && pick(chance, 3) > 0).then(|| {
                let most = [100, 500, 3000][pick(chance, 3) as usize];
                1 + pick(chance, most)
            }),
            cut_after_requests: (crashes && pick(chance, 2) == 0).then(|| 1 + pick(chance, 12)),
            changes: pick(chance, 5),
            jumps: match pick(chance, 4) {
                0 => vec![10 * minute, -10 * minute, 3 * minute],
                1 => vec![-30 * minute],
                _ => Vec::new(),
            },
            end,
            large: pick(chance, 40) == 0,
        }
    }

    /// One in which nothing goes wrong, for as long as it takes.
    pub(super) fn quiet() -> Self {
        Life {
            lasts: Duration::ZERO,
            down_before: Duration::from_secs(1),
            faults: Faults::default(),
            slow: 0.0,
            breaks: 0.0,
            moods: 0,
            cut_after: None,
            cut_after_requests: None,
            changes: 0,
            jumps: Vec::new(),
            end: End::Closed,
            large: false,
        }
    }
}
