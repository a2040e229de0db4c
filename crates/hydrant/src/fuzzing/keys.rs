//! Names of buckets and objects: what a stream is let have can be delivered, and nothing leaves its bucket.

use std::{
    path::{Component, Path},
    sync::LazyLock,
};

use hydrant_engine::{LaneId, Position, Timestamp};

use super::{block_on, node::Judge};
use crate::{
    delivery::{
        checkpoint::Span,
        object::{self, Purpose, span_uuid},
    },
    destination::{
        Buckets,
        key::{MAX_COMPONENT_BYTES, MAX_KEY_BYTES, check_bucket, check_url, path_components},
    },
    stream::{BufferingHints, CompressionFormat, Encryption, S3Spec},
};

/// A stream's name as long as there may be.
const STREAM: &str = "abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

static BUCKETS: LazyLock<Buckets> = LazyLock::new(Judge::buckets);

/// ```text
/// compression (one byte)  bucket  LF  prefix
/// ```
pub fn keys(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some((bucket, prefix)) = text.split_once('\n') else {
        return;
    };
    // Any text is a key.
    safe(prefix);
    let Some(choice) = bucket.chars().next() else {
        return;
    };
    let bucket = &bucket[choice.len_utf8()..];
    if check_bucket(bucket).is_ok() {
        let mut components = Path::new(bucket).components();
        let first = components.next();
        assert_eq!(first, Some(Component::Normal(bucket.as_ref())), "{bucket}");
        assert_eq!(components.next(), None, "{bucket}");
        assert!(!bucket.starts_with('.'), "{bucket}");
    }
    const FORMATS: [CompressionFormat; 5] = [
        CompressionFormat::Uncompressed,
        CompressionFormat::Gzip,
        CompressionFormat::Zip,
        CompressionFormat::Snappy,
        CompressionFormat::HadoopSnappy,
    ];
    let spec = S3Spec {
        role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
        bucket_arn: format!("arn:aws:s3:::{bucket}"),
        prefix: Some(prefix.to_owned()),
        buffering: BufferingHints::DEFAULT,
        compression: FORMATS[choice as usize % FORMATS.len()],
        encryption: Encryption::None,
        echoed: serde_json::Map::new(),
    };
    let (bucket, buckets) = (spec.bucket(), &*BUCKETS);
    if block_on(buckets.vet(&spec, "eu-west-1")).is_err() {
        return;
    }
    let mut keys = objects(&spec);
    if buckets.vet_manifests(&spec).is_ok() {
        keys.extend(manifests(&spec));
    }
    let mut paths = Vec::new();
    for key in &keys {
        if bucket.starts_with("s3") {
            if let Err(refused) = check_url(key) {
                panic!("{refused}: {key}");
            }
            sent_as_it_is(key);
        } else {
            match path_components(key) {
                Ok(path) => paths.push(path.join("/")),
                Err(refused) => panic!("{refused}: {key}"),
            }
        }
        safe(key);
    }
    let all = paths.len();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), all, "two objects in one place: {keys:?}");
}

/// Objects that differ as little as two can.
fn objects(spec: &S3Spec) -> Vec<String> {
    let key = |version: u64, oldest: u64, start: u64| {
        let span = Span {
            start: Position(start),
            end: Position(9),
        };
        let uuid = span_uuid(1, LaneId(2), span, Purpose::Key);
        let oldest = Timestamp(oldest);
        object::key(
            spec.prefix(),
            STREAM,
            version,
            oldest,
            uuid,
            spec.compression,
        )
    };
    vec![
        key(1, 1_795_411_800_000, 7),
        key(1, 1_795_411_800_000, 8),
        key(u64::from(u32::MAX), u64::MAX, 7),
    ]
}

/// A manifest and where it goes when it is given up.
fn manifests(spec: &S3Spec) -> [String; 2] {
    let errors = format!("{}errors/", spec.prefix());
    [spec.prefix(), &errors]
        .map(|prefix| object::manifest_key(prefix, STREAM, Timestamp(u64::MAX), uuid::Uuid::nil()))
}

/// A key that a directory takes stays below it.
fn safe(key: &str) {
    let Ok(components) = path_components(key) else {
        return;
    };
    assert!(key.len() <= MAX_KEY_BYTES && !components.is_empty());
    let bucket = Path::new("/root/bucket");
    let place = components
        .iter()
        .fold(bucket.to_owned(), |path, part| path.join(part));
    let inside = place.strip_prefix(bucket).map(Path::components);
    let inside: Vec<Component<'_>> = inside.into_iter().flatten().collect();
    assert_eq!(inside.len(), components.len(), "{key:?}");
    for (component, given) in inside.iter().zip(&components) {
        assert_eq!(*component, Component::Normal(given.as_ref()), "{key:?}");
        assert!(
            given.len() <= MAX_COMPONENT_BYTES && !given.contains('\0'),
            "{key:?}"
        );
    }
}

/// A URL with this key still has it when a library has read it.
fn sent_as_it_is(key: &str) {
    let mut sent = String::new();
    for byte in key.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => sent.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => sent.push(char::from(byte)),
            byte => sent.push_str(&format!("%{byte:02X}")),
        }
    }
    let url = url::Url::parse(&format!("http://h/b/{sent}"));
    let url = url.unwrap_or_else(|error| panic!("{error}: {key:?}"));
    assert_eq!(url.path(), format!("/b/{sent}"), "{key:?}");
}
