//! The door that every request of an [`AmazonS3`](object_store::aws::AmazonS3) leaves by.
//!
//! It shares one HTTP client, notes what the store answered to a request that failed, and puts keys into requests
//! that `object_store` cannot name.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::{StatusCode, Uri};
use object_store::{
    ClientOptions,
    aws::AwsAuthorizer,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
        HttpService, ReqwestConnector,
    },
};

use crate::credentials::outbound::Source;

/// To set up a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one request with its answer. Two parts of 8 MiB go up at a time: a line of 56 KiB/s is fast enough.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Connections kept for the next request, for each host.
const IDLE_CONNECTIONS: usize = 32;
/// Of an error's body, enough for its code.
const ERROR_BODY_LIMIT: usize = 64 << 10;

/// The HTTP client of all buckets, built at the first request.
#[derive(Clone, Debug, Default)]
pub struct SharedClient(Arc<OnceLock<HttpClient>>);

impl SharedClient {
    /// One that is there already, for stores that are not on the network.
    pub fn of(client: HttpClient) -> Self {
        SharedClient(Arc::new(OnceLock::from(client)))
    }

    fn get(&self) -> object_store::Result<HttpClient> {
        if let Some(client) = self.0.get() {
            return Ok(client.clone());
        }
        let options = ClientOptions::new()
            .with_allow_http(true)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT)
            .with_pool_max_idle_per_host(IDLE_CONNECTIONS);
        let client = ReqwestConnector::default().connect(&options)?;
        Ok(self.0.get_or_init(|| client).clone())
    }
}

/// What the requests of one attempt met.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Option<Answer>>);

/// The latest answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `<Code>` and `<Message>` of an error's body.
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
}

impl Seen {
    /// The answer to the latest request, `None` if it had none.
    pub(super) fn latest(&self) -> Option<Answer> {
        self.lock().clone()
    }

    /// Whether the store answered the latest request.
    pub(super) fn answered(&self) -> bool {
        self.lock().is_some()
    }

    fn note(&self, answer: Option<Answer>) {
        *self.lock() = answer;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both the connector and the service that it makes.
#[derive(Clone, Debug)]
pub(super) struct Door {
    client: SharedClient,
    region: String,
    credentials: Arc<Source>,
    /// The key to put in place of the last component of the path.
    literal: Option<String>,
    seen: Arc<Seen>,
}

impl Door {
    pub(super) fn new(
        client: SharedClient,
        region: String,
        credentials: Arc<Source>,
        literal: Option<String>,
        seen: Arc<Seen>,
    ) -> Self {
        Door {
            client,
            region,
            credentials,
            literal,
            seen,
        }
    }

    /// Names the literal key and signs again; the hash of the body is taken from the first signature.
    async fn rename(&self, request: &mut HttpRequest, key: &str) -> Result<(), HttpError> {
        let path = request.uri().path();
        let bucket = path.rsplit_once('/').map_or("", |(bucket, _)| bucket);
        let encoded = encode_key(key);
        let renamed = match request.uri().query() {
            Some(query) => format!("{bucket}/{encoded}?{query}"),
            None => format!("{bucket}/{encoded}"),
        };
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(renamed.parse().map_err(unsendable)?);
        *request.uri_mut() = Uri::from_parts(parts).map_err(unsendable)?;

        let hash = request.headers().get("x-amz-content-sha256");
        // Not a hash: the body is not part of the signature.
        let hash = hash.and_then(|hash| hex::decode(hash).ok());
        request.headers_mut().remove(http::header::AUTHORIZATION);
        let credential = self.credentials.credential().await.map_err(unsendable)?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .with_sign_payload(hash.is_some())
            .try_authorize(request, hash.as_deref())
            .map_err(unsendable)
    }
}

fn unsendable<E: std::error::Error + Send + Sync + 'static>(error: E) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}

/// RFC 3986: everything but unreserved characters and `/`.
fn encode_key(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

impl HttpConnector for Door {
    /// `options` are those of [`SharedClient`] already, but for default headers, which requests bring along.
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Door {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.seen.note(None);
        if let Some(key) = &self.literal {
            self.rename(&mut request, key).await?;
        }
        let client = self.client.get().map_err(unsendable)?;
        let response = client.execute(request).await?;
        let status = response.status();
        if status.is_success() {
            self.seen.note(Some(Answer {
                status,
                code: None,
                message: None,
            }));
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        // The status is an answer even if the body does not come.
        let mut answer = Answer {
            status,
            code: None,
            message: None,
        };
        self.seen.note(Some(answer.clone()));
        let body = body.bytes().await?;
        let text = String::from_utf8_lossy(&body[..body.len().min(ERROR_BODY_LIMIT)]);
        answer.code = element(&text, "Code");
        answer.message = element(&text, "Message");
        self.seen.note(Some(answer));
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

/// The text of the first such element of an S3 error document: flat XML without attributes.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_error_documents() {
        let xml = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message></Message>\
                   <RequestId>a&amp;b</RequestId></Error>";
        assert_eq!(element(xml, "Code").as_deref(), Some("AccessDenied"));
        assert_eq!(element(xml, "Message"), None);
        assert_eq!(element(xml, "RequestId").as_deref(), Some("a&b"));
        assert_eq!(element("<html>busy</html>", "Code"), None);
        assert_eq!(element("<Code>cut", "Code"), None);
    }

    #[test]
    fn keys_are_encoded_once() {
        assert_eq!(encode_key("/a//b c%ü+x"), "/a//b%20c%25%C3%BC%2Bx");
    }
}
