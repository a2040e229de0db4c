//! Quotas: how many streams there may be and what each may take in a second.
//!
//! `None` is "no limit" everywhere. The default is the service of 2015 (SPEC §2.9).

use serde::Deserialize;

use super::units::ByteSize;

/// What one stream may take each second, both put operations together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throughput {
    /// Put calls.
    pub calls: Option<u64>,
    /// Records.
    pub records: Option<u64>,
    /// Bytes of decoded record data.
    pub bytes: Option<u64>,
}

impl Throughput {
    /// As the founding document has it. It writes MB for MiB throughout, so 5 MB are 5 MiB.
    pub const DEFAULT: Throughput = Throughput {
        calls: Some(2_000),
        records: Some(5_000),
        bytes: Some(5 << 20),
    };

    /// No limit at all.
    pub const UNLIMITED: Throughput = Throughput {
        calls: None,
        records: None,
        bytes: None,
    };
}

impl Default for Throughput {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Other numbers for the streams whose name matches: one `[[stream_quotas]]` of the config file.
/// What it does not name is as for every stream; 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The stream's name; `*` stands for any run of characters, `?` for one.
    pub stream: String,
    /// Put calls a second.
    #[serde(default)]
    pub calls_per_second: Option<u64>,
    /// Records a second.
    #[serde(default)]
    pub records_per_second: Option<u64>,
    /// Bytes a second, for instance `"50MiB"`.
    #[serde(default)]
    pub bytes_per_second: Option<ByteSize>,
}

/// All quotas of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Streams for each account and region.
    pub streams: Option<u64>,
    /// What a stream may take that no override names.
    pub throughput: Throughput,
    /// The first whose pattern matches a stream's name holds for it.
    pub overrides: Vec<Override>,
}

impl Quotas {
    /// The service of 2015.
    pub const DEFAULT: Quotas = Quotas {
        streams: Some(5),
        throughput: Throughput::DEFAULT,
        overrides: Vec::new(),
    };

    /// No limit at all.
    pub const UNLIMITED: Quotas = Quotas {
        streams: None,
        throughput: Throughput::UNLIMITED,
        overrides: Vec::new(),
    };

    /// What the stream called `name` may take.
    pub fn throughput_of(&self, name: &str) -> Throughput {
        let Some(over) = self.overrides.iter().find(|o| matches(&o.stream, name)) else {
            return self.throughput;
        };
        Throughput {
            calls: limit(over.calls_per_second, self.throughput.calls),
            records: limit(over.records_per_second, self.throughput.records),
            bytes: limit(
                over.bytes_per_second.map(|size| size.0),
                self.throughput.bytes,
            ),
        }
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A number as it is set: 0 is no limit, nothing is `otherwise`.
pub fn limit(set: Option<u64>, otherwise: Option<u64>) -> Option<u64> {
    match set {
        Some(0) => None,
        Some(number) => Some(number),
        None => otherwise,
    }
}

/// Whether the whole of `name` matches `pattern` (`*`, `?`). Names are ASCII, so bytes will do.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    // `reached[p]`: the first `p` of the pattern match the name as far as it was read.
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    skip_stars(pattern, &mut reached);
    for byte in name {
        let mut next = vec![false; pattern.len() + 1];
        for (p, symbol) in pattern.iter().enumerate() {
            match symbol {
                b'*' => next[p] |= reached[p],
                symbol => next[p + 1] |= reached[p] && (*symbol == b'?' || symbol == byte),
            }
        }
        skip_stars(pattern, &mut next);
        reached = next;
    }
    reached[pattern.len()]
}

fn skip_stars(pattern: &[u8], reached: &mut [bool]) {
    for (p, symbol) in pattern.iter().enumerate() {
        reached[p + 1] |= reached[p] && *symbol == b'*';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("logs", "logs", true),
            ("logs", "logs-1", false),
            ("logs-*", "logs-1", true),
            ("logs-*", "Logs-1", false),
            ("*-web-*", "a-web-b", true),
            ("*-web-*", "a-we-b", false),
            ("?", "a", true),
            ("?", "", false),
            ("*a*b", "aab", true),
            ("*a*b", "aba", false),
            ("**?", "a", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_override_that_matches_holds() {
        let over = |text: &str| toml::from_str::<Override>(text).unwrap();
        let quotas = Quotas {
            overrides: vec![
                over("stream = 'big-*'\nrecords_per_second = 0\nbytes_per_second = '50MiB'"),
                over("stream = 'big-one'\ncalls_per_second = 1"),
            ],
            ..Quotas::DEFAULT
        };
        assert_eq!(quotas.throughput_of("small"), Throughput::DEFAULT);
        let big = Throughput {
            calls: Some(2_000),
            records: None,
            bytes: Some(50 << 20),
        };
        assert_eq!(quotas.throughput_of("big-one"), big);
        let typo = toml::from_str::<Override>("stream = 'a'\nrecords = 1");
        assert!(typo.unwrap_err().to_string().contains("records"));
    }
}
