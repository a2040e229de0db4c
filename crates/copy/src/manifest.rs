//! Manifests: which objects one COPY loads (SPEC §5.2).
//!
//! `{"entries":[{"url":"s3://bucket/key","mandatory":true},…]}`, written by the service and readable by Redshift; and
//! read back, from whoever wrote it, for PostgreSQL and `hydrant copy`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest manifest that is read, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 32 << 20;
/// The most entries in a manifest. As many of the longest URLs fit into [`MAX_MANIFEST_BYTES`] as real keys need.
pub const MAX_ENTRIES: usize = 100_000;

/// Which objects one COPY loads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The objects; their order means nothing.
    pub entries: Vec<Entry>,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it lies.
    pub url: S3Url,
    /// Whether COPY fails when it is not there.
    #[serde(default)]
    pub mandatory: bool,
}

/// Why bytes are no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// More bytes than [`MAX_MANIFEST_BYTES`].
    #[error("the manifest has {0} bytes; the limit is {MAX_MANIFEST_BYTES}")]
    TooLarge(usize),
    /// More entries than [`MAX_ENTRIES`].
    #[error("the manifest has {0} entries; the limit is {MAX_ENTRIES}")]
    TooMany(usize),
    /// Nothing to load, which is a mistake of whoever wrote it.
    #[error("the manifest has no entries")]
    Empty,
    /// Not JSON, or not of the form.
    #[error("the manifest is not valid: {0}")]
    Invalid(#[from] serde_json::Error),
}

impl Manifest {
    /// A manifest of objects that must all be there.
    pub fn mandatory(urls: impl IntoIterator<Item = S3Url>) -> Self {
        let entry = |url| Entry {
            url,
            mandatory: true,
        };
        Manifest {
            entries: urls.into_iter().map(entry).collect(),
        }
    }

    /// As it is written to the bucket: one line, members in this order, no white space.
    pub fn to_json(&self) -> String {
        // Strings and booleans cannot fail to be JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a manifest, whoever wrote it: members it does not know (`meta` …) are skipped.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let manifest: Manifest = serde_json::from_slice(bytes)?;
        match manifest.entries.len() {
            0 => Err(ManifestError::Empty),
            entries if entries > MAX_ENTRIES => Err(ManifestError::TooMany(entries)),
            _ => Ok(manifest),
        }
    }
}

/// `s3://bucket/key`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct S3Url {
    bucket: String,
    key: String,
}

/// Why text is no [`S3Url`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{url}\" is not s3://bucket/key: {reason}")]
pub struct S3UrlError {
    url: String,
    reason: &'static str,
}

impl S3Url {
    /// The longest key, in bytes, as in S3.
    pub const MAX_KEY_BYTES: usize = 1024;
    /// The longest name of a bucket, in bytes, as in S3 of old.
    pub const MAX_BUCKET_BYTES: usize = 255;

    /// The object `key` of `bucket`.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Result<Self, S3UrlError> {
        let url = S3Url {
            bucket: bucket.into(),
            key: key.into(),
        };
        match url.wrong() {
            None => Ok(url),
            Some(reason) => Err(S3UrlError {
                url: url.to_string(),
                reason,
            }),
        }
    }

    /// Reads a URL. Nothing in it is encoded: the key is what follows the bucket's `/`, byte by byte.
    pub fn parse(text: &str) -> Result<Self, S3UrlError> {
        let error = |reason| S3UrlError {
            url: text.chars().take(200).collect(),
            reason,
        };
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| error("it does not begin with s3://"))?;
        let (bucket, key) = rest.split_once('/').ok_or_else(|| error("it has no key"))?;
        let url = S3Url {
            bucket: bucket.to_string(),
            key: key.to_string(),
        };
        match url.wrong() {
            None => Ok(url),
            Some(reason) => Err(error(reason)),
        }
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key within it, without a `/` in front.
    pub fn key(&self) -> &str {
        &self.key
    }

    fn wrong(&self) -> Option<&'static str> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let (bucket, key) = (&self.bucket, &self.key);
        // A bucket may be a directory's name: none of these leads out of it.
        if bucket.is_empty() || bucket.starts_with('.') || !bucket.bytes().all(fits) {
            Some("no bucket has that name")
        } else if bucket.len() > Self::MAX_BUCKET_BYTES {
            Some("the bucket's name is too long")
        } else if key.is_empty() {
            Some("it has no key")
        } else if key.len() > Self::MAX_KEY_BYTES {
            Some("the key is longer than 1024 bytes")
        } else {
            None
        }
    }
}

impl fmt::Display for S3Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl Serialize for S3Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for S3Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        S3Url::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> S3Url {
        S3Url::parse(text).unwrap()
    }

    #[test]
    fn is_written_as_redshift_reads_it() {
        let manifest = Manifest::mandatory([url("s3://b/2015/10/07/x-1"), url("s3://b/a \"é\"")]);
        assert_eq!(
            manifest.to_json(),
            r#"{"entries":[{"url":"s3://b/2015/10/07/x-1","mandatory":true},{"url":"s3://b/a \"é\"","mandatory":true}]}"#
        );
        assert_eq!(
            Manifest::parse(manifest.to_json().as_bytes()).unwrap(),
            manifest
        );
    }

    #[test]
    fn what_others_wrote_is_read() {
        let unload = br#"{
          "entries": [
            {"url":"s3://mybucket/unload/0000_part_00", "meta": { "content_length": 5956875 }},
            {"mandatory": true, "url": "s3://my-bucket/a/b/c"}
          ],
          "schema": {"elements": []}
        }"#;
        let manifest = Manifest::parse(unload).unwrap();
        let read: Vec<_> = manifest
            .entries
            .iter()
            .map(|e| (e.url.bucket(), e.url.key(), e.mandatory))
            .collect();
        assert_eq!(
            read,
            [
                ("mybucket", "unload/0000_part_00", false),
                ("my-bucket", "a/b/c", true)
            ]
        );
    }

    #[test]
    fn what_is_no_manifest_is_refused_in_plain_words() {
        for (bytes, words) in [
            ("", "the manifest is not valid: EOF while parsing a value"),
            ("[]", "invalid"),
            (r#"{"entries":[]}"#, "the manifest has no entries"),
            (r#"{"entry":[]}"#, "missing field `entries`"),
            (
                r#"{"entries":[{"mandatory":true}]}"#,
                "missing field `url` at line 1",
            ),
            (
                r#"{"entries":[{"url":"s3://b/k","mandatory":"yes"}]}"#,
                "expected a boolean",
            ),
            (
                r#"{"entries":[{"url":"emr://b/k"}]}"#,
                r#""emr://b/k" is not s3://bucket/key: it does not begin with s3://"#,
            ),
            (
                r#"{"entries":[{"url":"s3://b/k"}]} {}"#,
                "trailing characters",
            ),
        ] {
            let error = Manifest::parse(bytes.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{bytes}: {error}");
        }
    }

    #[test]
    fn limits_hold() {
        let many = Manifest::mandatory(vec![url("s3://b/k"); MAX_ENTRIES + 1]).to_json();
        assert!(matches!(
            Manifest::parse(many.as_bytes()),
            Err(ManifestError::TooMany(n)) if n == MAX_ENTRIES + 1
        ));
        let blank = vec![b' '; MAX_MANIFEST_BYTES + 1];
        assert!(matches!(
            Manifest::parse(&blank),
            Err(ManifestError::TooLarge(_))
        ));
    }

    #[test]
    fn a_url_is_a_bucket_and_a_key() {
        let parsed = url("s3://my.bucket_1/a//b/../c");
        assert_eq!(
            (parsed.bucket(), parsed.key()),
            ("my.bucket_1", "a//b/../c")
        );
        assert_eq!(parsed.to_string(), "s3://my.bucket_1/a//b/../c");
        for (text, reason) in [
            ("S3://b/k", "it does not begin with s3://"),
            ("s3://b", "it has no key"),
            ("s3://b/", "it has no key"),
            ("s3:///k", "no bucket has that name"),
            ("s3://../k", "no bucket has that name"),
            ("s3://b@host/k", "no bucket has that name"),
        ] {
            assert_eq!(S3Url::parse(text).unwrap_err().reason, reason, "{text}");
        }
        let long = "k".repeat(S3Url::MAX_KEY_BYTES + 1);
        assert!(S3Url::new("b", long).is_err());
        assert!(S3Url::new("b", "k").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(keys in prop::collection::vec(("[a-z][a-z0-9-]{2,20}", ".{1,99}", any::<bool>()), 1..9)) {
            let entries = keys.into_iter().map(|(bucket, key, mandatory)| {
                Entry { url: S3Url::new(bucket, key).unwrap(), mandatory }
            });
            let manifest = Manifest { entries: entries.collect() };
            prop_assert_eq!(&Manifest::parse(manifest.to_json().as_bytes()).unwrap(), &manifest);
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..99), text in ".{0,99}") {
            let _ = Manifest::parse(&bytes);
            let _ = S3Url::parse(&text);
        }
    }
}
