//! [`Warehouses`]: every database that streams may name, behind the one trait.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use object_store::aws::AwsCredential;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{
    Load, Loaded, Warehouse,
    connect::{Connection, Connector},
    errors::{self, Code},
    jdbc::{Engine, JdbcUrl},
    postgres,
    redshift::{self, Authorization},
    vet,
};
use crate::{
    config::{HostRule, RedshiftCredentials},
    credentials::{Vault, outbound::CredentialsError},
    destination::{Buckets, DeliveryError},
    stream::{Destination, RedshiftSpec, S3Spec},
};

/// A connection on which nothing moves for so long is given up, or a server that hangs would keep a stream, and its
/// share of all COPYs, for a day. No COPY of Firehose's waits longer: it is the longest `RetryOptions`.
const SILENCE_LIMIT: Duration = Duration::from_secs(7200);

/// Runs COPYs wherever a stream's configuration says.
///
/// Each attempt has a connection of its own: attempts are minutes apart, and a fresh one sees the password, the role
/// and the server as they are now.
pub struct Warehouses {
    buckets: Arc<Buckets>,
    vault: Arc<Vault>,
    connector: Connector,
    credentials: RedshiftCredentials,
    /// The databases that streams may name; `None` is any.
    hosts: Option<Vec<HostRule>>,
}

impl Warehouses {
    /// Databases reached by `connector`, with passwords that `vault` opens, loading from `buckets`; `credentials` says by
    /// what Redshift is let into them.
    pub fn new(
        buckets: Arc<Buckets>,
        vault: Arc<Vault>,
        connector: Connector,
        credentials: RedshiftCredentials,
    ) -> Self {
        Warehouses {
            buckets,
            vault,
            connector,
            credentials,
            hosts: None,
        }
    }

    /// Connects to these databases alone.
    #[must_use]
    pub fn only_at(mut self, hosts: Option<Vec<HostRule>>) -> Self {
        self.hosts = hosts;
        self
    }

    /// Whether the operator lets streams name the database at `url`.
    fn check_host(&self, url: &JdbcUrl) -> Result<(), String> {
        let Some(hosts) = &self.hosts else {
            return Ok(());
        };
        match hosts.iter().any(|host| host.matches(&url.host, url.port)) {
            true => Ok(()),
            false => Err(format!(
                "ClusterJDBCURL: {url} is not among the databases that this node may connect to (its setting database_hosts)"
            )),
        }
    }

    /// Waits until the databases know of COPYs that nobody waits for any more; seconds at most.
    pub async fn settle(&self) {
        self.connector.settle().await;
    }

    /// Checks what can be checked of a destination before a stream in `region` gets it. The database is not asked: as with
    /// Firehose, a stream may be made before its table.
    ///
    /// # Errors
    /// The message of the InvalidArgumentException that refuses it.
    pub async fn vet(&self, destination: &Destination, region: &str) -> Result<(), String> {
        self.buckets.vet(destination.s3(), region).await?;
        let Some(spec) = destination.redshift() else {
            return Ok(());
        };
        let url = JdbcUrl::parse(&spec.jdbc_url).map_err(|error| error.to_string())?;
        self.check_host(&url)?;
        vet::vet(spec)?;
        self.buckets.vet_manifests(&spec.s3)?;
        if vet::is_redshift(spec) && self.buckets.credentials(&spec.s3, region).is_none() {
            return Err(format!(
                "S3Configuration: bucket {} is a directory of this node, which Redshift cannot read; \
                 a [[buckets]] rule makes it one of an S3 store",
                spec.s3.bucket()
            ));
        }
        let reader = reader(spec, &spec.s3);
        if reader.role_arn != spec.s3.role_arn {
            self.buckets.vet(&reader, region).await?;
        }
        Ok(())
    }

    async fn attempt(
        &self,
        connection: &mut Connection,
        url: &JdbcUrl,
        load: &Load,
    ) -> Result<Loaded, DeliveryError> {
        let is_redshift = match url.engine {
            Engine::Redshift => true,
            Engine::Postgres => says_redshift(connection.client()).await?,
        };
        if !is_redshift {
            let region = &load.stream.region;
            return postgres::copy(&*self.buckets, region, connection.client(), load).await;
        }
        let authorization = self.authorization(load).await?;
        if matches!(authorization, Authorization::Keys(_)) && !connection.is_private() {
            return Err(Code::ConnectionFailed.refused(
                "It does not offer TLS, and the COPY command for Redshift holds an access key, which nobody has said may \
                 be seen on its way: sslmode=disable in ClusterJDBCURL says so.",
            ));
        }
        redshift::copy(connection.client(), load, &authorization).await
    }

    async fn authorization(&self, load: &Load) -> Result<Authorization, DeliveryError> {
        let reader = reader(&load.warehouse, &load.leg);
        let Some(source) = self.buckets.credentials(&reader, &load.stream.region) else {
            return Err(Code::S3BucketAccessDenied.refused(format_args!(
                "The bucket {} is a directory of this node.",
                reader.bucket()
            )));
        };
        match self.credentials {
            RedshiftCredentials::Role => Ok(Authorization::Role(reader.role_arn)),
            RedshiftCredentials::Keys => {
                let keys: Result<Arc<AwsCredential>, _> = source.credential().await;
                keys.map(Authorization::Keys).map_err(|error| match error {
                    CredentialsError::RoleRefused { .. } => Code::AccessDenied.refused(error),
                    CredentialsError::Unavailable(_) => Code::Internal.passing(error),
                })
            }
        }
    }
}

/// The intermediate bucket as the warehouse reads it: by the destination's own role.
fn reader(spec: &RedshiftSpec, leg: &S3Spec) -> S3Spec {
    S3Spec {
        role_arn: spec.role_arn.clone(),
        ..leg.clone()
    }
}

/// Whether it is Redshift that answers: many reach it by PostgreSQL's driver.
async fn says_redshift(client: &Client) -> Result<bool, DeliveryError> {
    let answer = client.simple_query("SELECT version()").await;
    let answer = answer.map_err(|error| errors::in_words(&error))?;
    Ok(answer.iter().any(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).is_some_and(|text| text.contains("Redshift")),
        _ => false,
    }))
}

#[async_trait]
impl Warehouse for Warehouses {
    async fn copy(&self, load: &Load) -> Result<Loaded, DeliveryError> {
        let spec = &load.warehouse;
        let url = JdbcUrl::parse(&spec.jdbc_url)
            .map_err(|error| Code::ConnectionFailed.refused(error))?;
        // A stream may be older than the setting.
        self.check_host(&url)
            .map_err(|error| Code::ConnectionFailed.refused(error))?;
        let password = self
            .vault
            .unseal(&spec.password, &load.stream.to_string())
            .map_err(|error| Code::AuthenticationFailed.refused(error))?;
        let mut connection = self
            .connector
            .connect(&url, &spec.username, &password)
            .await?;
        let silence = connection.silence(SILENCE_LIMIT);
        let copied = tokio::select! {
            copied = self.attempt(&mut connection, &url, load) => copied,
            // Dropped, not closed: what the server may still do is cancelled.
            () = silence => return Err(Code::ConnectionFailed.unreachable(format_args!(
                "{url} has said nothing for {} minutes",
                SILENCE_LIMIT.as_secs() / 60
            ))),
        };
        let copied = match copied {
            // The statement learns only that the connection is closed; the connection may know why.
            Err(error) if error.is_unreachable() => Err(connection.ending().await.unwrap_or(error)),
            copied => copied,
        };
        connection.close().await;
        copied
    }
}

impl fmt::Debug for Warehouses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warehouses")
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
