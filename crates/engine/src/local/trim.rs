//! Forgetting: trim, remove, and giving disk back.
//!
//! Forgetting happens in memory first, then a note goes into the lanes file: lazily for a trim (a
//! crash may undo it), durably and beforehand for a removal. A segment that holds nothing more is deleted at
//! once; what little is left in others is moved by [`compact`](super::compact).

use std::{io, sync::Arc};

use super::{
    Shared,
    footer::{Block, FooterReader},
    index::{Entry, Row, Segment, Totals},
    reader::scan_lane,
    recycle, segment,
    writer::Command,
};
use crate::{clock::Timestamp, log::LaneId};

/// Forgets `lane` below `keep_from`, notes it, and deletes what holds nothing more. Blocks.
pub(crate) fn trim(shared: &Shared, lane: LaneId, keep_from: u64) {
    let Some(keep_from) = forget(shared, lane, keep_from) else {
        return;
    };
    if let Err(error) = shared.lanes().trim(lane, keep_from) {
        // Allowed: a trim may be undone. The frames are delivered again at worst.
        tracing::warn!(%lane, keep_from, "a trim could not be noted: {error}");
    }
    give_back(shared);
}

/// Forgets `lane` for good, durably, and deletes what holds nothing more. Blocks.
pub(crate) fn remove(shared: &Shared, lane: LaneId) -> io::Result<()> {
    if shared.state().removed.contains(&lane) {
        return Ok(());
    }
    shared.lanes().remove(lane)?;
    shared.state().remove(lane);
    give_back(shared);
    roll_if_dead(shared);
    Ok(())
}

/// Forgets in memory alone. The position really trimmed to, when that changed anything.
pub(crate) fn forget(shared: &Shared, lane: LaneId, keep_from: u64) -> Option<u64> {
    loop {
        let (keep_from, straddled) = {
            let mut state = shared.state();
            let keep_from = state.trim_to(lane, keep_from)?;
            match state.straddled(lane, keep_from) {
                Some(straddled) => (keep_from, straddled),
                None => {
                    state.trim(lane, keep_from, None);
                    return Some(keep_from);
                }
            }
        };
        let (segment, row) = straddled;
        let cut = match sum_below(shared, &segment, &row, keep_from) {
            Ok(cut) => cut,
            Err(_) if !shared.state().holds(segment.id) => continue,
            Err(error) => {
                // Its frames stay until the lane is trimmed beyond the segment.
                tracing::error!(%lane, "cannot trim in a segment: {error}");
                return None;
            }
        };
        let mut state = shared.state();
        // Compaction or another trim may have come in between.
        let unchanged = state.trim_to(lane, keep_from) == Some(keep_from)
            && state
                .straddled(lane, keep_from)
                .is_some_and(|(now, _)| now.id == segment.id);
        if unchanged {
            state.trim(lane, keep_from, Some(cut));
            return Some(keep_from);
        }
    }
}

/// What a lane holds in a segment below `keep_from`, and the arrival of its first frame after.
fn sum_below(
    shared: &Shared,
    segment: &Segment,
    row: &Row,
    keep_from: u64,
) -> io::Result<(Totals, Timestamp)> {
    let file = shared
        .disk
        .open_read(segment::path(&shared.dir, segment.id))?;
    let mut section = FooterReader::new(segment.nonce, row);
    let mut totals = Totals::default();
    let mut add = |entries: &[Entry]| {
        let below = entries.partition_point(|entry| entry.position < keep_from);
        totals += Totals::of(&entries[..below]);
        entries.get(below).map(|entry| entry.arrival)
    };
    loop {
        match section.next(&file, 0)? {
            Block::Entries(entries) => {
                if let Some(arrival) = add(&entries) {
                    return Ok((totals, arrival));
                }
            }
            Block::End => return Ok((totals, row.arrival)),
            Block::Damaged => break,
        }
    }
    let entries = scan_lane(&file, segment, row)?;
    let below = entries.partition_point(|entry| entry.position < keep_from);
    let after = entries
        .get(below)
        .map_or(row.arrival, |entry| entry.arrival);
    Ok((Totals::of(&entries[..below]), after))
}

/// Deletes the segments that hold nothing more, and lets others be tidied up.
pub(crate) fn give_back(shared: &Shared) {
    delete_doomed(shared);
    shared.wake_keeper();
}

/// Deletes the files of forgotten segments, but for one that may become the next.
pub(crate) fn delete_doomed(shared: &Shared) {
    let doomed = {
        let mut state = shared.state();
        // While there is no active segment, the last sealed one alone remembers the positions.
        let highest = state.segments.values().map(|slot| slot.segment.end);
        let highest = highest.chain(state.doomed.iter().map(|it| it.end)).max();
        let no_active = state.active.id == 0;
        let keep = |segment: &Arc<Segment>| no_active && Some(segment.end) == highest;
        let (keep, doomed): (Vec<_>, Vec<_>) = state.doomed.drain(..).partition(keep);
        state.doomed = keep;
        doomed
    };
    for segment in doomed {
        if recycle::keep(shared, &segment) {
            continue;
        }
        match shared.disk.remove(&segment::path(&shared.dir, segment.id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(segment = segment.id, "cannot delete a segment: {error}");
                shared.state().doomed.push(segment);
            }
            _ => {
                let mut state = shared.state();
                state.disk_bytes = state.disk_bytes.saturating_sub(segment.file_bytes);
            }
        }
    }
    if shared.state().is_short(&shared.settings) {
        recycle::give_up(shared);
    }
}

/// Seals the active segment when much of it is dead, so that compaction can give its space back.
fn roll_if_dead(shared: &Shared) {
    let dead = {
        let active = &shared.state().active;
        active.written.saturating_sub(active.live.stored)
    };
    if dead * 2 > shared.settings.segment_bytes {
        // Disconnected: the log is closed.
        let _ = shared.commands.send(Command::Roll);
    }
}
