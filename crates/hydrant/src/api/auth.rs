//! Who sent a request: signature and keyring together make an [`Identity`].

use hydrant_engine::Timestamp;

use super::ApiError;
use crate::{
    credentials::{Identity, Keyring, keyring::DEFAULT_REGION},
    sigv4::{
        AuthError, Claim, SigningKeys,
        canonical::Request,
        verify::{self, KnownKey},
    },
};

/// Decides who a caller is. One for each node.
#[derive(Debug)]
pub struct Authenticator {
    keyring: Keyring,
    signing_keys: SigningKeys,
    regions: Option<Vec<String>>,
}

impl Authenticator {
    /// Lets in whom `keyring` lets in, for any region.
    pub fn new(keyring: Keyring) -> Self {
        Authenticator {
            keyring,
            signing_keys: SigningKeys::default(),
            regions: None,
        }
    }

    /// Serves the given regions alone.
    pub fn with_regions(mut self, regions: Vec<String>) -> Self {
        self.regions = Some(regions);
        self
    }

    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.keyring.is_open()
    }

    /// Whether [`identify`](Self::identify) looks at the body's hash: hashing is the largest step of
    /// a put, and an open node can do without.
    pub fn needs_body_hash(&self) -> bool {
        !self.is_open()
    }

    /// Who sent `request`. `body_sha256` is in lower-case hex; an open node ignores it.
    ///
    /// # Errors
    /// `Auth`, with the texts of SPEC §1.7.
    pub fn identify(
        &self,
        request: &Request<'_>,
        body_sha256: &str,
        now: Timestamp,
    ) -> Result<Identity, ApiError> {
        let identity = if self.keyring.is_open() {
            self.unverified(request)
        } else {
            self.verified(request, body_sha256, now)?
        };
        let region = identity.region.as_str();
        let served = match &self.regions {
            Some(regions) => regions.iter().any(|served| served == region),
            None => verify::is_region(region),
        };
        if !served {
            return Err(AuthError::WrongScope(verify::wrong_region(region)).into());
        }
        Ok(identity)
    }

    fn unverified(&self, request: &Request<'_>) -> Identity {
        // However odd the rest of a signature, its scope is taken for what the client means.
        match Claim::scope(request) {
            Some((access_key, region)) => Identity::unverified(&access_key, &region),
            None => Identity::unverified("", DEFAULT_REGION),
        }
    }

    fn verified(
        &self,
        request: &Request<'_>,
        body_sha256: &str,
        now: Timestamp,
    ) -> Result<Identity, AuthError> {
        let claim = verify::verify(request, body_sha256, now, |claim| {
            let key = self.keyring.get(&claim.access_key)?;
            Some(KnownKey {
                signing_key: self.signing_keys.get(
                    &key.access_key,
                    key.secret_key.expose(),
                    &claim.date,
                    &claim.region,
                ),
                session_token: key.session_token.as_ref().map(|token| token.expose()),
                expires: key.expiry(),
            })
        })?;
        let key = self.keyring.get(&claim.access_key);
        Ok(key.ok_or(AuthError::UnknownKey)?.identity(&claim.region))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn identify(node: &Authenticator, authorization: Option<&str>) -> Result<Identity, ApiError> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert("authorization", value.parse().unwrap());
        }
        let request = Request {
            method: "POST",
            path: "/",
            query: "",
            headers: &headers,
        };
        node.identify(&request, "", Timestamp(0))
    }

    #[test]
    fn an_open_node_believes_the_scope() {
        let open = Authenticator::new(Keyring::open());
        let who = |authorization| {
            let identity = identify(&open, authorization).unwrap();
            (identity.account, identity.region)
        };
        let pair = |account: &str, region: &str| (account.to_owned(), region.to_owned());
        assert_eq!(who(None), pair("000000000000", "us-east-1"));
        assert_eq!(
            who(Some(
                "AWS4-HMAC-SHA256 Credential=123456789012/20150830/eu-west-1/firehose/aws4_request, \
                 SignedHeaders=host, Signature=junk"
            )),
            pair("123456789012", "eu-west-1")
        );
        assert_eq!(
            who(Some(
                "AWS4-HMAC-SHA256 Credential=test/x/eu-west-1/firehose/aws4_request"
            )),
            pair("000000000000", "eu-west-1")
        );
        assert_eq!(who(Some("Basic dTpw")), pair("000000000000", "us-east-1"));
    }

    #[test]
    fn a_region_that_is_none_is_refused() {
        let open = Authenticator::new(Keyring::open());
        let scoped = |region: &str| {
            let value = format!("AWS4-HMAC-SHA256 Credential=a/d/{region}/firehose/aws4_request");
            identify(&open, Some(&value)).map_err(|error| error.to_string())
        };
        assert!(scoped("eu-west-1").is_ok());
        for region in ["..", "EU", "a_b", "", &"a".repeat(33)] {
            let refused = scoped(region);
            assert!(refused.is_err(), "{region:?}: {refused:?}");
        }
        let one = Authenticator::new(Keyring::open()).with_regions(vec!["eu-west-1".into()]);
        assert_eq!(
            identify(&one, None).unwrap_err().to_string(),
            "Credential should be scoped to a valid region, not 'us-east-1'. "
        );
    }
}
