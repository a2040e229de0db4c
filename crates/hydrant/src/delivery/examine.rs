//! What delivery's values in the catalog say, for those who check them while no node runs. Pure.

use hydrant_engine::{LaneId, Position};
use serde::Deserialize;

use super::{
    checkpoint::{self, Span},
    held::{self, State as _},
    load::{entry, state},
    receipts,
};

/// What kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// How far a lane's delivery is.
    Checkpoint,
    /// What became of a span.
    Receipt,
    /// An object that is owed to a warehouse.
    Entry,
    /// How far a lane's loading is.
    Loading,
}

/// A value that could be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    /// The lane that it is about.
    pub(crate) lane: LaneId,
    /// What a checkpoint says; `None` for all others.
    pub(crate) checkpoint: Option<Checkpoint>,
}

/// What a checkpoint says of positions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    /// Below it, all that is in no span is done.
    pub(crate) cursor: Position,
    /// Planned and not done.
    pub(crate) spans: Vec<PlannedSpan>,
}

/// A span that is to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedSpan {
    pub(crate) span: Span,
    /// Its object's key.
    pub(crate) key: String,
    /// Records that were in it when it was planned.
    pub(crate) records: u64,
}

/// Why a value could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is of this format, which is not known.
    Format(u64),
    /// It is not what was written.
    Damaged(String),
}

/// What the key is of: a kind, and the lane if it names one. `None` for keys that are not delivery's.
pub(crate) fn kind_of(key: &str) -> Option<(Kind, Option<LaneId>)> {
    let (prefix, rest) = key.split_at(key.find('/')? + 1);
    let kind = match prefix {
        checkpoint::CATALOG_PREFIX => Kind::Checkpoint,
        receipts::CATALOG_PREFIX => Kind::Receipt,
        entry::CATALOG_PREFIX => Kind::Entry,
        state::CATALOG_PREFIX => Kind::Loading,
        _ => return None,
    };
    let lane = match kind {
        Kind::Checkpoint | Kind::Loading => rest.parse().ok(),
        Kind::Receipt | Kind::Entry => {
            let of_span = rest
                .split_once('/')
                .filter(|(_, start)| start.parse::<u64>().is_ok());
            of_span.and_then(|(lane, _)| lane.parse().ok())
        }
    };
    Some((kind, lane))
}

/// What the value of such a key says.
pub(crate) fn read(kind: Kind, lane: LaneId, value: &[u8]) -> Result<Value, Unreadable> {
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let known = match kind {
        Kind::Checkpoint => checkpoint::State::FORMAT,
        Kind::Receipt => receipts::FORMAT,
        Kind::Entry => entry::FORMAT,
        Kind::Loading => state::State::FORMAT,
    };
    let damaged = |error: serde_json::Error| Unreadable::Damaged(error.to_string());
    let Format { format } = serde_json::from_slice(value).map_err(damaged)?;
    if format != u64::from(known) {
        return Err(Unreadable::Format(format));
    }
    let unheld = |error: held::HeldError| Unreadable::Damaged(error.to_string());
    let mut checkpoint = None;
    match kind {
        Kind::Checkpoint => {
            let state: checkpoint::State = held::decode(lane, value).map_err(unheld)?;
            let spans = state.spans.iter().map(|intent| PlannedSpan {
                span: intent.span,
                key: intent.key.clone(),
                records: intent.records,
            });
            checkpoint = Some(Checkpoint {
                cursor: state.cursor,
                spans: spans.collect(),
            });
        }
        Kind::Receipt => {
            serde_json::from_slice::<receipts::SpanReceipt>(value).map_err(damaged)?;
        }
        Kind::Entry => {
            serde_json::from_slice::<entry::Entry>(value).map_err(damaged)?;
        }
        Kind::Loading => {
            held::decode::<state::State>(lane, value).map_err(unheld)?;
        }
    }
    Ok(Value { lane, checkpoint })
}

impl Checkpoint {
    /// Whether the frame at this position is delivered or given up.
    pub(crate) fn is_done(&self, position: Position) -> bool {
        position < self.cursor && !self.spans.iter().any(|it| it.span.contains(position))
    }

    /// Above every position that it knows.
    pub(crate) fn end(&self) -> Position {
        let ends = self.spans.iter().map(|planned| planned.span.end);
        ends.fold(self.cursor, Position::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: LaneId = LaneId(3);

    #[test]
    fn keys_are_told_apart() {
        for (key, expected) in [
            ("delivery/3", Some((Kind::Checkpoint, Some(LANE)))),
            ("delivery/x", Some((Kind::Checkpoint, None))),
            ("loading/3", Some((Kind::Loading, Some(LANE)))),
            (
                "receipt/3/00000000000000000007",
                Some((Kind::Receipt, Some(LANE))),
            ),
            ("receipt/3", Some((Kind::Receipt, None))),
            ("load/3/x", Some((Kind::Entry, None))),
            ("stream/0/r/n", None),
            ("lane", None),
        ] {
            assert_eq!(kind_of(key), expected, "{key}");
        }
    }

    #[test]
    fn a_later_format_and_damage_are_not_the_same() {
        let later = br#"{"format":2,"what":"ever"}"#;
        for kind in [Kind::Checkpoint, Kind::Receipt, Kind::Entry, Kind::Loading] {
            assert_eq!(read(kind, LANE, later), Err(Unreadable::Format(2)));
            for bytes in [&b""[..], b"{", b"\xff", br#"{"format":1}"#] {
                let damaged = read(kind, LANE, bytes);
                assert!(
                    matches!(damaged, Err(Unreadable::Damaged(_))),
                    "{kind:?} {damaged:?}"
                );
            }
        }
    }

    #[test]
    fn a_checkpoint_says_what_is_done() {
        let value = br#"{"format":1,"owner":1,"epoch":1,"seed":7,"cursor":40,"spans":[]}"#;
        let read = read(Kind::Checkpoint, LANE, value).unwrap();
        let mut checkpoint = read.checkpoint.unwrap();
        checkpoint.spans.push(PlannedSpan {
            span: Span {
                start: Position(10),
                end: Position(20),
            },
            key: "k".to_owned(),
            records: 1,
        });
        for (position, done) in [(9, true), (10, false), (19, false), (20, true), (40, false)] {
            assert_eq!(checkpoint.is_done(Position(position)), done, "{position}");
        }
        assert_eq!(checkpoint.end(), Position(40));
    }
}
