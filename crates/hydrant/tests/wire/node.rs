//! A server on a free port of the loopback, and a client that sees every byte.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use hydrant::{
    api::{
        ApiError, Authenticator, Dispatch, Front, Operation, Server, ServerLimits,
        front::{Exchange, Observer},
        shape, shapes,
    },
    credentials::{Identity, Keyring},
};
use hydrant_engine::{Chance, SystemClock};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Does the checks that every operation does and answers with who asked for what.
///
/// Streams of some names behave: `panic`, `broken`, `wait` (until the gate lets it pass).
pub(super) struct Toy {
    pub(super) gate: Semaphore,
    pub(super) waiting: Semaphore,
}

impl Default for Toy {
    fn default() -> Self {
        Toy {
            gate: Semaphore::new(0),
            waiting: Semaphore::new(0),
        }
    }
}

#[async_trait]
impl Dispatch for Toy {
    async fn call(
        &self,
        operation: Operation,
        identity: &Identity,
        body: Bytes,
    ) -> Result<Bytes, ApiError> {
        let request: Value = shape::read(shapes::of(operation), &body)?;
        let name = request["DeliveryStreamName"].as_str().unwrap_or("*");
        let Identity {
            account, region, ..
        } = identity;
        let arn = format!("arn:aws:firehose:{region}:{account}:deliverystream/{name}");
        identity.authorize(operation.action(), || arn.clone())?;
        match name {
            "panic" => panic!("asked to"),
            "broken" => return Err(ApiError::internal("secret inside")),
            "slow" => return Err(ApiError::slow_down()),
            "wait" => {
                self.waiting.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
            }
            _ => {}
        }
        let answer = json!({ "Operation": operation.name(), "Arn": arn, "Bytes": body.len() });
        Ok(answer.to_string().into())
    }
}

/// What was asked for, the status, the error.
pub(super) type Outcome = (Option<Operation>, u16, Option<String>);

/// Remembers what it is told.
#[derive(Default)]
pub(super) struct Seen(pub(super) Mutex<Vec<Outcome>>);

impl Observer for Seen {
    fn answered(&self, exchange: &Exchange<'_>) {
        self.0.lock().unwrap().push((
            exchange.operation,
            exchange.status,
            exchange.error.map(Into::into),
        ));
    }
}

pub(super) struct Node {
    pub(super) addr: SocketAddr,
    pub(super) toy: Arc<Toy>,
    pub(super) seen: Arc<Seen>,
    pub(super) shutdown: CancellationToken,
    pub(super) served: JoinHandle<()>,
}

impl Node {
    pub(super) async fn open() -> Node {
        Node::start(Keyring::open(), ServerLimits::default(), None).await
    }

    pub(super) async fn limited(limits: ServerLimits) -> Node {
        Node::start(Keyring::open(), limits, None).await
    }

    pub(super) async fn start(
        keyring: Keyring,
        limits: ServerLimits,
        tls: Option<TlsAcceptor>,
    ) -> Node {
        let clock = Arc::new(SystemClock::new());
        let toy = Arc::new(Toy::default());
        let seen = Arc::new(Seen::default());
        let front = Front::new(
            toy.clone(),
            Authenticator::new(keyring),
            seen.clone(),
            clock.clone(),
            Chance::seeded(7),
            limits,
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = Server::new(front, clock, limits);
        let served = tokio::spawn(server.serve(listener, tls, shutdown.clone()));
        Node {
            addr,
            toy,
            seen,
            shutdown,
            served,
        }
    }

    pub(super) async fn connect(&self) -> Client {
        Client {
            io: TcpStream::connect(self.addr).await.unwrap(),
            buffer: Vec::new(),
        }
    }

    /// Sends `request` on a connection of its own.
    pub(super) async fn ask(&self, request: Ask) -> Reply {
        self.connect().await.ask(request).await
    }
}

/// A request; by default a good one.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Ask {
    pub(super) fn new(operation: &str, body: impl AsRef<[u8]>) -> Ask {
        let body = body.as_ref().to_vec();
        let ask = Ask {
            method: "POST",
            path: "/",
            headers: Vec::new(),
            body,
        };
        let length = ask.body.len().to_string();
        ask.with("Host", "localhost")
            .with("Content-Type", "application/x-amz-json-1.1")
            .with("X-Amz-Target", &format!("Firehose_20150804.{operation}"))
            .with("Content-Length", &length)
    }

    pub(super) fn put(stream: &str) -> Ask {
        Ask::new(
            "PutRecord",
            json!({
                "DeliveryStreamName": stream, "Record": {"Data": "aGVsbG8="},
            })
            .to_string(),
        )
    }

    pub(super) fn method(mut self, method: &'static str) -> Ask {
        self.method = method;
        self
    }

    pub(super) fn path(mut self, path: &'static str) -> Ask {
        self.path = path;
        self
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Ask {
        self = self.without(name);
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Ask {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    pub(super) fn head(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        text.into_bytes()
    }
}

pub(super) struct Client {
    pub(super) io: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(super) async fn ask(&mut self, ask: Ask) -> Reply {
        let mut bytes = ask.head();
        bytes.extend_from_slice(&ask.body);
        self.send(&bytes).await;
        self.reply().await
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// The next whole answer.
    pub(super) async fn reply(&mut self) -> Reply {
        loop {
            if let Some(reply) = self.take_reply() {
                return reply;
            }
            let read = self.io.read_buf(&mut self.buffer);
            let read = tokio::time::timeout(Duration::from_secs(20), read).await;
            let read = read.expect("no answer in 20 s").unwrap();
            let so_far = String::from_utf8_lossy(&self.buffer);
            assert!(
                read > 0,
                "closed before the answer was complete: {so_far:?}"
            );
        }
    }

    fn take_reply(&mut self) -> Option<Reply> {
        let end = self.buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.buffer[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status: u16 = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().unwrap());
        if self.buffer.len() < end + length {
            return None;
        }
        let body = String::from_utf8(self.buffer[end..end + length].to_vec()).unwrap();
        self.buffer.drain(..end + length);
        Some(Reply {
            status,
            headers,
            body,
        })
    }

    /// What comes until the server closes the connection.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        let rest = self.io.read_to_end(&mut self.buffer);
        let rest = tokio::time::timeout(Duration::from_secs(20), rest).await;
        // A reset is an end too.
        let _ = rest.expect("the connection was not closed in 20 s");
        std::mem::take(&mut self.buffer)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Status and body: most of what there is to say.
    pub(super) fn is(&self, status: u16, body: &str) {
        assert_eq!(
            (self.status, self.body.as_str()),
            (status, body),
            "{self:?}"
        );
    }
}
