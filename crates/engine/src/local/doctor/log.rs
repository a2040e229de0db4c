//! The log as a whole: which files are part of it, each of them, and what they hold together.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    Diagnosis, Finding, Reading, Repair, SeenFrame, Severity, is_live,
    segment::{Assessment, Loss, Trouble, assess},
};
use crate::{
    engine::OpenError,
    local::{
        disk::Disk,
        format::{FRAME_HEADER, Kind},
        index::Entry,
        lanes::Memory,
        segment::{self, Opened},
    },
    log::{LaneId, Position},
};

/// The name of the lanes file.
pub(super) const LANES: &str = "lanes";

/// What lies in the log's directory.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The numbers of its segments, in order.
    pub(super) ids: Vec<u64>,
    /// What they take, in bytes.
    pub(super) bytes: u64,
}

/// Lists the log's directory and says what does not belong there.
pub(super) fn list(
    disk: &Disk,
    dir: &Path,
    findings: &mut Vec<Finding>,
) -> Result<Listed, OpenError> {
    let mut listed = Listed::default();
    if !disk.exists(dir) {
        return Ok(listed);
    }
    let paths = disk
        .list(dir)
        .map_err(|source| OpenError::io("list", dir, source))?;
    for path in paths {
        let id = segment::number(&path);
        let extension = path.extension().and_then(|it| it.to_str());
        match (id, extension) {
            (Some(id), Some("seg"))
                if path == segment::path(dir, id) && !disk.is_directory(&path) =>
            {
                let len = disk.open_read(path).and_then(|file| file.len());
                listed.bytes += len.unwrap_or_default();
                listed.ids.push(id);
            }
            (Some(_), Some("seg")) => {
                let what =
                    "its name is nearly that of a segment; a node that finds it does not start";
                let foreign = Finding::new(Severity::Fatal, &path, what)
                    .losing("nothing, unless it was a segment that somebody renamed")
                    .repaired_by(Repair::MoveAway(path.clone()));
                findings.push(foreign);
            }
            (_, Some("tmp")) if id.is_some() || path == dir.join(LANES).with_extension("tmp") => {
                let what = "left half made by a crash; the next start removes it";
                findings.push(Finding::new(Severity::Note, path, what));
            }
            _ if path == dir.join(LANES) => {}
            _ => {
                let what = "not a file of this program's; it is left alone";
                findings.push(Finding::new(Severity::Note, path, what));
            }
        }
    }
    listed.ids.sort_unstable();
    Ok(listed)
}

/// A segment that can be looked into.
struct Part {
    id: u64,
    kind: Kind,
    base: u64,
    /// Above every position in it; 0 when only its frames can tell.
    end: u64,
}

/// Reads every segment.
pub(super) fn examine(
    disk: &Disk,
    dir: &Path,
    listed: &Listed,
    memory: &Memory,
    diagnosis: &mut Diagnosis,
    reading: &mut Reading<'_>,
) {
    let (mut parts, mut unreadable_bytes) = (Vec::new(), 0);
    for &id in &listed.ids {
        match peek(disk, dir, id) {
            Ok(part) => parts.push(part),
            Err((finding, bytes)) => {
                unreadable_bytes += bytes;
                reading.advance(bytes);
                diagnosis.findings.push(*finding);
            }
        }
    }
    let last_log = last_log(&parts);
    parts.sort_by_key(|part| (part.base, part.id));
    let mut log = Examined {
        disk,
        dir,
        memory,
        diagnosis,
        reading,
        end: 1,
        held_end: 0,
    };
    for part in &parts {
        match parts.iter().find(|other| other.supersedes(part)) {
            Some(other) => log.superseded(part, other),
            None => log.segment(part, Some(part.id) == last_log),
        }
    }
    // As recovery counts: a file that cannot be read holds no more frames than fit it.
    let unreadable = unreadable_bytes.div_ceil(u64::from(FRAME_HEADER));
    // And what was trimmed says how far the log had come, too.
    let trimmed = memory.trimmed.values().copied().max();
    let end = log.end.max(trimmed.unwrap_or_default());
    diagnosis.next_position = Position(end + unreadable);
}

impl Part {
    /// Whether this one, made by compaction, stands for `other`. Where `other` ends need not be known: ranges of positions
    /// do not overlap but for this. One that begins where this one ends comes after it.
    fn supersedes(&self, other: &Part) -> bool {
        self.kind == Kind::Compacted
            && other.id < self.id
            && (self.base..self.end).contains(&other.base)
            && other.end <= self.end
    }
}

fn last_log(parts: &[Part]) -> Option<u64> {
    let logs = parts.iter().filter(|part| part.kind == Kind::Log);
    logs.map(|part| part.id).max()
}

/// The number of the segment that appends made last, if that can be told.
pub(super) fn find_last_log(disk: &Disk, dir: &Path, ids: &[u64]) -> Option<u64> {
    let parts = ids.iter().filter_map(|&id| peek(disk, dir, id).ok());
    last_log(&parts.collect::<Vec<_>>())
}

/// What a segment says of itself, or why it cannot be part of the log and how long it is.
fn peek(disk: &Disk, dir: &Path, id: u64) -> Result<Part, (Box<Finding>, u64)> {
    let path = segment::path(dir, id);
    let looked = segment::look(disk, dir, id).and_then(|(file, it)| Ok((file.len()?, it)));
    let (len, opened) = match looked {
        Ok(looked) => looked,
        Err(error) => return Err((Box::new(not_read(Severity::Fatal, &path, &error)), 0)),
    };
    match opened {
        Opened::Sealed(segment) => Ok(Part {
            id,
            kind: segment.kind,
            base: segment.base,
            end: segment.end,
        }),
        Opened::Unsealed { header, .. } => Ok(Part {
            id,
            kind: header.kind,
            base: header.base,
            end: header.end,
        }),
        Opened::Unknown(why) => {
            let unknown =
                Finding::new(Severity::Fatal, path, why).losing("nothing; it was not looked at");
            Err((Box::new(unknown), 0))
        }
        Opened::Unreadable(why) => {
            let what = format!("neither its beginning nor its end can be read: {why}");
            let unreadable = Finding::new(Severity::Damage, &path, what)
                .losing(format!(
                    "every record in it that was not delivered, in {len} bytes; all other segments are not touched by that"
                ))
                .repaired_by(Repair::MoveAway(path));
            Err((Box::new(unreadable), len))
        }
    }
}

fn not_read(severity: Severity, path: &Path, error: &io::Error) -> Finding {
    Finding::new(severity, path, format!("the disk cannot read it: {error}"))
        .losing("what the disk does not give back")
        .remedy("look at the disk; save what can be read of it to another one, and check that")
}

struct Examined<'a, 'b> {
    disk: &'a Disk,
    dir: &'a Path,
    memory: &'a Memory,
    diagnosis: &'a mut Diagnosis,
    reading: &'a mut Reading<'b>,
    /// Above every position that a segment names.
    end: u64,
    /// Likewise, of segments that hold frames.
    held_end: u64,
}

impl Examined<'_, '_> {
    fn find(&mut self, finding: Finding) {
        self.diagnosis.findings.push(finding);
    }

    fn path(&self, part: &Part) -> PathBuf {
        segment::path(self.dir, part.id)
    }

    fn superseded(&mut self, part: &Part, by: &Part) {
        let path = self.path(part);
        let file = self.disk.open_read(path.clone());
        let bytes = file.and_then(|file| file.len()).unwrap_or_default();
        self.reading.advance(bytes);
        let what = format!(
            "all of it lies in {}, too: a crash kept it from being removed, and the next start removes it",
            segment::path(self.dir, by.id).display()
        );
        self.find(Finding::new(Severity::Note, path, what));
    }

    fn segment(&mut self, part: &Part, last: bool) {
        let path = self.path(part);
        let read = segment::look(self.disk, self.dir, part.id).and_then(|(file, opened)| {
            let len = file.len()?;
            Ok((len, assess(&file, opened, last)?))
        });
        let (len, assessment) = match read {
            Ok((len, Some(assessment))) => (len, assessment),
            // It could be, a moment ago.
            Ok((len, None)) => {
                self.reading.advance(len);
                let changed = io::Error::other("it changed while it was read");
                return self.find(not_read(Severity::Damage, &path, &changed));
            }
            Err(error) => {
                self.end = self.end.max(part.end).max(part.base);
                return self.find(not_read(Severity::Damage, &path, &error));
            }
        };
        self.reading.advance(len);
        self.diagnosis.segments += 1;
        self.diagnosis.frames += assessment.frames;
        for trouble in &assessment.troubles {
            let finding = self.told(part.id, &path, trouble);
            self.find(finding);
        }
        if !assessment.lanes.is_empty() {
            if part.base < self.held_end {
                let what = format!(
                    "its positions begin at {}, and a segment before it ends at {}",
                    part.base, self.held_end
                );
                let overlap = Finding::new(Severity::Fatal, &path, what)
                    .losing("nothing yet; a node that starts may show some of its frames twice or not at all")
                    .remedy("if it was copied here by hand, take it away again; if not, keep this directory and report it");
                self.find(overlap);
            }
            self.held_end = self.held_end.max(assessment.end);
        }
        self.end = self.end.max(assessment.end);
        self.show(&assessment);
    }

    /// Shows what the log still holds.
    fn show(&mut self, assessment: &Assessment) {
        for (&lane, entries) in &assessment.lanes {
            for entry in entries {
                if is_live(self.memory, lane, entry.position) {
                    self.show_frame(lane, entry);
                }
            }
        }
    }

    fn show_frame(&mut self, lane: LaneId, entry: &Entry) {
        let frame = SeenFrame {
            lane,
            position: Position(entry.position),
            arrival: entry.arrival,
            records: u64::from(entry.records),
            bytes: entry.bytes(),
            lost: entry.lost,
        };
        if !frame.lost {
            let held = self.diagnosis.lanes.entry(lane).or_default();
            held.frames += 1;
            held.records += frame.records;
            held.bytes += frame.bytes;
            let oldest = held.oldest.unwrap_or(frame.arrival);
            held.oldest = Some(oldest.min(frame.arrival));
        }
        self.reading.observer.frame(&frame);
    }

    fn told(&self, id: u64, path: &Path, trouble: &Trouble) -> Finding {
        let again = Repair::Segment(id);
        match *trouble {
            Trouble::Header(at) => Finding::new(Severity::Damage, path, "its first bytes are damaged")
                .at(at)
                .losing("nothing: all that they say stands in the file a second time")
                .repaired_by(again),
            Trouble::Index(at, why) => Finding::new(Severity::Damage, path, why)
                .at(at)
                .losing("nothing: the index can be made anew from the frames")
                .repaired_by(again),
            Trouble::Unsealed => Finding::new(
                Severity::Note,
                path,
                "the log was not closed in order, so its last segment has no index; the next start makes it",
            ),
            Trouble::Torn(at) => Finding::new(
                Severity::Note,
                path,
                "a write that was never acknowledged ends here, half done; the next start cuts it off",
            )
            .at(at),
            Trouble::Unused(at) => Finding::new(
                Severity::Note,
                path,
                "damaged bytes that nothing refers to: frames that were delivered, or were never part of the log",
            )
            .at(at)
            .remedy("look at the disk"),
            Trouble::KnownLost(loss) => {
                let known = "known to be lost: found damaged before, and skipped since";
                Self::about(Finding::new(Severity::Note, path, known), &loss)
            }
            Trouble::Frames(loss) if self.is_forgotten(&loss) => {
                let what = format!("{}; it was delivered or removed already", loss.why);
                let forgotten = Self::about(Finding::new(Severity::Note, path, what), &loss);
                forgotten.losing("nothing").remedy("look at the disk")
            }
            Trouble::Frames(loss) => {
                let frames = match loss.lane {
                    Some(_) if loss.frames == 1 => "1 frame".to_owned(),
                    Some(_) => format!("{} frames", loss.frames),
                    None => "whatever frames were there".to_owned(),
                };
                let records = match loss.records {
                    0 => String::new(),
                    1 => " with 1 record".to_owned(),
                    records => format!(" with {records} records"),
                };
                Self::about(Finding::new(Severity::Damage, path, loss.why), &loss)
                    .losing(format!(
                        "{frames}{records}, unless delivered already; every other frame is sound"
                    ))
                    .remedy("look at the disk")
                    .repaired_by(again)
            }
        }
    }

    fn about(finding: Finding, loss: &Loss) -> Finding {
        Finding {
            positions: Some((Position(loss.first), Position(loss.last))),
            ..finding.at(loss.offset).of_lane(loss.lane)
        }
    }

    /// Whether nobody would have read these frames any more.
    fn is_forgotten(&self, loss: &Loss) -> bool {
        loss.lane
            .is_some_and(|lane| !is_live(self.memory, lane, loss.last))
    }
}
