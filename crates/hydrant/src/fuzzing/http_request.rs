//! All that comes over one connection: it ends, and what is answered is HTTP.

use std::sync::Arc;

use hydrant_engine::Chance;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::yield_now,
};
use tokio_util::sync::CancellationToken;

use super::{LONGEST, block_on, node::Node};
use crate::{
    api::{Authenticator, Front, Server, ServerLimits},
    credentials::{Key, Keyring},
};

/// How often the clock may have to be moved by more than any idle time-out before a connection ends.
const PATIENCE: usize = 8;
/// Enough turns for everything that is ready to be done.
const TURNS: usize = 64;

/// ```text
/// how (one byte)  the bytes of the connection
///
/// bit 0 of how: every request must be signed, by AKIDEXAMPLE
/// bit 1: the client ends its side of the connection when it has sent all
/// bits 2–3: sent whole, or in pieces of 1, 7, 64 bytes
/// ```
pub fn http_request(bytes: &[u8]) {
    let Some((how, wire)) = bytes.split_first() else {
        return;
    };
    if wire.len() <= LONGEST {
        let answers = block_on(converse(*how, wire));
        let bodiless = wire.windows(4).any(|word| word == b"HEAD");
        check_answers(&answers, bodiless);
    }
}

/// What the server answers.
async fn converse(how: u8, wire: &[u8]) -> Vec<u8> {
    let node = Node::new().await;
    let keyring = match how & 1 {
        0 => Keyring::open(),
        _ => {
            let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            Keyring::new([Key::new("AKIDEXAMPLE", secret, super::node::ACCOUNT)]).expect("a key")
        }
    };
    let limits = ServerLimits::default();
    let clock = Arc::new(node.clock.clone());
    let front = Front::new(
        node.operations.clone(),
        Authenticator::new(keyring),
        Arc::new(()),
        clock.clone(),
        Chance::seeded(7),
        limits,
    );
    let server = Server::new(front, clock.clone(), limits);

    let (near, far) = tokio::io::duplex(2 * LONGEST);
    let (mut answers, mut requests) = tokio::io::split(far);
    let served = tokio::spawn(async move {
        server
            .serve_connection(near, CancellationToken::new())
            .await;
    });
    let answers = tokio::spawn(async move {
        let mut all = Vec::new();
        answers.read_to_end(&mut all).await.expect("a pipe");
        all
    });
    let piece = match how >> 2 & 3 {
        0 => LONGEST,
        1 => 1,
        2 => 7,
        _ => 64,
    };
    for piece in wire.chunks(piece) {
        // The server may have ended the connection: no use in sending more.
        if requests.write_all(piece).await.is_err() {
            break;
        }
        yield_now().await;
    }
    if how & 2 != 0 {
        let _ = requests.shutdown().await;
    }
    for moved in 0.. {
        for _ in 0..TURNS {
            yield_now().await;
        }
        if served.is_finished() {
            break;
        }
        assert!(moved < PATIENCE, "the connection does not end");
        node.clock.advance(limits.head);
    }
    served.await.expect("served");
    // Only when both its halves are gone.
    drop(requests);
    answers.await.expect("answers")
}

/// One answer after another, each whole. `bodiless`: there may have been a HEAD, whose answer tells the length of a body that
/// does not come.
fn check_answers(mut rest: &[u8], bodiless: bool) {
    while !rest.is_empty() {
        let shown = || String::from_utf8_lossy(&rest[..rest.len().min(2000)]).into_owned();
        let end = rest.windows(4).position(|end| end == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("a head without end: {}", shown()));
        // A preflight gives back what was asked, which may hold any byte from 0x80 on (RFC 9110 §5.5).
        let head: String = rest[..end].iter().map(|byte| char::from(*byte)).collect();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        let status = status
            .strip_prefix("HTTP/1.1 ")
            .or(status.strip_prefix("HTTP/1.0 "));
        let status = status.and_then(|line| line.get(..3)?.parse::<u16>().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {}", shown()));
        // Nothing that a client sends may be the node's own fault.
        let known = [100, 200, 400, 403, 404, 408, 413, 414, 431, 503];
        assert!(known.contains(&status), "{}", shown());
        let (mut length, mut json) = (0, false);
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
            let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            assert!(!name.is_empty() && name.bytes().all(token), "{line:?}");
            let allowed = |c: char| c == '\t' || !c.is_ascii_control();
            assert!(value.chars().all(allowed), "{line:?}");
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().expect("a length");
            }
            json |= name.eq_ignore_ascii_case("content-type") && value.contains("json");
        }
        let body = &rest[end + 4..];
        let begins = |bytes: &[u8]| bytes.is_empty() || bytes.starts_with(b"HTTP/1.");
        rest = match body.get(length..) {
            Some(after) if begins(after) => {
                let body = &body[..length];
                if json {
                    let read = serde_json::from_slice::<serde_json::Value>(body);
                    assert!(read.is_ok(), "{}", shown());
                }
                after
            }
            _ if bodiless && begins(body) => body,
            _ => panic!("not as long as it says: {}", shown()),
        };
    }
}
