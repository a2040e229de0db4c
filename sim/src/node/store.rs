//! An S3 that fails as real ones do, behind the HTTP client that a node's buckets are given.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use hydrant_engine::{Chance, Clock};
use object_store::client::{
    HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

use super::machine::SimClock;
use crate::disk::World;

/// How long a client waits for an answer; as in `destination/s3/door.rs`.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a store is at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Healthy,
    /// Anything may go wrong with any request.
    Flaky,
    /// 503 Slow Down to all.
    Busy,
    /// 403 to all.
    Forbidden,
    /// 404 to all: the bucket is gone.
    Missing,
    /// Its name does not resolve, or nobody listens.
    Unreachable,
    /// It takes requests and does not answer.
    Frozen,
}

impl Mode {
    pub(super) const ALL: [Mode; 7] = [
        Mode::Healthy,
        Mode::Flaky,
        Mode::Busy,
        Mode::Forbidden,
        Mode::Missing,
        Mode::Unreachable,
        Mode::Frozen,
    ];
}

/// The store, through all lives. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Store {
    state: Arc<Mutex<State>>,
    world: World,
    chance: Chance,
}

#[derive(Debug, Default)]
struct State {
    mode: Mode,
    /// By path: bucket and key, as in the URL.
    objects: BTreeMap<String, Bytes>,
    uploads: BTreeMap<u64, BTreeMap<u32, Bytes>>,
    next: u64,
    requests: u64,
    /// Power goes at this request, once it is done and before it is answered.
    cut_at: Option<u64>,
    /// Paths that were asked for without a word of whether they are there.
    unanswered: BTreeSet<String>,
    /// Broken promises of those who put.
    complaints: Vec<String>,
}

impl Store {
    pub(super) fn new(world: &World, chance: &Chance) -> Self {
        Store {
            state: Arc::default(),
            world: world.clone(),
            chance: chance.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, mode: Mode) {
        self.world.note(&format!("the store is {mode:?}"));
        self.state().mode = mode;
    }

    /// Power goes when so many more requests have been done, before the last one is answered.
    pub(super) fn cut_after(&self, requests: Option<u64>) {
        let mut state = self.state();
        state.cut_at = requests.map(|more| state.requests + more);
    }

    pub(super) fn note(&self, line: &str) {
        self.world.note(line);
    }

    pub(super) fn objects(&self) -> BTreeMap<String, Bytes> {
        self.state().objects.clone()
    }

    pub(super) fn requests(&self) -> u64 {
        self.state().requests
    }

    /// Objects that somebody has asked for in vain.
    pub(super) fn unanswered(&self) -> BTreeSet<String> {
        self.state().unanswered.clone()
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.state().complaints.clone()
    }

    /// The client of one life.
    pub(super) fn client(&self, clock: &Arc<SimClock>) -> Client {
        Client {
            store: self.clone(),
            clock: clock.clone(),
        }
    }

    /// Does what a request asks.
    fn serve(&self, request: &HttpRequest, body: &Bytes) -> Answer {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default();
        let mut state = self.state();
        let named = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut pairs = pairs.filter(|(key, _)| *key == name);
            pairs
                .next()
                .and_then(|(_, value)| value.parse::<u64>().ok())
        };
        match *request.method() {
            Method::PUT => match (named("uploadId"), named("partNumber")) {
                (Some(upload), Some(part)) => {
                    let Some(parts) = state.uploads.get_mut(&upload) else {
                        return Answer::error(StatusCode::NOT_FOUND, "NoSuchUpload");
                    };
                    parts.insert(u32::try_from(part).unwrap_or(0), body.clone());
                    Answer::tagged(body)
                }
                _ => {
                    state.put(path, body.clone());
                    Answer::tagged(body)
                }
            },
            Method::POST if query.contains("uploads") => {
                state.next += 1;
                let id = state.next;
                state.uploads.insert(id, BTreeMap::new());
                Answer::xml(format!(
                    "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                ))
            }
            Method::POST => {
                let upload = named("uploadId").unwrap_or(0);
                let Some(parts) = state.uploads.get(&upload) else {
                    return Answer::error(StatusCode::NOT_FOUND, "NoSuchUpload");
                };
                let text = String::from_utf8_lossy(body).into_owned();
                if parts.values().any(|part| !text.contains(&etag(part))) {
                    return Answer::error(StatusCode::BAD_REQUEST, "InvalidPart");
                }
                let whole: Vec<u8> = parts
                    .values()
                    .flat_map(|part| part.iter().copied())
                    .collect();
                state.uploads.remove(&upload);
                let whole = Bytes::from(whole);
                state.put(path, whole.clone());
                Answer::xml(format!(
                    "<CompleteMultipartUploadResult><ETag>\"{}\"</ETag></CompleteMultipartUploadResult>",
                    etag(&whole)
                ))
            }
            Method::DELETE => {
                state.uploads.remove(&named("uploadId").unwrap_or(0));
                Answer::empty(StatusCode::NO_CONTENT)
            }
            Method::HEAD if state.objects.contains_key(&path) => {
                let body = state.objects.get(&path).cloned().unwrap_or_default();
                Answer {
                    length: Some(body.len()),
                    ..Answer::tagged(&body)
                }
            }
            Method::HEAD => Answer::empty(StatusCode::NOT_FOUND),
            _ => Answer::error(StatusCode::NOT_FOUND, "NoSuchKey"),
        }
    }
}

impl State {
    fn put(&mut self, path: String, bytes: Bytes) {
        if let Some(before) = self.objects.get(&path)
            && *before != bytes
        {
            self.complaints
                .push(format!("{path} was put twice, with other bytes"));
        }
        self.objects.insert(path, bytes);
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("{:08x}{:08x}", crc32fast::hash(bytes), bytes.len())
}

struct Answer {
    status: StatusCode,
    etag: Option<String>,
    /// Of the object, in an answer without a body.
    length: Option<usize>,
    body: String,
}

impl Answer {
    fn empty(status: StatusCode) -> Self {
        Answer {
            status,
            etag: None,
            length: None,
            body: String::new(),
        }
    }

    fn error(status: StatusCode, code: &str) -> Self {
        Answer {
            body: format!(
                "<Error><Code>{code}</Code><Message>said the simulation</Message></Error>"
            ),
            ..Answer::empty(status)
        }
    }

    fn tagged(body: &Bytes) -> Self {
        Answer {
            etag: Some(etag(body)),
            ..Answer::empty(StatusCode::OK)
        }
    }

    fn xml(body: String) -> Self {
        Answer {
            body,
            ..Answer::empty(StatusCode::OK)
        }
    }

    fn into_response(self) -> Result<HttpResponse, HttpError> {
        let mut response = Response::builder().status(self.status);
        if let Some(etag) = self.etag {
            response = response.header("ETag", format!("\"{etag}\""));
        }
        if let Some(length) = self.length {
            response = response
                .header("Content-Length", length)
                .header("Last-Modified", "Wed, 07 Oct 2015 13:05:42 GMT");
        }
        response
            .body(HttpResponseBody::from(Bytes::from(self.body)))
            .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))
    }
}

/// An HTTP client whose other end is the store.
#[derive(Debug)]
pub(super) struct Client {
    store: Store,
    clock: Arc<SimClock>,
}

/// What becomes of a request to a flaky store.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Done,
    Late,
    ResetBefore,
    ErrorBefore,
    DoneThenError,
    DoneThenSilence,
    DoneThenReset,
    WrongTag,
}

fn gone(kind: HttpErrorKind) -> HttpError {
    HttpError::new(kind, std::io::Error::other("said the simulation"))
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        use http_body_util::BodyExt;
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let request = HttpRequest::from_parts(parts, Bytes::new().into());
        let chance = &self.store.chance;
        self.clock
            .sleep(Duration::from_millis(chance.next_u64() % 300))
            .await;
        let mode = self.store.state().mode;
        let fate = match mode {
            Mode::Flaky => match chance.next_u64() % 12 {
                0 => Fate::Late,
                1 => Fate::ResetBefore,
                2 => Fate::ErrorBefore,
                3 => Fate::DoneThenError,
                4 => Fate::DoneThenSilence,
                5 => Fate::DoneThenReset,
                6 => Fate::WrongTag,
                _ => Fate::Done,
            },
            _ => Fate::Done,
        };
        self.store.world.note(&format!(
            "{} {} ({} bytes, {mode:?}, {fate:?})",
            request.method(),
            request.uri(),
            body.len()
        ));
        let path = request.uri().path().to_owned();
        let asks = request.method() == Method::HEAD;
        if asks {
            // Until it is answered.
            self.store.state().unanswered.insert(path.clone());
        }
        match mode {
            Mode::Healthy | Mode::Flaky => {}
            Mode::Busy => {
                return Answer::error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown").into_response();
            }
            Mode::Forbidden => {
                return Answer::error(StatusCode::FORBIDDEN, "AccessDenied").into_response();
            }
            Mode::Missing => {
                return Answer::error(StatusCode::NOT_FOUND, "NoSuchBucket").into_response();
            }
            Mode::Unreachable => return Err(gone(HttpErrorKind::Connect)),
            Mode::Frozen => {
                self.clock.sleep(PATIENCE).await;
                return Err(gone(HttpErrorKind::Timeout));
            }
        }
        match fate {
            Fate::ResetBefore => return Err(gone(HttpErrorKind::Interrupted)),
            Fate::ErrorBefore => {
                return Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")
                    .into_response();
            }
            Fate::Late => {
                let late = PATIENCE.mul_f64(chance.fraction() / 4.0);
                self.clock.sleep(late).await;
            }
            _ => {}
        }
        let mut answer = self.store.serve(&request, &body);
        {
            let mut state = self.store.state();
            state.requests += 1;
            if state.cut_at.is_some_and(|at| state.requests >= at) {
                state.cut_at = None;
                drop(state);
                self.store.world.cut_now();
            }
        }
        match fate {
            Fate::DoneThenError => {
                Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError").into_response()
            }
            Fate::DoneThenReset => Err(gone(HttpErrorKind::Interrupted)),
            Fate::DoneThenSilence => {
                self.clock.sleep(PATIENCE).await;
                Err(gone(HttpErrorKind::Timeout))
            }
            Fate::WrongTag => {
                answer.etag = answer.etag.map(|_| "0123456789abcdef".to_owned());
                answer.into_response()
            }
            _ => {
                if asks {
                    self.store.state().unanswered.remove(&path);
                }
                answer.into_response()
            }
        }
    }
}
