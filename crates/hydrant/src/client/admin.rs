//! The admin port, from outside.

use std::time::Duration;

use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    console::model::{Copied, Copy, Flushed, Problem, StreamStatus, Streams, Trace},
    credentials::Token,
};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The admin port of one node.
#[derive(Clone, Debug)]
pub struct Admin {
    http: reqwest::Client,
    url: Url,
    token: Option<Token>,
}

/// Why the admin port did not answer as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdminError {
    /// Nobody there.
    #[error("no admin port answers at {url} ({detail})")]
    Unreachable {
        /// Where.
        url: String,
        /// What the connection said.
        detail: String,
    },
    /// The node says no.
    #[error("{0}")]
    Refused(String),
    /// What answered is no admin port.
    #[error("what answers at {url} is not Hydrant's admin port: {detail}")]
    Strange {
        /// Where.
        url: String,
        /// What it said.
        detail: String,
    },
}

impl Admin {
    /// The admin port at `url`.
    ///
    /// # Errors
    /// When the machine's TLS roots cannot be loaded.
    pub fn new(url: Url) -> Result<Self, AdminError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .build();
        match http {
            Ok(http) => Ok(Admin {
                http,
                url,
                token: None,
            }),
            Err(error) => Err(AdminError::Unreachable {
                url: url.to_string(),
                detail: super::root_cause(&error),
            }),
        }
    }

    /// Brings `token` with every request.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Every stream.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn streams(&self) -> Result<Vec<StreamStatus>, AdminError> {
        let request = self.http.get(self.at(&["api", "streams"]));
        Ok(self.answer::<Streams>(request).await?.streams)
    }

    /// Delivers what a stream has buffered now; resolves when it is delivered.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn flush(
        &self,
        account: &str,
        region: &str,
        name: &str,
    ) -> Result<Flushed, AdminError> {
        let path = ["api", "streams", account, region, name, "flush"];
        self.answer(self.http.post(self.at(&path))).await
    }

    /// Loads a manifest into a stream's warehouse; resolves when it is loaded, which may take long.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn copy(&self, stream: &StreamStatus, manifest: &str) -> Result<Copied, AdminError> {
        let StreamStatus {
            account,
            region,
            name,
            ..
        } = stream;
        let path = ["api", "streams", account, region, name, "copy"];
        let asked = Copy {
            manifest: manifest.to_owned(),
        };
        self.answer(self.http.post(self.at(&path)).json(&asked))
            .await
    }

    /// Where a record is.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn trace(&self, record_id: &str) -> Result<Trace, AdminError> {
        let request = self.http.get(self.at(&["api", "trace", record_id]));
        self.answer(request).await
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, AdminError> {
        let url = self.url.as_str().trim_end_matches('/');
        let unreachable = |error: reqwest::Error| AdminError::Unreachable {
            url: url.to_owned(),
            detail: super::root_cause(&error),
        };
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        let strange = |detail: String| AdminError::Strange {
            url: url.to_owned(),
            detail,
        };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| strange(error.to_string()));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(AdminError::Refused(problem.error)),
            Err(_) => Err(strange(format!("HTTP {status}"))),
        }
    }
}
