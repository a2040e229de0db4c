//! A server that does nothing with a put but answer it: what the HTTP library and the kernel cost alone.

use std::{
    convert::Infallible,
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;

use crate::{
    load::{
        self, Load, Pace,
        body::{Recipe, bodies},
    },
    node::process::cost,
    records::Kind,
    sign::Signer,
};

/// As long as a node's answer to a PutRecord: a RecordId has 28 characters.
const ANSWER: &str = r#"{"Encrypted":false,"RecordId":"0123456789012345678901234567"}"#;

/// Answers until it is killed; prints where.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let serving =
                http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(answer));
            tokio::spawn(async move {
                // The client has gone: that is how each one ends.
                let _ = serving.await;
            });
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // Also a body that does not come to its end is answered.
    let _ = request.into_body().collect().await;
    let answer = Full::new(Bytes::from_static(ANSWER.as_bytes()));
    let mut response = Response::new(answer);
    let json = hyper::header::HeaderValue::from_static("application/x-amz-json-1.1");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    Ok(response)
}

/// What one request costs such a server over so many connections, in CPU seconds, and how many a second it answers.
pub(super) fn measure(connections: usize, requests: u64) -> Result<(f64, f64)> {
    let server = Server::start(&env::current_exe()?)?;
    let (bodies, _) = bodies(&Recipe {
        kind: Kind::Clicks,
        record_bytes: 1024,
        batch: 1,
        bodies: 64,
        streams: vec!["floor".into()],
        seed: 1,
    });
    let load = Load {
        endpoint: server.address.clone(),
        signer: Signer::new("AKID", "secret", "us-east-1", &server.address),
        bodies,
        connections,
        requests,
        pace: Pace::Closed,
    };
    let before = cost(server.child.id())?.cpu;
    let outcome = load::run(&load)?;
    let spent = cost(server.child.id())?.cpu - before;
    let rate = requests as f64 / outcome.took.as_secs_f64();
    Ok((spent / requests as f64, rate))
}

/// The server as a process of its own; killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(binary: &Path) -> Result<Self> {
        let mut child = Command::new(binary)
            .arg("answer")
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| binary.display().to_string())?;
        let output = child.stdout.take().context("no output")?;
        let mut server = Server {
            child,
            address: String::new(),
        };
        BufReader::new(output).read_line(&mut server.address)?;
        server.address.truncate(server.address.trim_end().len());
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
