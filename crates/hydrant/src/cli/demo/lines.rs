//! The demo's log lines. Each is a pure function of a seed and its number, and says its number: so
//! what comes back can be checked byte for byte without keeping what was sent.

use std::fmt::Write;

use bytes::Bytes;
use hydrant_engine::Timestamp;

const PATHS: [&str; 8] = [
    "/",
    "/cart",
    "/search?q=lamp",
    "/products",
    "/api/v1/orders",
    "/static/app.js",
    "/login",
    "/healthz",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36",
    "curl/8.8.0",
];
const STATUSES: [u16; 10] = [200, 200, 200, 200, 200, 200, 204, 304, 404, 500];
/// What stands before a line's number.
const NUMBER_MARK: &str = " request=";

/// The lines of one demo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    pub(super) seed: u64,
    pub(super) begin: Timestamp,
}

impl Lines {
    /// Line `number`, with its newline.
    pub(super) fn line(self, number: u64) -> Bytes {
        let mut chance = Mix(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let [a, b, c] = [
            chance.below(223) + 1,
            chance.below(256),
            chance.below(254) + 1,
        ];
        // Some 50 lines a second.
        let at = self
            .begin
            .plus(std::time::Duration::from_millis(number * 20));
        let at = jiff::Timestamp::from_millisecond(i64::try_from(at.as_millis()).unwrap_or(0));
        let at = at.unwrap_or_default().strftime("%d/%b/%Y:%H:%M:%S +0000");
        let path = chance.pick(&PATHS);
        let status = chance.pick(&STATUSES);
        let bytes = chance.below(60_000);
        let agent = chance.pick(&AGENTS);
        let millis = chance.below(900);
        let mut line = String::with_capacity(240);
        // Writing to a String cannot fail.
        let _ = writeln!(
            line,
            "{a}.{b}.12.{c} - - [{at}] \"GET {path} HTTP/1.1\" {status} {bytes} \
             \"https://shop.example/\" \"{agent}\" 0.{millis:03}{NUMBER_MARK}{number}"
        );
        line.into()
    }

    /// The number of `line` (without its newline), if it is exactly one of these lines.
    pub(super) fn number_of(self, line: &[u8]) -> Option<u64> {
        let text = std::str::from_utf8(line).ok()?;
        let number = text.rsplit_once(NUMBER_MARK)?.1.parse().ok()?;
        let wanted = self.line(number);
        (wanted.strip_suffix(b"\n") == Some(line)).then_some(number)
    }
}

/// SplitMix64: enough chance for log lines, and the same on every machine.
struct Mix(u64);

impl Mix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_again_and_no_other() {
        let lines = Lines {
            seed: 7,
            begin: Timestamp(1_444_222_333_444),
        };
        let line = lines.line(1234);
        let bare = line.strip_suffix(b"\n").unwrap();
        assert_eq!(lines.number_of(bare), Some(1234));
        let mut bent = bare.to_vec();
        bent[3] ^= 1;
        assert_eq!(lines.number_of(&bent), None);
        assert_eq!(lines.number_of(b""), None);
        assert_ne!(line, lines.line(1235));
        assert_eq!(Lines { seed: 8, ..lines }.number_of(bare), None);
    }
}
