//! What identifies a delivery stream: account, region and name.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::metrics::StreamLabels;

/// The catalog prefix that holds every stream.
pub const CATALOG_PREFIX: &str = "stream/";

/// Identifies a delivery stream. Two streams in different accounts or regions may share a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamKey {
    /// The 12-digit account id of the caller that created it.
    pub account: String,
    /// The region of the request's credential scope, e.g. `us-east-1`.
    pub region: String,
    /// `DeliveryStreamName`: 1–64 of `[a-zA-Z0-9_.-]` (SPEC §2.0).
    pub name: String,
}

impl StreamKey {
    /// The key of a stream.
    pub fn new(
        account: impl Into<String>,
        region: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        StreamKey {
            account: account.into(),
            region: region.into(),
            name: name.into(),
        }
    }

    /// `arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME` (SPEC §2.0).
    pub fn arn(&self) -> String {
        format!(
            "arn:aws:firehose:{}:{}:deliverystream/{}",
            self.region, self.account, self.name
        )
    }

    /// The labels of its metrics.
    pub fn labels(&self) -> StreamLabels {
        StreamLabels {
            delivery_stream: self.name.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
        }
    }

    /// Where its value lies in the catalog. No part may hold a `/`: names cannot, and accounts and
    /// regions that do are refused with the request's credential scope.
    pub fn catalog_key(&self) -> String {
        format!(
            "{CATALOG_PREFIX}{}/{}/{}",
            self.account, self.region, self.name
        )
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.name)
    }
}
