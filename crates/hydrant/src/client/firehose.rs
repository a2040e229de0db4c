//! Signed calls of `Firehose_20150804` (SPEC §1.1) to one endpoint.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header, header::InvalidHeaderValue};
use hydrant_engine::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use url::{Host, Url};

use super::{root_cause, sender::Put};
use crate::sigv4::{
    SERVICE,
    sign::{Credentials, Subject, sign},
};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer; a node under a burst of throttled work answers far sooner.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Codes that mean "later", beside every 5xx (SPEC §1.7, SDK retry triggers).
const BUSY_CODES: [&str; 6] = [
    "ServiceUnavailableException",
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "RequestThrottledException",
    "ProvisionedThroughputExceededException",
];

/// Gives credentials; asked before each call, since they may expire.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// Credentials that hold now, or why there are none.
    async fn credentials(&self) -> Result<Credentials, String>;
}

#[async_trait]
impl CredentialSource for Credentials {
    async fn credentials(&self) -> Result<Credentials, String> {
        Ok(self.clone())
    }
}

/// An endpoint, a region and an identity. Cheap to clone.
#[derive(Clone)]
pub struct Firehose {
    http: reqwest::Client,
    endpoint: Url,
    region: String,
    credentials: Arc<dyn CredentialSource>,
    clock: Arc<dyn Clock>,
}

/// Why a call did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// No connection: nothing was sent.
    #[error("nothing answers at {endpoint} ({detail})")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What the connection said.
        detail: String,
    },
    /// The answer was lost: the call may or may not have happened.
    #[error("the answer of {endpoint} was lost: {detail}")]
    Lost {
        /// Where.
        endpoint: String,
        /// How.
        detail: String,
    },
    /// Nothing was done; later it may be.
    #[error("{code}: {message}")]
    Busy {
        /// The error's name on the wire.
        code: String,
        /// Its text.
        message: String,
    },
    /// Refused: asking again gives the same answer.
    #[error("{code}: {message}")]
    Refused {
        /// The error's name on the wire.
        code: String,
        /// Its text.
        message: String,
    },
    /// There are no credentials to sign with.
    #[error("no credentials: {0}")]
    NoCredentials(String),
}

impl CallError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            CallError::Unreachable { .. } | CallError::Lost { .. } | CallError::Busy { .. }
        )
    }

    /// Whether this is the refusal called `name`.
    pub fn is(&self, name: &str) -> bool {
        matches!(self, CallError::Refused { code, .. } if code == name)
    }
}

/// What became of each record of a batch.
#[derive(Clone, Debug, Default)]
pub struct PutAnswer {
    outcomes: Vec<Outcome>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Outcome {
    record_id: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl PutAnswer {
    /// An answer in which `failure` says which records failed, with code and message. For tests.
    pub fn with_failures(
        records: usize,
        failure: impl Fn(usize) -> Option<(String, String)>,
    ) -> Self {
        let outcome = |index| {
            let (error_code, error_message) = failure(index).unzip();
            Outcome {
                record_id: error_code.is_none().then(|| format!("record-{index}")),
                error_code,
                error_message,
            }
        };
        PutAnswer {
            outcomes: (0..records).map(outcome).collect(),
        }
    }

    /// Whether the record at `index` was not stored. A record without an answer counts as failed.
    pub fn failed(&self, index: usize) -> bool {
        self.outcomes
            .get(index)
            .is_none_or(|outcome| outcome.record_id.is_none())
    }

    /// The RecordId of the last record that was stored.
    pub fn last_id(&self) -> Option<&str> {
        self.outcomes
            .iter()
            .rev()
            .find_map(|outcome| outcome.record_id.as_deref())
    }

    /// What the first failed record was told.
    pub(super) fn reason(&self) -> String {
        let failed = self.outcomes.iter().find(|o| o.record_id.is_none());
        let text = |field: Option<&String>| field.cloned().unwrap_or_default();
        failed.map_or_else(
            || "an answer without results".to_owned(),
            |o| {
                format!(
                    "{}: {}",
                    text(o.error_code.as_ref()),
                    text(o.error_message.as_ref())
                )
            },
        )
    }
}

impl Firehose {
    /// A client for the API at `endpoint`.
    ///
    /// # Errors
    /// When the machine's TLS roots cannot be loaded.
    pub fn new(
        endpoint: Url,
        region: impl Into<String>,
        credentials: Arc<dyn CredentialSource>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CallError> {
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT);
        if is_loopback(&endpoint) {
            // No proxy leads to this machine's own loopback.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| CallError::Unreachable {
            endpoint: endpoint.to_string(),
            detail: root_cause(&error),
        })?;
        Ok(Firehose {
            http,
            endpoint,
            region: region.into(),
            credentials,
            clock,
        })
    }

    /// Where it calls.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The region it signs for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Calls `operation` with a JSON body; the answer's JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, operation: &str, body: &Value) -> Result<Value, CallError> {
        let answer = self.post(operation, body.to_string().into()).await?;
        serde_json::from_slice(&answer).map_err(|error| self.lost(&error))
    }

    /// `DescribeDeliveryStream` of one stream.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn describe(&self, stream: &str) -> Result<Value, CallError> {
        let answer = self
            .call(
                "DescribeDeliveryStream",
                &json!({ "DeliveryStreamName": stream }),
            )
            .await?;
        Ok(answer["DeliveryStreamDescription"].clone())
    }

    /// Every stream's name, in order.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn list(&self) -> Result<Vec<String>, CallError> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let mut request = json!({ "Limit": 1000 });
            if let Some(last) = names.last() {
                request["ExclusiveStartDeliveryStreamName"] = json!(last);
            }
            let answer = self.call("ListDeliveryStreams", &request).await?;
            let page = answer["DeliveryStreamNames"].as_array();
            let before = names.len();
            names.extend(
                page.into_iter()
                    .flatten()
                    .filter_map(|name| name.as_str().map(str::to_owned)),
            );
            if answer["HasMoreDeliveryStreams"] != true || names.len() == before {
                return Ok(names);
            }
        }
    }

    /// `PutRecordBatch`.
    ///
    /// # Errors
    /// See [`CallError`]; records that failed one by one are in the answer.
    pub async fn put_batch(&self, stream: &str, records: &[Bytes]) -> Result<PutAnswer, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            request_responses: Vec<Outcome>,
        }
        let answer = self
            .post("PutRecordBatch", put_body(stream, records))
            .await?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(|error| self.lost(&error))?;
        Ok(PutAnswer {
            outcomes: answer.request_responses,
        })
    }

    async fn post(&self, operation: &str, body: Bytes) -> Result<Bytes, CallError> {
        let credentials = self
            .credentials
            .credentials()
            .await
            .map_err(CallError::NoCredentials)?;
        let target = format!("Firehose_20150804.{operation}");
        let headers = self
            .signed_headers(&credentials, &target, &body)
            .map_err(|error| CallError::NoCredentials(error.to_string()))?;
        let request = self.http.post(self.endpoint.clone()).headers(headers);
        let answer = request.body(body).send().await.map_err(|error| {
            if error.is_connect() {
                CallError::Unreachable {
                    endpoint: self.place(),
                    detail: root_cause(&error),
                }
            } else {
                self.lost(&error)
            }
        })?;
        let status = answer.status();
        let header_name = answer
            .headers()
            .get("x-amzn-errortype")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body = answer.bytes().await.map_err(|error| self.lost(&error))?;
        if status.is_success() {
            return Ok(body);
        }
        Err(refusal(status.as_u16(), header_name, &body))
    }

    fn signed_headers(
        &self,
        credentials: &Credentials,
        target: &str,
        body: &[u8],
    ) -> Result<HeaderMap, InvalidHeaderValue> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(&self.host())?);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-amz-json-1.1"),
        );
        headers.insert("x-amz-target", HeaderValue::from_str(target)?);
        let subject = Subject {
            method: "POST",
            path: "/",
            query: "",
            body_sha256: &hex::encode(digest(&SHA256, body)),
        };
        sign(
            subject,
            &mut headers,
            credentials,
            &self.region,
            SERVICE,
            self.clock.now(),
        )?;
        Ok(headers)
    }

    /// As it stands in the `Host` header: the port only where the scheme does not imply it.
    fn host(&self) -> String {
        let host = self.endpoint.host_str().unwrap_or_default();
        match self.endpoint.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    fn lost(&self, error: &(dyn std::error::Error + 'static)) -> CallError {
        CallError::Lost {
            endpoint: self.place(),
            detail: root_cause(error),
        }
    }

    fn place(&self) -> String {
        self.endpoint.as_str().trim_end_matches('/').to_owned()
    }
}

/// A stream of a [`Firehose`], as the [`Sender`](super::Sender) needs it.
#[derive(Clone)]
pub struct StreamOf {
    /// The endpoint.
    pub firehose: Firehose,
    /// The stream's name.
    pub name: String,
}

#[async_trait]
impl Put for StreamOf {
    async fn put(&self, records: &[Bytes]) -> Result<PutAnswer, CallError> {
        self.firehose.put_batch(&self.name, records).await
    }
}

/// `{"DeliveryStreamName":…,"Records":[{"Data":…},…]}`, written by hand: it is the bulk of what a
/// producer does.
fn put_body(stream: &str, records: &[Bytes]) -> Bytes {
    let data: usize = records.iter().map(|r| r.len().div_ceil(3) * 4 + 12).sum();
    let mut body = String::with_capacity(data + stream.len() + 64);
    body.push_str(r#"{"DeliveryStreamName":"#);
    body.push_str(&Value::from(stream).to_string());
    body.push_str(r#","Records":["#);
    for (index, record) in records.iter().enumerate() {
        body.push_str(if index == 0 {
            r#"{"Data":""#
        } else {
            r#",{"Data":""#
        });
        STANDARD.encode_string(record, &mut body);
        body.push_str("\"}");
    }
    body.push_str("]}");
    body.into()
}

fn is_loopback(endpoint: &Url) -> bool {
    match endpoint.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// What an answer that is not 200 means.
fn refusal(status: u16, header_name: Option<String>, body: &[u8]) -> CallError {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let full = header_name
        .or_else(|| text("__type"))
        .unwrap_or_else(|| format!("HTTP {status}"));
    // `namespace#Name:uri` in the loosest spelling (SPEC §1.3).
    let code = full.rsplit('#').next().unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default().to_owned();
    let message = text("message")
        .or_else(|| text("Message"))
        .unwrap_or_else(|| "no message".to_owned());
    if status >= 500 || status == 429 || BUSY_CODES.contains(&code.as_str()) {
        CallError::Busy { code, message }
    } else {
        CallError::Refused { code, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_is_json() {
        let records = [Bytes::from_static(b"a\n"), Bytes::new()];
        let body: Value = serde_json::from_slice(&put_body("a\"b", &records)).unwrap();
        let wanted = json!({
            "DeliveryStreamName": "a\"b",
            "Records": [{ "Data": "YQo=" }, { "Data": "" }],
        });
        assert_eq!(body, wanted);
    }

    #[test]
    fn refusals_by_what_to_do() {
        let busy = refusal(
            503,
            None,
            br#"{"__type":"ServiceUnavailableException","message":"Slow down."}"#,
        );
        assert!(busy.is_retryable());
        assert_eq!(busy.to_string(), "ServiceUnavailableException: Slow down.");
        let throttled = refusal(400, Some("ThrottlingException:http://x".into()), b"");
        assert!(throttled.is_retryable());
        let refused = refusal(
            400,
            None,
            br#"{"__type":"a#AccessDeniedException","Message":"no"}"#,
        );
        assert!(!refused.is_retryable() && refused.is("AccessDeniedException"));
        assert!(refusal(502, None, b"<html>").is_retryable());
    }

    #[test]
    fn a_record_without_an_answer_has_failed() {
        let answer = PutAnswer::with_failures(2, |index| {
            (index == 1).then(|| ("E".to_owned(), "m".to_owned()))
        });
        assert!(!answer.failed(0) && answer.failed(1) && answer.failed(2));
        assert_eq!(answer.last_id(), Some("record-0"));
        assert_eq!(answer.reason(), "E: m");
    }
}
