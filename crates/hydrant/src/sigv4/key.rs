//! Signing keys: a secret, bound to a day, a region and a service.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::{digest, hmac};

use super::{SERVICE, TERMINATOR};

/// Hex of the SHA-256 of nothing.
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// SHA-256 in lower-case hex, as SigV4 writes it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// What signs every request of one day in one region.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Derives the key from `secret` for `date` (`yyyymmdd`), `region` and `service`.
    pub fn derive(secret: &str, date: &str, region: &str, service: &str) -> Self {
        let start = format!("AWS4{secret}");
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, start.as_bytes());
        for part in [date, region, service, TERMINATOR] {
            let tag = hmac::sign(&key, part.as_bytes());
            key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref());
        }
        SigningKey(key)
    }

    /// The signature of a string to sign, in lower-case hex.
    pub fn sign(&self, string_to_sign: &str) -> String {
        hex::encode(hmac::sign(&self.0, string_to_sign.as_bytes()))
    }

    /// Whether `signature`, in hex, is that of the string to sign. Takes the same time wherever
    /// they differ.
    pub fn verifies(&self, string_to_sign: &str, signature: &str) -> bool {
        let mut given = [0u8; 32];
        // The service writes and accepts lower case alone.
        signature.bytes().all(|b| !b.is_ascii_uppercase())
            && hex::decode_to_slice(signature, &mut given).is_ok()
            && hmac::verify(&self.0, string_to_sign.as_bytes(), &given).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[signing key]")
    }
}

/// Most signing keys kept: key ids times regions times two days, for any sane node.
const CACHED_KEYS: usize = 1024;

/// Signing keys derived before. Deriving takes four HMACs, which is more than all else in verifying
/// a small request.
#[derive(Debug, Default)]
pub struct SigningKeys {
    cached: Mutex<HashMap<(String, String, String), SigningKey>>,
}

impl SigningKeys {
    /// The signing key of `access_key` for Firehose. `secret` must be the one secret that belongs to
    /// `access_key` for as long as this cache lives.
    pub fn get(&self, access_key: &str, secret: &str, date: &str, region: &str) -> SigningKey {
        let place = (access_key.to_owned(), date.to_owned(), region.to_owned());
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = cached.get(&place) {
            return key.clone();
        }
        // Rare: a new day, or someone trying regions. Starting over is simpler than ageing.
        if cached.len() >= CACHED_KEYS {
            cached.clear();
        }
        let key = SigningKey::derive(secret, date, region, SERVICE);
        cached.insert(place, key.clone());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_like_the_published_example() {
        // The example of AWS's documentation on deriving a signing key.
        let key = SigningKey::derive(
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "20150830",
            "us-east-1",
            "iam",
        );
        let string_to_sign = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
             f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        let signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        assert_eq!(key.sign(string_to_sign), signature);
        assert!(key.verifies(string_to_sign, signature));
        for wrong in [
            "",
            "5d",
            &signature.to_uppercase(),
            &signature.replace('5', "6"),
        ] {
            assert!(!key.verifies(string_to_sign, wrong), "{wrong}");
        }
        assert_eq!(format!("{key:?}"), "[signing key]");
    }

    #[test]
    fn the_cache_is_bounded_and_right() {
        let keys = SigningKeys::default();
        for n in 0..2 * CACHED_KEYS {
            keys.get("A", "secret", "20150830", &n.to_string());
        }
        assert!(keys.cached.lock().unwrap().len() <= CACHED_KEYS);
        for _ in 0..2 {
            let cached = keys.get("A", "secret", "20150830", "us-east-1");
            let fresh = SigningKey::derive("secret", "20150830", "us-east-1", SERVICE);
            assert_eq!(cached.sign("x"), fresh.sign("x"));
        }
    }

    #[test]
    fn hashes() {
        assert_eq!(sha256_hex(b""), EMPTY_SHA256);
    }
}
