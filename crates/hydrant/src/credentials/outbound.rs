//! Who Hydrant is towards others: credentials for object stores.
//!
//! ```text
//! base    = the access key that a bucket rule names | the usual AWS chain (variables, profiles, SSO, IMDS …)
//! signing = base | base ─(STS AssumeRole of the stream's RoleARN)→ temporary credentials
//! ```
//!
//! * Nothing is looked up before it is needed: starting a node touches no network.
//! * Credentials are cached and renewed before they expire. One renewal at a time; the others wait for it, and
//!   share what it comes to.
//! * When renewal fails while the old ones still hold, the old ones are used.
//! * Secrets are in no message and no `Debug`.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use aws_config::{
    BehaviorVersion, Region, default_provider::credentials::DefaultCredentialsChain,
    environment::EnvironmentVariableRegionProvider, meta::region::RegionProviderChain,
    profile::ProfileFileRegionProvider,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_sdk_sts::{
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{DisplayErrorContext, ProvideErrorMetadata},
};
use hydrant_engine::{Clock, Timestamp};
use object_store::{CredentialProvider, aws::AwsCredential};
use tokio::sync::OnceCell;

use super::{Secret, keyring::DEFAULT_REGION};

/// `RoleSessionName` of AssumeRole: shows in the other side's logs.
pub const SESSION_NAME: &str = "hydrant-delivery";
/// Credentials are renewed when they hold no longer than this.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);
/// Credentials that say no end are looked up again after this: they may have been replaced.
const RENEW_UNDATED: Duration = Duration::from_secs(15 * 60);
/// How long STS may take for one attempt.
const STS_TIMEOUT: Duration = Duration::from_secs(10);
/// Sources that are remembered; more are built anew.
const MAX_SOURCES: usize = 4096;

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    /// The usual AWS chain.
    DefaultChain,
    /// These.
    Static(StaticKey),
}

/// An access key from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticKey {
    /// The access key id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
    /// For temporary credentials.
    pub token: Option<Secret>,
}

impl std::hash::Hash for StaticKey {
    // Equal keys have equal ids, and that is enough for a hash map.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// The STS endpoint, `http://` or `https://`.
    pub endpoint: String,
    /// The region that the request is signed for.
    pub region: String,
}

/// Why there are no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// STS said no.
    #[error("the role {role} cannot be assumed: {detail}")]
    RoleRefused {
        /// Its ARN.
        role: String,
        /// STS's code and message.
        detail: String,
    },
    /// Nobody answered, or not in a way that says anything.
    #[error("no credentials: {0}")]
    Unavailable(String),
}

type Sources = HashMap<(Base, Option<Role>), Arc<Source>>;

/// Credentials for everything that Hydrant signs.
pub struct Outbound {
    clock: Arc<dyn Clock>,
    chain: Arc<OnceCell<SharedCredentialsProvider>>,
    sources: Mutex<Sources>,
}

impl Outbound {
    /// Nothing is looked up yet.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Outbound {
            clock,
            chain: Arc::default(),
            sources: Mutex::default(),
        })
    }

    /// The source of credentials for `base`, in the role of `role` if there is one. Equal arguments share one.
    pub fn source(&self, base: &Base, role: Option<&Role>) -> Arc<Source> {
        let key = (base.clone(), role.cloned());
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= MAX_SOURCES {
            sources.clear();
        }
        let new = || {
            Arc::new(Source {
                clock: self.clock.clone(),
                chain: self.chain.clone(),
                base: base.clone(),
                role: role.cloned(),
                state: tokio::sync::Mutex::default(),
            })
        };
        sources.entry(key).or_insert_with(new).clone()
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbound")
    }
}

/// One source of credentials, with its cache.
pub struct Source {
    clock: Arc<dyn Clock>,
    chain: Arc<OnceCell<SharedCredentialsProvider>>,
    base: Base,
    role: Option<Role>,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    cached: Option<Cached>,
    /// The latest renewal that failed, and when it did on the monotonic clock.
    failed: Option<(Duration, CredentialsError)>,
}

struct Cached {
    credential: Arc<AwsCredential>,
    renew: Timestamp,
    expires: Timestamp,
}

impl Source {
    /// Credentials that hold now.
    ///
    /// # Errors
    /// [`CredentialsError`], once there are no others that still hold.
    pub async fn credential(&self) -> Result<Arc<AwsCredential>, CredentialsError> {
        let asked = self.clock.monotonic();
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        if let Some(cached) = &state.cached
            && now < cached.renew
        {
            return Ok(cached.credential.clone());
        }
        let fetched = match &state.failed {
            // While this waited. Were everybody to try in turn, the last would wait for hours.
            Some((at, error)) if *at > asked => Err(error.clone()),
            _ => {
                let fetched = self.fetch().await;
                let at = self.clock.monotonic();
                state.failed = fetched.as_ref().err().map(|error| (at, error.clone()));
                fetched
            }
        };
        match fetched {
            Ok(credentials) => {
                let fresh = self.dated(&credentials);
                Ok(state.cached.insert(fresh).credential.clone())
            }
            Err(error) => match &state.cached {
                Some(cached) if now < cached.expires => {
                    tracing::warn!(%error, "credentials were not renewed; the old ones still hold");
                    Ok(cached.credential.clone())
                }
                _ => Err(error),
            },
        }
    }

    fn dated(&self, credentials: &Credentials) -> Cached {
        let now = self.clock.now();
        let expiry = credentials.expiry().map(|expiry| {
            let since = expiry.duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::default().plus(since)
        });
        let (renew, expires) = match expiry {
            Some(expires) => {
                // Short-lived ones are used for half their life.
                let left = expires.since(now);
                let early = RENEW_BEFORE.min(left / 2);
                (now.plus(left - early), expires)
            }
            None => (now.plus(RENEW_UNDATED), now.plus(RENEW_UNDATED)),
        };
        Cached {
            credential: Arc::new(AwsCredential {
                key_id: credentials.access_key_id().to_owned(),
                secret_key: credentials.secret_access_key().to_owned(),
                token: credentials.session_token().map(str::to_owned),
            }),
            renew,
            expires,
        }
    }

    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        let base = match &self.base {
            Base::Static(key) => SharedCredentialsProvider::new(Credentials::new(
                &key.id,
                key.secret.expose(),
                key.token.as_ref().map(|token| token.expose().to_owned()),
                None,
                "configuration",
            )),
            Base::DefaultChain => self.chain().await,
        };
        let base = base
            .provide_credentials()
            .await
            .map_err(|error| CredentialsError::Unavailable(causes(&error)))?;
        match &self.role {
            None => Ok(base),
            Some(role) => assume(role, base).await,
        }
    }

    async fn chain(&self) -> SharedCredentialsProvider {
        let build = async || {
            // The region is for the chain's own calls, such as those for web identities. Without one given, the
            // library would ask the machine's metadata service, and wait for it where there is none.
            let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new())
                .or_else(Region::new(DEFAULT_REGION));
            let chain = DefaultCredentialsChain::builder()
                .region(region)
                .build()
                .await;
            SharedCredentialsProvider::new(chain)
        };
        self.chain.get_or_init(build).await.clone()
    }
}

async fn assume(role: &Role, base: Credentials) -> Result<Credentials, CredentialsError> {
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&role.endpoint)
        .region(Region::new(role.region.clone()))
        .credentials_provider(base)
        .retry_config(RetryConfig::standard().with_max_attempts(2))
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(STS_TIMEOUT)
                .build(),
        )
        .build();
    let assumed = aws_sdk_sts::Client::from_conf(config)
        .assume_role()
        .role_arn(&role.arn)
        .role_session_name(SESSION_NAME)
        .send()
        .await;
    let refused = |detail: String| CredentialsError::RoleRefused {
        role: role.arn.clone(),
        detail,
    };
    let assumed = match assumed {
        Ok(assumed) => assumed,
        Err(error) => {
            // Only an answer that names a client's fault is a refusal.
            let status = error.raw_response().map(|response| response.status());
            return Err(
                if let Some(status) = status.filter(|status| status.is_client_error()) {
                    let code = error.code().unwrap_or("no code");
                    let message = error.message().unwrap_or_default();
                    refused(format!("HTTP {}: {code}: {message}", status.as_u16()))
                } else {
                    CredentialsError::Unavailable(format!(
                        "STS at {}: {}",
                        role.endpoint,
                        DisplayErrorContext(&error)
                    ))
                },
            );
        }
    };
    let given = assumed
        .credentials()
        .ok_or_else(|| refused("the answer holds no credentials".to_owned()))?;
    let expiry = std::time::SystemTime::try_from(*given.expiration()).ok();
    Ok(Credentials::new(
        given.access_key_id(),
        given.secret_access_key(),
        Some(given.session_token().to_owned()),
        expiry,
        "AssumeRole",
    ))
}

/// An error and what it was caused by, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("base", &self.base)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for Source {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.credential()
            .await
            .map_err(|error| object_store::Error::Generic {
                store: "S3",
                source: Box::new(error),
            })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst};

    use axum::{Router, http::StatusCode, routing::any};
    use futures::future::join_all;
    use hydrant_engine::ManualClock;

    use super::*;

    /// An STS that answers as the test says and counts.
    #[derive(Default)]
    struct Sts {
        calls: AtomicUsize,
        status: AtomicU16,
    }

    impl Sts {
        fn answer(&self, expires: jiff::Timestamp) -> (StatusCode, String) {
            let call = self.calls.fetch_add(1, SeqCst) + 1;
            match self.status.load(SeqCst) {
                0 => (
                    StatusCode::OK,
                    format!(
                        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
                         <Credentials><AccessKeyId>AK{call}</AccessKeyId><SecretAccessKey>hush</SecretAccessKey>\
                         <SessionToken>T</SessionToken><Expiration>{expires}</Expiration></Credentials>\
                         </AssumeRoleResult></AssumeRoleResponse>"
                    ),
                ),
                status => (
                    StatusCode::from_u16(status).unwrap(),
                    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>"
                        .to_owned(),
                ),
            }
        }
    }

    /// The server, and the source that asks it; credentials hold for an hour from `clock`.
    async fn source<C: Clock + Clone + 'static>(sts: &Arc<Sts>, clock: &C) -> Arc<Source> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sts, now) = (sts.clone(), clock.clone());
        let handler = move || {
            let hour = now.now().plus(Duration::from_secs(3600)).as_millis();
            let expires = jiff::Timestamp::from_millisecond(hour as i64).unwrap();
            let answer = sts.answer(expires);
            async move { answer }
        };
        let router = Router::new().fallback(any(handler));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let base = Base::Static(StaticKey {
            id: "AK".to_owned(),
            secret: Secret::new("very secret"),
            token: None,
        });
        let role = Role {
            arn: "arn:aws:iam::000000000000:role/r".to_owned(),
            endpoint,
            region: "us-east-1".to_owned(),
        };
        let outbound = Outbound::new(Arc::new(clock.clone()));
        let source = outbound.source(&base, Some(&role));
        assert!(Arc::ptr_eq(&source, &outbound.source(&base, Some(&role))));
        source
    }

    #[tokio::test]
    async fn an_assumed_role_is_cached_renewed_and_survives_an_outage() {
        let (sts, clock) = (
            Arc::new(Sts::default()),
            ManualClock::new(Timestamp(1_444_223_142_000)),
        );
        let source = source(&sts, &clock).await;
        let id = async || {
            source
                .credential()
                .await
                .map(|credential| credential.key_id.clone())
        };
        assert_eq!(id().await.as_deref(), Ok("AK1"));
        assert_eq!(
            source.credential().await.unwrap().token.as_deref(),
            Some("T")
        );
        assert_eq!(sts.calls.load(SeqCst), 1, "and not again");

        clock.advance(Duration::from_secs(56 * 60));
        assert_eq!(id().await.as_deref(), Ok("AK2"), "renewed before the end");
        sts.status.store(503, SeqCst);
        clock.advance(Duration::from_secs(56 * 60));
        assert_eq!(id().await.as_deref(), Ok("AK2"), "the old ones still hold");
        clock.advance(Duration::from_secs(5 * 60));
        let gone = id().await;
        assert!(
            matches!(gone, Err(CredentialsError::Unavailable(_))),
            "{gone:?}"
        );
        assert!(!format!("{source:?} {gone:?}").contains("very secret"));
    }

    #[tokio::test]
    async fn a_refused_role_says_so() {
        let (sts, clock) = (
            Arc::new(Sts::default()),
            ManualClock::new(Timestamp(1_444_223_142_000)),
        );
        sts.status.store(403, SeqCst);
        let refused = source(&sts, &clock).await.credential().await.unwrap_err();
        let CredentialsError::RoleRefused { role, detail } = &refused else {
            panic!("{refused:?}");
        };
        assert_eq!(role, "arn:aws:iam::000000000000:role/r");
        assert_eq!(detail, "HTTP 403: AccessDenied: not you");
    }

    /// The machine's clock: who waits must be seen to have asked before the answer came.
    #[derive(Clone, Debug, Default)]
    struct Running(Arc<hydrant_engine::SystemClock>);

    impl Clock for Running {
        fn now(&self) -> Timestamp {
            self.0.now()
        }

        fn monotonic(&self) -> Duration {
            self.0.monotonic()
        }

        fn sleep(&self, duration: Duration) -> futures::future::BoxFuture<'static, ()> {
            self.0.sleep(duration)
        }
    }

    #[tokio::test]
    async fn those_who_wait_for_a_renewal_that_fails_share_its_failure() {
        let sts = Arc::new(Sts::default());
        sts.status.store(403, SeqCst);
        let source = source(&sts, &Running::default()).await;
        for answer in join_all((0..8).map(|_| source.credential())).await {
            assert!(answer.is_err());
        }
        assert_eq!(sts.calls.load(SeqCst), 1);
        source.credential().await.unwrap_err();
        assert_eq!(sts.calls.load(SeqCst), 2, "who comes later asks anew");
    }
}
