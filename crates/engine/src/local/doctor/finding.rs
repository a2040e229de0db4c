//! What an examination finds, in words for people and in parts for programs.

use std::{fmt, path::PathBuf};

use crate::log::{LaneId, Position};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong: what a crash leaves behind, what was known before, what is worth a look.
    Note,
    /// Bytes are not what was written. The directory opens all the same.
    Damage,
    /// The directory does not open, or would do harm when it did.
    Fatal,
}

impl Severity {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Damage => "damage",
            Severity::Fatal => "fatal",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file, or the directory.
    pub place: PathBuf,
    /// Where in the file it begins, in bytes.
    pub offset: Option<u64>,
    /// The catalog key whose value it is about.
    pub key: Option<String>,
    /// Whose frames it is about.
    pub lane: Option<LaneId>,
    /// The first and the last position that it is about.
    pub positions: Option<(Position, Position)>,
    /// What is wrong.
    pub what: String,
    /// What is lost by it, and what is not. Empty where the question does not arise.
    pub lost: String,
    /// What to do about it. Empty when nothing need be done.
    pub remedy: String,
    /// What a repair does about it; `None` when it can do nothing.
    pub repair: Option<Repair>,
}

impl Finding {
    /// A finding about a file as a whole.
    pub fn new(severity: Severity, place: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Finding {
            severity,
            place: place.into(),
            offset: None,
            key: None,
            lane: None,
            positions: None,
            what: what.into(),
            lost: String::new(),
            remedy: String::new(),
            repair: None,
        }
    }

    /// At this byte of the file.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// About frames of this lane.
    #[must_use]
    pub fn of_lane(mut self, lane: Option<LaneId>) -> Self {
        self.lane = lane;
        self
    }

    /// About this value of the catalog.
    #[must_use]
    pub fn of_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// This is lost by it, or not.
    #[must_use]
    pub fn losing(mut self, lost: impl Into<String>) -> Self {
        self.lost = lost.into();
        self
    }

    /// This is to be done about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// A repair does this about it.
    #[must_use]
    pub fn repaired_by(mut self, repair: Repair) -> Self {
        self.repair = Some(repair);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place.display())?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ", {key}")?;
        }
        f.write_str(": ")?;
        if let Some(lane) = self.lane {
            write!(f, "lane {lane}, ")?;
        }
        match self.positions {
            Some((first, last)) if first == last => write!(f, "position {first}: ")?,
            Some((first, last)) => write!(f, "positions {first} to {last}: ")?,
            None => {}
        }
        f.write_str(&self.what)
    }
}

/// What a repair does. It keeps the bytes that it changes or removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Writes the file `FORMAT` anew.
    Format,
    /// Writes this segment anew: its header, the frames' bytes as they are, and an index of what is sound. What is not is
    /// marked as lost.
    Segment(u64),
    /// Takes this file out of the log.
    MoveAway(PathBuf),
    /// Writes the lanes file anew, with the records that are sound.
    Lanes,
    /// Lets the catalog's store repair its file.
    Catalog,
    /// Takes a value out of the catalog.
    RemoveValue(String),
    /// Puts another value into the catalog.
    PutValue(String, Vec<u8>),
    /// Sees to it that the log gives out no position below this one.
    Positions(Position),
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Repair::Format => f.write_str("write it anew"),
            Repair::Segment(_) => {
                f.write_str("make its header and index anew, and mark as lost what cannot be read")
            }
            Repair::MoveAway(_) => f.write_str("move it out of the log"),
            Repair::Lanes => f.write_str("write it anew, with all that can be read of it"),
            Repair::Catalog => f.write_str("let the catalog's store repair its file"),
            Repair::RemoveValue(key) => write!(f, "take {key} out of the catalog"),
            Repair::PutValue(key, _) => write!(f, "set {key} to what the rest says it must be"),
            Repair::Positions(least) => write!(f, "let positions go on from {least}"),
        }
    }
}
