//! What a seed has in store for an engine.

use hydrant_engine::Chance;

use crate::disk::Faults;

/// A whole run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) segment_bytes: u64,
    pub(super) capacity: u64,
    pub(super) lanes: u64,
    pub(super) producers: u64,
    /// Appends of each producer in each life.
    pub(super) appends: u64,
    /// The largest frame, in bytes.
    pub(super) largest: u64,
    pub(super) lives: Vec<Life>,
}

/// One life of an engine.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    pub(super) faults: Faults,
    pub(super) faults_while_opening: bool,
    /// Power or process go so many operations after the start.
    pub(super) cut_after: Option<u64>,
    pub(super) foreign_at_start: u64,
    /// The disk is full for a while.
    pub(super) fills_up: bool,
    /// How likely a worker's trim leaves something.
    pub(super) lazy: f64,
    pub(super) end: End,
    /// Sectors that rot afterwards.
    pub(super) rot: u64,
}

/// How a life ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum End {
    #[default]
    Closed,
    Killed,
    /// With this likelihood that a piece that was not synced is there.
    PowerCut {
        likely: f64,
    },
}

impl Plan {
    pub(super) fn draw(chance: &Chance) -> Self {
        let lives = 1 + pick(chance, 4);
        // Rot tests reading on, and would excuse what the other faults must not do: one or the other.
        let rots = pick(chance, 4) == 0;
        Plan {
            segment_bytes: 16 << 10,
            capacity: if pick(chance, 4) == 0 {
                10 << 20
            } else {
                64 << 20
            },
            lanes: 1 + pick(chance, 5),
            producers: 1 + pick(chance, 6),
            appends: 5 + pick(chance, 40),
            largest: [40, 400, 4000, 30_000][pick(chance, 4) as usize],
            lives: (0..lives).map(|_| Life::draw(chance, rots)).collect(),
        }
    }
}

impl Life {
    fn draw(chance: &Chance, rots: bool) -> Self {
        let mut life = Life {
            lazy: [0.0, 0.5, 1.0][pick(chance, 3) as usize],
            ..Life::default()
        };
        life.end = match pick(chance, 5) {
            0 => End::Closed,
            1 => End::Killed,
            _ => End::PowerCut {
                likely: [0.0, 0.5, 0.9, 1.0][pick(chance, 4) as usize],
            },
        };
        if life.end != End::Closed {
            // Early ones fall into recovery, late ones anywhere.
            let most = [60, 300, 1500, 4000][pick(chance, 4) as usize];
            life.cut_after = Some(1 + pick(chance, most));
        }
        if rots {
            life.rot = pick(chance, 4);
            life.faults.dead_sector = [0.0, 0.0, 0.001][pick(chance, 3) as usize];
        } else if pick(chance, 2) == 0 {
            let rare = || [0.0, 0.0, 0.002, 0.02][pick(chance, 4) as usize];
            life.faults = Faults {
                write: rare(),
                sync: rare(),
                name: rare(),
                read: rare() * 5.0,
                dead_sector: 0.0,
            };
            life.faults_while_opening = pick(chance, 3) == 0;
        }
        if pick(chance, 5) == 0 {
            life.fills_up = true;
        }
        if pick(chance, 12) == 0 {
            life.foreign_at_start = 1 << 40;
        }
        life
    }

    /// One in which nothing goes wrong.
    pub(super) fn quiet() -> Self {
        Life::default()
    }
}

/// A number below `most`.
pub(crate) fn pick(chance: &Chance, most: u64) -> u64 {
    chance.next_u64() % most
}
