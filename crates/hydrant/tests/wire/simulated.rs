//! The server without socket and without real time: what a simulation of a whole node rests on.

use std::{sync::Arc, time::Duration};

use hydrant::{
    api::{Authenticator, Front, Server, ServerLimits},
    credentials::Keyring,
};
use hydrant_engine::{Chance, ManualClock, Timestamp};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::node::{Ask, Toy};

/// 2015-10-07T13:05:42Z.
const THEN: Timestamp = Timestamp(1_444_223_142_000);

struct Simulated {
    clock: ManualClock,
    client: DuplexStream,
    served: JoinHandle<()>,
}

fn simulate() -> Simulated {
    let clock = ManualClock::new(THEN);
    let limits = ServerLimits::default();
    let front = Front::new(
        Arc::new(Toy::default()),
        Authenticator::new(Keyring::open()),
        Arc::new(()),
        Arc::new(clock.clone()),
        Chance::seeded(1),
        limits,
    );
    let server = Server::new(front, Arc::new(clock.clone()), limits);
    let (client, io) = tokio::io::duplex(64 * 1024);
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(async move { server.serve_connection(io, shutdown).await });
    Simulated {
        clock,
        client,
        served,
    }
}

impl Simulated {
    async fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }

    /// Moves time on, once somebody waits for it.
    async fn advance(&self, duration: Duration) {
        while self.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        self.clock.advance(duration);
    }

    async fn rest(mut self) -> String {
        let mut rest = String::new();
        self.client.read_to_string(&mut rest).await.unwrap();
        self.served.await.unwrap();
        rest
    }
}

#[tokio::test]
async fn the_same_seed_and_clock_give_the_same_bytes() {
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut node = simulate();
        let ask = Ask::put("logs").with("Connection", "close");
        node.send(&ask.head()).await;
        node.send(&ask.body).await;
        answers.push(node.rest().await);
    }
    assert!(
        answers[0].contains("date: Wed, 07 Oct 2015 13:05:42 GMT\r\n"),
        "{answers:?}"
    );
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn time_outs_go_by_the_nodes_clock() {
    let limits = ServerLimits::default();
    let node = simulate();
    node.advance(limits.head).await;
    assert_eq!(node.rest().await, "");

    let mut node = simulate();
    let ask = Ask::put("logs");
    node.send(&ask.head()).await;
    node.advance(limits.body_grace).await;
    let answer = node.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{answer}"
    );
}
