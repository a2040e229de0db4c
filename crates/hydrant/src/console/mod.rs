//! The admin port: health, metrics, and what `hydrant streams`, `flush`, `copy` and `trace` ask.
//!
//! | path | answers |
//! |---|---|
//! | `GET /livez` | 200 while the process answers |
//! | `GET /readyz` | 200 while puts can be acknowledged; else 503 and why not |
//! | `GET /metrics` | every metric, in OpenMetrics text |
//! | `GET /api/streams` | [`model::Streams`] |
//! | `POST /api/streams/{account}/{region}/{name}/flush` | [`model::Flushed`], once everything is delivered; 504 after [`FLUSH_WAIT`] |
//! | `POST /api/streams/{account}/{region}/{name}/copy` | [`model::Copied`], once the manifest in [`model::Copy`] is loaded |
//! | `GET /api/trace/{record_id}` | [`model::Trace`] |
//!
//! It listens on loopback and asks nobody for a password, or anywhere over TLS and asks for a token; it refuses web pages
//! (`guard`).

mod convert;
mod guard;
pub mod model;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{StatusCode, header};
use hydrant_engine::{Clock, Engine};

use self::guard::{Guard, LIVEZ, READYZ, Refused};
use crate::{
    credentials::Token,
    delivery::{CopyError, Delivery, FlushError},
    metrics::{self, Metrics},
    stream::{RecordId, Registry, StreamKey, record_id::InvalidRecordId},
};

/// What the admin port shows.
#[derive(Debug)]
pub struct Console {
    /// Whether puts can be acknowledged.
    pub engine: Engine,
    /// Every stream.
    pub registry: Arc<Registry>,
    /// How delivery stands.
    pub delivery: Delivery,
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// For ages.
    pub clock: Arc<dyn Clock>,
    /// What who asks must bring; `None` asks for nothing and is for loopback alone.
    pub token: Option<Token>,
    /// Set when the node begins to stop.
    pub stopping: AtomicBool,
}

/// How long a flush is waited for. Delivery goes on without anybody who waits.
pub const FLUSH_WAIT: Duration = Duration::from_secs(10 * 60);

type Shared = State<Arc<Console>>;

/// What answers on the admin port.
pub fn router(console: Arc<Console>) -> Router {
    let guard = match &console.token {
        Some(token) => Guard::Token(token.clone()),
        None => Guard::Loopback,
    };
    Router::new()
        .route(LIVEZ, get(async || "alive\n"))
        .route(READYZ, get(ready))
        .route("/metrics", get(metrics))
        .route("/api/streams", get(streams))
        .route("/api/streams/{account}/{region}/{name}/flush", post(flush))
        .route("/api/streams/{account}/{region}/{name}/copy", post(copy))
        .route("/api/trace/{record_id}", get(trace))
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is nothing here"))
        .layer(middleware::from_fn_with_state(Arc::new(guard), check))
        .with_state(console)
}

async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.refusal(request.uri().path(), request.headers()) {
        None => next.run(request).await,
        Some(Refused::Page(why)) => problem(StatusCode::FORBIDDEN, why),
        Some(Refused::NoToken) => {
            let told = problem(
                StatusCode::UNAUTHORIZED,
                "bring the admin token: --admin-token-file names its file, or as a header, \
                 Authorization: Bearer TOKEN",
            );
            ([(header::WWW_AUTHENTICATE, "Bearer")], told).into_response()
        }
    }
}

async fn ready(State(console): Shared) -> Response {
    match console.unready() {
        None => "ready\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

impl Console {
    /// Why puts cannot be acknowledged, if so.
    fn unready(&self) -> Option<&'static str> {
        let usage = self.engine.log.usage();
        if self.stopping.load(Relaxed) {
            Some("the node is stopping")
        } else if !usage.writable {
            Some("the log's disk failed: nothing is acknowledged until the node is restarted")
        } else if usage.free_bytes == 0 {
            Some("the log is full: nothing is acknowledged until delivery or you make room")
        } else {
            None
        }
    }
}

async fn metrics(State(console): Shared) -> Response {
    let text = console.metrics.encode();
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn streams(State(console): Shared) -> Json<model::Streams> {
    let now = console.clock.now();
    let streams = console
        .delivery
        .statuses()
        .iter()
        .map(|status| convert::stream(status, console.registry.get(&status.key).as_deref(), now))
        .collect();
    Json(model::Streams { streams })
}

async fn flush(
    State(console): Shared,
    Path((account, region, name)): Path<(String, String, String)>,
) -> Response {
    let key = StreamKey::new(account, region, name);
    let flushed = tokio::select! {
        flushed = console.delivery.flush(&key) => flushed,
        () = console.clock.sleep(FLUSH_WAIT) => {
            let error = format!(
                "not everything of {key} is delivered after {} s; delivery goes on. \
                 `hydrant streams` shows how it stands; flush again to wait on",
                FLUSH_WAIT.as_secs()
            );
            return problem(StatusCode::GATEWAY_TIMEOUT, error);
        }
    };
    match flushed {
        Ok(flushed) => Json(convert::flushed(flushed)).into_response(),
        Err(error) => {
            let status = match error {
                FlushError::NotActive(_) => StatusCode::NOT_FOUND,
                FlushError::Failing(_) => StatusCode::BAD_GATEWAY,
                FlushError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, error.to_string())
        }
    }
}

/// Answered when the COPY is done, which may take as long as its rows take: there is no other way to learn how it went.
async fn copy(
    State(console): Shared,
    Path((account, region, name)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    let key = StreamKey::new(account, region, name);
    let asked: model::Copy = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            let error = format!("expected {{\"manifest\": \"s3://BUCKET/KEY\"}}: {error}");
            return problem(StatusCode::BAD_REQUEST, error);
        }
    };
    match console.delivery.copy(&key, &asked.manifest).await {
        Ok(loaded) => {
            let stream = console.registry.get(&key);
            Json(convert::copied(loaded, stream.as_deref())).into_response()
        }
        Err(error) => {
            let status = match error {
                CopyError::NotActive(_) => StatusCode::NOT_FOUND,
                CopyError::NoManifest(_) => StatusCode::BAD_REQUEST,
                CopyError::NoWarehouse(_) => StatusCode::CONFLICT,
                CopyError::Failed(_) => StatusCode::BAD_GATEWAY,
                CopyError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, error.to_string())
        }
    }
}

async fn trace(State(console): Shared, Path(record_id): Path<String>) -> Response {
    let id: RecordId = match record_id.parse() {
        Ok(id) => id,
        Err(InvalidRecordId) => {
            return problem(StatusCode::BAD_REQUEST, InvalidRecordId.to_string());
        }
    };
    let fate = match console.delivery.trace(id).await {
        Ok(trace) => convert::fate(trace),
        Err(error) => return problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    let streams = console.registry.all();
    let stream = streams.iter().find(|stream| stream.lane == id.lane);
    let stream = stream.map(|stream| stream.key.arn());
    Json(model::Trace { stream, fate }).into_response()
}

fn problem(status: StatusCode, error: impl Into<String>) -> Response {
    let error = error.into();
    (status, Json(model::Problem { error })).into_response()
}
