//! The keys that callers sign with.
//!
//! Without keys the node is *open*: nothing is verified, an access key of 12 digits is the account
//! id, any other stands for account `000000000000`, and every caller may do everything. With keys
//! it is *closed*: every request must be signed by one of them and is bound by that key's policy.

use std::{collections::HashMap, fmt, sync::Arc};

use hydrant_engine::Timestamp;
use serde::{Deserialize, Deserializer, de};

use super::policy::{AccessDenied, Policy};

/// The account of a caller that names none.
pub const DEFAULT_ACCOUNT: &str = "000000000000";
/// The region of a request that names none, as an unsigned one does.
pub const DEFAULT_REGION: &str = "us-east-1";

/// A secret text: never in `Debug`, never in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Secret(secret.into())
    }

    /// The secret itself; for signing and comparing only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // The error that says what was found instead would show a secret without quotes.
        let text = String::deserialize(from);
        text.map(Secret)
            .map_err(|_| de::Error::custom("a secret must be a text in quotes"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// One access key, as the config file declares it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: Secret,
    /// When given, requests must carry it in `X-Amz-Security-Token`.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// When given, the key is refused from then on (`ExpiredTokenException`).
    #[serde(default)]
    pub expires: Option<jiff::Timestamp>,
    /// The 12-digit account whose streams this key sees.
    pub account: String,
    /// The caller's ARN; by default `arn:aws:iam::<account>:user/<access key>`.
    #[serde(default)]
    pub user_arn: Option<String>,
    /// What the caller may do. Without it, everything in its account; with an empty one, nothing.
    #[serde(default)]
    pub policy: Option<Arc<Policy>>,
}

impl Key {
    /// A key that may do everything in `account`.
    pub fn new(
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
        account: impl Into<String>,
    ) -> Self {
        Key {
            access_key: access_key.into(),
            secret_key: Secret::new(secret_key),
            session_token: None,
            expires: None,
            account: account.into(),
            user_arn: None,
            policy: None,
        }
    }

    /// The moment from which the key is refused.
    pub fn expiry(&self) -> Option<Timestamp> {
        let expires = self.expires?;
        Some(Timestamp(
            u64::try_from(expires.as_millisecond()).unwrap_or(0),
        ))
    }

    /// Who signs with this key, for requests scoped to `region`.
    pub fn identity(&self, region: &str) -> Identity {
        let arn = match &self.user_arn {
            Some(arn) => arn.clone(),
            None => format!("arn:aws:iam::{}:user/{}", self.account, self.access_key),
        };
        Identity {
            account: self.account.clone(),
            region: region.into(),
            arn,
            access_key: self.access_key.clone(),
            policy: self.policy.clone().unwrap_or_else(Policy::allow_all),
        }
    }
}

/// Why a set of keys was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// Two keys share an access key id.
    #[error("access key {0} is declared twice: remove one of them")]
    Twice(String),
    /// The account is not 12 digits.
    #[error("access key {access_key}: account {account:?} must be 12 digits")]
    Account {
        /// The key at fault.
        access_key: String,
        /// What it gave.
        account: String,
    },
    /// An access key id or secret that no client could use.
    #[error("access key {0:?}: the id must be of [A-Za-z0-9_.-] and the secret must not be empty")]
    Unusable(String),
}

/// All keys of a node.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keys: HashMap<String, Key>,
}

impl Keyring {
    /// No keys: everybody is let in.
    pub fn open() -> Self {
        Keyring::default()
    }

    /// The given keys; open when there is none.
    ///
    /// # Errors
    /// When an access key id is declared twice or cannot be used, or an account is no account id.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Result<Self, KeyringError> {
        let mut known = HashMap::new();
        for key in keys {
            let id = key.access_key.clone();
            let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            if id.is_empty() || !id.chars().all(usable) || key.secret_key.expose().is_empty() {
                return Err(KeyringError::Unusable(id));
            }
            if !is_account(&key.account) {
                return Err(KeyringError::Account {
                    access_key: id,
                    account: key.account,
                });
            }
            if known.insert(id.clone(), key).is_some() {
                return Err(KeyringError::Twice(id));
            }
        }
        Ok(Keyring { keys: known })
    }

    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key with this access key id.
    pub fn get(&self, access_key: &str) -> Option<&Key> {
        self.keys.get(access_key)
    }
}

/// Who calls, and for which region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// 12-digit account id: part of a stream's identity.
    pub account: String,
    /// Region of the request's scope: part of a stream's identity.
    pub region: String,
    /// The caller's ARN.
    pub arn: String,
    /// The access key id, empty for an unsigned request.
    pub access_key: String,
    /// What the caller may do.
    pub policy: Arc<Policy>,
}

impl Identity {
    /// A caller of an open node, known by its access key alone.
    pub fn unverified(access_key: &str, region: &str) -> Self {
        let account = if is_account(access_key) {
            access_key
        } else {
            DEFAULT_ACCOUNT
        };
        Identity {
            account: account.into(),
            region: region.into(),
            arn: format!("arn:aws:iam::{account}:root"),
            access_key: access_key.into(),
            policy: Policy::allow_all(),
        }
    }

    /// Whether the caller may do `action` (for instance `firehose:PutRecord`) to `resource`, an ARN,
    /// which is only spelled out for a caller that may not do everything.
    ///
    /// # Errors
    /// When no statement allows it or one denies it.
    pub fn authorize(
        &self,
        action: &str,
        resource: impl FnOnce() -> String,
    ) -> Result<(), AccessDenied> {
        if self.policy.is_unrestricted() {
            return Ok(());
        }
        let resource = resource();
        if self.policy.allows(action, &resource) {
            return Ok(());
        }
        Err(AccessDenied {
            user: self.arn.clone(),
            action: action.into(),
            resource,
        })
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_config_file() {
        let key: Key = toml::from_str(
            r#"
            access_key = "AKIDEXAMPLE"
            secret_key = "hunter2hunter2"
            session_token = "tok-tok"
            expires = "2030-01-01T00:00:00Z"
            account = "123456789012"
            policy = [{ effect = "Allow", action = "firehose:Put*", resource = "*" }]
            "#,
        )
        .unwrap();
        let shown = format!("{key:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("tok-tok"),
            "{shown}"
        );
        assert_eq!(key.expiry(), Some(Timestamp(1_893_456_000_000)));
        let identity = key.identity("eu-west-1");
        assert_eq!(identity.arn, "arn:aws:iam::123456789012:user/AKIDEXAMPLE");
        assert_eq!(
            identity.authorize("firehose:PutRecord", || "x".into()),
            Ok(())
        );
        let denied = identity
            .authorize("firehose:DeleteDeliveryStream", || "arn:x".into())
            .unwrap_err();
        assert_eq!(
            denied.to_string(),
            "User: arn:aws:iam::123456789012:user/AKIDEXAMPLE is not authorized to perform: \
             firehose:DeleteDeliveryStream on resource: arn:x"
        );
    }

    #[test]
    fn a_secret_without_quotes_is_refused_and_not_shown() {
        for wrong in ["7311845502213", "7311.845", "['7311845502213']", "true"] {
            let text = format!("access_key = 'A'\nsecret_key = {wrong}\naccount = '1'");
            let error = toml::from_str::<Key>(&text).unwrap_err();
            assert_eq!(error.message(), "a secret must be a text in quotes");
            assert!(
                error.span().is_some_and(|span| span.start > 20),
                "{error:?}"
            );
        }
    }

    #[test]
    fn unusable_keys_are_named() {
        let key = |id: &str, account: &str| Key::new(id, "s", account);
        let two = [key("A", "123456789012"), key("A", "123456789012")];
        assert_eq!(
            Keyring::new(two).unwrap_err(),
            KeyringError::Twice("A".into())
        );
        assert!(matches!(
            Keyring::new([key("A", "1234")]),
            Err(KeyringError::Account { .. })
        ));
        assert!(matches!(
            Keyring::new([key("A/B", "123456789012")]),
            Err(KeyringError::Unusable(_))
        ));
        assert!(Keyring::new([]).unwrap().is_open());
    }

    #[test]
    fn callers_of_an_open_node() {
        let account = |key| Identity::unverified(key, DEFAULT_REGION).account;
        assert_eq!(account("123456789012"), "123456789012");
        assert_eq!(account("AKIDEXAMPLE"), DEFAULT_ACCOUNT);
        assert_eq!(account("12345678901x"), DEFAULT_ACCOUNT);
        assert_eq!(account(""), DEFAULT_ACCOUNT);
    }
}
