//! Deterministic records that compress like real ones: clickstream events as JSON lines.

use std::fmt::Write as _;

use hydrant_engine::Chance;

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

/// One event of exactly `bytes` bytes, newline included; at least 2.
pub(crate) fn event(chance: &Chance, number: u64, bytes: usize) -> Vec<u8> {
    let pick = |items: &[&'static str]| items[(chance.next_u64() % items.len() as u64) as usize];
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
        pick(&PAGES),
        [200, 200, 200, 204, 302, 404, 500][(chance.next_u64() % 7) as usize],
        chance.next_u64() % 2000,
        pick(&AGENTS),
    );
    while text.len() + 64 < bytes {
        let _ = write!(
            text,
            r#","item{}":{{"page":"{}","price":{}.{:02},"token":"{:012x}"}}"#,
            text.len() % 97,
            pick(&PAGES),
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
