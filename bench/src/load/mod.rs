//! The load generator: signed requests over keep-alive connections, on one thread.
//!
//! * Closed loop: each connection has one request at a time. Open loop: requests are due at fixed times and latency
//!   counts from then, so that a node that stalls is charged for what waited meanwhile (no coordinated omission).
//! * A signature knows only seconds, so one for each body and second is enough; the node verifies each all the same.
//! * Only a batch's failed records are sent again.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod by_hand;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use hydrant_engine::{Clock, SystemClock};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use self::body::Body;
use crate::{
    http::{self, Head},
    sign::{self, Signer},
};

/// Bodies up to this size go out in one piece with their head.
const TOGETHER: usize = 16 << 10;
/// Pause before failed records are sent again.
const AGAIN: Duration = Duration::from_millis(50);

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// As fast as answers come.
    Closed,
    /// Each connection starts a request so many seconds after its last one, or when that is answered.
    Each(f64),
    /// So many requests a second are due over all connections, answered or not.
    Open(f64),
}

/// A load to be sent.
pub(crate) struct Load {
    /// The node's API address.
    pub(crate) endpoint: String,
    pub(crate) signer: Signer,
    pub(crate) bodies: Vec<Body>,
    pub(crate) connections: usize,
    pub(crate) requests: u64,
    pub(crate) pace: Pace,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Of each request, in order of size.
    pub(crate) latencies: Vec<Duration>,
    /// How often each record was acknowledged, by its number.
    pub(crate) acked: Vec<u64>,
    /// Records that were sent again.
    pub(crate) again: u64,
}

impl Outcome {
    /// Records acknowledged.
    pub(crate) fn records(&self) -> u64 {
        self.acked.iter().sum()
    }
}

/// What all connections share; they run on one thread.
struct Shared<'l> {
    load: &'l Load,
    clock: SystemClock,
    started: Duration,
    next: Cell<u64>,
    again: Cell<u64>,
    latencies: RefCell<Vec<Duration>>,
    acked: RefCell<Vec<u64>>,
    signed: RefCell<Vec<Signed>>,
}

/// A body's head of one second, with the body if that is small.
#[derive(Clone, Default)]
struct Signed {
    second: u64,
    bytes: Rc<[u8]>,
}

/// Sends `load` and waits for all answers.
pub(crate) fn run(load: &Load) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(send(load))
}

async fn send(load: &Load) -> Result<Outcome> {
    let clock = SystemClock::new();
    let numbers = load
        .bodies
        .iter()
        .flat_map(|body| body.numbers.last())
        .max();
    let records = numbers.map_or(0, |&last| last as usize + 1);
    let connections =
        try_join_all((0..load.connections).map(|_| Connection::open(&load.endpoint))).await?;
    let shared = Shared {
        load,
        started: clock.monotonic(),
        clock,
        next: Cell::new(0),
        again: Cell::new(0),
        latencies: RefCell::new(Vec::with_capacity(load.requests as usize)),
        acked: RefCell::new(vec![0; records]),
        signed: RefCell::new(vec![Signed::default(); load.bodies.len()]),
    };
    try_join_all(connections.into_iter().map(|it| shared.serve(it))).await?;
    let took = shared.clock.monotonic() - shared.started;
    let mut latencies = shared.latencies.into_inner();
    latencies.sort_unstable();
    Ok(Outcome {
        took,
        latencies,
        acked: shared.acked.into_inner(),
        again: shared.again.get(),
    })
}

impl Shared<'_> {
    /// One connection's work.
    async fn serve(&self, mut connection: Connection) -> Result<()> {
        loop {
            let number = self.next.get();
            if number >= self.load.requests {
                return Ok(());
            }
            self.next.set(number + 1);
            let mut began = self.clock.monotonic();
            if let Pace::Open(rate) = self.load.pace {
                let due = self.started + Duration::from_secs_f64(number as f64 / rate);
                if due > began {
                    self.clock.sleep(due - began).await;
                }
                began = due;
            }
            self.put(
                &mut connection,
                (number % self.load.bodies.len() as u64) as usize,
            )
            .await?;
            let took = self.clock.monotonic().saturating_sub(began);
            self.latencies.borrow_mut().push(took);
            if let Pace::Each(seconds) = self.load.pace {
                let pause = Duration::from_secs_f64(seconds).saturating_sub(took);
                self.clock.sleep(pause).await;
            }
        }
    }

    /// Sends a body until all of its records are acknowledged.
    async fn put(&self, connection: &mut Connection, index: usize) -> Result<()> {
        let body = &self.load.bodies[index];
        let signed = self.signed(index);
        let rest = if body.text.len() <= TOGETHER {
            &[][..]
        } else {
            &body.text
        };
        let answer = connection.exchange(&signed, rest).await?;
        let mut failed = self.account(body, connection, answer)?;
        let mut left: Option<Body> = None;
        while !failed.is_empty() {
            self.again.set(self.again.get() + failed.len() as u64);
            self.clock.sleep(AGAIN).await;
            let some = left.as_ref().unwrap_or(body).only(&failed);
            let head = self.head(&some);
            let answer = connection.exchange(&head, &some.text).await?;
            failed = self.account(&some, connection, answer)?;
            left = Some(some);
        }
        Ok(())
    }

    /// Counts what was acknowledged, and says what was not.
    fn account(&self, body: &Body, connection: &Connection, answer: Head) -> Result<Vec<usize>> {
        let text = &connection.buffer[answer.head..answer.total()];
        let records = body.numbers.len();
        let batch = body.target().ends_with("Batch");
        let failed = answer::failed(answer.status, text, records, batch)?;
        let mut acked = self.acked.borrow_mut();
        for &number in &body.numbers {
            acked[number as usize] += 1;
        }
        for &index in &failed {
            acked[body.numbers[index] as usize] -= 1;
        }
        Ok(failed)
    }

    fn head(&self, body: &Body) -> Vec<u8> {
        let signer = &self.load.signer;
        sign::head(
            signer,
            body.target(),
            &body.hash,
            body.text.len(),
            self.clock.now(),
        )
    }

    /// The bytes that body `index` begins with in this second.
    fn signed(&self, index: usize) -> Rc<[u8]> {
        let second = self.clock.now().as_millis() / 1000;
        let mut signed = self.signed.borrow_mut();
        if signed[index].second != second {
            let body = &self.load.bodies[index];
            let mut bytes = self.head(body);
            if body.text.len() <= TOGETHER {
                bytes.extend_from_slice(&body.text);
            }
            let bytes = bytes.into();
            signed[index] = Signed { second, bytes };
        }
        signed[index].bytes.clone()
    }
}

/// A keep-alive connection and the bytes of its latest answer.
struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(endpoint: &str) -> Result<Self> {
        let socket = TcpStream::connect(endpoint)
            .await
            .with_context(|| format!("cannot connect to {endpoint}"))?;
        socket.set_nodelay(true)?;
        let buffer = Vec::with_capacity(64 << 10);
        Ok(Connection { socket, buffer })
    }

    /// Sends a request; its answer is in the buffer afterwards.
    async fn exchange(&mut self, head: &[u8], body: &[u8]) -> Result<Head> {
        self.socket.write_all_buf(&mut bytes_of(head, body)).await?;
        self.buffer.clear();
        let mut head = None;
        loop {
            if head.is_none() {
                head = http::head(&self.buffer)?;
            }
            if let Some(head) = head
                && self.buffer.len() >= head.total()
            {
                return Ok(head);
            }
            let read = self.socket.read_buf(&mut self.buffer).await?;
            ensure!(
                read > 0,
                "the node closed a connection before its answer was complete"
            );
        }
    }
}

/// Both in one write, without a copy.
fn bytes_of<'b>(head: &'b [u8], body: &'b [u8]) -> impl bytes::Buf + 'b {
    bytes::Buf::chain(head, body)
}
