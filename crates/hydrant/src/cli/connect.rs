//! Which endpoint a command talks to, and as whom.
//!
//! Without a word it is the node on this machine. `--endpoint aws` is Amazon's service in the
//! region; everything else is a URL. Credentials are those that every AWS tool finds; a local node
//! that knows no keys takes any, so there a stand-in does when none are found.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, bail};
use async_trait::async_trait;
use aws_config::{
    environment::EnvironmentVariableCredentialsProvider,
    meta::{credentials::CredentialsProviderChain, region::RegionProviderChain},
    profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider},
};
use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError,
};
use clap::ValueHint;
use hydrant_engine::{Clock, SystemClock, Timestamp};
use tokio::sync::Mutex;
use url::Url;

use crate::{
    client::{
        admin::Admin,
        firehose::{CredentialSource, Firehose},
    },
    config::{DEFAULT_ADMIN_PORT, DEFAULT_PORT, is_loopback},
    credentials::Token,
    sigv4::sign::Credentials,
};

/// Variables that name an endpoint when `--endpoint` does not.
const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_FIREHOSE", "AWS_ENDPOINT_URL"];
/// The region when nothing names one, which is also that of unsigned requests.
const FALLBACK_REGION: &str = "us-east-1";
/// Temporary credentials are renewed when they hold for less than this.
const RENEW_BEFORE: std::time::Duration = std::time::Duration::from_secs(300);

/// Where the Firehose API is.
#[derive(Debug, clap::Args)]
pub(crate) struct ApiArgs {
    /// The Firehose API: a URL, or `aws` for Amazon's own
    ///
    /// [default: AWS_ENDPOINT_URL_FIREHOSE, AWS_ENDPOINT_URL, http://127.0.0.1:4573]
    #[arg(long, env = "HYDRANT_ENDPOINT", value_name = "URL|aws")]
    endpoint: Option<String>,

    /// The stream's region
    ///
    /// [default: AWS_REGION, AWS_DEFAULT_REGION, the profile's; us-east-1]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// The profile in ~/.aws to take credentials and region from
    ///
    /// [default: AWS_PROFILE, default]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

/// Where the admin port of a node is.
#[derive(Debug, clap::Args)]
pub(crate) struct AdminArgs {
    /// The node's admin port [default: http://127.0.0.1:4574]
    #[arg(long, env = "HYDRANT_ADMIN", value_name = "URL")]
    admin: Option<String>,

    /// File with the token that the admin port asks for, if it does
    #[arg(long, env = "HYDRANT_ADMIN_TOKEN_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    admin_token_file: Option<PathBuf>,
}

impl AdminArgs {
    pub(crate) fn connect(&self) -> anyhow::Result<Admin> {
        let default = format!("http://127.0.0.1:{DEFAULT_ADMIN_PORT}");
        let url = parse_url("--admin", self.admin.as_deref().unwrap_or(&default))?;
        let Some(path) = &self.admin_token_file else {
            return Ok(Admin::new(url)?);
        };
        if url.scheme() == "http" && !is_loopback(&url) {
            bail!(
                "--admin {url}: the token is not sent over plain HTTP to another machine; write https://"
            );
        }
        Ok(Admin::new(url)?.with_token(Token::read(path)?))
    }

    /// Whether it was named rather than assumed.
    pub(crate) fn named(&self) -> bool {
        self.admin.is_some()
    }
}

impl ApiArgs {
    /// Whether the endpoint was named for Hydrant rather than assumed.
    pub(crate) fn named(&self) -> bool {
        self.endpoint.is_some()
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<Firehose> {
        let endpoint = self.endpoint.clone().or_else(|| {
            ENDPOINT_VARIABLES
                .iter()
                .find_map(|name| std::env::var(name).ok())
                .filter(|url| !url.is_empty())
        });
        let clock = Arc::new(SystemClock::new());
        let region = self.region().await;
        if endpoint.as_deref() == Some("aws") {
            let Some(region) = region else {
                bail!("which region? Name it with --region or AWS_REGION");
            };
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            let url = format!("https://firehose.{region}.amazonaws.com{suffix}");
            let mut chain =
                aws_config::default_provider::credentials::DefaultCredentialsChain::builder();
            if let Some(profile) = &self.profile {
                chain = chain.profile_name(profile);
            }
            let chain = Chain::new(chain.build().await, None, clock.clone());
            return Ok(Firehose::new(
                Url::parse(&url)?,
                region,
                Arc::new(chain),
                clock,
            )?);
        }
        let url = endpoint.unwrap_or_else(|| format!("http://127.0.0.1:{DEFAULT_PORT}"));
        let url = parse_url("--endpoint", &url)?;
        // Without the machine's instance role: asking for it takes seconds where there is none.
        let mut profile = ProfileFileCredentialsProvider::builder();
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        let environment = EnvironmentVariableCredentialsProvider::new();
        let chain = CredentialsProviderChain::first_try("Environment", environment)
            .or_else("Profile", profile.build());
        let stand_in = Credentials {
            access_key: "hydrant".to_owned(),
            secret_key: "hydrant".to_owned(),
            session_token: None,
        };
        let region = region.unwrap_or_else(|| FALLBACK_REGION.to_owned());
        let chain = Chain::new(chain, Some(stand_in), clock.clone());
        Ok(Firehose::new(url, region, Arc::new(chain), clock)?)
    }

    async fn region(&self) -> Option<String> {
        let named = self.region.clone().map(aws_config::Region::new);
        let mut profile = ProfileFileRegionProvider::builder();
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        RegionProviderChain::first_try(named)
            .or_else(aws_config::environment::EnvironmentVariableRegionProvider::new())
            .or_else(profile.build())
            .region()
            .await
            .map(|region| region.as_ref().to_owned())
    }
}

fn parse_url(flag: &str, text: &str) -> anyhow::Result<Url> {
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url = Url::parse(&full).with_context(|| format!("{flag} {text:?} is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        bail!("{flag} {text:?} is not a URL that begins with http:// or https://");
    }
    Ok(url)
}

/// AWS credentials, kept until they expire.
struct Chain {
    provider: SharedCredentialsProvider,
    /// For nodes that take any.
    stand_in: Option<Credentials>,
    clock: Arc<dyn Clock>,
    cached: Mutex<Option<(Credentials, Option<Timestamp>)>>,
}

impl Chain {
    fn new(
        provider: impl ProvideCredentials + 'static,
        stand_in: Option<Credentials>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Chain {
            provider: SharedCredentialsProvider::new(provider),
            stand_in,
            clock,
            cached: Mutex::new(None),
        }
    }

    async fn fetch(&self) -> Result<(Credentials, Option<Timestamp>), String> {
        match self.provider.provide_credentials().await {
            Ok(found) => {
                let credentials = Credentials {
                    access_key: found.access_key_id().to_owned(),
                    secret_key: found.secret_access_key().to_owned(),
                    session_token: found.session_token().map(str::to_owned),
                };
                let expiry = found.expiry().and_then(|expiry| {
                    let since = expiry.duration_since(std::time::UNIX_EPOCH).ok()?;
                    Some(Timestamp(u64::try_from(since.as_millis()).ok()?))
                });
                Ok((credentials, expiry))
            }
            Err(CredentialsError::CredentialsNotLoaded(_)) if self.stand_in.is_some() => self
                .stand_in
                .clone()
                .map(|stand_in| (stand_in, None))
                .ok_or_else(String::new),
            Err(error) => Err(format!(
                "{error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a --profile"
            )),
        }
    }
}

#[async_trait]
impl CredentialSource for Chain {
    async fn credentials(&self) -> Result<Credentials, String> {
        let mut cached = self.cached.lock().await;
        let fresh = |expiry: &Option<Timestamp>| {
            expiry.is_none_or(|expiry| self.clock.now().plus(RENEW_BEFORE) < expiry)
        };
        if let Some((credentials, expiry)) = cached.as_ref()
            && fresh(expiry)
        {
            return Ok(credentials.clone());
        }
        let (credentials, expiry) = self.fetch().await?;
        *cached = Some((credentials.clone(), expiry));
        Ok(credentials)
    }
}
