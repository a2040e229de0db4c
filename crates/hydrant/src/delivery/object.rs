//! How an object is named (SPEC §4.1) and what headers it has (SPEC §4.2). Pure.
//!
//! ```text
//! PREFIX yyyy/MM/dd/HH/ STREAM - VERSION - yyyy-MM-dd-HH-mm-ss - UUID EXTENSION     UTC, of the oldest record's arrival
//! ```
//!
//! The UUID is a function of the lane's seed and the span: the same span has the same key, however
//! often it is delivered. The seed is chance, drawn when the lane's checkpoint is made, so
//! that two nodes, or a node before and after its data was thrown away, never share a key.

use aws_lc_rs::digest;
use hydrant_engine::{LaneId, Timestamp};
use uuid::{Builder, Uuid};

use super::checkpoint::Span;
use crate::stream::CompressionFormat;

/// `Content-Type` of every object.
pub(crate) const CONTENT_TYPE: &str = "application/octet-stream";

/// What a UUID is for. Two for one span must differ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The end of the object's key.
    Key,
    /// The name of the entry in a ZIP file.
    Entry,
}

/// A UUID in the form of version 4 that depends on its arguments alone.
pub(crate) fn span_uuid(seed: u64, lane: LaneId, span: Span, purpose: Purpose) -> Uuid {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(match purpose {
        Purpose::Key => b"hydrant object key",
        Purpose::Entry => b"hydrant zip entry.",
    });
    for number in [seed, lane.0, span.start.0, span.end.0] {
        hash.update(&number.to_be_bytes());
    }
    let hash = hash.finish();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    Builder::from_random_bytes(bytes).into_uuid()
}

/// The key of an object.
pub(crate) fn key(
    prefix: &str,
    stream: &str,
    version: u64,
    oldest: Timestamp,
    uuid: Uuid,
    compression: CompressionFormat,
) -> String {
    let (hour, second) = utc(oldest);
    let extension = extension(compression);
    format!("{prefix}{hour}/{stream}-{version}-{second}-{uuid}{extension}")
}

/// The key of a manifest, by which objects are loaded into a warehouse (SPEC §5.2). Its name has no version: a
/// manifest may hold objects of several.
pub(crate) fn manifest_key(prefix: &str, stream: &str, created: Timestamp, uuid: Uuid) -> String {
    let (hour, second) = utc(created);
    format!("{prefix}manifests/{hour}/{stream}-{second}-{uuid}")
}

/// `yyyy/MM/dd/HH` and `yyyy-MM-dd-HH-mm-ss` in UTC.
fn utc(time: Timestamp) -> (String, String) {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    // A time beyond the year 9999 cannot come from a clock; it is shown as the last one there is.
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    (
        time.strftime("%Y/%m/%d/%H").to_string(),
        time.strftime("%Y-%m-%d-%H-%M-%S").to_string(),
    )
}

fn extension(compression: CompressionFormat) -> &'static str {
    match compression {
        CompressionFormat::Uncompressed => "",
        CompressionFormat::Gzip => ".gz",
        CompressionFormat::Zip => ".zip",
        CompressionFormat::Snappy | CompressionFormat::HadoopSnappy => ".snappy",
    }
}

/// `Content-Encoding`.
pub(crate) fn content_encoding(compression: CompressionFormat) -> Option<&'static str> {
    match compression {
        CompressionFormat::Uncompressed => None,
        CompressionFormat::Gzip => Some("gzip"),
        CompressionFormat::Zip => Some("zip"),
        CompressionFormat::Snappy => Some("snappy-java"),
        CompressionFormat::HadoopSnappy => Some("hadoop-snappy"),
    }
}

#[cfg(test)]
mod tests {
    use hydrant_engine::Position;

    use super::*;

    const SPAN: Span = Span {
        start: Position(7),
        end: Position(9),
    };

    fn uuid() -> Uuid {
        "a9fa96af-e4e4-409f-bac3-1f804714faaa".parse().unwrap()
    }

    #[test]
    fn the_prefix_is_glued_as_it_is() {
        // 2015-10-07T13:05:42.999Z
        let oldest = Timestamp(1_444_223_142_999);
        let key =
            |prefix, compression| super::key(prefix, "mystream", 1, oldest, uuid(), compression);
        let tail =
            "2015/10/07/13/mystream-1-2015-10-07-13-05-42-a9fa96af-e4e4-409f-bac3-1f804714faaa";
        for prefix in ["", "a", "a/", "/a//"] {
            assert_eq!(
                key(prefix, CompressionFormat::Uncompressed),
                format!("{prefix}{tail}")
            );
        }
        for (compression, extension) in [
            (CompressionFormat::Gzip, ".gz"),
            (CompressionFormat::Zip, ".zip"),
            (CompressionFormat::Snappy, ".snappy"),
            (CompressionFormat::HadoopSnappy, ".snappy"),
        ] {
            assert_eq!(key("", compression), format!("{tail}{extension}"));
        }
    }

    #[test]
    fn manifests_lie_beside_the_objects() {
        let created = Timestamp(1_569_590_509_000);
        let uuid = "56371982-2375-4b28-8d79-45f01952667e".parse().unwrap();
        assert_eq!(
            manifest_key("errors/", "collect-redshift", created, uuid),
            "errors/manifests/2019/09/27/13/collect-redshift-2019-09-27-13-21-49-56371982-2375-4b28-8d79-45f01952667e"
        );
    }

    #[test]
    fn a_span_has_one_uuid_and_no_other_has_it() {
        let key = span_uuid(1, LaneId(2), SPAN, Purpose::Key);
        assert_eq!(key, span_uuid(1, LaneId(2), SPAN, Purpose::Key));
        assert_eq!(key.get_version_num(), 4);
        assert_eq!(key.get_variant(), uuid::Variant::RFC4122);
        let longer = Span {
            end: Position(10),
            ..SPAN
        };
        for other in [
            span_uuid(0, LaneId(2), SPAN, Purpose::Key),
            span_uuid(1, LaneId(3), SPAN, Purpose::Key),
            span_uuid(1, LaneId(2), longer, Purpose::Key),
            span_uuid(1, LaneId(2), SPAN, Purpose::Entry),
        ] {
            assert_ne!(key, other);
        }
        // The bytes on which a crash between upload and commit relies: never to change.
        assert_eq!(key.to_string(), "1d5f74a4-4f39-450c-8250-8b046d382fb0");
    }

    #[test]
    fn absurd_times_do_no_harm() {
        utc(Timestamp(u64::MAX));
        assert_eq!(utc(Timestamp(0)).0, "1970/01/01/00");
    }
}
