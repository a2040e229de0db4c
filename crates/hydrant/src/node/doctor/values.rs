//! The catalog's values: can each be read, do they agree with one another, and with the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use hydrant_engine::{
    LaneId, Position, Timestamp, Version,
    doctor::{Diagnosis, Finding, Observer, Repair, SeenFrame, Severity},
};

use super::of_value;
use crate::{
    delivery::{
        checkpoint::catalog_key,
        examine::{self, Checkpoint, Kind, Unreadable},
        retry::RETENTION,
    },
    stream::{
        DeliveryStream,
        name::CATALOG_PREFIX,
        registry::{self, LAST_LANE},
    },
};

/// What is to be done about a format of later.
const NEWER: &str = "use the program that wrote it, or a newer one";

/// What an examination passes, as far as it is needed afterwards: bounded by streams and spans, not by records or receipts.
pub(super) struct Books<'a> {
    catalog: &'a Path,
    progress: &'a mut dyn FnMut(u64, u64),
    streams: BTreeMap<LaneId, DeliveryStream>,
    /// Streams whose value cannot be read: their lanes are not known.
    lost_streams: bool,
    last_lane: Option<u64>,
    delivery: BTreeMap<LaneId, Delivery>,
    /// Lanes that any value names.
    lanes: BTreeSet<LaneId>,
    findings: Vec<Finding>,
}

/// A lane's checkpoint, and what the log holds for it.
struct Delivery {
    checkpoint: Checkpoint,
    /// For each span of the checkpoint, what the log holds of it.
    spans: Vec<Held>,
    /// What is not done.
    waiting: Held,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    records: u64,
    lost: u64,
    oldest: Option<Timestamp>,
}

impl Held {
    fn add(&mut self, frame: &SeenFrame) {
        if frame.lost {
            self.lost += 1;
            return;
        }
        self.records += frame.records;
        let oldest = self.oldest.unwrap_or(frame.arrival);
        self.oldest = Some(oldest.min(frame.arrival));
    }
}

impl Observer for Books<'_> {
    fn value(&mut self, key: &str, _version: Version, value: &[u8]) {
        if key == LAST_LANE {
            self.last_lane = registry::decode_lane(value);
        } else if key.starts_with(CATALOG_PREFIX) {
            self.stream(key, value);
        } else if let Some((kind, lane)) = examine::kind_of(key) {
            self.of_delivery(key, kind, lane, value);
        } else {
            let what = "not a value of this program's; it is left alone";
            self.find(of_value(Severity::Note, self.catalog, key, what));
        }
    }

    fn frame(&mut self, frame: &SeenFrame) {
        let Some(delivery) = self.delivery.get_mut(&frame.lane) else {
            return;
        };
        let spans = &delivery.checkpoint.spans;
        let index = spans.iter().position(|it| it.span.contains(frame.position));
        if let Some(index) = index {
            delivery.spans[index].add(frame);
        }
        if index.is_some() || frame.position >= delivery.checkpoint.cursor {
            delivery.waiting.add(frame);
        }
    }

    fn progress(&mut self, done: u64, of: u64) {
        (self.progress)(done, of);
    }
}

impl<'a> Books<'a> {
    pub(super) fn new(catalog: &'a Path, progress: &'a mut dyn FnMut(u64, u64)) -> Self {
        Books {
            catalog,
            progress,
            streams: BTreeMap::new(),
            lost_streams: false,
            last_lane: None,
            delivery: BTreeMap::new(),
            lanes: BTreeSet::new(),
            findings: Vec::new(),
        }
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = &DeliveryStream> {
        self.streams.values()
    }

    fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn stream(&mut self, key: &str, value: &[u8]) {
        match registry::decode(key, value) {
            Ok(stream) => {
                self.lanes.insert(stream.lane);
                self.streams.insert(stream.lane, stream);
            }
            Err(error) => {
                self.lost_streams = true;
                let lost = "what the stream is. Its records are in the log: without the stream a node would remove them, so the \
                            value is left where it is, and a node does not start";
                self.find(
                    of_value(Severity::Fatal, self.catalog, key, error.to_string())
                        .losing(lost)
                        .remedy("restore the catalog from a backup; or, if a newer program wrote it, use that"),
                );
            }
        }
    }

    fn of_delivery(&mut self, key: &str, kind: Kind, lane: Option<LaneId>, value: &[u8]) {
        let read = match lane {
            Some(lane) => {
                self.lanes.insert(lane);
                examine::read(kind, lane, value)
            }
            None => Err(Unreadable::Damaged("there is no such key".to_owned())),
        };
        match read {
            Ok(read) => {
                if let Some(checkpoint) = read.checkpoint {
                    let delivery = Delivery {
                        spans: vec![Held::default(); checkpoint.spans.len()],
                        waiting: Held::default(),
                        checkpoint,
                    };
                    self.delivery.insert(read.lane, delivery);
                }
            }
            Err(Unreadable::Format(format)) => {
                let what = format!("its format is {format}, which this program does not know");
                self.find(
                    of_value(Severity::Fatal, self.catalog, key, what)
                        .of_lane(lane)
                        .losing("nothing")
                        .remedy(NEWER),
                );
            }
            Err(Unreadable::Damaged(why)) => {
                let what = format!("it cannot be read: {why}");
                self.find(
                    of_value(Severity::Damage, self.catalog, key, what)
                        .of_lane(lane)
                        .losing(lost_with(kind))
                        .repaired_by(Repair::RemoveValue(key.to_owned())),
                );
            }
        }
    }

    /// Says of what the engine found what it means for a stream.
    pub(super) fn refine(&self, finding: &mut Finding) {
        let (Some(lane), Some((_, last))) = (finding.lane, finding.positions) else {
            return;
        };
        if finding.severity == Severity::Note {
            return;
        }
        let delivery = self.delivery.get(&lane);
        if delivery.is_some_and(|it| it.checkpoint.is_done(last)) {
            finding.lost = "nothing: it was delivered".to_owned();
        } else if !self.streams.contains_key(&lane) && !self.lost_streams {
            finding.lost = "nothing: it belongs to no stream".to_owned();
        }
    }

    /// All that is to be said of the values, once the log was seen, too.
    pub(super) fn judge(&mut self, diagnosis: &Diagnosis, now: Timestamp) -> Vec<Finding> {
        let mut findings = std::mem::take(&mut self.findings);
        findings.extend(self.last_lane(diagnosis));
        findings.extend(self.orphans(diagnosis));
        for (&lane, delivery) in &self.delivery {
            findings.extend(self.beyond(lane, delivery, diagnosis.next_position));
            findings.extend(self.missing(lane, delivery));
            findings.extend(self.waiting(lane, delivery, now));
        }
        findings
    }

    /// A lane that is given to a second stream would give it the first one's records.
    fn last_lane(&self, diagnosis: &Diagnosis) -> Option<Finding> {
        let known = self.lanes.iter().chain(diagnosis.lanes.keys());
        let highest = known.chain(&diagnosis.removed).max()?;
        if self.last_lane.is_some_and(|last| last >= highest.0) {
            return None;
        }
        let what = match self.last_lane {
            Some(last) => {
                format!("it says that {last} lanes were given out, and there is lane {highest}")
            }
            None => "which lanes were given out cannot be read".to_owned(),
        };
        let value = highest.to_string().into_bytes();
        Some(
            of_value(Severity::Fatal, self.catalog, LAST_LANE, what)
                .losing("nothing, as long as no stream is created: it could get the records of another one")
                .repaired_by(Repair::PutValue(LAST_LANE.to_owned(), value)),
        )
    }

    fn orphans(&self, diagnosis: &Diagnosis) -> Vec<Finding> {
        // Perhaps they are those of a stream that cannot be read.
        if self.lost_streams {
            return Vec::new();
        }
        let lanes: BTreeSet<&LaneId> = diagnosis.lanes.keys().chain(self.delivery.keys()).collect();
        let orphans = lanes
            .into_iter()
            .filter(|lane| !self.streams.contains_key(lane));
        orphans
            .map(|&lane| {
                let held = diagnosis.lanes.get(&lane).copied().unwrap_or_default();
                let what = format!(
                    "what a deleted stream left: {} records, which the next start removes",
                    held.records
                );
                Finding::new(Severity::Note, self.catalog, what).of_lane(Some(lane))
            })
            .collect()
    }

    /// Delivery passes over frames below its cursor: new ones must not get such positions.
    fn beyond(&self, lane: LaneId, delivery: &Delivery, next: Position) -> Option<Finding> {
        let end = delivery.checkpoint.end();
        if end <= next {
            return None;
        }
        let what = format!(
            "delivery stands at position {end}, and the log goes on from {next}: segments of it are missing"
        );
        Some(
            of_value(Severity::Fatal, self.catalog, &catalog_key(lane), what)
                .of_lane(Some(lane))
                .losing("the records in those segments that were not delivered; and new ones would never be delivered, did positions go on from there")
                .remedy("put the missing segment files back, if there are any; else")
                .repaired_by(Repair::Positions(end)),
        )
    }

    fn missing(&self, lane: LaneId, delivery: &Delivery) -> Vec<Finding> {
        let spans = delivery.checkpoint.spans.iter().zip(&delivery.spans);
        spans
            // Frames that are known to be lost are told of where they lie.
            .filter(|(planned, held)| held.lost == 0 && held.records < planned.records)
            .map(|(planned, held)| {
                let of = planned.records;
                let records = of - held.records;
                let what = format!("{records} of {of} records that were to be delivered as {} are not in the log", planned.key);
                let mut finding = of_value(Severity::Damage, self.catalog, &catalog_key(lane), what)
                    .of_lane(Some(lane))
                    .losing(format!("{records} records, unless that object is in the bucket already; what is left is delivered"))
                    .remedy("look whether the object is there; put missing segment files back, if there are any");
                finding.positions = Some((planned.span.start, Position(planned.span.end.0.saturating_sub(1))));
                finding
            })
            .collect()
    }

    fn waiting(&self, lane: LaneId, delivery: &Delivery, now: Timestamp) -> Option<Finding> {
        let oldest = delivery.waiting.oldest?;
        let age = now.since(oldest);
        if age < RETENTION || !self.streams.contains_key(&lane) {
            return None;
        }
        let what = format!(
            "{} records wait to be delivered, the oldest for {} hours: the next start tries for one more hour, then drops what \
             is older than 24",
            delivery.waiting.records,
            age.as_secs() / 3600
        );
        Some(
            of_value(Severity::Note, self.catalog, &catalog_key(lane), what)
                .of_lane(Some(lane))
                .remedy("see to it that the destination works before the node is started"),
        )
    }
}

/// What is lost with a value that is taken out of the catalog.
fn lost_with(kind: Kind) -> &'static str {
    match kind {
        Kind::Checkpoint => {
            "how far delivery is: without the value it begins again with the oldest record in the log, so no record is lost, and \
             what was delivered but not yet trimmed is delivered twice"
        }
        Kind::Receipt => "what became of one object, for `hydrant trace`; no record",
        Kind::Entry => {
            "that an object is to be loaded into the stream's table. It is in the bucket, and is not loaded unless somebody does it \
             by hand"
        }
        Kind::Loading => {
            "which COPY was under way: without the value its objects are planned again, which loads nothing twice into PostgreSQL, and \
             may into a Redshift without a ledger"
        }
    }
}
