//! A request's way through the front end: the order of checks of SPEC §1.5, steps 1–7, then
//! [`Dispatch`].
//!
//! Between a wrong body, an unknown target and a bad signature the client is told of the first, in
//! that order. Yet a good request must not be parsed twice: so the cheap checks are made first, and
//! only when one of them fails is the body looked at, in case there is something earlier to tell.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderValue, Method, Request, Response, header, request::Parts};
use http_body_util::Full;
use hydrant_engine::{Chance, Clock};
use hyper::body::{Body, Incoming};
use serde::de::IgnoredAny;

use super::{
    ApiError, Dispatch, Operation,
    answer::{self, Answer, CONTENT_TYPE},
    auth::Authenticator,
    body::{BodyError, BodyReader},
    error::Refusal,
    limits::ServerLimits,
    page,
    server::Answers,
};
use crate::sigv4::canonical;

/// One answered request, for logs and metrics.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'e> {
    /// The operation, if the request named one.
    pub operation: Option<Operation>,
    /// HTTP status of the answer.
    pub status: u16,
    /// The error's name on the wire.
    pub error: Option<&'e str>,
    /// Bytes of the request's body.
    pub received: usize,
    /// From the request's head to the answer, without sending it.
    pub elapsed: Duration,
}

/// Is told of every answered request. Must not block.
pub trait Observer: Send + Sync + 'static {
    /// A request was answered.
    fn answered(&self, exchange: &Exchange<'_>);
}

/// Looks away.
impl Observer for () {
    fn answered(&self, _: &Exchange<'_>) {}
}

/// The client went away before it could be answered.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection broke while the request arrived")]
pub struct Gone;

/// The parts that answer requests. Knows nothing of sockets.
pub struct Front {
    dispatch: Arc<dyn Dispatch>,
    authenticator: Authenticator,
    observer: Arc<dyn Observer>,
    clock: Arc<dyn Clock>,
    chance: Chance,
    bodies: BodyReader,
    /// Whether a page that was refused has been told in the log: once, or pages could fill it.
    told_of_page: AtomicBool,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}

impl Front {
    /// Answers with what `dispatch` does, for whom `authenticator` lets in.
    pub fn new(
        dispatch: Arc<dyn Dispatch>,
        authenticator: Authenticator,
        observer: Arc<dyn Observer>,
        clock: Arc<dyn Clock>,
        chance: Chance,
        limits: ServerLimits,
    ) -> Self {
        Front {
            dispatch,
            authenticator,
            observer,
            bodies: BodyReader::new(clock.clone(), limits),
            clock,
            chance,
            told_of_page: AtomicBool::new(false),
        }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// When the client went away: there is nobody to answer.
    pub async fn answer<B>(&self, request: Request<B>) -> Result<Response<Full<Bytes>>, Gone>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let started = self.clock.monotonic();
        let request_id = answer::request_id(&self.chance);
        let (head, body) = request.into_parts();
        let operation = target(&head).and_then(Operation::from_target);
        let mut trace = Trace::default();
        let answer = self.decide(&head, body, operation, &mut trace).await?;

        let status = answer.status().as_u16();
        let exchange = Exchange {
            operation,
            status,
            error: answer.error_name(),
            received: trace.received,
            elapsed: self.clock.monotonic().saturating_sub(started),
        };
        self.observer.answered(&exchange);
        log(&request_id, &exchange, &answer);

        let now = self.clock.now();
        let mut response = answer.into_response(&head.headers, &request_id, &self.chance, now);
        if trace.close {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Ok(response)
    }

    async fn decide<B>(
        &self,
        head: &Parts,
        body: B,
        operation: Option<Operation>,
        trace: &mut Trace,
    ) -> Result<Answer, Gone>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if self.authenticator.is_open() && page::is_foreign(&head.headers) {
            if !self.told_of_page.swap(true, Relaxed) {
                tracing::warn!(
                    origin = ?head.headers.get(header::ORIGIN),
                    "refused a web page of another machine, as this node has no keys; further ones are refused silently"
                );
            }
            trace.close = true;
            return Ok(Answer::Refused(Refusal::ForeignPage));
        }
        if head.method == Method::OPTIONS && head.headers.contains_key(header::ORIGIN) {
            return Ok(Answer::Preflight);
        }
        if head.method != Method::POST {
            return Ok(Answer::Refused(Refusal::NoOperation));
        }
        let hashed = self.authenticator.needs_body_hash();
        let arrived = match self.bodies.read(body, hashed).await {
            Ok(arrived) => arrived,
            Err(BodyError::Broken) => return Err(Gone),
            Err(BodyError::Refused { error, close }) => {
                trace.close = close;
                return Ok(Answer::Failed(error));
            }
        };
        trace.received = arrived.bytes.len();
        if arrived.bytes.is_empty() {
            return Ok(Answer::Failed(match operation {
                Some(_) => ApiError::Serialization(None),
                None => ApiError::UnknownOperation,
            }));
        }
        if let Some(refusal) = wrong_content_type(head, &arrived.bytes) {
            return Ok(Answer::Refused(refusal));
        }
        if let Some(error) = encoded(head) {
            return Ok(Answer::Failed(error));
        }
        let Some(operation) = operation else {
            return Ok(Answer::Failed(earlier(
                &arrived.bytes,
                ApiError::UnknownOperation,
            )));
        };
        let request = canonical::Request {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
        };
        let now = self.clock.now();
        let identity = match self.authenticator.identify(&request, &arrived.sha256, now) {
            Ok(identity) => identity,
            Err(error) => return Ok(Answer::Failed(earlier(&arrived.bytes, error))),
        };
        let call = self
            .dispatch
            .call(operation, &identity, arrived.bytes.clone());
        // One operation's fault must not take the connection's other requests with it.
        Ok(match AssertUnwindSafe(call).catch_unwind().await {
            Ok(Ok(body)) => Answer::Done(body),
            Ok(Err(error)) => Answer::Failed(error),
            Err(_) => Answer::Failed(ApiError::internal("the operation panicked")),
        })
    }
}

impl Answers for Front {
    type Body = Full<Bytes>;
    type Gone = Gone;

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Self::Body>, Gone> {
        Front::answer(self, request).await
    }
}

/// What is known of a request beyond its answer.
#[derive(Default)]
struct Trace {
    received: usize,
    close: bool,
}

fn target(head: &Parts) -> Option<&str> {
    head.headers.get("x-amz-target")?.to_str().ok()
}

/// `SerializationException` when the body is none, since AWS looks at it first; else `error`.
fn earlier(body: &[u8], error: ApiError) -> ApiError {
    if is_structured(body) {
        error
    } else {
        ApiError::Serialization(None)
    }
}

/// Whether `body` is a JSON object or array.
fn is_structured(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

fn wrong_content_type(head: &Parts, body: &[u8]) -> Option<Refusal> {
    let value = head.headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case(CONTENT_TYPE) {
        None
    } else if essence.eq_ignore_ascii_case("application/json") {
        Some(if is_structured(body) {
            Refusal::PlainJson
        } else {
            Refusal::PlainJsonMalformed
        })
    } else if target(head).is_some_and(|target| target.contains('.')) {
        Some(Refusal::UnknownContentType)
    } else {
        Some(Refusal::NoOperation)
    }
}

/// Compressed bodies are no part of the contract: what clients call compression is that of the
/// records inside.
fn encoded(head: &Parts) -> Option<ApiError> {
    let encoding = head.headers.get(header::CONTENT_ENCODING)?;
    if encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
        return None;
    }
    Some(ApiError::Serialization(Some(format!(
        "Content-Encoding '{}' is not supported for request bodies: send the JSON as it is and \
         compress the data of the records, if anything",
        String::from_utf8_lossy(encoding.as_bytes())
    ))))
}

fn log(request_id: &str, exchange: &Exchange<'_>, answer: &Answer) {
    let operation = exchange.operation.map_or("-", Operation::name);
    if let Answer::Failed(ApiError::InternalFailure { cause }) = answer {
        tracing::error!(request_id, operation, %cause, "request failed inside");
    }
    tracing::debug!(
        request_id,
        operation,
        status = exchange.status,
        error = exchange.error.unwrap_or("-"),
        received = exchange.received,
        elapsed_us = exchange.elapsed.as_micros() as u64,
        "answered"
    );
}
