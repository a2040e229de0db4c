//! Deterministic records that compress like real ones: clickstream events as JSON lines, and access logs.
//!
//! Each holds a number of its own, so that delivery can be checked to the record.

use std::fmt::Write as _;

use clap::ValueEnum;
use hydrant_engine::Chance;

/// What the records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Clickstream events, JSON lines.
    Clicks,
    /// Lines of an access log in the combined format.
    Log,
}

impl Kind {
    /// Record `number`, of exactly `bytes` bytes, newline included.
    pub(crate) fn record(self, chance: &Chance, number: u64, bytes: usize) -> Vec<u8> {
        match self {
            Kind::Clicks => event(chance, number, bytes),
            Kind::Log => line(chance, number, bytes),
        }
    }
}

/// The number of the record that `line` is; `None` if it is no record of ours.
pub(crate) fn number_of(line: &[u8]) -> Option<u64> {
    const CLICK: &[u8] = br#"{"id":"#;
    const LOG: &[u8] = b"?id=";
    let digits = match line.strip_prefix(CLICK) {
        Some(digits) => digits,
        None => &line[memchr::memmem::find(line, LOG)? + LOG.len()..],
    };
    let end = digits.iter().position(|b| !b.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

const PAGES: [&str; 8] = [
    "/",
    "/search",
    "/cart",
    "/checkout/payment",
    "/product/garden-hose-25m",
    "/product/nozzle",
    "/account/orders",
    "/help/returns",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "curl/8.5.0",
];

const STATUSES: [u16; 7] = [200, 200, 200, 204, 302, 404, 500];

fn pick<T: Copy>(chance: &Chance, items: &[T]) -> T {
    items[(chance.next_u64() % items.len() as u64) as usize]
}

/// One event of exactly `bytes` bytes, newline included; at least 2.
fn event(chance: &Chance, number: u64, bytes: usize) -> Vec<u8> {
    let page = || pick(chance, &PAGES);
    let mut text = String::with_capacity(bytes + 512);
    let _ = write!(
        text,
        r#"{{"id":{number},"session":"{:016x}","time":"2015-10-07T13:{:02}:{:02}.{:03}Z","ip":"10.{}.{}.{}","page":"{}","status":{},"took_ms":{},"agent":"{}""#,
        chance.next_u64(),
        chance.next_u64() % 60,
        chance.next_u64() % 60,
        chance.next_u64() % 1000,
        chance.next_u64() % 256,
        chance.next_u64() % 256,
        chance.next_u64() % 256,
        page(),
        pick(chance, &STATUSES),
        chance.next_u64() % 2000,
        pick(chance, &AGENTS),
    );
    while text.len() + 64 < bytes {
        let _ = write!(
            text,
            r#","item{}":{{"page":"{}","price":{}.{:02},"token":"{:012x}"}}"#,
            text.len() % 97,
            page(),
            chance.next_u64() % 300,
            chance.next_u64() % 100,
            chance.next_u64() >> 16,
        );
    }
    let mut event = text.into_bytes();
    event.resize(bytes.saturating_sub(2), b' ');
    event.extend_from_slice(b"}\n");
    event
}

/// One line of an access log of exactly `bytes` bytes, newline included; long ones have a long referrer.
fn line(chance: &Chance, number: u64, bytes: usize) -> Vec<u8> {
    let page = || pick(chance, &PAGES);
    let mut text = String::with_capacity(bytes + 512);
    let _ = write!(
        text,
        r#"10.{}.{}.{} - - [07/Oct/2015:13:{:02}:{:02} +0000] "GET {}?id={number} HTTP/1.1" {} {} "https://shop.example{}" "{}" {:08x}"#,
        chance.next_u64() % 256,
        chance.next_u64() % 256,
        chance.next_u64() % 256,
        chance.next_u64() % 60,
        chance.next_u64() % 60,
        page(),
        pick(chance, &STATUSES),
        chance.next_u64() % 100_000,
        page(),
        pick(chance, &AGENTS),
        chance.next_u64() >> 32,
    );
    while text.len() + 1 < bytes {
        let _ = write!(text, " {}={:04x}", page(), chance.next_u64() >> 48);
    }
    let mut line = text.into_bytes();
    line.truncate(bytes.saturating_sub(1));
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_deterministic_numbered_and_of_the_size_asked_for() {
        for kind in [Kind::Clicks, Kind::Log] {
            for bytes in [128, 250, 1024, 5000] {
                let make = || kind.record(&Chance::seeded(7), 1_234_567, bytes);
                let record = make();
                assert_eq!(record, make());
                assert_eq!(record.len(), bytes);
                assert_eq!(number_of(&record), Some(1_234_567));
                assert_eq!(record.iter().filter(|&&b| b == b'\n').count(), 1);
                assert_eq!(record.last(), Some(&b'\n'));
            }
        }
        let smallest = Kind::Clicks.record(&Chance::seeded(7), 31_999, 64);
        assert_eq!((smallest.len(), number_of(&smallest)), (64, Some(31_999)));
        assert_eq!(number_of(b"something else\n"), None);
    }
}
