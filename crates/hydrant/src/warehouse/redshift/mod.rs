//! Redshift: it is sent the COPY statement and reads the bucket itself (SPEC §5.3).
//!
//! ```text
//! BEGIN
//! [SELECT … FROM hydrant.loaded_manifests]     where that table is: was this manifest loaded already?
//! COPY t (a, b) FROM 's3://bucket/manifest' CREDENTIALS '…' MANIFEST json 'auto' gzip;
//! [INSERT INTO hydrant.loaded_manifests …]
//! COMMIT
//! ```
//!
//! * The simple query protocol alone: prepared statements do not work there.
//! * **Exactly once with the ledger, at least once without.** When the connection is lost between COMMIT and its answer,
//!   nobody knows whether the rows are there. With the ledger ([`LEDGER`]) the next attempt does. Whoever wants
//!   that makes the table; the user of a stream needs INSERT on its own table only, as with Firehose. A manifest is known
//!   by its UUID, so that one that was given up although it had been loaded is not loaded again by hand.
//! * **Whose keys.** Those that the intermediate bucket is read with, in the role of the destination's RoleARN where
//!   one is assumed, or that role's name for the cluster to assume. Keys are in the statement, so they are taken out
//!   of everything that comes back.
//! * Where the database says no more than that its table of load errors knows more, that is asked.

mod load_errors;
mod statement;
mod words;

use std::{fmt, sync::Arc};

use object_store::aws::AwsCredential;
use tokio_postgres::{Client, SimpleQueryMessage};

pub use statement::{LEDGER, check};

use self::statement::{Known, quoted};
use super::{Load, Loaded};
use crate::destination::DeliveryError;

/// By what the cluster is let into the bucket.
#[derive(Clone)]
pub enum Authorization {
    /// By an access key, for as long as that holds.
    Keys(Arc<AwsCredential>),
    /// By a role that is attached to it, by ARN.
    Role(String),
}

/// One attempt at `load`, over a connection that nobody else uses and that has run no COPY yet.
///
/// # Errors
/// In the words of SPEC §6.4 and the database's own, without any secret.
pub async fn copy(
    client: &Client,
    load: &Load,
    authorization: &Authorization,
) -> Result<Loaded, DeliveryError> {
    let copied = attempt(client, load, authorization).await;
    copied.map_err(|error| authorization.kept_out_of(error))
}

async fn attempt(
    client: &Client,
    load: &Load,
    authorization: &Authorization,
) -> Result<Loaded, DeliveryError> {
    let url = format!("s3://{}/{}", load.leg.bucket(), load.manifest);
    let copy = statement::copy(&load.warehouse.copy, &url, authorization)?;
    let run = async |sql: &str| {
        let done = client.batch_execute(sql).await;
        done.map_err(|error| words::in_words(&error))
    };
    let has_ledger = first_value(client, statement::HAS_LEDGER).await?.is_some();
    let known = Known {
        stream: &load.stream.to_string(),
        url: &url,
    };
    run("BEGIN").await?;
    if has_ledger && first_value(client, &known.ask()).await?.is_some() {
        run("ROLLBACK").await?;
        return Ok(Loaded {
            // How many objects that manifest lists, only its reader knows.
            skipped: 1,
            ..Loaded::default()
        });
    }
    if let Err(error) = client.batch_execute(&copy).await {
        let told = words::in_words(&error);
        // What failed the transaction is told; that it cannot be left in order is not worth telling.
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(load_errors::added(client, &error, told).await);
    }
    if has_ledger && !statement::only_checks(&load.warehouse.copy) {
        run(&known.note()).await?;
    }
    run("COMMIT").await?;

    // The rows are there, whatever happens to these questions.
    let number = async |sql: &str| -> Option<u64> {
        first_value(client, sql).await.ok()??.trim().parse().ok()
    };
    let rejected = match statement::may_reject(&load.warehouse.copy) {
        true => number(statement::REJECTED).await.unwrap_or_default(),
        false => 0,
    };
    Ok(Loaded {
        rows: number(statement::LOADED).await,
        rejected,
        skipped: 0,
    })
}

/// The first column of the first row; `None` where there is no row, or NULL in it.
async fn first_value(client: &Client, sql: &str) -> Result<Option<String>, DeliveryError> {
    let answer = client.simple_query(sql).await;
    let answer = answer.map_err(|error| words::in_words(&error))?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten().map(str::to_owned),
        _ => None,
    }))
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Authorization::Keys(keys) => write!(f, "Keys({})", keys.key_id),
            Authorization::Role(arn) => write!(f, "Role({arn})"),
        }
    }
}

impl Authorization {
    /// As CREDENTIALS has it.
    fn clause(&self) -> String {
        match self {
            Authorization::Keys(keys) => {
                let mut clause = format!(
                    "aws_access_key_id={};aws_secret_access_key={}",
                    keys.key_id, keys.secret_key
                );
                if let Some(token) = &keys.token {
                    clause.push_str(";token=");
                    clause.push_str(token);
                }
                quoted(&clause)
            }
            Authorization::Role(arn) => quoted(&format!("aws_iam_role={arn}")),
        }
    }

    /// `error` without any of the secrets, wherever the database repeats the statement.
    fn kept_out_of(&self, mut error: DeliveryError) -> DeliveryError {
        let Authorization::Keys(keys) = self else {
            return error;
        };
        let (DeliveryError::Retry { message, .. } | DeliveryError::Refused { message, .. }) =
            &mut error;
        for secret in [Some(&keys.secret_key), keys.token.as_ref()]
            .into_iter()
            .flatten()
            .filter(|secret| !secret.is_empty())
        {
            if message.contains(secret.as_str()) {
                *message = message.replace(secret.as_str(), "[secret]");
            }
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_wherever_they_stand() {
        let keys = Authorization::Keys(Arc::new(AwsCredential {
            key_id: "AK".to_owned(),
            secret_key: "hush/1".to_owned(),
            token: Some("hush+2".to_owned()),
        }));
        let error = keys.kept_out_of(DeliveryError::refused("c", "a hush/1 b hush+2;hush/1"));
        assert_eq!(error.message(), "a [secret] b [secret];[secret]");
    }
}
