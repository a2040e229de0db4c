//! Clients on a network that breaks: HTTP over pipes into the node's server.

use std::{sync::Arc, time::Duration};

use hydrant::api::{Front, Server};
use hydrant_engine::{Chance, Clock};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::machine::SimClock;

/// How long a client waits for its answer.
const PATIENCE: Duration = Duration::from_secs(70);

/// What a client knows when its call is over.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// The node's answer.
    Answer(u16, Value),
    /// Not a whole request has reached the node.
    NotSent,
    /// The request is out, and no answer came: done or not, nobody knows.
    Nothing,
}

/// The way to the node. Cheap to clone.
#[derive(Clone)]
pub(super) struct Network {
    pub(super) server: Arc<Server<Front>>,
    pub(super) clock: Arc<SimClock>,
    pub(super) chance: Chance,
    /// How likely something happens to a call.
    pub(super) breaks: f64,
}

impl Network {
    pub(super) async fn call(&self, operation: &str, body: &Value) -> Heard {
        let fate = match self.chance.fraction() < self.breaks {
            true => 1 + self.chance.next_u64() % 4,
            false => 0,
        };
        let body = body.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: node\r\nContent-Type: application/x-amz-json-1.1\r\n\
             X-Amz-Target: Firehose_20150804.{operation}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body.as_bytes());
        let (mut near, far) = tokio::io::duplex(64 << 10);
        let server = self.server.clone();
        tokio::spawn(async move { server.serve_connection(far, CancellationToken::new()).await });
        // Lost packets are sent again: to whoever waits, they are late.
        let late =
            Duration::from_millis(self.chance.next_u64() % if fate == 1 { 30_000 } else { 50 });
        self.clock.sleep(late).await;
        if fate == 2 {
            // The connection breaks before all is sent.
            let part = self.chance.next_u64() as usize % request.len();
            let _ = near.write_all(&request[..part]).await;
            return Heard::NotSent;
        }
        if near.write_all(&request).await.is_err() {
            return Heard::Nothing;
        }
        if fate == 3 {
            // It breaks before the answer is there; perhaps before the request is read.
            let pause = Duration::from_millis(self.chance.next_u64() % 20);
            self.clock.sleep(pause).await;
            return Heard::Nothing;
        }
        let answer = read_answer(&mut near);
        tokio::select! {
            biased;
            answer = answer => answer.map_or(Heard::Nothing, |(status, body)| Heard::Answer(status, body)),
            () = self.clock.sleep(PATIENCE) => Heard::Nothing,
        }
    }
}

async fn read_answer(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<(u16, Value)> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = std::str::from_utf8(&bytes[..head]).ok()?.to_owned();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    })?;
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = &bytes[head + 4..head + 4 + length];
    Some((status, serde_json::from_slice(body).unwrap_or(Value::Null)))
}
